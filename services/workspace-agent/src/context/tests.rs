//! Discovery in a real directory: what is found, what is passed over, and what leads outside.

use std::os::unix::fs::symlink;
use std::path::Path;

use tandem_proto::workspace::v1::OperationErrorKind as Kind;
use tempfile::TempDir;

use super::*;

struct World {
    directory: TempDir,
    root: Root,
    context: Context,
}

/// A home directory beside a file that must stay unread.
fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(directory.path().join("secret"), "s3cret").unwrap();
    let root = Root::open(&home).unwrap();
    let context = Context::new(Places::new(root.home(), |_| None));
    World {
        directory,
        root,
        context,
    }
}

impl World {
    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn skill(&self, directory: &str, name: &str) {
        let text = format!("---\nname: {name}\ndescription: About {name}\n---\n\nDo {name}.\n");
        self.write(&format!("{directory}/SKILL.md"), text);
    }

    fn found(&self) -> DiscoverContextResult {
        self.context.discover(&self.root)
    }

    fn contents(&self) -> Vec<String> {
        self.found().files.into_iter().map(|file| file.content).collect()
    }

    fn skills(&self) -> Vec<String> {
        self.found().skills.into_iter().map(|skill| skill.name).collect()
    }

    fn read(&self, name: &str, path: &str) -> Result<ReadSkillFileResult, Failure> {
        let request = ReadSkillFile {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        self.context.read_skill_file(&self.root, &request)
    }

    fn is_skipped(&self, path: &str) -> bool {
        self.found().skipped.iter().any(|skipped| skipped.path.ends_with(path))
    }
}

#[test]
fn an_empty_home_has_no_context() {
    let found = world().found();
    assert!(found.files.is_empty() && found.skills.is_empty() && found.skipped.is_empty());
    assert_eq!(found.os, std::env::consts::OS);
}

#[test]
fn instructions_are_found_whatever_their_case_and_cleaned() {
    let world = world();
    world.write("agents.MD", "\u{FEFF}one\r\n<!-- hidden -->two\u{200B}\r\n");
    world.write(".tandem/AGENTS.md", "first");
    assert_eq!(world.contents(), ["first", "one\ntwo"]);
    world.write("AGENTS.md", "exact");
    assert_eq!(world.contents(), ["first", "exact"]);
    world.write(".tandem/AGENTS.md", " <!-- nothing --> ");
    assert_eq!(world.contents(), ["exact"]);
}

#[test]
fn long_instructions_are_cut_between_characters_and_marked() {
    let world = world();
    world.write("AGENTS.md", format!("x{}", "ä".repeat(64 * 1024)));
    let found = world.found();
    let file = &found.files[0];
    assert!(file.is_truncated && file.content.len() <= 64 * 1024);
    assert!(!file.content.contains('\u{FFFD}'));
}

#[test]
fn other_programs_instructions_are_named_and_not_read() {
    let world = world();
    world.write("CLAUDE.md", "other");
    assert!(world.contents().is_empty());
    assert!(world.is_skipped("CLAUDE.md"));
}

#[test]
fn links_out_of_the_workspace_and_what_is_no_file_are_refused() {
    let world = world();
    let secret = world.directory.path().join("secret");
    symlink(&secret, world.root.home().join("AGENTS.md")).unwrap();
    assert!(world.contents().is_empty());
    assert!(world.is_skipped("AGENTS.md"));
    std::fs::remove_file(world.root.home().join("AGENTS.md")).unwrap();
    std::fs::create_dir(world.root.home().join("AGENTS.md")).unwrap();
    assert!(world.contents().is_empty());

    world.skill(".agents/skills/good", "good");
    symlink(world.directory.path(), world.root.home().join(".agents/skills/evil")).unwrap();
    symlink(&secret, world.root.home().join(".agents/skills/good/leak.txt")).unwrap();
    assert_eq!(world.skills(), ["good"]);
    assert!(world.is_skipped("evil"));
    assert_eq!(world.read("good", "leak.txt").unwrap_err().kind, Kind::OutsideWorkspace);
}

#[test]
fn hostile_skill_directories_are_passed_over() {
    let world = world();
    world.skill(".agents/skills/fine", "fine");
    for name in ["Upper", "a--b", "-x", "with space", "new\nline", "<b>", "ümlaut"] {
        world.skill(&format!(".agents/skills/{name}"), "fine");
    }
    world.skill(".agents/skills/liar", "fine");
    world.write(".agents/skills/bare/SKILL.md", "no front matter");
    world.write(".agents/skills/huge/SKILL.md", "x".repeat(70 * 1024));
    world.write(".agents/skills/bytes/SKILL.md", [0xff, 0xfe, 0x00]);
    world.write(".agents/skills/file", "no directory");
    assert_eq!(world.skills(), ["fine"]);
    let skipped = world.found().skipped;
    assert_eq!(skipped.len(), 11, "{skipped:?}");
    assert!(skipped.iter().all(|skipped| !skipped.path.contains('\n')));
}

#[test]
fn the_first_place_of_a_skill_wins() {
    let world = world();
    world.skill(".tandem/skills/notes", "notes");
    world.skill(".agents/skills/notes", "notes");
    let found = world.found();
    assert_eq!(found.skills.len(), 1);
    assert!(found.skills[0].directory.ends_with(".agents/skills/notes"));
    assert_eq!(found.skills[0].description, "About notes");
}

#[test]
fn a_skill_is_read_with_the_names_beside_it() {
    let world = world();
    world.skill(".agents/skills/notes", "notes");
    world.write(".agents/skills/notes/template.md", "T\0");
    world.write(".agents/skills/notes/scripts/run.sh", "echo");
    let request = ReadSkill {
        name: "notes".to_owned(),
    };
    let read = world.context.read_skill(&world.root, &request).unwrap();
    assert_eq!(
        (read.body.as_str(), read.files),
        ("Do notes.", vec!["scripts/".to_owned(), "template.md".to_owned()])
    );
    assert_eq!(world.read("notes", "template.md").unwrap().content, "T\u{FFFD}");
    assert_eq!(world.read("notes", "scripts/run.sh").unwrap().content, "echo");
}

#[test]
fn what_is_no_file_of_a_skill_is_refused() {
    let world = world();
    world.skill(".agents/skills/notes", "notes");
    world.write(".agents/skills/notes/big.txt", "x".repeat(600 * 1024));
    for path in ["", "/etc/passwd", "../notes/SKILL.md", "a/../../x", ".hidden", "a/.b"] {
        assert_eq!(world.read("notes", path).unwrap_err().kind, Kind::Invalid, "{path:?}");
    }
    for name in ["other", "../notes", "", "notes/x"] {
        let failure = world.read(name, "big.txt").unwrap_err();
        assert!(
            matches!(failure.kind, Kind::NotFound | Kind::Invalid),
            "{name:?}: {failure:?}"
        );
    }
    let cut = world.read("notes", "big.txt").unwrap();
    assert!(cut.is_truncated && cut.content.len() == 512 * 1024);
}

#[test]
fn an_added_skill_is_found_again() {
    let world = world();
    world.skill("elsewhere/notes", "notes");
    assert!(world.read("notes", "SKILL.md").is_err());
    world.context.remember(Path::new("elsewhere/notes"));
    assert!(world.read("notes", "SKILL.md").is_ok());
}
