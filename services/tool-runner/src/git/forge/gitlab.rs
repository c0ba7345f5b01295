//! Forges that speak as gitlab.com does.

use std::fmt::Write as _;

use serde::Deserialize;
use tandem_proto::common::v1::DiffStatus;

use super::http::Asking;
use super::{Failure, Place, bounded, web_address};

/// Longest title and name that is kept, in bytes.
const MAX_TITLE_BYTES: usize = 1_024;
const MAX_NAME_BYTES: usize = 256;

/// Files of one page of differences, which is as many as there may be.
const FILES: &str = "100";

/// The most files a merge request's differences are counted of: pages times files of a page.
const MAX_PAGES: usize = 5;

#[derive(Deserialize)]
struct Listed {
    iid: i32,
    state: String,
}

#[derive(Deserialize)]
struct Person {
    username: String,
    avatar_url: Option<String>,
}

#[derive(Deserialize)]
struct Merge {
    iid: i32,
    web_url: Option<String>,
    state: String,
    title: String,
    #[serde(default)]
    draft: bool,
    author: Option<Person>,
    source_branch: String,
    target_branch: String,
    /// A number, with a plus behind it where there are more.
    changes_count: Option<String>,
    #[serde(default)]
    reviewers: Vec<serde_json::Value>,
    detailed_merge_status: Option<String>,
}

