//! What the documents promise is held by tests: each test they name is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Documents that name tests in their tables.
const DOCUMENTS: [&str; 4] = [
    "docs/reliability.md",
    "docs/races.md",
    "docs/providers.md",
    "docs/security.md",
];

/// How many races there are; each has its row.
const RACES: usize = 75;

/// A test as the documents may name it.
struct Test {
    room: String,
    /// The modules it is in, without the directories that hold tests.
    modules: Vec<String>,
    name: String,
}

impl Test {
    /// Whether `named` (`room::module::beginning of the name`, the room left out for tests of the system) is this one.
    fn is(&self, named: &str, rooms: &BTreeSet<String>) -> bool {
        let mut segments: Vec<&str> = named.split("::").collect();
        let beginning = segments.pop().unwrap_or_default();
        let room = match segments.first() {
            Some(first) if rooms.contains(*first) => segments.remove(0),
            _ => "e2e",
        };
        self.room == room
            && !segments.is_empty()
            && self.modules.len() >= segments.len()
            && self.modules[self.modules.len() - segments.len()..] == segments
            && self.name.starts_with(beginning)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every test of every room.
fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    let services = std::fs::read_dir(root().join("services")).unwrap();
    let rooms = services.map(|entry| entry.unwrap().path());
    for room in rooms.chain([root().join("gateway")]) {
        let name = room.file_name().unwrap().to_str().unwrap().to_owned();
        for (part, skipped) in [("src", ""), ("tests", "it")] {
            collect(&room.join(part), &name, skipped, &mut Vec::new(), &mut tests);
        }
    }
    tests
}

fn collect(directory: &Path, room: &str, skipped: &str, modules: &mut Vec<String>, tests: &mut Vec<Test>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = stem != skipped;
        if is_module {
            modules.push(stem);
        }
        if path.is_dir() {
            collect(&path, room, "", modules, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(names(&read(&path)).into_iter().map(|name| Test {
                room: room.to_owned(),
                modules: modules.clone(),
                name,
            }));
        }
        if is_module {
            modules.pop();
        }
    }
}

/// The functions that are marked as tests.
fn names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((before, after)) = line.split_once("fn ")
            && matches!(before, "" | "async ")
            && std::mem::take(&mut is_test)
        {
            names.extend(after.split_once('(').map(|(name, _)| name.to_owned()));
        }
    }
    names
}

/// Names of tests in a document's tables: what stands in backquotes and has a path.
fn named(document: &str) -> Vec<&str> {
    let rows = document.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted.filter(|text| text.contains("::")).collect()
}

#[test]
fn every_test_a_document_names_is_there() {
    let tests = tests();
    let rooms: BTreeSet<String> = tests.iter().map(|test| test.room.clone()).collect();
    assert!(rooms.len() > 5 && tests.len() > 500, "{rooms:?}, {} tests", tests.len());
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = read(&root().join(document));
        let named = named(&text);
        assert!(named.len() > 40, "{document} names {} tests", named.len());
        let unknown = named
            .into_iter()
            .filter(|name| !tests.iter().any(|test| test.is(name, &rooms)));
        missing.extend(unknown.map(|name| format!("{document}: {name}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_race_has_its_row() {
    let text = read(&root().join("docs/races.md"));
    let number = |row: &str| row.strip_prefix("| ")?.split_once(" |")?.0.parse::<usize>().ok();
    let mut numbers: Vec<usize> = text.lines().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=RACES).collect::<Vec<_>>());
}

#[test]
fn every_cell_of_the_table_of_providers_names_a_test_or_says_why_there_is_none() {
    let text = read(&root().join("docs/providers.md"));
    let (table, _) = text.split_once("## How a model is asked").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    let columns = rows[0].len();
    for row in &rows[2..] {
        assert_eq!(row.len(), columns, "{}", row[0]);
        for cell in &row[1..] {
            let has_reason = cell.strip_prefix('—').is_some_and(|reason| !reason.trim().is_empty());
            assert!(cell.contains("::") || has_reason, "{}: {cell:?}", row[0]);
        }
    }
}

#[test]
fn a_test_is_found_by_its_room_its_module_and_the_beginning_of_its_name() {
    let rooms = BTreeSet::from(["storage".to_owned(), "e2e".to_owned()]);
    let test = Test {
        room: "storage".to_owned(),
        modules: vec!["chats".to_owned(), "matrix".to_owned()],
        name: "promoting_in_every_status".to_owned(),
    };
    for good in [
        "storage::matrix::promoting",
        "storage::chats::matrix::",
        "storage::chats::matrix::promoting_in_every_status",
    ] {
        assert!(test.is(good, &rooms), "{good}");
    }
    for bad in [
        "matrix::promoting",
        "storage::chats::promoting",
        "storage::matrix::demoting",
        "storage::promoting",
    ] {
        assert!(!test.is(bad, &rooms), "{bad}");
    }
    let source =
        "#[test]\nfn first() {}\n#[tokio::test(start_paused = true)]\n#[cfg(unix)]\nasync fn second() {}\nfn no() {}";
    assert_eq!(names(source), ["first", "second"]);
}
