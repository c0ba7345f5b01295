use super::*;

fn failure(status: Option<u16>, is_connect: bool) -> Failure {
    Failure {
        status,
        is_connect,
        ..Failure::new(Cause::Reported, "x")
    }
}

#[test]
fn only_a_vendor_without_capacity_or_connection_counts_against_it() {
    for status in [503, 504, 529] {
        assert!(is_unavailable(&failure(Some(status), false)), "{status}");
    }
    for status in [400, 401, 408, 429, 500, 502] {
        assert!(!is_unavailable(&failure(Some(status), false)), "{status}");
    }
    assert!(is_unavailable(&failure(None, true)));
    assert!(!is_unavailable(&failure(None, false)));
}

#[test]
fn only_limits_and_refusals_are_the_keys_fault() {
    assert_eq!(why_to_rest(&failure(Some(429), false)), Some(Why::Limited));
    assert_eq!(why_to_rest(&failure(Some(401), false)), Some(Why::Refused));
    assert_eq!(why_to_rest(&failure(Some(403), false)), Some(Why::Refused));
    assert_eq!(why_to_rest(&failure(Some(500), false)), None);
    assert_eq!(why_to_rest(&failure(None, true)), None);
}
