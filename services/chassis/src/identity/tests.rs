use std::{os::unix::fs::PermissionsExt, time::Duration};

use base64::Engine;
use time::OffsetDateTime;

use super::*;
use crate::clock::Manual;

struct World {
    clock: Arc<Manual>,
    secret: ServiceSecret,
}

impl World {
    fn new() -> Self {
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        Self {
            clock: Arc::new(Manual::new(start)),
            secret: ServiceSecret::generate().unwrap(),
        }
    }

    fn signer(&self) -> Signer {
        Signer::new(&self.secret, ServiceName::Gateway, self.clock.clone())
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(&self.secret, self.clock.clone())
    }
}

fn user() -> User {
    User {
        id: Uuid::from_u128(1),
        is_admin: true,
        organization_ids: vec![Uuid::from_u128(2), Uuid::from_u128(3)],
    }
}

#[test]
fn signed_caller_comes_back_whole() {
    let world = World::new();
    for user in [None, Some(user())] {
        let token = world.signer().sign(user.as_ref()).unwrap();
        let verifier = world.verifier();
        let expected = Caller {
            service: ServiceName::Gateway,
            user,
        };
        assert_eq!(*verifier.verify(&token).unwrap(), expected);
        assert_eq!(*verifier.verify(&token).unwrap(), expected, "from the cache");
    }
}

#[test]
fn token_expires_after_its_life_and_the_leeway() {
    let world = World::new();
    let token = world.signer().sign(None).unwrap();
    let verifier = world.verifier();
    let late = world.verifier();

    world
        .clock
        .advance(TOKEN_LIFETIME + CLOCK_LEEWAY - Duration::from_secs(1));
    assert!(verifier.verify(&token).is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(verifier.verify(&token), Err(Error::Expired)), "cached");
    assert!(matches!(late.verify(&token), Err(Error::Expired)), "fresh");
    assert!(
        matches!(world.verifier().verify(&token), Err(Error::Expired)),
        "started since"
    );
}

#[test]
fn clocks_may_differ_when_services_start() {
    for minutes in [-14, -10, 10, 60, 60 * 24 * 365] {
        let (ours, theirs) = (World::new(), World::new());
        theirs.clock.set(time::Duration::minutes(minutes));
        let verifier = ours.verifier();
        let signer = Signer::new(&ours.secret, ServiceName::Gateway, theirs.clock.clone());
        // A token is used for half its life, and each of the next ones too.
        for _ in 0..10 {
            let header = signer.authorization(Some(&user())).unwrap();
            let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
            assert!(verifier.verify(token).is_ok(), "{minutes} minutes");
            ours.clock.advance(Duration::from_secs(29));
            theirs.clock.advance(Duration::from_secs(29));
            assert!(verifier.verify(token).is_ok(), "{minutes} minutes, later");
        }
    }
}

#[test]
fn a_clock_that_is_set_while_services_run_costs_no_call() {
    for hours in [-24, -1, 1, 24] {
        for is_signers in [true, false] {
            let (ours, theirs) = (World::new(), World::new());
            let verifier = ours.verifier();
            let signer = Signer::new(&ours.secret, ServiceName::Gateway, theirs.clock.clone());
            let set = if is_signers { &theirs.clock } else { &ours.clock };
            let verify = |after: &str| {
                let header = signer.authorization(None).unwrap();
                let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
                let verified = verifier.verify(token);
                assert!(verified.is_ok(), "{hours} hours, {is_signers}: {verified:?} {after}");
            };
            verify("before");
            set.set(time::Duration::hours(hours));
            for _ in 0..200 {
                verify("after");
                ours.clock.advance(Duration::from_secs(20));
                theirs.clock.advance(Duration::from_secs(20));
            }
        }
    }
}

#[test]
fn another_installations_token_is_refused() {
    let (ours, theirs) = (World::new(), World::new());
    let token = theirs.signer().sign(Some(&user())).unwrap();
    assert!(matches!(ours.verifier().verify(&token), Err(Error::Token(_))));
}

#[test]
fn tampered_tokens_are_refused() {
    let world = World::new();
    let verifier = world.verifier();
    let token = world.signer().sign(None).unwrap();
    verifier.verify(&token).unwrap();
    for position in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(bytes).unwrap();
        assert!(verifier.verify(&tampered).is_err(), "byte {position}");
    }
}

#[test]
fn unsigned_and_foreign_tokens_are_refused() {
    let world = World::new();
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = r#"{"iss":"gateway","aud":"tandem","iat":1800000000,"exp":1800000060}"#;
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none","typ":"JWT"}"#), encode(claims));
    for token in [unsigned.as_str(), "", "x", "a.b.c"] {
        assert!(world.verifier().verify(token).is_err(), "{token}");
    }
}

