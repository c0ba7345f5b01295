use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use uuid::Uuid;

use super::*;
use crate::{
    Runtime,
    identity::{ServiceName, ServiceSecret},
    server::Server,
    transport::Listener,
};

fn memory() -> Address {
    Address::Memory(Uuid::new_v4().to_string())
}

fn replicas(addresses: &[Address]) -> Replicas {
    Replicas::new(addresses.to_vec(), tls::ClientConfig::default()).unwrap()
}

async fn chosen(replicas: &Replicas, count: usize) -> Vec<Address> {
    let mut chosen = Vec::new();
    for _ in 0..count {
        chosen.push(replicas.choose().await);
    }
    chosen
}

#[tokio::test]
async fn each_replica_is_chosen_in_its_turn() {
    let [one, two] = ["unix:/run/one", "unix:/run/two"].map(|text| text.parse::<Address>().unwrap());
    let replicas = replicas(&[one.clone(), two.clone()]);
    assert_eq!(
        chosen(&replicas, 4).await,
        [one.clone(), two.clone(), one.clone(), two.clone()]
    );
}

#[tokio::test]
async fn one_that_could_not_be_reached_is_passed_over_for_a_while() {
    let [one, two] = ["unix:/run/one", "unix:/run/two"].map(|text| text.parse::<Address>().unwrap());
    let replicas = replicas(&[one.clone(), two.clone()]);
    replicas.rest(&one);
    assert_eq!(chosen(&replicas, 3).await, [two.clone(), two.clone(), two.clone()]);

    replicas.rest(&two);
    assert!(chosen(&replicas, 2).await.contains(&one), "somebody is chosen always");

    for until in replicas.lock().resting.values_mut() {
        *until = Instant::now();
    }
    let again = chosen(&replicas, 2).await;
    assert!(again.contains(&one) && again.contains(&two), "{again:?}");
}

#[tokio::test]
async fn a_call_goes_to_the_replica_it_is_meant_for() {
    let addresses = [memory(), memory()];
    let replicas = replicas(&addresses);
    let mut servers = Vec::new();
    for address in &addresses {
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        let listener = Listener::bind(address).await.unwrap();
        let server = Server::new(ServiceName::ProviderGateway, &runtime);
        tokio::spawn(server.serve(listener, runtime.shutdown.draining()));
        servers.push(runtime);
    }
    servers[1].health.set_serving(true);
    for (address, expected) in addresses.iter().zip([2, 1]) {
        let mut client = HealthClient::new(replicas.at(address).unwrap());
        let answer = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(answer.status, expected, "{address}");
    }
}

#[tokio::test]
async fn a_name_of_one_replica_stays_a_name_and_numbers_stay_numbers() {
    for text in ["http://localhost:7082", "http://127.0.0.1:7082", "http://[::1]:7082"] {
        let address: Address = text.parse().unwrap();
        let replicas = replicas(std::slice::from_ref(&address));
        assert_eq!(replicas.choose().await, address);
        assert!(!replicas.is_gone(&address).await);
        assert!(replicas.is_gone(&memory()).await);
    }
}

#[tokio::test]
async fn a_name_nobody_knows_stands_for_itself_and_proves_nothing() {
    let address: Address = "http://nobody.invalid:7082".parse().unwrap();
    let replicas = replicas(std::slice::from_ref(&address));
    assert_eq!(replicas.choose().await, address);
    assert!(!replicas.is_gone(&memory()).await);
}

#[tokio::test]
async fn connections_are_kept_up_to_a_bound() {
    let replicas = replicas(&[memory()]);
    for _ in 0..2 * MAX_CHANNELS {
        replicas.at(&memory()).unwrap();
    }
    assert_eq!(replicas.lock().channels.len(), MAX_CHANNELS);
}

#[tokio::test]
async fn the_certificate_of_a_number_is_that_of_its_name() {
    let named: Address = "https://provider-gateway:7082".parse().unwrap();
    let number: Address = "https://10.0.0.7:7082".parse().unwrap();
    let domain = |replicas: &Replicas, address| replicas.tls_of(address).domain;
    let by_name = replicas(std::slice::from_ref(&named));
    assert_eq!(domain(&by_name, &number).as_deref(), Some("provider-gateway"));
    assert_eq!(domain(&by_name, &named), None);
    assert_eq!(domain(&replicas(std::slice::from_ref(&number)), &number), None);
}

#[test]
fn a_service_without_an_address_is_refused() {
    assert!(Replicas::new(Vec::new(), tls::ClientConfig::default()).is_err());
}
