//! Files on a real directory: escapes, races, and all-or-nothing.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tandem_proto::workspace::v1::{
    Edit, EditFiles, FileEdits, ListDirectory, ListDirectoryResult, OperationErrorKind as Kind, ReadBytes, ReadFile,
    WriteFile,
};
use tempfile::TempDir;

use super::*;
use crate::error::Failure;

mod hostile;
mod race;

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

    fn list(&self, path: &str) -> Result<ListDirectoryResult, Failure> {
        list(&self.root, &ListDirectory { path: path.to_owned() })
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
    let listed = place.list("").unwrap();
    let names: Vec<(&str, bool)> = listed
        .entries
        .iter()
        .map(|entry| (&*entry.name, entry.is_directory))
        .collect();
    assert_eq!(names, [("a", false), ("b", true)]);
    assert_eq!(Path::new(&listed.absolute_path), place.home());
    assert!(place.list("..").is_err());
    // A directory that is a link tells where it leads.
    symlink("b", place.home().join("c")).unwrap();
    assert_eq!(
        Path::new(&place.list("c").unwrap().absolute_path),
        place.home().join("b")
    );
}

#[test]
fn the_worst_of_several_failures_names_them_all() {
    let place = place();
    place.write("a", "one\n").unwrap();
    place.write("c", "\u{1f642}").unwrap();
    std::fs::write(place.home().join("d"), b"\xff\xfe").unwrap();
    let wrong = [("a", "two", "x"), ("b", "x", "y"), ("c", "", "y"), ("d", "x", "y")];
    let failure = place.edit(&wrong).unwrap_err();
    assert_eq!(failure.kind, Kind::NotFound);
    for part in [
        "a: edit 1: search string was not found",
        "b: file does not exist",
        "c: edit 1: search string must not be empty",
        "d: the file is not UTF-8 text",
    ] {
        assert!(failure.message.contains(part), "{failure:?}");
    }
}

#[test]
fn a_listing_of_one_file_twice_is_told_before_anything_else() {
    let place = place();
    place.write("a", "one\n").unwrap();
    let failure = place
        .edit(&[("a", "missing", "x"), ("b", "x", "y"), ("a", "one", "two")])
        .unwrap_err();
    assert!(failure.message.starts_with("a is listed twice"), "{failure:?}");
}

#[test]
fn bytes_are_read_whole_with_their_real_path_and_a_bound() {
    let place = place();
    let bytes = b"\x00\xff\r\n".repeat(100);
    std::fs::write(place.home().join("a"), &bytes).unwrap();
    symlink("a", place.home().join("link")).unwrap();
    let read = |path: &str, max_bytes| {
        let path = path.to_owned();
        read_bytes(&place.root, &ReadBytes { path, max_bytes })
    };
    let found = read("link", 0).unwrap();
    assert_eq!(
        (found.content, Path::new(&found.resolved_path)),
        (bytes, &*place.home().join("a"))
    );
    assert!(read("a", 400).is_ok());
    assert_eq!(read("a", 399).unwrap_err().kind, Kind::TooLarge);
    let large = std::fs::File::create(place.home().join("large")).unwrap();
    large.set_len(10 * 1024 * 1024 + 1).unwrap();
    assert_eq!(read("large", i64::MAX).unwrap_err().kind, Kind::TooLarge);
    assert_eq!(read("missing", 0).unwrap_err().kind, Kind::NotFound);
}
