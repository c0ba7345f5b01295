//! Whose key a provider is called with, for a given user. Pure: what keys there are is told to it.

use tandem_proto::common::v1 as wire;

/// What an administrator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The provider's own keys, or none where it needs none, may be used.
    pub uses_central: bool,
    /// Users may bring their own.
    pub allows_users: bool,
    /// Users without one may use the provider's.
    pub allows_fallback: bool,
}

impl Default for Policy {
    /// The provider's own keys and no others.
    fn default() -> Self {
        Self {
            uses_central: true,
            allows_users: false,
            allows_fallback: false,
        }
    }
}

/// What keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// The user has a key for the provider.
    pub has_user_key: bool,
    /// The provider has one of its own.
    pub has_central_key: bool,
    /// The provider can be called without any.
    pub can_do_without: bool,
}

/// Whose key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The user's.
    Users,
    /// The provider's.
    Central,
    /// None at all.
    Without,
}

/// Why there is none to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The user has to bring one.
    UserKey,
    /// An administrator has to add one.
    CentralKey,
}

impl Missing {
    /// The reason in the catalogue of models.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserKey => "user_api_key_required",
            Self::CentralKey => "missing_api_key",
        }
    }
}

/// Whose key to use. A user's own comes first; the provider's counts where users bring none or the fallback is allowed.
///
/// # Errors
/// [`Missing`], with who has to do something about it.
pub fn choose(policy: Policy, available: Available) -> Result<Choice, Missing> {
    let Policy {
        uses_central,
        allows_users,
        allows_fallback,
    } = policy;
    if allows_users && available.has_user_key {
        return Ok(Choice::Users);
    }
    if uses_central && (!allows_users || allows_fallback) {
        if available.has_central_key {
            return Ok(Choice::Central);
        }
        if available.can_do_without {
            return Ok(Choice::Without);
        }
    }
    Err(if allows_users {
        Missing::UserKey
    } else {
        Missing::CentralKey
    })
}

impl From<wire::KeyPolicy> for Policy {
    fn from(policy: wire::KeyPolicy) -> Self {
        Self {
            uses_central: policy.uses_central_keys,
            allows_users: policy.allows_user_keys,
            allows_fallback: policy.allows_central_fallback,
        }
    }
}

impl From<Policy> for wire::KeyPolicy {
    fn from(policy: Policy) -> Self {
        Self {
            uses_central_keys: policy.uses_central,
            allows_user_keys: policy.allows_users,
            allows_central_fallback: policy.allows_fallback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Choice::{Central, Users, Without},
        Missing::{CentralKey, UserKey},
        *,
    };

    /// Every policy (central, users', fallback) with every set of keys (none, the user's, the provider's, both), for providers that need
    /// a key and those that can do without.
    #[test]
    fn the_table_of_precedence() {
        type Answers = [Result<Choice, Missing>; 4];
        const NEEDED: [([bool; 3], Answers); 8] = [
            ([false, false, false], [Err(CentralKey); 4]),
            ([false, false, true], [Err(CentralKey); 4]),
            (
                [true, false, false],
                [Err(CentralKey), Err(CentralKey), Ok(Central), Ok(Central)],
            ),
            (
                [true, false, true],
                [Err(CentralKey), Err(CentralKey), Ok(Central), Ok(Central)],
            ),
            ([false, true, false], [Err(UserKey), Ok(Users), Err(UserKey), Ok(Users)]),
            ([false, true, true], [Err(UserKey), Ok(Users), Err(UserKey), Ok(Users)]),
            ([true, true, false], [Err(UserKey), Ok(Users), Err(UserKey), Ok(Users)]),
            ([true, true, true], [Err(UserKey), Ok(Users), Ok(Central), Ok(Users)]),
        ];
        for ([uses_central, allows_users, allows_fallback], answers) in NEEDED {
            let policy = Policy {
                uses_central,
                allows_users,
                allows_fallback,
            };
            for (set, answer) in answers.into_iter().enumerate() {
                let mut available = Available {
                    has_user_key: set & 1 == 1,
                    has_central_key: set & 2 == 2,
                    can_do_without: false,
                };
                assert_eq!(choose(policy, available), answer, "{policy:?} {available:?}");
                available.can_do_without = true;
                // Without is where the provider's key would be, if there were one.
                let is_central_open = uses_central && (!allows_users || allows_fallback);
                let expected = match answer {
                    Err(_) if is_central_open => Ok(Without),
                    answer => answer,
                };
                assert_eq!(choose(policy, available), expected, "{policy:?} {available:?}");
            }
        }
    }
}
