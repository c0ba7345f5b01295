//! The arrows of the house: which crate may import which, and who alone may hold the heavy tools. A new arrow is a line of this file.
//!
//! Read from `cargo metadata`, so nothing here can be out of date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Lines of a Rust file that people write.
const MAX_FILE_LINES: usize = 600;

/// Source lines of a crate beyond which it is worth a look. Not an error.
const MANY_CRATE_LINES: usize = 8_000;

/// Crates that put services together. All others meet only through contracts.
const ASSEMBLERS: [&str; 2] = ["tandem-cli", "tandem-e2e"];

/// What services stand on.
const GROUND: [&str; 4] = ["tandem-proto", "tandem-chassis", "tandem-chat-core", "tandem-mcp"];

/// How vendors are spoken to, and the one service that may: it holds the keys.
const PROTOCOLS: &str = "tandem-protocols";
const KEEPER_OF_KEYS: &str = "tandem-provider-gateway";

/// How a cluster is spoken to, and the one service that may: it runs workspaces.
const CLUSTER: &str = "tandem-kubernetes";
const KEEPER_OF_WORKSPACES: &str = "tandem-tool-runner";

/// Who alone may import what is made for one service.
const MADE_FOR: [(&str, &str); 2] = [(KEEPER_OF_KEYS, PROTOCOLS), (KEEPER_OF_WORKSPACES, CLUSTER)];

/// Who may use a tool, and what for.
const TOOLS: [(&str, &[(&str, Kind)]); 4] = [
    (
        "sqlx",
        &[
            // The only room with SQL.
            ("tandem-storage", Kind::Normal),
            // Hands the address of the private PostgreSQL from `tandem_storage::postgres` to `tandem_storage::run`.
            ("tandem-cli", Kind::Normal),
        ],
    ),
    (
        "reqwest",
        &[
            // Judges where a call may go, for the two rooms that call what people have typed an address of.
            ("tandem-chassis", Kind::Normal),
            // Speaks to vendors, for the only room that calls them, which also passes calls on as they are.
            ("tandem-protocols", Kind::Normal),
            ("tandem-provider-gateway", Kind::Normal),
            // Speaks to MCP servers, for the two rooms that have some.
            ("tandem-mcp", Kind::Normal),
            // Asks where users of MCP servers sign in.
            ("tandem-tool-runner", Kind::Normal),
            // Speaks as a browser or a program would.
            ("tandem-gateway", Kind::Dev),
            ("tandem-cli", Kind::Dev),
            ("tandem-e2e", Kind::Normal),
        ],
    ),
    // Speaks MCP, for the two rooms that have servers: configured ones, and a workspace's own.
    ("rmcp", &[("tandem-mcp", Kind::Normal)]),
    // Speaks to clusters; slow to compile, so that it is apart.
    ("kube", &[("tandem-kubernetes", Kind::Normal)]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Normal,
    Dev,
    Build,
}

/// The crates of this workspace.
fn house() -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {error}");
    serde_json::from_slice(&output.stdout).expect("cargo metadata is as documented")
}

/// Every crate's arrows to crates of ours, tests and build scripts included.
fn arrows(house: &Metadata) -> BTreeMap<&str, BTreeSet<&str>> {
    let ours: BTreeSet<&str> = house.packages.iter().map(|package| package.name.as_str()).collect();
    let arrows_of = |package: &'_ Package| -> BTreeSet<&str> {
        let names = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        names.filter_map(|name| ours.get(name).copied()).collect()
    };
    house
        .packages
        .iter()
        .map(|package| (package.name.as_str(), arrows_of(package)))
        .collect()
}

