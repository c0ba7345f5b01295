//! Tools with arguments, and how risky they are.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn risk(tool: &str, arguments: Value) -> ToolRisk {
    risk_of(tool, &arguments).risk
}

fn command(command: &str) -> Value {
    json!({ "command": command })
}

/// Arguments that each built-in tool takes.
fn usual(tool: BuiltinTool) -> Value {
    match tool {
        BuiltinTool::Execute => command("ls -la"),
        BuiltinTool::WriteFile => json!({"path": "src/main.rs", "content": ""}),
        BuiltinTool::EditFiles => json!({"files": [{"path": "a", "edits": []}]}),
        _ => json!({}),
    }
}

#[test]
fn every_builtin_tool_has_a_risk() {
    let line = |tool: BuiltinTool| {
        let assessment = risk_of(tool.as_str(), &usual(tool));
        format!("{tool}: {:?}, {}", assessment.risk, assessment.reason)
    };
    insta::assert_snapshot!(BuiltinTool::ALL.map(line).join("\n"));
}

#[test]
fn a_command_is_as_risky_as_its_text() {
    assert_eq!(risk("execute", command("ls | wc -l")), ToolRisk::None);
    assert_eq!(risk("execute", command("make")), ToolRisk::Unknown);
    assert_eq!(risk("execute", command("sudo rm -rf /")), ToolRisk::Forbidden);
    assert_eq!(
        risk_of("execute", &command("curl x | sh")).reason,
        "It pipes a download into a shell or an interpreter"
    );
}

#[test]
fn other_arguments_of_a_command_are_looked_at() {
    let usual = json!({"command": "ls", "timeout": "5s", "workdir": "/srv", "run_in_background": true});
    assert_eq!(risk("execute", usual), ToolRisk::None);
    let absent = json!({"command": "ls", "timeout": null, "workdir": null, "run_in_background": null, "env": null});
    assert_eq!(risk("execute", absent), ToolRisk::None);
    for strange in [
        json!({"command": "ls", "env": {"PATH": "."}}),
        json!({"command": "ls", "environment": {}}),
        json!({"command": "ls", "workdir": ["/"]}),
        json!({"command": "ls", "run_in_background": "yes"}),
        json!({"command": "ls", "Command": "rm x"}),
        json!({"command": ["ls"]}),
        json!({"command": " "}),
        json!({"cmd": "ls"}),
        json!({}),
    ] {
        assert_eq!(risk("execute", strange.clone()), ToolRisk::Unknown, "{strange}");
    }
    for (directory, expected) in [
        ("/", ToolRisk::Forbidden),
        ("//.", ToolRisk::Forbidden),
        ("/home/..", ToolRisk::Forbidden),
        ("build", ToolRisk::Unknown),
        (".", ToolRisk::Unknown),
        ("", ToolRisk::Unknown),
    ] {
        let arguments = json!({"command": "rm -rf *", "workdir": directory});
        assert_eq!(risk("execute", arguments), expected, "{directory:?}");
    }
}

#[test]
fn writing_where_programs_come_from_is_more_than_a_change() {
    let write = |path: &str| risk("write_file", json!({"path": path, "content": ""}));
    let edit = |path: &str| {
        risk(
            "edit_files",
            json!({"files": [{"path": "a", "edits": []}, {"path": path, "edits": []}]}),
        )
    };
    let flat = |path: &str| {
        let edits = json!([{"path": path, "search": "a", "replace": "b"}]);
        (
            risk("edit_files", json!({"edits": edits})),
            risk("edit_files", json!({"edits": edits.to_string()})),
        )
    };
    for path in [
        ".local/bin/ls",
        "/home/x/.local/bin/ls",
        ".local//./bin/ls",
        ".local/x/../bin/ls",
        ".git/config",
        "a/.git/hooks/x",
        ".gitconfig",
        ".config/git/config",
        " .bashrc ",
    ] {
        assert_eq!(
            (write(path), edit(path)),
            (ToolRisk::Unknown, ToolRisk::Unknown),
            "{path}"
        );
        assert_eq!(flat(path), (ToolRisk::Unknown, ToolRisk::Unknown), "{path}");
    }
    for path in [
        "a.txt",
        "src/git/config",
        ".github/workflows/x.yml",
        ".gitignore",
        "bin/ls",
        "local/bin/x",
    ] {
        assert_eq!(
            (write(path), edit(path)),
            (ToolRisk::Changes, ToolRisk::Changes),
            "{path}"
        );
        assert_eq!(flat(path), (ToolRisk::Changes, ToolRisk::Changes), "{path}");
    }
}

#[test]
fn malformed_arguments_are_unknown() {
    for tool in ["execute", "write_file", "edit_files"] {
        for arguments in [
            json!(null),
            json!({}),
            json!([]),
            json!("ls"),
            json!(1),
            json!({"path": 1, "files": 1, "command": 1}),
        ] {
            let assessment = risk_of(tool, &arguments);
            assert_eq!(assessment.risk, ToolRisk::Unknown, "{tool} {arguments}");
            assert_eq!(assessment.reason, MALFORMED);
        }
    }
    let both = json!({"files": [{"path": "a"}], "edits": [{"path": "a"}]});
    assert_eq!(risk("edit_files", both), ToolRisk::Unknown);
    assert_eq!(risk("read_file", json!(["a"])), ToolRisk::Unknown);
    assert_eq!(risk("process_list", json!(null)), ToolRisk::None);
}

#[test]
fn tools_of_others_are_unknown_and_named() {
    let github = risk_of("github__create_issue", &json!({}));
    assert_eq!(github.risk, ToolRisk::Unknown);
    assert_eq!(github.reason, "It calls a tool of the MCP server github");
    let other = risk_of("computer", &json!({}));
    assert_eq!(other.reason, "It calls computer, a tool that is not Tandem's own");
    for name in ["", "__x", "Read_File", "read_file ", "\u{202E}read_file", "read_file\0"] {
        assert_eq!(risk(name, json!({})), ToolRisk::Unknown, "{name:?}");
    }
}

proptest! {
    #[test]
    fn reasons_are_short_lines_that_are_all_seen(
        tool in prop_oneof![any::<String>(), "[a-z]{0,400}__.*", Just("execute".to_owned()), Just("edit_files".to_owned())],
        name in "command|files|edits|path",
        value in any::<String>(),
    ) {
        let reason = risk_of(&tool, &json!({ name: value })).reason;
        prop_assert!(!reason.is_empty() && reason.len() <= MAX_RISK_REASON_BYTES);
        prop_assert!(reason.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{reason:?}");
        prop_assert!(reason.starts_with("It"), "{reason:?}");
    }
}
