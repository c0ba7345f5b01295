//! Paths that change while they are opened: whatever a process in the workspace swaps, nothing outside is touched.

use std::fs::{self, DirBuilder};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::super::path::Resolver;
use super::*;

/// Opens of one round. `TANDEM_DRILL_ROUNDS` asks for more rounds.
const OPENS: usize = 100_000;

fn opens() -> usize {
    let asked = std::env::var("TANDEM_DRILL_ROUNDS").unwrap_or_default();
    OPENS * asked.parse::<usize>().unwrap_or(1).clamp(1, 10)
}

/// Exchanges two names in one step.
fn exchange(home: &Path, one: &str, other: &str) {
    renameat_with(CWD, home.join(one), CWD, home.join(other), RenameFlags::EXCHANGE).unwrap();
}

/// A workspace whose door leads inside and outside in turn, and a file outside that nobody may see.
fn doors(place: &Place) {
    let home = place.home();
    let outside = place.directory.path().join("outside");
    for directory in [
        &outside.join("deep"),
        &home.join("inside/deep"),
        &home.join("room/deep"),
    ] {
        DirBuilder::new().recursive(true).create(directory).unwrap();
        fs::write(directory.join("file"), "mine").unwrap();
    }
    fs::write(outside.join("deep/file"), "s3cret").unwrap();
    // A link and a directory, a link into the workspace and one out of it, a link to a file and a file.
    symlink(&outside, home.join("away")).unwrap();
    symlink("inside", home.join("door")).unwrap();
    symlink("../outside", home.join("trap")).unwrap();
    fs::write(home.join("leaf"), "mine").unwrap();
    symlink(outside.join("deep/file"), home.join("bait")).unwrap();
}

/// Swaps the doors until it is told to stop.
fn swap(home: &Path, is_over: &AtomicBool) -> usize {
    let mut count = 0_usize;
    while !is_over.load(Ordering::Relaxed) {
        exchange(home, "room", "away");
        exchange(home, "door", "trap");
        exchange(home, "leaf", "bait");
        // The directory above is moved out from under a walk that is inside it.
        exchange(home, "inside/deep", "bait");
        exchange(home, "inside/deep", "bait");
        count += 5;
        // A write that lost its race has put a file in place of the link.
        if count.is_multiple_of(500) && !home.join("leaf").is_symlink() && !home.join("bait").is_symlink() {
            let _ = fs::remove_file(home.join("bait"));
            let _ = symlink(home.parent().unwrap().join("outside/deep/file"), home.join("bait"));
        }
    }
    count
}

/// How often something of outside was seen.
fn escapes(place: &Place, opens: usize) -> usize {
    let paths = [
        "room/deep/file",
        "away/deep/file",
        "door/deep/file",
        "door/../room/deep/file",
        "trap/deep/file",
        "leaf",
        "bait",
        "inside/deep/file",
        "room/deep/../../leaf",
        "inside/deep/../../../outside/deep/file",
    ];
    let mut count = 0_usize;
    for index in 0..opens {
        let path = paths[index % paths.len()];
        match index / paths.len() % 10 {
            0 => {
                // What is written is the owner's, wherever it ends up inside.
                let _ = place.write(path, "mine");
            }
            1 => count += usize::from(place.edit(&[(path, "s3cret", "lost")]).is_ok()),
            _ => {
                if let Ok((file, _)) = place.root.open_file(path) {
                    let read = std::io::read_to_string(file).unwrap();
                    count += usize::from(read.contains("s3cret"));
                }
            }
        }
    }
    count
}

fn race(resolver: Resolver, opens: usize) {
    let mut place = place();
    place.root = place.root.with(resolver);
    doors(&place);
    let is_over = AtomicBool::new(false);
    let found = AtomicUsize::new(0);
    let swaps = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| swap(place.home(), &is_over));
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| found.fetch_add(escapes(&place, opens / 2), Ordering::Relaxed)))
            .collect();
        for reader in readers {
            reader.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        swapping.join().unwrap()
    });
    assert!(swaps > opens / 100, "only {swaps} swaps");
    assert_eq!(found.into_inner(), 0, "{resolver:?}");
    let outside = place.directory.path().join("outside");
    assert_eq!(fs::read_to_string(outside.join("deep/file")).unwrap(), "s3cret");
    for (directory, only) in [(outside.join("deep"), "file"), (outside, "deep")] {
        let names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [only]);
    }
}

#[test]
fn what_is_swapped_meanwhile_never_leads_out() {
    race(Resolver::Kernel, opens());
}

#[test]
fn what_is_swapped_meanwhile_never_leads_out_without_openat2() {
    race(Resolver::Handles, opens() / 4);
}
