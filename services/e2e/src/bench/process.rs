//! What the kernel says of a process and its descendants: memory and processor time.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::Context as _;

/// Memory of one process, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Everything resident, pages of the program file included.
    pub resident: u64,
    /// The part no file backs: heap and stacks.
    pub anonymous: u64,
    /// Resident, with shared pages divided among those who share them. Sums of it count nothing twice.
    pub proportional: u64,
}

/// Memory of a process now.
///
/// # Errors
/// When the process is gone or belongs to somebody else.
pub fn memory(process: u32) -> anyhow::Result<Memory> {
    let read = |name: &str| {
        let path = format!("/proc/{process}/{name}");
        fs::read_to_string(&path).with_context(|| format!("could not read {path}"))
    };
    let status = read("status")?;
    let rollup = read("smaps_rollup")?;
    Ok(Memory {
        resident: field(&status, "VmRSS:")?,
        anonymous: field(&status, "RssAnon:")?,
        proportional: field(&rollup, "Pss:")?,
    })
}

/// Processor time of a process's present threads, far finer than ticks. What ended threads used is not in it.
///
/// # Errors
/// When the process is gone, or the kernel keeps no such account.
pub fn running_time(process: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/task");
    let tasks = fs::read_dir(&path).with_context(|| format!("could not read {path}"))?;
    // A thread may end between the list and the look.
    let times = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    let times: Vec<u64> = times.collect();
    anyhow::ensure!(!times.is_empty(), "the kernel tells no running times");
    Ok(Duration::from_nanos(times.iter().sum()))
}

fn field(text: &str, name: &str) -> anyhow::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("the kernel tells no {name}"))
}

/// A process as `/proc/<id>/stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    id: u32,
    name: String,
    parent: u32,
    /// Ticks used by the process itself.
    own: u64,
    /// Ticks used by children that have ended.
    ended_children: u64,
}

impl Stat {
    /// `id (name) state ppid …`, where the name may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Counted from `state`, which is field 3 in the manual.
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            id: id.parse().ok()?,
            name: name.to_owned(),
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

/// Processes below a program: itself, and the database it started if it did.
#[derive(Debug, Clone)]
pub struct Family {
    root: u32,
    descendants: Vec<Stat>,
}

impl Family {
    /// The process and its descendants now.
    ///
    /// # Errors
    /// When `/proc` cannot be read or the process is gone.
    pub fn of(root: u32) -> anyhow::Result<Self> {
        let stats = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
            let text = fs::read_to_string(entry.path().join("stat")).ok()?;
            Stat::parse(&text)
        });
        let all: HashMap<u32, Stat> = stats.map(|stat| (stat.id, stat)).collect();
        all.get(&root).context("the process is gone")?;
        let is_below = |stat: &Stat| {
            let mut at = stat;
            // Bounded: a chain of parents ends at process 1, and processes come and go while we read.
            for _ in 0..all.len() {
                if at.id == root {
                    return true;
                }
                match all.get(&at.parent) {
                    Some(parent) => at = parent,
                    None => return false,
                }
            }
            false
        };
        let descendants = all.values().filter(|stat| is_below(stat)).cloned().collect();
        Ok(Self { root, descendants })
    }

    /// Processor time of the program itself, its database excluded.
    pub fn own_time(&self) -> Duration {
        let own = self.descendants.iter().filter(|stat| stat.id == self.root);
        ticks(own.map(|stat| stat.own).sum())
    }

    /// Processor time of the database: its server and all backends, ended ones included.
    pub fn database_time(&self) -> Duration {
        let mut sum = 0;
        for stat in self.descendants.iter().filter(|stat| is_database(stat)) {
            sum += stat.own + stat.ended_children;
        }
        ticks(sum)
    }

    /// Processor time of the program, its database and everything else below it, ended processes included.
    pub fn all_time(&self) -> Duration {
        ticks(self.descendants.iter().map(|stat| stat.own + stat.ended_children).sum())
    }

    /// Memory of the database's processes in KiB, shared pages counted once.
    pub fn database_memory(&self) -> u64 {
        let database = self.descendants.iter().filter(|stat| is_database(stat));
        // A backend may end between the list and the look.
        database
            .filter_map(|stat| memory(stat.id).ok())
            .map(|memory| memory.proportional)
            .sum()
    }

    /// Memory of all processes but the program itself and its database in KiB, shared pages counted once: workspaces.
    pub fn others_memory(&self) -> u64 {
        // A command may end between the list and the look.
        self.others()
            .filter_map(|stat| memory(stat.id).ok())
            .map(|memory| memory.proportional)
            .sum()
    }

    /// Processor time of the same processes, ended children of theirs included.
    pub fn others_time(&self) -> Duration {
        ticks(self.others().map(|stat| stat.own + stat.ended_children).sum())
    }

    fn others(&self) -> impl Iterator<Item = &Stat> {
        let all = self.descendants.iter();
        all.filter(|stat| stat.id != self.root && !is_database(stat))
    }

    /// How many processes the database has.
    pub fn database_processes(&self) -> usize {
        self.descendants.iter().filter(|stat| is_database(stat)).count()
    }
}

fn is_database(stat: &Stat) -> bool {
    stat.name.starts_with("postgres")
}

/// Ticks of the kernel's accounting, which programs are told in hundredths of a second on every Linux.
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let text = "42 (a) (b c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 30 4 20 0 1 0 99 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.id, stat.name.as_str(), stat.parent), (42, "a) (b c", 7));
        assert_eq!((stat.own, stat.ended_children), (120, 34));
    }

    #[test]
    fn this_process_has_memory_and_is_its_own_family() {
        let id = std::process::id();
        let memory = memory(id).unwrap();
        assert!(
            memory.resident >= memory.anonymous && memory.anonymous > 0,
            "{memory:?}"
        );
        let family = Family::of(id).unwrap();
        assert!(family.descendants.iter().any(|stat| stat.id == id));
        assert_eq!(family.database_processes(), 0);
        assert!(running_time(id).unwrap() > Duration::ZERO);
    }
}
