//! TLS as an operator configures it.

use reqwest::Certificate;

use crate::{
    ports::free_address,
    process::{Place, get},
};

/// A certificate for this machine in `cert.pem` and `key.pem`; the certificate.
fn issue(place: &Place) -> Certificate {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(place.path("cert.pem"), issued.cert.pem()).unwrap();
    std::fs::write(place.path("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    Certificate::from_der(issued.cert.der()).unwrap()
}

fn files(place: &Place) -> [(&'static str, String); 2] {
    [
        ("TANDEM_TLS__CERT_FILE", place.path("cert.pem").display().to_string()),
        ("TANDEM_TLS__KEY_FILE", place.path("key.pem").display().to_string()),
    ]
}

#[test]
fn https_without_a_certificate_is_refused_and_says_what_to_set() {
    let place = Place::new();
    let ended = place.run(&["gateway"], &[("TANDEM_LISTEN", "https://127.0.0.1:0".to_owned())]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(64), "{said}");
    assert!(said.contains("TANDEM_TLS__CERT_FILE"), "{said}");
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    let place = Place::new();
    let mut environment = files(&place).to_vec();
    environment.push(("TANDEM_LISTEN", "127.0.0.1:0".to_owned()));
    let ended = place.run(&["gateway"], &environment);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(64), "{said}");
    assert!(said.contains("cert.pem"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_certificate_speaks_tls() {
    let place = Place::new();
    let trusted = issue(&place);
    let address = free_address().unwrap();
    let mut environment = files(&place).to_vec();
    environment.push(("TANDEM_LISTEN", address.clone()));
    let mut process = place.start(&["gateway"], &environment);
    let serving = format!("https://{address}");
    let log = place.path("gateway.log");
    process.until("serving", || {
        std::fs::read_to_string(&log)
            .ok()
            .filter(|text| text.contains(&serving))
    });

    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build();
    let answer = client.unwrap().get(format!("{serving}/healthz")).send().await.unwrap();

    assert_eq!(answer.status().as_u16(), 200);
}

#[test]
fn services_meet_over_tls_with_certificates_on_both_sides() {
    let place = Place::new();
    issue(&place);
    let authority = place.path("cert.pem").display().to_string();
    let address = free_address().unwrap();
    let mut storage = files(&place).to_vec();
    storage.push(("TANDEM_TLS__CLIENT_CA_FILE", authority.clone()));
    storage.push(("TANDEM_STORAGE__LISTEN", address.clone()));
    let _storage = place.start(&["storage"], &storage);
    let missing = |place: &Place, with_certificate: bool| {
        let admin = place.path("admin");
        let mut gateway = vec![
            ("TANDEM_LISTEN", format!("unix:{}", place.path("face").display())),
            ("TANDEM_ADMIN_LISTEN", format!("unix:{}", admin.display())),
            ("TANDEM_GATEWAY__PEERS__STORAGE", format!("https://{address}")),
            ("TANDEM_GATEWAY__PEER_TLS__CA_FILE", authority.clone()),
        ];
        if with_certificate {
            gateway.push(("TANDEM_GATEWAY__PEER_TLS__CERT_FILE", authority.clone()));
            let key = place.path("key.pem").display().to_string();
            gateway.push(("TANDEM_GATEWAY__PEER_TLS__KEY_FILE", key));
        }
        let mut process = place.start(&["gateway"], &gateway);
        let is_decided = |report: &str| match with_certificate {
            true => report.contains(r#""orchestrator":"#) && !report.contains(r#""storage":"#),
            false => report.contains(r#""storage":"not to be reached""#),
        };
        process.until("an answer about storage", || {
            get(&admin, "/readyz").filter(|(_, report)| is_decided(report))
        });
    };

    // The others are not there, and named as missing both times.
    missing(&place, true);
    missing(&place, false);
}
