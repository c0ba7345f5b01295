//! Users, organisations, sessions and API tokens.

use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{or_default, time};

/// A person or program with an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[schema(format = Uuid)]
    pub id: String,
    pub username: String,
    pub name: String,
    pub email: String,
    pub avatar_url: String,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    #[schema(format = DateTime)]
    pub last_seen_at: String,
    /// `active` or `suspended`.
    pub status: &'static str,
    /// `password`, or `none` for those who sign in by token only.
    pub login_type: &'static str,
    pub organization_ids: Vec<String>,
    /// Administrators have the role `owner`.
    pub roles: Vec<Role>,
}

/// A right over the whole deployment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    pub name: &'static str,
    pub display_name: &'static str,
}

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsersResponse {
    pub users: Vec<User>,
    /// All there are.
    pub count: i64,
}

/// A group of users that owns chats.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organization {
    #[schema(format = Uuid)]
    pub id: String,
    pub name: String,
    pub display_name: String,
    pub description: String,
    pub icon: String,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    pub is_default: bool,
}

/// A user's place in an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationMember {
    #[schema(format = Uuid)]
    pub user_id: String,
    #[schema(format = Uuid)]
    pub organization_id: String,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    pub roles: Vec<Role>,
}

/// An API token without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKey {
    pub id: String,
    #[schema(format = Uuid)]
    pub user_id: String,
    pub token_name: String,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    #[schema(format = DateTime)]
    pub expires_at: String,
    #[schema(format = DateTime)]
    pub last_used: String,
    pub lifetime_seconds: i64,
    pub login_type: &'static str,
    pub scope: &'static str,
}

/// A fresh API token.
#[derive(Serialize, ToSchema)]
pub struct GenerateApiKeyResponse {
    /// Shown this once.
    pub key: String,
}

/// A fresh session.
#[derive(Serialize, ToSchema)]
pub struct LoginResponse {
    /// For the header of programs; browsers get it as a cookie too.
    pub session_token: String,
}

#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub email: String,
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    #[serde(default, deserialize_with = "or_default")]
    pub password: String,
}

#[derive(Deserialize, ToSchema)]
pub struct CreateUserRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    #[serde(default, deserialize_with = "or_default")]
    pub email: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Empty: the user signs in by token only.
    #[serde(default, deserialize_with = "or_default")]
    pub password: String,
    /// Empty: the default organisation.
    #[serde(default, deserialize_with = "or_default")]
    pub organization_ids: Vec<Uuid>,
    /// `owner` makes an administrator.
    #[serde(default, deserialize_with = "or_default")]
    pub roles: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
pub struct SetPasswordRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub old_password: String,
    #[serde(default, deserialize_with = "or_default")]
    pub password: String,
}

#[derive(Deserialize, ToSchema)]
pub struct UpdateProfileRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

#[derive(Deserialize, ToSchema)]
pub struct UpdateRolesRequest {
    /// `owner` makes an administrator.
    #[serde(default, deserialize_with = "or_default")]
    pub roles: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
pub struct CreateOrganizationRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
}

#[derive(Deserialize, ToSchema)]
pub struct CreateTokenRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub token_name: String,
    /// Nanoseconds; 0 = 30 days.
    #[serde(default, deserialize_with = "or_default")]
    pub lifetime: i64,
    /// `all` is the only one.
    #[serde(default, deserialize_with = "or_default")]
    pub scope: String,
}

impl From<proto::User> for User {
    fn from(user: proto::User) -> Self {
        Self {
            status: match user.status() {
                proto::UserStatus::Suspended => "suspended",
                proto::UserStatus::Active | proto::UserStatus::Unspecified => "active",
            },
            roles: roles(user.is_admin),
            login_type: if user.has_password { "password" } else { "none" },
            created_at: time(user.created_at.as_ref()),
            updated_at: time(user.updated_at.as_ref()),
            last_seen_at: time(user.last_seen_at.as_ref()),
            id: user.id,
            username: user.username,
            name: user.name,
            email: user.email,
            avatar_url: String::new(),
            organization_ids: user.organization_ids,
        }
    }
}

fn roles(is_admin: bool) -> Vec<Role> {
    let owner = Role {
        name: "owner",
        display_name: "Owner",
    };
    is_admin.then_some(owner).into_iter().collect()
}

impl From<proto::Organization> for Organization {
    fn from(organization: proto::Organization) -> Self {
        Self {
            created_at: time(organization.created_at.as_ref()),
            updated_at: time(organization.updated_at.as_ref()),
            id: organization.id,
            name: organization.name,
            display_name: organization.display_name,
            description: String::new(),
            icon: String::new(),
            is_default: organization.is_default,
        }
    }
}

impl From<proto::ApiToken> for ApiKey {
    fn from(token: proto::ApiToken) -> Self {
        Self {
            created_at: time(token.created_at.as_ref()),
            updated_at: time(token.updated_at.as_ref()),
            expires_at: time(token.expires_at.as_ref()),
            last_used: time(token.last_used_at.as_ref()),
            lifetime_seconds: token.lifetime.map_or(0, |lifetime| lifetime.seconds),
            id: token.id,
            user_id: token.user_id,
            token_name: token.name,
            login_type: "token",
            scope: "all",
        }
    }
}

#[cfg(test)]
mod tests;
