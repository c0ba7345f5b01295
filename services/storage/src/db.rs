//! The only code that speaks SQL: one file for each table or tight group. Functions take a connection; the RPC owns the transaction.

pub(crate) mod approvals;
pub(crate) mod changes;
pub(crate) mod chats;
pub(crate) mod context;
pub(crate) mod diff_statuses;
pub(crate) mod files;
pub(crate) mod git_credentials;
pub(crate) mod idempotency;
pub(crate) mod interceptions;
pub(crate) mod leases;
pub(crate) mod mcp;
pub(crate) mod messages;
pub(crate) mod model_choice;
pub(crate) mod models;
pub(crate) mod organizations;
mod page;
mod pool;
pub(crate) mod providers;
pub(crate) mod queue;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod skills;
pub(crate) mod spend;
pub(crate) mod sqlstate;
pub(crate) mod templates;
pub(crate) mod titles;
pub(crate) mod tokens;
pub(crate) mod tool_calls;
pub(crate) mod turns;
pub(crate) mod usage;
pub(crate) mod user_keys;
pub(crate) mod users;
pub(crate) mod workspace_builds;
pub(crate) mod workspaces;

pub(crate) use pool::{Pool, Transaction, in_time, silent};

/// One column of many rows, for statements that take their rows as arrays.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
