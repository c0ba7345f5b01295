//! Forges that speak as github.com does.

use std::collections::HashMap;

use serde::Deserialize;
use tandem_proto::common::v1::DiffStatus;

use super::http::Asking;
use super::{Failure, Place, bounded, web_address};

/// What a diff is asked for as.
const DIFF: &str = "application/vnd.github.diff";

/// Longest title and name that is kept, in bytes.
const MAX_TITLE_BYTES: usize = 1_024;
const MAX_NAME_BYTES: usize = 256;

#[derive(Deserialize)]
struct Listed {
    number: i32,
    state: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
    avatar_url: Option<String>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct Pull {
    number: i32,
    html_url: Option<String>,
    state: String,
    title: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    additions: i32,
    #[serde(default)]
    deletions: i32,
    #[serde(default)]
    changed_files: i32,
    commits: Option<i32>,
    user: Option<User>,
    base: Branch,
    head: Branch,
}

#[derive(Deserialize)]
struct Review {
    user: Option<User>,
    state: String,
}

#[derive(Deserialize)]
struct Repository {
    default_branch: String,
}

pub(super) async fn pull_request(
    asking: Asking<'_>,
    place: &Place,
    branch: &str,
) -> Result<Option<DiffStatus>, Failure> {
    let [owner, name] = &place.path[..] else {
        return Ok(None);
    };
    let head = format!("{owner}:{branch}");
    let query = [
        ("head", head.as_str()),
        ("state", "all"),
        ("sort", "updated"),
        ("direction", "desc"),
        ("per_page", "10"),
    ];
    let listed: Vec<Listed> = asking.json(place.ask(&["repos", owner, name, "pulls"], &query)).await?;
    let open = listed.iter().find(|pull| pull.state == "open");
    let Some(number) = open.or(listed.first()).map(|pull| pull.number.to_string()) else {
        return Ok(None);
    };
    let path = ["repos", owner, name, "pulls", &number];
    let pull: Pull = asking.json(place.ask(&path, &[])).await?;
    let path = ["repos", owner, name, "pulls", &number, "reviews"];
    let reviews: Vec<Review> = asking.json(place.ask(&path, &[("per_page", "100")])).await?;
    let verdicts = verdicts(reviews);
    let has = |verdict: &str| verdicts.values().any(|last| last == verdict);
    let has_changes_requested = has("CHANGES_REQUESTED");
    let user = pull.user.unwrap_or(User {
        login: String::new(),
        avatar_url: None,
    });
    Ok(Some(DiffStatus {
        url: web_address(pull.html_url),
        pull_request_state: state(&pull.state, pull.merged).to_owned(),
        pull_request_title: bounded(pull.title, MAX_TITLE_BYTES),
        is_draft: pull.draft,
        has_changes_requested,
        additions: pull.additions,
        deletions: pull.deletions,
        changed_files: pull.changed_files,
        author_login: bounded(user.login, MAX_NAME_BYTES),
        author_avatar_url: web_address(user.avatar_url),
        base_branch: bounded(pull.base.name, MAX_TITLE_BYTES),
        head_branch: bounded(pull.head.name, MAX_TITLE_BYTES),
        pull_request_number: pull.number,
        commits: pull.commits,
        is_approved: Some(has("APPROVED") && !has_changes_requested),
        reviewer_count: Some(i32::try_from(verdicts.len()).unwrap_or(i32::MAX)),
        ..DiffStatus::default()
    }))
}

pub(super) async fn diff(
    asking: Asking<'_>,
    place: &Place,
    branch: &str,
    number: Option<i32>,
) -> Result<String, Failure> {
    let [owner, name] = &place.path[..] else {
        return Err(Failure::NotFound);
    };
    if let Some(number) = number {
        let number = number.to_string();
        return asking
            .text(place.ask(&["repos", owner, name, "pulls", &number], &[]), DIFF)
            .await;
    }
    let repository: Repository = asking.json(place.ask(&["repos", owner, name], &[])).await?;
    let range = format!("{}...{branch}", repository.default_branch);
    asking
        .text(place.ask(&["repos", owner, name, "compare", &range], &[]), DIFF)
        .await
}

/// Each reviewer's last word. A comment takes nothing back, and a dismissed review says nothing.
fn verdicts(reviews: Vec<Review>) -> HashMap<String, String> {
    let mut last = HashMap::new();
    for review in reviews {
        let Some(user) = review.user else { continue };
        match review.state.as_str() {
            "APPROVED" | "CHANGES_REQUESTED" => {
                last.insert(user.login, review.state);
            }
            "DISMISSED" => {
                last.remove(&user.login);
            }
            _ => {}
        }
    }
    last
}

fn state(state: &str, is_merged: bool) -> &'static str {
    match state {
        _ if is_merged => "merged",
        "open" => "open",
        _ => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(login: &str, state: &str) -> Review {
        Review {
            user: Some(User {
                login: login.to_owned(),
                avatar_url: None,
            }),
            state: state.to_owned(),
        }
    }

    #[test]
    fn a_reviewers_last_word_counts() {
        let reviews = vec![
            review("a", "CHANGES_REQUESTED"),
            review("b", "APPROVED"),
            review("a", "COMMENTED"),
            review("a", "APPROVED"),
            review("b", "DISMISSED"),
            review("c", "COMMENTED"),
        ];
        let expected = HashMap::from([("a".to_owned(), "APPROVED".to_owned())]);
        assert_eq!(verdicts(reviews), expected);
    }

    #[test]
    fn a_merged_pull_request_is_no_closed_one() {
        assert_eq!(
            [state("closed", true), state("closed", false), state("open", false)],
            ["merged", "closed", "open"]
        );
    }
}