#[test]
fn token_for_another_audience_is_refused() {
    let world = World::new();
    let claims = serde_json::json!({
        "iss": "gateway", "aud": "elsewhere", "iat": 1_800_000_000, "exp": 1_800_000_060,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(world.secret.bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    assert!(matches!(world.verifier().verify(&token), Err(Error::Token(_))));
}

#[test]
fn authorization_is_reused_for_half_its_life_per_user() {
    let world = World::new();
    let signer = world.signer();
    let first = signer.authorization(Some(&user())).unwrap();
    assert_ne!(first, signer.authorization(None).unwrap());

    world.clock.advance(Duration::from_secs(29));
    assert_eq!(first, signer.authorization(Some(&user())).unwrap());
    world.clock.advance(Duration::from_secs(2));
    assert_ne!(first, signer.authorization(Some(&user())).unwrap());

    let mut demoted = user();
    demoted.is_admin = false;
    let header = signer.authorization(Some(&demoted)).unwrap();
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let caller = world.verifier().verify(token).unwrap();
    assert_eq!(caller.user, Some(demoted), "a changed user gets a token of its own");
    assert!(header.is_sensitive());
}

#[test]
fn secret_file_is_made_once_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets/service");

    let first = ServiceSecret::load_or_create(&path).unwrap();
    let second = ServiceSecret::load_or_create(&path).unwrap();

    assert_eq!(first.bytes(), second.bytes());
    assert_eq!(first.bytes().len(), 32);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn secret_made_by_many_at_once_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service");
    let secrets: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ServiceSecret::load_or_create(&path).unwrap()))
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(secrets.iter().all(|secret| secret.bytes() == secrets[0].bytes()));
}

#[test]
fn exposed_short_and_broken_secret_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service");
    ServiceSecret::load_or_create(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        ServiceSecret::load_or_create(&path),
        Err(Error::SecretExposed { .. })
    ));

    assert!(matches!(
        ServiceSecret::from_hex("abcd"),
        Err(Error::SecretTooShort { .. })
    ));
    assert!(matches!(
        ServiceSecret::from_hex(&"xy".repeat(32)),
        Err(Error::SecretNotHex)
    ));
}

#[test]
fn secrets_do_not_print() {
    let secret = ServiceSecret::from_hex(&"ab".repeat(32)).unwrap();
    assert_eq!(format!("{secret:?}"), "ServiceSecret(redacted)");
}

#[test]
fn caller_rules_give_the_right_codes() {
    let service = Caller {
        service: ServiceName::Orchestrator,
        user: None,
    };
    let member = Caller {
        user: Some(User {
            is_admin: false,
            ..user()
        }),
        ..service.clone()
    };

    assert_eq!(service.user().unwrap_err().code(), tonic::Code::Unauthenticated);
    assert_eq!(member.user().unwrap().id, user().id);
    assert_eq!(member.admin().unwrap_err().code(), tonic::Code::PermissionDenied);
    assert!(member.require_service(&[ServiceName::Orchestrator]).is_ok());
    assert_eq!(
        member.require_service(&[ServiceName::Cli]).unwrap_err().code(),
        tonic::Code::PermissionDenied
    );

    let mut request = Request::new(());
    assert_eq!(Caller::of(&request).unwrap_err().code(), tonic::Code::Unauthenticated);
    member.clone().attach(&mut request);
    assert_eq!(Caller::of(&request).unwrap(), &member);
}

#[test]
fn service_names_read_back() {
    for name in ServiceName::ALL {
        assert_eq!(name.as_str().parse::<ServiceName>().unwrap(), name);
        assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
    }
    assert!("database".parse::<ServiceName>().is_err());
}

#[test]
fn fingerprints_tell_requests_apart_and_depend_on_the_secret() {
    let world = World::new();
    let signer = world.signer();
    let fingerprint = |bytes: &[u8]| signer.fingerprint(bytes).unwrap();
    assert_eq!(fingerprint(b"POST /chats").len(), 43);
    assert_eq!(fingerprint(b"POST /chats"), fingerprint(b"POST /chats"));
    assert_ne!(fingerprint(b"POST /chats"), fingerprint(b"POST /users"));
    let elsewhere = World::new().signer();
    assert_ne!(
        fingerprint(b"POST /chats"),
        elsewhere.fingerprint(b"POST /chats").unwrap()
    );
}

#[test]
fn a_fingerprint_is_no_signature_of_a_token() {
    let world = World::new();
    let token = world.signer().sign(None).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", world.signer().fingerprint(signed.as_bytes()).unwrap());
    assert!(world.verifier().verify(&forged).is_err());
}
