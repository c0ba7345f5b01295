//! Pods, their homes and their tokens, from start to deletion, each step once and more than once.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tandem_chassis::transport::Address;
use tandem_kubernetes::{Cluster, Config, Error, Place, State};
use tempfile::TempDir;
use uuid::Uuid;

use crate::fake::{Fake, NAMESPACE};

pub struct World {
    pub fake: Fake,
    pub cluster: Cluster,
    pub config: Config,
    _directory: TempDir,
}

pub fn agents() -> Address {
    "https://agents.example:7443".parse().unwrap()
}

pub async fn world(change: impl FnOnce(&mut Config, &TempDir)) -> World {
    let fake = Fake::start().await;
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    fake.write_kubeconfig(&kubeconfig);
    let mut config = Config {
        enabled: true,
        kubeconfig: Some(kubeconfig),
        ..Config::default()
    };
    change(&mut config, &directory);
    let cluster = Cluster::new(&config, &agents()).await.unwrap();
    World {
        fake,
        cluster,
        config,
        _directory: directory,
    }
}

pub fn place() -> Place {
    let id = || Uuid::new_v4().to_string();
    Place {
        workspace_id: id(),
        owner_id: id(),
        organization_id: id(),
        build_id: id(),
        image: "registry.example/shell:1".to_owned(),
        ..Place::default()
    }
}

fn token(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

async fn raise(world: &World, place: &Place) -> String {
    world.cluster.make_home(place).await.unwrap();
    let kept = world
        .cluster
        .keep_token(place, token(&format!("s3cret-token-{}", place.build_id)))
        .await
        .unwrap();
    world.cluster.make_pod(place).await.unwrap();
    kept.expose_secret().to_owned()
}

#[tokio::test]
async fn a_pod_may_do_nothing_a_users_program_need_not_and_its_token_is_in_no_field() {
    let world = world(|config, directory| {
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, "-----BEGIN CERTIFICATE-----").unwrap();
        config.agent_ca_file = Some(ca);
        config.agent_image = Some("tandem:1".to_owned());
        config.runtime_class = Some("isolated".to_owned());
        config.image_pull_secrets = vec!["registry".to_owned()];
        config.storage_class = Some("fast".to_owned());
    })
    .await;
    let place = Place {
        cpu: "500m".to_owned(),
        memory: "1Gi".to_owned(),
        home_size: "20Gi".to_owned(),
        ..place()
    };
    raise(&world, &place).await;
    let pods = world.fake.all("pods");
    let [pod] = pods.as_slice() else { panic!("one pod") };
    assert!(!pod.to_string().contains("s3cret-token"), "{pod}");
    let metadata = &pod["metadata"];
    assert_eq!(
        (&metadata["namespace"], &metadata["name"]),
        (&json!(NAMESPACE), &json!(format!("tandem-{}", place.workspace_id)))
    );
    assert_eq!(metadata["labels"]["tandem/owner-id"], place.owner_id.as_str());
    let spec = &pod["spec"];
    assert_eq!(
        spec["automountServiceAccountToken"], false,
        "it knows nothing of the cluster"
    );
    assert_eq!(spec["runtimeClassName"], "isolated");
    let container = &spec["containers"][0];
    let amounts = json!({ "cpu": "500m", "memory": "1Gi", "ephemeral-storage": "10Gi" });
    assert_eq!(
        container["resources"],
        json!({ "requests": amounts, "limits": amounts })
    );
    let command = json!([
        "/opt/tandem/tandem",
        "agent",
        "--dir",
        "/home/tandem",
        "--ca-file",
        "/etc/tandem/ca.crt"
    ]);
    assert_eq!(container["command"], command);
    assert_eq!(container["env"][1]["value"], "https://agents.example:7443");
    assert_eq!(
        container["env"][2]["valueFrom"]["secretKeyRef"]["name"],
        format!("tandem-{}", place.build_id)
    );
    assert_eq!(spec["initContainers"][0]["image"], "tandem:1");
    let volumes = spec["volumes"].as_array().unwrap();
    let program = volumes.iter().find(|volume| volume["name"] == "program").unwrap();
    assert_eq!(program["emptyDir"]["sizeLimit"], "512Mi", "nobody fills a node's disk");
    let claim = &world.fake.all("persistentvolumeclaims")[0]["spec"];
    assert_eq!(
        (&claim["resources"]["requests"]["storage"], &claim["storageClassName"]),
        (&json!("20Gi"), &json!("fast"))
    );
}

