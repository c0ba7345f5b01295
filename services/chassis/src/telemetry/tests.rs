use tonic::metadata::MetadataMap;

use super::*;

/// The subscriber is global, so one test holds everything that needs it.
#[test]
fn one_trace_id_spans_services_without_export() {
    let quiet = Config {
        log: "error".to_owned(),
        ..Config::default()
    };
    let _guard = init(&quiet, "test").unwrap();
    let again = init(&Config::default(), "test").unwrap();
    assert!(again.provider.is_none(), "the second call starts nothing");

    let mut metadata = MetadataMap::new();
    inject(&mut metadata);
    assert!(metadata.is_empty(), "no span, nothing to pass on");

    let ours = tracing::info_span!("ours");
    let id = trace_id(&ours).unwrap();
    ours.in_scope(|| inject(&mut metadata));

    let theirs = tracing::info_span!("theirs");
    set_parent(&theirs, &metadata.into_headers());
    assert_eq!(trace_id(&theirs).unwrap(), id);

    let unrelated = tracing::info_span!("unrelated");
    assert_ne!(trace_id(&unrelated).unwrap(), id);
}

#[test]
fn wrong_filter_is_refused() {
    let config = Config {
        log: "tandem=loud".to_owned(),
        ..Config::default()
    };
    assert!(matches!(init(&config, "test"), Err(Error::Filter { .. })));
}
