//! Workspaces made to hurt: every file operation answers soon, with a result or a clear refusal.

use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::path::Resolver;
use super::*;

/// Longest time for one operation.
const SOON: Duration = Duration::from_secs(10);

/// Every operation on one path, each within its time. None may panic; what they say is for the caller to look at.
fn everything(place: &Place, path: &str) -> [Result<String, Failure>; 5] {
    let timed = |work: &dyn Fn() -> Result<String, Failure>| {
        let begun = Instant::now();
        let outcome = work();
        assert!(begun.elapsed() < SOON, "{path}: {:?}", begun.elapsed());
        outcome
    };
    let nothing = |()| String::new();
    [
        timed(&|| place.read(path)),
        timed(&|| {
            let path = path.to_owned();
            read_bytes(&place.root, &ReadBytes { path, max_bytes: 0 }).map(|read| read.resolved_path)
        }),
        timed(&|| place.write(path, "x").map(nothing)),
        timed(&|| place.edit(&[(path, "x", "y")]).map(|diffs| diffs.concat())),
        timed(&|| place.list(path).map(|listed| listed.absolute_path)),
    ]
}

#[test]
fn pipes_sockets_and_devices_are_refused_without_waiting() {
    let place = place();
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, place.home().join("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.home().join("socket")).unwrap();
    let mut paths = vec!["pipe", "socket", "/dev/zero", "/proc/self/mem", "/proc/self/fd/0"];
    // Only root may make devices: the kernel's own memory, zeros without end, and the terminal.
    let devices = [("mem", 1), ("zero", 5), ("tty", 0)];
    for (name, minor) in devices {
        let device = rustix::fs::makedev(if name == "tty" { 5 } else { 1 }, minor);
        if mknodat(CWD, place.home().join(name), FileType::CharacterDevice, mode, device).is_ok() {
            paths.push(name);
        }
    }
    for path in paths {
        for (index, outcome) in everything(&place, path).into_iter().enumerate() {
            let failure = outcome.unwrap_err();
            assert!(
                matches!(failure.kind, Kind::Invalid | Kind::OutsideWorkspace),
                "{path} {index}: {failure:?}"
            );
        }
    }
}

#[test]
fn files_of_any_size_cost_no_memory() {
    let place = place();
    let huge = std::fs::File::create(place.home().join("huge")).unwrap();
    huge.set_len(10 * 1024 * 1024 * 1024).unwrap();
    let begun = Instant::now();
    let path = "huge".to_owned();
    let bytes = read_bytes(&place.root, &ReadBytes { path, max_bytes: 0 });
    assert_eq!(bytes.unwrap_err().kind, Kind::TooLarge);
    assert_eq!(place.read("huge").unwrap_err().kind, Kind::TooLarge);
    assert_eq!(place.edit(&[("huge", "x", "y")]).unwrap_err().kind, Kind::TooLarge);
    // Replacing it needs none of it.
    place.write("huge", "small").unwrap();
    assert_eq!(place.read("huge").unwrap(), "1\tsmall");
    assert!(begun.elapsed() < SOON);
}

#[test]
fn bytes_that_are_no_text_are_read_as_well_as_they_can_be_and_never_edited() {
    let place = place();
    std::fs::write(place.home().join("binary"), b"x\x00\xff\xc3\n\x1b[2Jy").unwrap();
    assert_eq!(
        place.read("binary").unwrap(),
        "1\tx\u{fffd}\u{fffd}\u{fffd}\n2\t\u{1b}[2Jy"
    );
    let failure = place.edit(&[("binary", "x", "y")]).unwrap_err();
    assert!(failure.message.contains("not UTF-8 text"), "{failure:?}");
    place.write("nul", "a\0b\n").unwrap();
    let diff = place.edit(&[("nul", "b", "c")]).unwrap().concat();
    assert!(diff.contains("+a\u{fffd}c") && !diff.contains('\0'), "{diff:?}");
    assert_eq!(std::fs::read(place.home().join("nul")).unwrap(), b"a\0c\n");
}

#[test]
fn a_directory_with_more_names_than_are_shown_is_listed_soon() {
    let place = place();
    let many = place.home().join("many");
    std::fs::create_dir(&many).unwrap();
    let first = many.join("0");
    std::fs::write(&first, "").unwrap();
    let is_thorough = std::env::var_os("TANDEM_DRILL_ROUNDS").is_some();
    for index in 1..if is_thorough { 1_000_000 } else { 20_000 } {
        // Names cost less than files, and a file has only so many.
        if index % 50_000 == 0 {
            std::fs::write(many.join(format!("f{index}")), "").unwrap();
        }
        let from = if index < 50_000 {
            first.clone()
        } else {
            many.join(format!("f{}", index / 50_000 * 50_000))
        };
        std::fs::hard_link(from, many.join(index.to_string())).unwrap();
    }
    let begun = Instant::now();
    let listed = place.list("many").unwrap();
    assert!(begun.elapsed() < SOON);
    assert_eq!(listed.entries.len(), 10_000);
    assert!(place.read("many/777").is_ok());
}

#[test]
fn names_and_paths_of_every_length_and_kind_are_answered() {
    let place = place();
    let (long, deep) = ("n".repeat(255), "d/".repeat(1_000));
    place.write(&format!("{long}x"), "x").unwrap_err();
    place.write(&long, "x").unwrap();
    assert_eq!(place.read(&long).unwrap(), "1\tx");
    let deep = format!("{deep}file");
    place.write(&deep, "x\n").unwrap();
    assert!(place.edit(&[(&deep, "x", "y")]).is_ok());
    assert!(
        place
            .read(&"d/".repeat(3_000))
            .unwrap_err()
            .message
            .contains("too long")
    );
    // No UTF-8, a newline, control characters, what looks like an option.
    let strange = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    std::fs::write(place.home().join(strange), "").unwrap();
    for name in ["a\nb", "\u{1b}[2J", "-rf", "\u{202e}gnp.exe", "é", "e\u{301}", " "] {
        place.write(name, name).unwrap();
        assert!(place.read(name).is_ok(), "{name:?}");
    }
    let shown = place.list("").unwrap();
    assert!(shown.entries.iter().any(|entry| entry.name == "\u{fffd}\u{fffd}"));
}

#[test]
fn loops_and_chains_of_links_end() {
    for resolver in [Resolver::Kernel, Resolver::Handles] {
        let mut place = place();
        place.root = place.root.with(resolver);
        let home = place.home();
        symlink("self", home.join("self")).unwrap();
        symlink("b", home.join("a")).unwrap();
        symlink("a", home.join("b")).unwrap();
        symlink(home.join("y"), home.join("x")).unwrap();
        symlink(home.join("x"), home.join("y")).unwrap();
        for index in 0..100 {
            symlink(format!("chain{}", index + 1), home.join(format!("chain{index}"))).unwrap();
        }
        for path in ["self", "self/x", "a", "b/x", "x", "y/z", "chain0"] {
            for outcome in everything(&place, path) {
                assert!(outcome.is_err(), "{resolver:?} {path}");
            }
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a drill that could not run says so")]
fn a_full_disk_is_told_and_leaves_the_file_whole() {
    let place = place();
    let disk = place.home().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        eprintln!("not run: no tmpfs can be mounted here");
        return;
    }
    let _mount = Mount(disk.clone());
    place.write("disk/file", "before\n").unwrap();
    let large = "x".repeat(2 * 1024 * 1024);
    let failure = place.write("disk/file", &large).unwrap_err();
    assert_eq!(failure.kind, Kind::NoSpace);
    assert!(failure.message.contains("no space left"), "{failure:?}");
    assert_eq!(place.write("disk/new", &large).unwrap_err().kind, Kind::NoSpace);
    assert_eq!(
        place.edit(&[("disk/file", "before", &large)]).unwrap_err().kind,
        Kind::NoSpace
    );
    let names: Vec<_> = std::fs::read_dir(&disk)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"], "temporary files are left");
    assert_eq!(place.read("disk/file").unwrap(), "1\tbefore\n2\t");
    place.write("disk/file", "after\n").unwrap();
    assert_eq!(place.read("disk/file").unwrap(), "1\tafter\n2\t");
}

/// A file system that goes with the test.
struct Mount(std::path::PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
