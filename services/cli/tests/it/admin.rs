//! The operator's pages: of each service alone, and of all in one process.

use std::path::Path;

use crate::process::{Place, Process, get};

const OK: &str = "HTTP/1.1 200 OK";

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// Waits for a page with this status.
fn page(process: &mut Process, socket: &Path, path: &str) -> String {
    process.until(path, || {
        get(socket, path)
            .filter(|(status, _)| status == OK)
            .map(|(_, body)| body)
    })
}

/// Waits for a page of metrics that names all of these: what counts calls appears with the server.
fn metrics(process: &mut Process, socket: &Path, names: &[&str]) {
    process.until("these metrics", || {
        let (status, body) = get(socket, "/metrics")?;
        let is_whole = status == OK && body.ends_with("# EOF\n");
        (is_whole && names.iter().all(|name| body.contains(name))).then_some(())
    });
}

/// A service alone whose peers are not there shows its pages, with this metric, once it says what `ready` says.
fn alone(service: &str, ready: bool, metric: &str) {
    let place = Place::new();
    let (admin, face) = (place.path("admin"), place.path("face"));
    let variable = service.replace('-', "_").to_uppercase();
    let nobody = unix(&place.path("nobody"));
    let peers = ["STORAGE", "PROVIDER_GATEWAY", "TOOL_RUNNER", "ORCHESTRATOR"];
    let known = match service {
        "storage" => &peers[..0],
        "provider-gateway" | "tool-runner" => &peers[..1],
        "orchestrator" => &peers[..3],
        _ => &peers[..],
    };
    let names: Vec<String> = known
        .iter()
        .map(|peer| format!("TANDEM_{variable}__PEERS__{peer}"))
        .collect();
    let listen = format!("TANDEM_{variable}__LISTEN");
    let mut environment = vec![
        ("TANDEM_ADMIN_LISTEN", unix(&admin)),
        ("TANDEM_LISTEN", unix(&face)),
        (listen.as_str(), unix(&face)),
    ];
    environment.extend(names.iter().map(|name| (name.as_str(), nobody.clone())));
    let mut process = place.start(&[service], &environment);

    assert_eq!(page(&mut process, &admin, "/healthz"), "ok");
    if ready {
        let report = page(&mut process, &admin, "/readyz");
        assert_eq!(
            report,
            format!(r#"{{"is_ready":true,"components":{{"{service}":{{"is_serving":true}}}}}}"#)
        );
    } else {
        let (status, report) = get(&admin, "/readyz").unwrap();
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable", "{report}");
        assert!(report.contains(&format!(r#""{service}""#)), "{report}");
    }
    metrics(&mut process, &admin, &[metric]);
}

#[test]
fn storage_alone_shows_its_pages() {
    alone("storage", true, "tandem_rpc_in_flight");
}

#[test]
fn provider_gateway_alone_shows_its_pages() {
    alone("provider-gateway", true, "tandem_provider_gateway_");
}

#[test]
fn tool_runner_alone_shows_its_pages() {
    alone("tool-runner", true, "tandem_tool_");
}

#[test]
fn orchestrator_alone_shows_its_pages() {
    alone("orchestrator", true, "tandem_chats_running");
}

#[test]
fn gateway_alone_shows_its_pages_and_names_who_is_missing() {
    alone("gateway", false, "tandem_gateway_");
}

#[test]
fn one_process_shows_everything_on_one_page() {
    let place = Place::new();
    let (admin, face) = (place.path("admin"), place.path("face"));
    let environment = [("TANDEM_ADMIN_LISTEN", unix(&admin)), ("TANDEM_LISTEN", unix(&face))];
    let mut process = place.start(&["serve"], &environment);

    let report = page(&mut process, &admin, "/readyz");

    for service in ["storage", "provider-gateway", "tool-runner", "orchestrator", "gateway"] {
        assert!(
            report.contains(&format!(r#""{service}":{{"is_serving":true"#)),
            "{report}"
        );
    }
    let names = [
        "tandem_rpc_requests_total",
        "tandem_provider_gateway_",
        "tandem_tool_",
        "tandem_chats_running",
        "tandem_gateway_",
    ];
    metrics(&mut process, &admin, &names);
}

#[test]
fn nobody_who_did_not_ask_gets_a_second_listener() {
    let place = Place::new();
    let face = place.path("face");
    let environment = [("TANDEM_LISTEN", unix(&face))];
    let mut process = place.start(&["gateway"], &environment);
    process.until("an answer", || get(&face, "/healthz"));
    assert!(!process.log().contains("admin pages"), "{}", process.log());
}