#[tokio::test]
async fn attempts_of_one_build_end_with_one_pod_one_home_and_one_token() {
    let world = world(|_, _| {}).await;
    let place = place();
    let (first, second) = tokio::join!(
        world.cluster.keep_token(&place, token("one")),
        world.cluster.keep_token(&place, token("two"))
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.expose_secret(), second.expose_secret());
    for is_new in [true, false] {
        assert_eq!(world.cluster.make_home(&place).await.unwrap(), is_new);
        world.cluster.make_pod(&place).await.unwrap();
        assert!(world.cluster.has_pod_of(&place).await.unwrap());
    }
    let counts = ["pods", "secrets", "persistentvolumeclaims"].map(|kind| world.fake.all(kind).len());
    assert_eq!(counts, [1, 1, 1]);
    let next = Place {
        build_id: Uuid::new_v4().to_string(),
        ..place.clone()
    };
    assert!(
        !world.cluster.has_pod_of(&next).await.unwrap(),
        "an earlier build's pod is not kept"
    );
    let refused = world.cluster.make_pod(&next).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { code: 422, .. }), "{refused}");
}

#[tokio::test]
async fn a_pod_is_ended_gently_keeps_its_home_and_is_made_anew() {
    let world = world(|_, _| {}).await;
    world.fake.use_kubelet();
    let place = place();
    raise(&world, &place).await;
    let name = format!("tandem-{}", place.workspace_id);
    let mut changes = world.fake.changes();
    let kubelet = async {
        changes
            .wait_for(|_| world.fake.all("pods")[0]["metadata"]["deletionTimestamp"].is_string())
            .await
            .unwrap();
        let leaving = world.fake.all("pods");
        assert_eq!(leaving[0]["metadata"]["deletionGracePeriodSeconds"], 10);
        assert_eq!(world.cluster.state(&place.workspace_id).await.unwrap(), State::Gone);
        world.fake.strike(&name);
    };
    let (ended, ()) = tokio::join!(world.cluster.end_pod(&place.workspace_id), kubelet);
    ended.unwrap();
    world.cluster.end_pod(&place.workspace_id).await.unwrap();
    world.cluster.delete_tokens(&place.workspace_id).await.unwrap();
    assert_eq!(world.fake.all("secrets"), Vec::<Value>::new());
    let next = Place {
        build_id: Uuid::new_v4().to_string(),
        ..place.clone()
    };
    assert!(!world.cluster.make_home(&next).await.unwrap(), "the home is the same");
    assert!(raise(&world, &next).await.ends_with(&next.build_id), "the token is not");
    world.fake.strike(&name);
    for _ in 0..2 {
        world.cluster.delete_home(&place.workspace_id).await.unwrap();
    }
    assert_eq!(world.fake.all("persistentvolumeclaims"), Vec::<Value>::new());
}

#[tokio::test]
async fn tokens_of_other_workspaces_stay() {
    let world = world(|_, _| {}).await;
    let (one, other) = (place(), place());
    raise(&world, &one).await;
    raise(&world, &other).await;
    world.cluster.delete_tokens(&one.workspace_id).await.unwrap();
    let left = world.fake.all("secrets");
    assert_eq!(left.len(), 1);
    assert_eq!(
        left[0]["metadata"]["labels"]["tandem/workspace-id"],
        other.workspace_id.as_str()
    );
}

#[tokio::test]
async fn states_are_those_the_cluster_tells() {
    let world = world(|_, _| {}).await;
    let place = place();
    world.fake.pods_become(json!({ "phase": "Pending" }));
    let state = async || world.cluster.state(&place.workspace_id).await.unwrap();
    assert_eq!(state().await, State::Gone);
    raise(&world, &place).await;
    assert_eq!(state().await, State::Waiting(String::new()));
    let name = format!("tandem-{}", place.workspace_id);
    world.fake.set_status(&name, json!({ "phase": "Running" }));
    assert_eq!(state().await, State::Running);
    world
        .fake
        .set_status(&name, json!({ "phase": "Failed", "reason": "Evicted" }));
    assert_eq!(state().await, State::Broken("The pod has ended: Evicted.".to_owned()));
    assert!(!world.cluster.has_pod_of(&place).await.unwrap(), "it is made anew");
}

#[tokio::test]
async fn a_full_namespace_is_told_as_a_quota() {
    let world = world(|_, _| {}).await;
    world.fake.allow_pods(1);
    raise(&world, &place()).await;
    let refused = world.cluster.make_pod(&place()).await.unwrap_err();
    let Error::Quota(message) = &refused else {
        panic!("{refused}")
    };
    assert!(message.contains("limited: pods=1"), "{message}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_is_called() {
    let world = world(|_, _| {}).await;
    type Change = fn(&mut Config);
    let changes: [(&str, Change); 5] = [
        ("user_id", |config| config.user_id = 0),
        ("start_timeout", |config| {
            config.start_timeout = Duration::from_secs(3_600)
        }),
        ("stop_grace", |config| config.stop_grace = Duration::from_secs(3_600)),
        ("call_timeout", |config| config.call_timeout = Duration::ZERO),
        ("agent_url", |config| {
            config.agent_url = Some("unix:/run/agents.sock".parse().unwrap())
        }),
    ];
    for (name, change) in changes {
        let mut config = world.config.clone();
        change(&mut config);
        match Cluster::new(&config, &agents()).await {
            Err(Error::Setting { name: told, .. }) => assert_eq!(told, name),
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name} was taken"),
        }
    }
    assert_eq!(world.fake.calls(), Vec::<String>::new());
}
