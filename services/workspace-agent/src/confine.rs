//! What the agent gives up before it does anything: new privileges, most of the file system, and unbounded resources.
//!
//! Everything it starts inherits this. A host that lacks a mechanism costs that mechanism alone, and the agent says so in its hello.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Error;
use crate::setup::{Limits, Setup};

/// The newest rules the agent asks for; an older kernel enforces what it knows.
const LANDLOCK_ABI: ABI = ABI::V6;

/// What processes may read and execute besides the workspace: the system, nobody's data.
const READABLE: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc",
    "/opt",
    "/proc",
    "/run/systemd/resolve",
    "/sys/devices/system/cpu",
    "/dev/pts",
];

/// Devices that are no device really.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Confines the calling thread and all it will start. Returns the names of what is enforced.
///
/// # Errors
/// A step that every host can do failed. A host without Landlock is no error.
pub(crate) fn apply(setup: &Setup) -> Result<Vec<String>, Error> {
    let step = |what| {
        move |errno: rustix::io::Errno| Error::Confine {
            what,
            source: errno.into(),
        }
    };
    if setup.is_users_host {
        // Only what keeps the agent's own affairs in order.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(step("adopt what is left behind"))?;
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("hide its memory"))?;
        return Ok(Vec::new());
    }
    // A command that shares the session of whoever started the agent could type into their terminal. A session leader of its own,
    // as which a sandbox may have started us, is refused here and needs nothing.
    let _ = rustix::process::setsid();
    // What leaves its group and its parent becomes ours, so that it can be ended with the rest.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(step("adopt what is left behind"))?;
    // Processes of the same user must not read the link's token out of the agent's memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("hide its memory"))?;
    rustix::thread::set_no_new_privs(true).map_err(step("refuse new privileges"))?;
    limit(&setup.limits).map_err(step("limit resources"))?;
    let mut enforced = vec!["no-new-privileges".to_owned(), "limits".to_owned()];
    if !rustix::process::getuid().is_root() {
        enforced.push("user".to_owned());
    }
    match restrict_files(setup) {
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => enforced.push("landlock".to_owned()),
        Ok(RulesetStatus::NotEnforced) => tracing::warn!("this kernel has no landlock"),
        Err(error) => {
            let source = io::Error::other(error);
            return Err(Error::Confine {
                what: "restrict the file system",
                source,
            });
        }
    }
    Ok(enforced)
}

fn limit(limits: &Limits) -> rustix::io::Result<()> {
    // The kernel counts all threads of the user. Where the workspace has no user of its own, those of others must not use it up.
    let max_processes = limits.max_processes.saturating_add(threads_of_user());
    let bounds = [
        (Resource::Nproc, max_processes),
        // Not the address space: much of it is only reserved by some languages.
        (Resource::Data, limits.max_data_bytes),
        (Resource::Core, 0),
        (Resource::Fsize, limits.max_file_bytes),
        (Resource::Nofile, limits.max_open_files),
    ];
    for (resource, most) in bounds {
        // A host that allows less stays the stricter one.
        let most = getrlimit(resource).maximum.map_or(most, |host| host.min(most));
        setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        )?;
    }
    Ok(())
}

/// Threads of our user that this system shows us, ours included.
fn threads_of_user() -> u64 {
    let user = rustix::process::getuid().as_raw();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let ours = processes.flatten().filter(|entry| {
        let is_process = entry
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        is_process && entry.metadata().is_ok_and(|found| found.uid() == user)
    });
    ours.map(|process| std::fs::read_dir(process.path().join("task")).map_or(1, |threads| threads.count() as u64))
        .sum()
}

fn restrict_files(setup: &Setup) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(LANDLOCK_ABI);
    let read = AccessFs::from_read(LANDLOCK_ABI);
    let device: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let writable: Vec<PathBuf> = std::iter::once(&setup.home)
        .chain(&setup.writable)
        .filter(|path| is_directory(path))
        .cloned()
        .collect();
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        // Processes talk to the agent with its own program.
        .add_rules(path_beneath_rules(std::env::current_exe().ok(), read))?
        .add_rules(path_beneath_rules(writable, all))?
        .restrict_self()?;
    Ok(status.ruleset)
}

fn is_directory(path: &Path) -> bool {
    path.is_dir()
}
