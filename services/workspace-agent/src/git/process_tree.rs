//! Which program a process is, and who started it, as the kernel tells it.

use std::path::PathBuf;

/// How far up ancestors are looked for.
const MAX_DEPTH: usize = 64;

/// A process as the system shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) parent: i32,
    pub(super) group: i32,
}

/// A running process.
pub(super) fn look(id: i32) -> Option<Seen> {
    let line = std::fs::read(format!("/proc/{id}/stat")).ok()?;
    let line = String::from_utf8_lossy(&line);
    // The name stands in brackets and may hold anything, brackets too.
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    Some(Seen {
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// The program a process runs.
pub(super) fn program(id: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{id}/exe")).ok()
}

/// The process and those above it, each with its group, the nearest first.
pub(super) fn lineage(id: i32) -> Vec<(i32, i32)> {
    let mut all = Vec::new();
    let mut next = id;
    while all.len() < MAX_DEPTH && next > 0 {
        let Some(seen) = look(next) else { break };
        all.push((next, seen.group));
        next = seen.parent;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_its_parent_above_it() {
        let us = i32::try_from(std::process::id()).unwrap();
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        let lineage: Vec<i32> = lineage(us).into_iter().map(|(id, _)| id).collect();
        assert_eq!(lineage[..2], [us, parent]);
        assert_eq!(program(us), std::env::current_exe().ok());
    }
}
