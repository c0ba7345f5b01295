//! Whether a client's tool results, or a person's decisions, answer exactly the calls that wait for them.
//!
//! Owns that rule. The first submission wins because it moves the chat on (`chat`); running the tools is the client's.

use std::collections::BTreeSet;

use crate::id::ToolCallId;
use crate::violation::Violation;

/// Checks the submitted ids against the open calls: each open call once, nothing else, any order.
///
/// * `list`: the name of the field that holds what was submitted.
///
/// # Errors
/// One [`Violation`] per unexpected or repeated id with the path `{list}[i].tool_call_id`, and one for `list` per missing id.
pub fn check(list: &str, open: &[ToolCallId], submitted: &[ToolCallId]) -> Result<(), Vec<Violation>> {
    if submitted.is_empty() {
        return Err(vec![Violation::new(list, "must not be empty")]);
    }
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    for (index, id) in submitted.iter().enumerate() {
        let rule = if !open.contains(id) {
            "does not name an open tool call"
        } else if !seen.insert(id) {
            "answers the same tool call twice"
        } else {
            continue;
        };
        violations.push(Violation::new(format!("{list}[{index}].tool_call_id"), rule));
    }
    let missing = open.iter().filter(|id| !seen.contains(id));
    violations.extend(missing.map(|id| Violation::new(list, format!("must answer tool call {id}"))));
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<ToolCallId> {
        names.iter().map(|name| ToolCallId::new(*name).unwrap()).collect()
    }

    fn refused(open: &[&str], submitted: &[&str]) -> String {
        let violations = check("results", &ids(open), &ids(submitted)).unwrap_err();
        violations
            .iter()
            .map(Violation::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn any_order_is_accepted_if_each_call_is_answered_once() {
        assert_eq!(check("results", &ids(&["a", "b"]), &ids(&["b", "a"])), Ok(()));
    }

    #[test]
    fn missing_extra_and_repeated_ids_are_named() {
        assert_eq!(refused(&["a"], &[]), "results must not be empty");
        assert_eq!(refused(&["a", "b"], &["a"]), "results must answer tool call b");
        assert_eq!(
            refused(&["a"], &["a", "x"]),
            "results[1].tool_call_id does not name an open tool call"
        );
        assert_eq!(
            refused(&["a"], &["a", "a"]),
            "results[1].tool_call_id answers the same tool call twice"
        );
    }
}
