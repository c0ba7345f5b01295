//! API servers that hang, break off, talk nonsense or refuse, and credentials that cannot be read. No error shows a secret.

use std::time::Duration;

use secrecy::SecretString;
use tandem_kubernetes::{Cluster, Config, Error, State};

use crate::cluster::{agents, place, world};
use crate::fake::{CREDENTIAL, Fake, Fault};

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_and_asked_for_again() {
    let world = world(|config, _| config.call_timeout = Duration::from_secs(2)).await;
    let id = place().workspace_id;
    world.fake.misbehave([Fault::Hang, Fault::Garble]);
    assert_eq!(
        world.cluster.state(&id).await.unwrap(),
        State::Gone,
        "the third answer counts"
    );
    world.fake.misbehave([Fault::Hang, Fault::Hang, Fault::Hang]);
    assert!(matches!(world.cluster.state(&id).await, Err(Error::Late)));
    assert_eq!(world.fake.calls().len(), 6, "three times each");
}

#[tokio::test]
async fn answers_that_cannot_be_read_or_have_no_end_are_errors() {
    let world = world(|_, _| {}).await;
    let id = place().workspace_id;
    for fault in [Fault::Garble, Fault::Flood] {
        world.fake.misbehave([fault.clone(), fault.clone(), fault]);
        assert!(matches!(world.cluster.state(&id).await, Err(Error::Garbled)));
    }
}

#[tokio::test]
async fn refusals_are_told_in_the_api_servers_words_and_asked_about_once() {
    let world = world(|_, _| {}).await;
    let message = "pods is forbidden: User \"tandem\" cannot get resource \"pods\"";
    world.fake.misbehave([Fault::Refuse(403, message.to_owned())]);
    let refused = world.cluster.state(&place().workspace_id).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("the cluster refuses it (403): {message}"));
    assert_eq!(world.fake.calls().len(), 1);
}

#[tokio::test]
async fn a_token_that_the_api_server_repeats_is_taken_out() {
    let world = world(|_, _| {}).await;
    let place = place();
    let refusal = Fault::Refuse(400, "bad data: s3cret-token".to_owned());
    let missing = Fault::Refuse(404, "not found".to_owned());
    world.fake.misbehave([missing, refusal]);
    let kept = world
        .cluster
        .keep_token(&place, SecretString::from("s3cret-token".to_owned()))
        .await;
    let error = kept.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn credentials_that_are_not_taken_or_cannot_be_read_are_told_without_them() {
    let world = world(|_, _| {}).await;
    let path = world.config.kubeconfig.clone().unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let attempt = async |text: &str| -> Error {
        std::fs::write(&path, text).unwrap();
        match Cluster::new(&world.config, &agents()).await {
            Ok(cluster) => cluster.state(&place().workspace_id).await.unwrap_err(),
            Err(error) => error,
        }
    };
    let other = good.replace(CREDENTIAL, "s3cret-other");
    let broken = [
        other.clone(),
        format!("{other} }} ["),
        good.replace("\"current-context\":\"fake\"", "\"current-context\":\"s3cret\""),
        good.replace("\"server\":\"http", "\"server\":\"s3cret http"),
    ];
    for text in broken {
        let error = attempt(&text).await;
        assert!(matches!(error, Error::Credentials(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        Cluster::new(&world.config, &agents()).await,
        Err(Error::File { .. })
    ));
    let outside = Config {
        kubeconfig: None,
        ..world.config.clone()
    };
    assert!(matches!(
        Cluster::new(&outside, &agents()).await,
        Err(Error::Credentials(_))
    ));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let world = world(|config, _| config.call_timeout = Duration::from_secs(2)).await;
    let path = world.config.kubeconfig.clone().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let address = text
        .split("\"server\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    std::fs::write(&path, text.replace(address, "http://127.0.0.1:1")).unwrap();
    let cluster = Cluster::new(&world.config, &agents()).await.unwrap();
    assert!(matches!(
        cluster.state(&place().workspace_id).await,
        Err(Error::Unreachable)
    ));
}

#[tokio::test]
async fn a_server_is_believed_only_with_a_certificate_of_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start_with_tls(directory.path()).await;
    let kubeconfig = directory.path().join("kubeconfig");
    fake.write_kubeconfig(&kubeconfig);
    let config = Config {
        kubeconfig: Some(kubeconfig.clone()),
        ..Config::default()
    };
    let cluster = Cluster::new(&config, &agents()).await.unwrap();
    assert_eq!(cluster.state(&place().workspace_id).await.unwrap(), State::Gone);
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    std::fs::write(
        &kubeconfig,
        text.replace("certificate-authority-data", "extensions-data"),
    )
    .unwrap();
    let cluster = Cluster::new(&config, &agents()).await.unwrap();
    assert!(matches!(
        cluster.state(&place().workspace_id).await,
        Err(Error::Unreachable)
    ));
    assert_eq!(fake.calls().len(), 1, "no credential is shown to strangers");
}
