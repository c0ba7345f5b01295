//! The bridge's own listener with a certificate.

use std::path::PathBuf;

use reqwest::Certificate;
use tandem_chassis::tls::ServerConfig;

use super::{Answer, Bridged, KEYS, LIMIT, chat, completion, upstream::Reply};
use crate::storage::GOOD_TOKEN;

#[tokio::test]
async fn programs_are_served_over_tls_and_not_in_clear() {
    let files = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| -> PathBuf {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = ServerConfig {
        cert_file: file("cert.pem", issued.cert.pem()),
        key_file: file("key.pem", issued.signing_key.serialize_pem()),
        client_ca_file: None,
    };
    let bridged = Bridged::start_with("openai", &KEYS, |config| {
        let plain = config.bridge.listen.as_ref().unwrap().to_string();
        config.bridge.listen = Some(plain.replacen("http:", "https:", 1).parse().unwrap());
        config.bridge.tls = Some(certificate);
    })
    .await;
    let address = bridged.base.replacen("http://127.0.0.1", "https://localhost", 1);
    let trusted = Certificate::from_der(issued.cert.der()).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT);
    let client = client.tls_certs_only([trusted]).build().unwrap();
    bridged.upstream.reply(Reply::json(&completion()));
    let asked = client.post(format!("{address}/openai/v1/chat/completions"));
    let answer = Answer::of(asked.bearer_auth(GOOD_TOKEN).json(&chat("m-1"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let in_clear = bridged.get("/openai/v1/models").send().await;
    assert!(in_clear.is_err(), "{in_clear:?}");
}
