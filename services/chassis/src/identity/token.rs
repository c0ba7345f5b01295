//! Caller tokens: JWT, HS256 under the service secret, valid for a minute on equal clocks.
//!
//! Machines' clocks differ and are set while services run, and no call may be refused for it. So a verifier allows for a difference,
//! and what happens to a clock after the start counts in nobody's disfavour: see [`Steady`]. The price is that a token somebody
//! captured is good for [`CLOCK_LEEWAY`] longer. Tokens travel between services only, where whoever reads one reads the next one too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;

use super::{Caller, Error, ServiceName, ServiceSecret, User};
use crate::clock::Clock;

/// How long a token is good for.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// How far a caller's clock may be behind when either of both services starts. Ahead it may be as far as it likes.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(15 * 60);

/// A signed token is used again until it has less than this left, so a request in flight does not outlive it.
const MIN_REMAINING: Duration = Duration::from_secs(30);

/// Entries kept by each side's cache; when full of live entries it starts over.
const MAX_CACHED: usize = 4096;

const AUDIENCE: &str = "tandem";

/// Stands before everything that is fingerprinted. The NUL keeps fingerprints and tokens apart: no token's text contains one.
const FINGERPRINTED: &[u8] = b"tandem fingerprint\0";

#[derive(Deserialize, Serialize)]
struct Claims {
    iss: ServiceName,
    aud: String,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserClaims>,
}

#[derive(Deserialize, Serialize)]
struct UserClaims {
    user_id: Uuid,
    is_admin: bool,
    organization_ids: Vec<Uuid>,
}

/// Signs tokens for one service. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct Signer(Arc<SignerParts>);

struct SignerParts {
    service: ServiceName,
    key: EncodingKey,
    clock: Steady,
    signed: Mutex<HashMap<Option<User>, Signed>>,
}

#[derive(Clone)]
struct Signed {
    authorization: MetadataValue<Ascii>,
    expires_at: i64,
}

impl Signer {
    /// A signer that speaks as `service`.
    pub fn new(secret: &ServiceSecret, service: ServiceName, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(SignerParts {
            service,
            key: EncodingKey::from_secret(secret.bytes()),
            clock: Steady::new(clock),
            signed: Mutex::new(HashMap::new()),
        }))
    }

    /// The service this signer speaks as.
    pub fn service(&self) -> ServiceName {
        self.0.service
    }

    /// A fresh token that says "this service, for `user`".
    ///
    /// # Errors
    /// [`Error::Sign`], which the chosen algorithm gives no cause for.
    pub fn sign(&self, user: Option<&User>) -> Result<String, Error> {
        self.encode(user, self.now())
    }

    /// The value of an `authorization` header: `Bearer <token>`, marked sensitive. A token is reused for half its life,
    /// so this usually costs a map look-up.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn authorization(&self, user: Option<&User>) -> Result<MetadataValue<Ascii>, Error> {
        let now = self.now();
        let user = user.cloned();
        let mut signed = self.0.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = signed.get(&user)
            && found.expires_at - now > seconds(MIN_REMAINING)
        {
            return Ok(found.authorization.clone());
        }
        let token = self.encode(user.as_ref(), now)?;
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| Error::Sign(jsonwebtoken::errors::ErrorKind::InvalidToken.into()))?;
        authorization.set_sensitive(true);
        make_room(&mut signed, |entry| entry.expires_at > now);
        signed.insert(
            user,
            Signed {
                authorization: authorization.clone(),
                expires_at: now + seconds(TOKEN_LIFETIME),
            },
        );
        Ok(authorization)
    }

    /// HMAC-SHA-256 of `bytes` under the service secret, as 43 characters of base64url. Equal for equal bytes in every service of the
    /// installation, and tells nothing of them to whoever lacks the secret: a password in `bytes` cannot be guessed from it.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn fingerprint(&self, bytes: &[u8]) -> Result<String, Error> {
        let message = [FINGERPRINTED, bytes].concat();
        jsonwebtoken::crypto::sign(&message, &self.0.key, Algorithm::HS256).map_err(Error::Sign)
    }

    fn encode(&self, user: Option<&User>, now: i64) -> Result<String, Error> {
        let claims = Claims {
            iss: self.0.service,
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: now + seconds(TOKEN_LIFETIME),
            user: user.map(|user| UserClaims {
                user_id: user.id,
                is_admin: user.is_admin,
                organization_ids: user.organization_ids.clone(),
            }),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.key).map_err(Error::Sign)
    }

    /// A clock that is set back makes no token old before its time.
    fn now(&self) -> i64 {
        let (shown, steady) = self.0.clock.readings();
        shown.max(steady)
    }
}

