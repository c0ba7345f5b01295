//! The contract's face: each RPC is one transaction, authorised, decided, carried out.

mod chats;
mod context;
mod convert;
mod feed;
mod files;
mod git;
mod interceptions;
mod mcp;
mod provider_keys;
mod settings;
mod skills;
mod templates;
mod titles;
mod tools;
mod turns;
mod usage;
mod users;
mod workspaces;

pub(crate) use chats::Chats;
pub(crate) use context::Contexts;
pub(crate) use feed::Feed;
pub(crate) use files::Files;
pub(crate) use git::Git;
pub(crate) use interceptions::Interceptions;
pub(crate) use mcp::Mcp;
pub(crate) use provider_keys::ProviderKeys;
pub(crate) use settings::Settings;
pub(crate) use skills::PersonalSkills;
pub(crate) use templates::Templates;
pub(crate) use titles::Titles;
pub(crate) use tools::ToolCalls;
pub(crate) use turns::Turns;
pub(crate) use usage::Usage;
pub(crate) use users::Users;
pub(crate) use workspaces::Workspaces;
