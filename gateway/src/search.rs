//! The `q` of lists: `key:value` terms, all of which must hold. It owns the grammar, and the keys of the chat list; what a
//! term matches is decided in storage.

use std::collections::BTreeMap;

use tandem_proto::storage::v1::ChatFilter;

use crate::problem::Problem;

/// Longest query, in bytes.
const MAX_QUERY_BYTES: usize = 4096;

/// What `pr_status` knows, in lower case.
const STATUSES: [&str; 4] = ["draft", "open", "merged", "closed"];

/// Reads `text`.
///
/// * Terms are split at white space outside double quotes; `key:value` each; keys in any case.
/// * Words without a key are refused, and so are unknown keys and keys given twice.
///
/// # Errors
/// 400 that names the term.
pub fn parse(text: &str) -> Result<ChatFilter, Problem> {
    let mut filter = ChatFilter::default();
    for (key, values) in terms(text)? {
        apply(&mut filter, &key, &values)?;
    }
    Ok(filter)
}

fn apply(filter: &mut ChatFilter, key: &str, values: &[String]) -> Result<(), Problem> {
    let single = || match values {
        [value] => Ok(value.as_str()),
        _ => Err(refuse(key, "must be given only once")),
    };
    match key {
        "archived" => filter.archived = Some(boolean(key, single()?)?),
        "has_unread" => filter.has_unread = Some(boolean(key, single()?)?),
        "title" => filter.title = single()?.to_owned(),
        "pr_title" => filter.pull_request_title = single()?.to_owned(),
        "repo" => filter.repository = single()?.to_owned(),
        "pr" => {
            let number = single()?.parse().ok().filter(|number| *number >= 1);
            filter.pull_request_number = number.ok_or_else(|| refuse(key, "must be a number from 1 to 2147483647"))?;
        }
        "pr_status" => {
            for status in values.iter().flat_map(|value| value.split(',')) {
                let status = status.trim().to_lowercase();
                if !STATUSES.contains(&status.as_str()) {
                    return Err(refuse(key, "must be draft, open, merged or closed"));
                }
                if !filter.pull_request_statuses.contains(&status) {
                    filter.pull_request_statuses.push(status);
                }
            }
        }
        "diff_url" => {
            let is_address =
                url::Url::parse(single()?).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_address {
                return Err(refuse(key, "must be an http or https address"));
            }
            filter.diff_url = single()?.to_owned();
        }
        _ => return Err(refuse(key, "is not a valid query parameter")),
    }
    Ok(())
}

fn refuse(field: &str, problem: impl Into<String>) -> Problem {
    Problem::field(field, problem)
}

/// The values of each key of a query, keys in lower case.
///
/// # Errors
/// 400 that names the term.
pub fn terms(text: &str) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(refuse("q", format!("must not be longer than {MAX_QUERY_BYTES} bytes")));
    }
    let mut terms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for word in words(text) {
        let colons: Vec<usize> = unquoted(&word, ':').collect();
        let (key, value) = match colons.as_slice() {
            [] => {
                return Err(refuse(
                    "q",
                    format!("{word:?} has no key; write key:value, with quotes around spaces"),
                ));
            }
            [at] => word.split_at(*at),
            _ => {
                return Err(refuse(
                    "q",
                    format!("{word:?} can only contain one colon outside quotes"),
                ));
            }
        };
        let value = value.trim_start_matches(':').trim_matches('"');
        if key.is_empty() || word.ends_with(':') {
            return Err(refuse("q", format!("{word:?} cannot start or end with a colon")));
        }
        let key = key.trim_matches('"').to_lowercase();
        terms.entry(key).or_default().push(value.to_owned());
    }
    Ok(terms)
}

fn words(text: &str) -> Vec<String> {
    let mut is_quoted = false;
    let is_gap = |letter: char| {
        is_quoted ^= letter == '"';
        letter.is_whitespace() && !is_quoted
    };
    text.split(is_gap)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn unquoted(word: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut is_quoted = false;
    word.char_indices().filter_map(move |(at, letter)| {
        is_quoted ^= letter == '"';
        (letter == wanted && !is_quoted).then_some(at)
    })
}

fn boolean(key: &str, text: &str) -> Result<bool, Problem> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(refuse(key, "must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(archived: Option<bool>, has_unread: Option<bool>, title: &str) -> ChatFilter {
        ChatFilter {
            archived,
            has_unread,
            title: title.to_owned(),
            ..ChatFilter::default()
        }
    }

    #[test]
    fn terms_are_understood() {
        let table = [
            ("", filter(None, None, "")),
            ("  ", filter(None, None, "")),
            ("archived:true", filter(Some(true), None, "")),
            ("ARCHIVED:F has_unread:1", filter(Some(false), Some(true), "")),
            ("title:Fix", filter(None, None, "Fix")),
            (
                r#"title:"my project" archived:0"#,
                filter(Some(false), None, "my project"),
            ),
            (r#"title:"a:b""#, filter(None, None, "a:b")),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn terms_about_pull_requests_are_understood() {
        let text = r#"PR:7 pr_status:open,Merged pr_status:" draft ,OPEN" repo:Tandem/core pr_title:"A b"
            diff_url:"https://example.com/Pull/1""#;
        let expected = ChatFilter {
            pull_request_title: "A b".to_owned(),
            repository: "Tandem/core".to_owned(),
            pull_request_number: 7,
            pull_request_statuses: ["open", "merged", "draft"].map(str::to_owned).into(),
            diff_url: "https://example.com/Pull/1".to_owned(),
            ..ChatFilter::default()
        };
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("title:{}", "x".repeat(MAX_QUERY_BYTES));
        for text in [
            "word",
            "title:my project",
            ":x",
            "title:",
            "title:a:b",
            "unknown:1",
            "archived:yes",
            "archived:1 archived:0",
            "title:a title:b",
            "pr:0",
            "pr:x",
            "pr:2147483648",
            "pr:7 pr:8",
            "repo:a repo:b",
            "pr_status:open,",
            "diff_url:https://example.com/pull/1",
            "diff_url:\"https:\"",
            "pr_status:gone",
            "diff_url:ftp",
            long.as_str(),
        ] {
            assert_eq!(parse(text).unwrap_err().status(), 400, "{text}");
        }
    }
}