/// Checks tokens of any service. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct Verifier(Arc<VerifierParts>);

struct VerifierParts {
    key: DecodingKey,
    validation: Validation,
    clock: Steady,
    verified: Mutex<HashMap<String, Verified>>,
}

#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    expires_at: i64,
}

impl Verifier {
    /// A verifier of tokens signed with `secret`.
    pub fn new(secret: &ServiceSecret, clock: Arc<dyn Clock>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The library would ask the system's clock; ours is injected, so the check is in `verify`.
        validation.validate_exp = false;
        Self(Arc::new(VerifierParts {
            key: DecodingKey::from_secret(secret.bytes()),
            validation,
            clock: Steady::new(clock),
            verified: Mutex::new(HashMap::new()),
        }))
    }

    /// The caller a token (without `Bearer `) speaks for. A token seen before costs a map look-up.
    ///
    /// # Errors
    /// [`Error::Token`] for anything not signed by us for us, [`Error::Expired`] past its time plus the leeway.
    pub fn verify(&self, token: &str) -> Result<Arc<Caller>, Error> {
        let now = self.now();
        if let Some(verified) = self.cached(token) {
            return verified.at(now);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0.key, &self.0.validation)
            .map_err(Error::Token)?
            .claims;
        let verified = Verified {
            caller: Arc::new(Caller {
                service: claims.iss,
                user: claims.user.map(|user| User {
                    id: user.user_id,
                    is_admin: user.is_admin,
                    organization_ids: user.organization_ids,
                }),
            }),
            expires_at: claims.exp.saturating_add(seconds(CLOCK_LEEWAY)),
        };
        let caller = verified.at(now)?;
        let mut cache = self.lock();
        make_room(&mut cache, |entry| entry.expires_at > now);
        cache.insert(token.to_owned(), verified);
        Ok(caller)
    }

    fn cached(&self, token: &str) -> Option<Verified> {
        self.lock().get(token).cloned()
    }

    /// A clock that is set forward makes no token old before its time.
    fn now(&self) -> i64 {
        let (shown, steady) = self.0.clock.readings();
        shown.min(steady)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Verified>> {
        self.0.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verified {
    fn at(&self, now: i64) -> Result<Arc<Caller>, Error> {
        if now < self.expires_at {
            Ok(Arc::clone(&self.caller))
        } else {
            Err(Error::Expired)
        }
    }
}

/// The machine's clock beside one that is set once, at the start, and then only runs.
struct Steady {
    clock: Arc<dyn Clock>,
    started_at: i64,
    started: Instant,
}

impl Steady {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            started_at: clock.now().unix_timestamp(),
            started: clock.monotonic(),
            clock,
        }
    }

    /// Seconds since 1970 as the machine shows them, and as they are if the clock was right at the start. The second stands still while
    /// the machine sleeps, so neither can do without the other.
    fn readings(&self) -> (i64, i64) {
        let run = self.clock.monotonic().saturating_duration_since(self.started);
        let shown = self.clock.now().unix_timestamp();
        (shown, self.started_at.saturating_add(seconds(run)))
    }
}

/// Keeps a cache below its bound: first without the dead, then, if all live, without any.
fn make_room<K: Eq + std::hash::Hash, V>(cache: &mut HashMap<K, V>, is_live: impl Fn(&V) -> bool) {
    if cache.len() >= MAX_CACHED {
        cache.retain(|_, entry| is_live(entry));
    }
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