#[test]
fn imports_run_as_drawn() {
    let house = house();
    let lines = arrows(&house).into_iter().map(|(from, to)| {
        let to: Vec<&str> = to.into_iter().collect();
        format!("{from} -> {}", to.join(", "))
            .trim_end_matches([' ', '-', '>'])
            .to_owned()
    });
    let drawn: Vec<String> = lines.collect();
    insta::assert_snapshot!(drawn.join("\n"), @r"
    tandem-chassis
    tandem-chat-core -> tandem-proto
    tandem-cli -> tandem-chassis, tandem-gateway, tandem-orchestrator, tandem-provider-gateway, tandem-storage, tandem-tool-runner, tandem-workspace-agent
    tandem-e2e -> tandem-chassis
    tandem-gateway -> tandem-chassis, tandem-chat-core, tandem-proto
    tandem-kubernetes -> tandem-chassis
    tandem-mcp -> tandem-chassis
    tandem-orchestrator -> tandem-chassis, tandem-chat-core, tandem-proto
    tandem-proto
    tandem-protocols -> tandem-chassis, tandem-chat-core
    tandem-provider-gateway -> tandem-chassis, tandem-chat-core, tandem-proto, tandem-protocols
    tandem-storage -> tandem-chassis, tandem-chat-core, tandem-proto
    tandem-tool-runner -> tandem-chassis, tandem-chat-core, tandem-kubernetes, tandem-mcp, tandem-proto
    tandem-workspace-agent -> tandem-chassis, tandem-chat-core, tandem-mcp, tandem-proto
    ");
}

#[test]
fn services_meet_only_through_contracts() {
    let house = house();
    let arrows = arrows(&house);
    for (from, to) in &arrows {
        let allowed: &[&str] = match *from {
            "tandem-proto" | "tandem-chassis" => &[],
            "tandem-chat-core" => &["tandem-proto"],
            "tandem-mcp" | CLUSTER => &["tandem-chassis"],
            PROTOCOLS => &["tandem-chassis", "tandem-chat-core"],
            from if ASSEMBLERS.contains(&from) => continue,
            _ => &GROUND,
        };
        let strange: Vec<_> = to
            .iter()
            .filter(|to| !allowed.contains(to) && !MADE_FOR.contains(&(*from, **to)))
            .collect();
        assert!(
            strange.is_empty(),
            "{from} imports {strange:?}, and may import only {allowed:?}"
        );
    }
    for assembler in ASSEMBLERS {
        assert!(arrows.contains_key(assembler), "{assembler} is gone");
        let users: Vec<_> = arrows
            .iter()
            .filter(|(_, to)| to.contains(assembler))
            .map(|(from, _)| from)
            .collect();
        assert!(users.is_empty(), "{users:?} import {assembler}, which stands on top");
    }
}

#[test]
fn each_tool_is_in_the_room_that_owns_it() {
    let house = house();
    for (tool, rooms) in TOOLS {
        let mut users: BTreeSet<(&str, Kind)> = BTreeSet::new();
        for package in &house.packages {
            let kinds = package.dependencies.iter().filter(|dependency| dependency.name == tool);
            users.extend(kinds.map(|dependency| (package.name.as_str(), dependency.kind.unwrap_or(Kind::Normal))));
        }
        let expected: BTreeSet<(&str, Kind)> = rooms.iter().copied().collect();
        assert_eq!(users, expected, "who depends on {tool}");
    }
}

/// Rust files below a folder, without what is generated or built.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            let is_ours = !name.starts_with('.') && !["target", "node_modules", "gen", "dist"].contains(&name);
            if is_ours {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file)
        .expect("a source file is text")
        .lines()
        .count()
}

#[test]
fn no_file_is_longer_than_six_hundred_lines() {
    let root = house().workspace_root;
    let mut files = Vec::new();
    for folder in ["proto", "services", "gateway"] {
        rust_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
    let long: Vec<String> = files
        .iter()
        .map(|file| (lines(file), file))
        .filter(|(lines, _)| *lines > MAX_FILE_LINES)
        .map(|(lines, file)| format!("{lines} {}", file.display()))
        .collect();
    assert!(long.is_empty(), "two subjects in one file?\n{}", long.join("\n"));
}

/// A warning and no error: shown by `cargo nextest run --no-capture`.
#[test]
#[expect(clippy::print_stderr, reason = "the warning is for whoever runs the tests")]
fn large_crates_are_named() {
    for package in house().packages {
        let mut files = Vec::new();
        rust_files(
            &package
                .manifest_path
                .parent()
                .expect("a manifest is in a folder")
                .join("src"),
            &mut files,
        );
        let lines: usize = files.iter().map(|file| lines(file)).sum();
        if lines > MANY_CRATE_LINES {
            eprintln!(
                "warning: {} has {lines} source lines; more than {MANY_CRATE_LINES} deserve a look",
                package.name
            );
        }
    }
}