#[derive(Default, Deserialize)]
struct Approvals {
    #[serde(default)]
    approved: bool,
    #[serde(default)]
    approved_by: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct File {
    old_path: String,
    new_path: String,
    #[serde(default)]
    diff: String,
    #[serde(default)]
    new_file: bool,
    #[serde(default)]
    renamed_file: bool,
    #[serde(default)]
    deleted_file: bool,
}

#[derive(Deserialize)]
struct Comparison {
    #[serde(default)]
    diffs: Vec<File>,
}

#[derive(Deserialize)]
struct Project {
    default_branch: Option<String>,
}

pub(super) async fn pull_request(
    asking: Asking<'_>,
    place: &Place,
    branch: &str,
) -> Result<Option<DiffStatus>, Failure> {
    let project = place.path.join("/");
    let query = [
        ("source_branch", branch),
        ("order_by", "updated_at"),
        ("sort", "desc"),
        ("per_page", "10"),
    ];
    let path = ["projects", &project, "merge_requests"];
    let listed: Vec<Listed> = asking.json(place.ask(&path, &query)).await?;
    let open = listed.iter().find(|merge| merge.state == "opened");
    let Some(number) = open.or(listed.first()).map(|merge| merge.iid.to_string()) else {
        return Ok(None);
    };
    let path = ["projects", &project, "merge_requests", &number];
    let merge: Merge = asking.json(place.ask(&path, &[])).await?;
    let path = ["projects", &project, "merge_requests", &number, "approvals"];
    // Not every edition has approvals.
    let approvals = match asking.json::<Approvals>(place.ask(&path, &[])).await {
        Err(Failure::NotFound | Failure::Refused) => Approvals::default(),
        other => other?,
    };
    let files = files(asking, place, &project, &number).await?;
    let (additions, deletions) = count(&files);
    let changed = merge
        .changes_count
        .as_deref()
        .map(|count| count.trim_end_matches('+').parse::<i32>());
    let reviewers = merge.reviewers.len().max(approvals.approved_by.len());
    let author = merge.author.unwrap_or(Person {
        username: String::new(),
        avatar_url: None,
    });
    Ok(Some(DiffStatus {
        url: web_address(merge.web_url),
        pull_request_state: state(&merge.state).to_owned(),
        pull_request_title: bounded(merge.title, MAX_TITLE_BYTES),
        is_draft: merge.draft,
        has_changes_requested: merge.detailed_merge_status.as_deref() == Some("requested_changes"),
        additions,
        deletions,
        changed_files: changed
            .and_then(Result::ok)
            .unwrap_or(i32::try_from(files.len()).unwrap_or(i32::MAX)),
        author_login: bounded(author.username, MAX_NAME_BYTES),
        author_avatar_url: web_address(author.avatar_url),
        base_branch: bounded(merge.target_branch, MAX_TITLE_BYTES),
        head_branch: bounded(merge.source_branch, MAX_TITLE_BYTES),
        pull_request_number: merge.iid,
        is_approved: Some(approvals.approved && !approvals.approved_by.is_empty()),
        reviewer_count: Some(i32::try_from(reviewers).unwrap_or(i32::MAX)),
        ..DiffStatus::default()
    }))
}

pub(super) async fn diff(
    asking: Asking<'_>,
    place: &Place,
    branch: &str,
    number: Option<i32>,
) -> Result<String, Failure> {
    let project = place.path.join("/");
    if let Some(number) = number {
        return Ok(unified(&files(asking, place, &project, &number.to_string()).await?));
    }
    let known: Project = asking.json(place.ask(&["projects", &project], &[])).await?;
    let Some(base) = known.default_branch else {
        return Ok(String::new());
    };
    let query = [("from", base.as_str()), ("to", branch)];
    let path = ["projects", &project, "repository", "compare"];
    let comparison: Comparison = asking.json(place.ask(&path, &query)).await?;
    Ok(unified(&comparison.diffs))
}

/// The files that differ, page by page.
async fn files(asking: Asking<'_>, place: &Place, project: &str, number: &str) -> Result<Vec<File>, Failure> {
    let path = ["projects", project, "merge_requests", number, "diffs"];
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let page = page.to_string();
        let query = [("per_page", FILES), ("page", page.as_str())];
        let files: Vec<File> = asking.json(place.ask(&path, &query)).await?;
        let is_last = files.len().to_string() != FILES;
        all.extend(files);
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// Lines that are new, and lines that are gone.
fn count(files: &[File]) -> (i32, i32) {
    let lines = || files.iter().flat_map(|file| file.diff.lines());
    let starting = |sign: char| lines().filter(|line| line.starts_with(sign)).count();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    (number(starting('+')), number(starting('-')))
}

/// One text, as git would write it.
fn unified(files: &[File]) -> String {
    let mut text = String::new();
    for file in files {
        let (old, new) = (&file.old_path, &file.new_path);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "diff --git a/{old} b/{new}");
        if file.renamed_file {
            let _ = write!(text, "rename from {old}\nrename to {new}\n");
        }
        if !file.diff.is_empty() {
            let before = if file.new_file {
                "/dev/null".to_owned()
            } else {
                format!("a/{old}")
            };
            let after = if file.deleted_file {
                "/dev/null".to_owned()
            } else {
                format!("b/{new}")
            };
            let _ = write!(text, "--- {before}\n+++ {after}\n{}", file.diff);
            if !file.diff.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    text
}

fn state(state: &str) -> &'static str {
    match state {
        "merged" => "merged",
        "opened" => "open",
        _ => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_one_text() {
        let file = |old: &str, new: &str, diff: &str| File {
            old_path: old.to_owned(),
            new_path: new.to_owned(),
            diff: diff.to_owned(),
            new_file: old == new && diff.starts_with("@@ -0,0"),
            renamed_file: old != new,
            deleted_file: false,
        };
        let files = [
            file("a", "a", "@@ -0,0 +1 @@\n+1"),
            file("b", "c", ""),
            file("d", "d", "@@ -1 +1 @@\n-1\n+2\n"),
        ];
        let expected = "diff --git a/a b/a\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+1\n\
            diff --git a/b b/c\nrename from b\nrename to c\n\
            diff --git a/d b/d\n--- a/d\n+++ b/d\n@@ -1 +1 @@\n-1\n+2\n";
        assert_eq!(unified(&files), expected);
        assert_eq!(count(&files), (2, 1));
    }
}
