//! Files on a real directory: escapes, races, and all-or-nothing.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tandem_proto::workspace::v1::{
    Edit, EditFiles, FileEdits, ListDirectory, OperationErrorKind as Kind, ReadFile, WriteFile,
};
use tempfile::TempDir;

use super::*;
use crate::error::Failure;

struct Place {
    directory: TempDir,
    root: Root,
}

/// A home directory beside a file that must stay untouched.
fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(directory.path().join("secret"), "s3cret").unwrap();
    let root = Root::open(&home).unwrap();
    Place { directory, root }
}

impl Place {
    fn home(&self) -> &Path {
        self.root.home()
    }

    fn read(&self, path: &str) -> Result<String, Failure> {
        read(
            &self.root,
            &ReadFile {
                path: path.to_owned(),
                offset: 1,
                limit: 0,
            },
        )
        .map(|result| result.content)
    }

    fn write(&self, path: &str, content: &str) -> Result<(), Failure> {
        write(
            &self.root,
            &WriteFile {
                path: path.to_owned(),
                content: content.into(),
            },
        )
    }

    fn edit(&self, files: &[(&str, &str, &str)]) -> Result<Vec<String>, Failure> {
        let files = files.iter().map(|(path, search, replace)| {
            let edit = Edit {
                search: (*search).to_owned(),
                replace: (*replace).to_owned(),
                replace_all: false,
            };
            FileEdits {
                path: (*path).to_owned(),
                edits: vec![edit],
            }
        });
        let done = edit_files(&self.root, &EditFiles { files: files.collect() })?;
        Ok(done.files.into_iter().map(|file| file.diff).collect())
    }
}

#[test]
fn relative_absolute_and_tilde_paths_name_the_same_file() {
    let place = place();
    place.write("a/b.txt", "x").unwrap();
    let absolute = place.home().join("a/b.txt");
    for path in [
        "a/b.txt",
        "./a//b.txt",
        "a/../a/b.txt",
        "~/a/b.txt",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(place.read(path).unwrap(), "1\tx", "{path}");
    }
}

#[test]
fn paths_that_lead_out_are_refused() {
    let place = place();
    let home = place.home();
    symlink("..", home.join("up")).unwrap();
    symlink("../secret", home.join("link")).unwrap();
    symlink(place.directory.path().join("secret"), home.join("absolute")).unwrap();
    symlink("/proc/self/root", home.join("magic")).unwrap();
    let secret = place.directory.path().join("secret");
    let magic = format!("magic{}", secret.display());
    for path in [
        "../secret",
        "up/secret",
        "link",
        "absolute",
        secret.to_str().unwrap(),
        &magic,
        "a/../../secret",
    ] {
        assert!(place.read(path).is_err(), "{path}");
        assert!(place.write(path, "x").is_err(), "{path}");
        assert!(place.edit(&[(path, "s3cret", "x")]).is_err(), "{path}");
    }
    assert_eq!(place.read("../secret").unwrap_err().kind, Kind::OutsideWorkspace);
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "s3cret");
}

#[test]
fn a_link_that_is_swapped_meanwhile_never_leads_out() {
    let place = place();
    let home = place.home().to_owned();
    std::fs::create_dir(home.join("inside")).unwrap();
    std::fs::write(home.join("inside/secret"), "mine").unwrap();
    symlink("inside", home.join("door")).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for target in ["inside", ".."] {
                    let _ = std::fs::remove_file(home.join("next"));
                    symlink(target, home.join("next")).unwrap();
                    std::fs::rename(home.join("next"), home.join("door")).unwrap();
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            if let Ok(content) = place.read("door/secret") {
                assert_eq!(content, "1\tmine");
            }
            let _ = place.write("door/secret", "mine");
            let _ = place.edit(&[("door/secret", "s3cret", "lost")]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(
        std::fs::read_to_string(place.directory.path().join("secret")).unwrap(),
        "s3cret"
    );
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let place = place();
    let pipe = place.home().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::fs::create_dir(place.home().join("directory")).unwrap();
    symlink("loop", place.home().join("loop")).unwrap();
    for path in [
        "pipe",
        "directory",
        ".",
        "loop",
        "",
        "pipe/x",
        "a\0b",
        "/dev/null",
        "directory/",
    ] {
        assert!(place.read(path).is_err(), "{path:?}");
        assert!(place.write(path, "x").is_err(), "{path:?}");
    }
}

#[test]
fn writing_makes_parents_keeps_the_mode_and_follows_inner_links() {
    let place = place();
    place.write("a/b/c.sh", "one").unwrap();
    let path = place.home().join("a/b/c.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    symlink("a/b/c.sh", place.home().join("relative")).unwrap();
    symlink(&path, place.home().join("absolute")).unwrap();
    for (link, content) in [("relative", "two"), ("absolute", "three")] {
        place.write(link, content).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o750);
    assert!(place.home().join("relative").symlink_metadata().unwrap().is_symlink());
    let names = std::fs::read_dir(place.home().join("a/b")).unwrap().count();
    assert_eq!(names, 1, "temporary files are left");
}

#[test]
fn sizes_are_bounded() {
    let place = place();
    let large = "x".repeat(MAX_WRITE_BYTES + 1);
    assert_eq!(place.write("a", &large).unwrap_err().kind, Kind::TooLarge);
    place.write("b", &"x\n".repeat(600_000)).unwrap();
    assert_eq!(place.read("b").unwrap_err().kind, Kind::TooLarge);
}

#[test]
fn edits_are_all_or_nothing_and_report_everything_that_is_wrong() {
    let place = place();
    place.write("a", "one\n").unwrap();
    place.write("b", "one\n").unwrap();
    let failure = place
        .edit(&[("a", "one", "two"), ("b", "x", "y"), ("c", "x", "y")])
        .unwrap_err();
    assert!(failure.message.contains("b: edit 1") && failure.message.contains("c: file does not exist"));
    assert!(failure.message.ends_with("No edits were applied."));
    assert_eq!(place.read("a").unwrap(), "1\tone\n2\t");
    let diffs = place.edit(&[("a", "one", "two"), ("b", "one", "")]).unwrap();
    assert_eq!(diffs[0], "--- a\n+++ a\n@@ -1 +1 @@\n-one\n+two\n");
}

#[test]
fn one_file_under_two_names_is_refused() {
    let place = place();
    place.write("a", "one\n").unwrap();
    symlink("a", place.home().join("b")).unwrap();
    for second in ["a", "b", "./a"] {
        let failure = place
            .edit(&[("a", "one", "two"), (second, "one", "three")])
            .unwrap_err();
        assert!(
            failure.message.contains("listed twice") || failure.message.contains("same file"),
            "{failure:?}"
        );
    }
    assert_eq!(place.read("a").unwrap(), "1\tone\n2\t");
}

#[test]
fn a_directory_is_listed_in_order() {
    let place = place();
    place.write("b/x", "").unwrap();
    place.write("a", "").unwrap();
    let listed = list(&place.root, &ListDirectory { path: String::new() }).unwrap();
    let names: Vec<(&str, bool)> = listed
        .entries
        .iter()
        .map(|entry| (&*entry.name, entry.is_directory))
        .collect();
    assert_eq!(names, [("a", false), ("b", true)]);
    assert_eq!(Path::new(&listed.absolute_path), place.home());
    assert!(list(&place.root, &ListDirectory { path: "..".to_owned() }).is_err());
}
