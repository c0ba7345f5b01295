//! How an agent is shut in: a user of its own, a file system of its own, or what of that this host can do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use tandem_proto::tool::v1::ConfinementMechanism;
use tokio::process::Command;

use super::cgroup::Version;
use crate::config::Network;

/// Time for the trial run of the sandbox.
const PROBE_TIME: Duration = Duration::from_secs(5);

/// System directories shown inside, read-only. Links among them are made as links.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/run/systemd/resolve",
];

/// Directories within those that hold our own settings, shown empty.
const SECRET: [&str; 1] = ["/etc/tandem"];

/// What this host can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sandbox {
    /// We are root and give each workspace a user of its own.
    pub(super) has_users: bool,
    /// `bwrap` works, and `setpriv` too where users are given.
    pub(super) has_namespaces: bool,
    /// The kernel enforces Landlock's rules, which agents ask for.
    pub(super) has_landlock: bool,
    /// Control groups bound workspaces as a whole.
    pub(super) cgroup: Option<Version>,
    /// What workspaces reach of the network.
    pub(super) network: Network,
    /// Size of each file system in memory, in bytes, where `bwrap` can bound it. What lies there is not freed by killing anything.
    pub(super) memory_files: Option<u64>,
}

/// Where an agent lives.
pub(super) struct Room<'a> {
    pub(super) home: &'a Path,
    /// The directory of the link's socket, if it is one.
    pub(super) link: Option<&'a Path>,
    /// User and group id.
    pub(super) user: u32,
    /// The file in which the kernel counts what it kills for want of memory.
    pub(super) memory_events: Option<&'a Path>,
    /// How the agent enters its control group: see [`super::cgroup::Group::doors`].
    pub(super) doors: &'a [String],
}

/// Enters the control groups named before `--` and becomes the program named behind it.
const ENTER: &str = r#"while [ "$1" != -- ]; do echo 0 > "$1" || exit 70; shift; done; shift; exec "$@""#;

impl Sandbox {
    /// Tries what works here. `user` is one that workspaces can be given, if there are such.
    pub(super) async fn probe(
        user: Option<u32>,
        cgroup: Option<Version>,
        network: Network,
        memory_files: Option<u64>,
    ) -> Self {
        let trial = Self {
            has_users: user.is_some(),
            has_namespaces: true,
            has_landlock: has_landlock(),
            cgroup,
            network,
            memory_files: if bounds_sizes().await { memory_files } else { None },
        };
        let room = Room {
            home: Path::new("/usr"),
            link: None,
            user: user.unwrap_or_default(),
            memory_events: None,
            doors: &[],
        };
        let mut command = trial.command(&["/bin/true".to_owned()], &room);
        let run = command.kill_on_drop(true).stdin(std::process::Stdio::null()).output();
        let has_namespaces = match tokio::time::timeout(PROBE_TIME, run).await {
            Ok(Ok(output)) => output.status.success(),
            Ok(Err(_)) | Err(_) => false,
        };
        Self {
            has_namespaces,
            ..trial
        }
    }

    /// Whether what runs inside really has no network but its own loopback, found out inside.
    pub(super) async fn is_cut_off(self, user: Option<u32>) -> bool {
        let room = Room {
            home: Path::new("/usr"),
            link: None,
            user: user.unwrap_or_default(),
            memory_events: None,
            doors: &[],
        };
        let mut command = self.command(&["/bin/cat", "/proc/net/dev"].map(str::to_owned), &room);
        let run = command.kill_on_drop(true).stdin(std::process::Stdio::null()).output();
        let Ok(Ok(output)) = tokio::time::timeout(PROBE_TIME, run).await else {
            return false;
        };
        self.has_namespaces && output.status.success() && is_loopback_alone(&String::from_utf8_lossy(&output.stdout))
    }

    /// The command that runs `program` in `room`. Its environment is empty.
    pub(super) fn command(self, program: &[String], room: &Room<'_>) -> Command {
        let mut words = Vec::new();
        if self.has_namespaces {
            if !room.doors.is_empty() {
                words.extend(["/bin/sh", "-c", ENTER, "sh"].map(str::to_owned));
                words.extend(room.doors.iter().cloned());
                words.push("--".to_owned());
            }
            words.extend(self.wrapper(program, room));
        }
        words.extend(program.iter().cloned());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear();
        if self.has_users && !self.has_namespaces {
            command.uid(room.user).gid(room.user);
        }
        command
    }

    fn wrapper(self, program: &[String], room: &Room<'_>) -> Vec<String> {
        let mut words: Vec<String> = [
            "bwrap",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--die-with-parent",
            // A command that shares our session could type into our terminal.
            "--new-session",
        ]
        .map(str::to_owned)
        .into();
        let mut add = |parts: &[&str]| words.extend(parts.iter().map(|part| (*part).to_owned()));
        if self.network == Network::None {
            add(&["--unshare-net"]);
        }
        for directory in SYSTEM {
            match std::fs::read_link(directory) {
                Ok(target) => add(&["--symlink", &target.to_string_lossy(), directory]),
                Err(_) => add(&["--ro-bind-try", directory, directory]),
            }
        }
        for directory in SECRET.iter().filter(|directory| Path::new(directory).is_dir()) {
            add(&["--perms", "0755", "--tmpfs", directory]);
        }
        add(&["--proc", "/proc", "--dev", "/dev"]);
        for directory in ["/tmp", "/dev/shm"] {
            if let Some(size) = self.memory_files {
                add(&["--size", &size.to_string()]);
            }
            add(&["--perms", "1777", "--tmpfs", directory]);
        }
        let program = program.first().filter(|program| !is_system(program)).map(Path::new);
        for directory in parents(
            [Some(room.home), room.link, program, room.memory_events]
                .into_iter()
                .flatten(),
        ) {
            // What is made on the way to a binding would be closed to other users.
            add(&["--perms", "0755", "--dir", &directory.to_string_lossy()]);
        }
        if let Some(program) = program.map(Path::to_string_lossy) {
            add(&["--ro-bind", &program, &program]);
        }
        if let Some(events) = room.memory_events.map(Path::to_string_lossy) {
            add(&["--ro-bind-try", &events, &events]);
        }
        let home = room.home.to_string_lossy();
        add(&["--bind", &home, &home, "--chdir", &home]);
        if let Some(link) = room.link {
            let link = link.to_string_lossy();
            add(&["--ro-bind", &link, &link]);
        }
        if self.has_users {
            // The sandbox is built as root, which needs no user namespaces, and entered as the workspace's user.
            let user = room.user.to_string();
            add(&["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"]);
            add(&[
                "setpriv",
                "--reuid",
                &user,
                "--regid",
                &user,
                "--clear-groups",
                "--inh-caps=-all",
                "--",
            ]);
        } else {
            add(&["--unshare-user-try", "--"]);
        }
        words
    }

    /// What confines workspaces here, for people.
    pub(super) fn mechanisms(self) -> Vec<ConfinementMechanism> {
        let mechanism = |name: &str, is_enforced, detail: &str| ConfinementMechanism {
            name: name.to_owned(),
            is_enforced,
            detail: detail.to_owned(),
        };
        vec![
            if self.has_users {
                mechanism("user", true, "each workspace runs as a user of its own")
            } else {
                mechanism(
                    "user",
                    false,
                    "workspaces run as the user Tandem runs as; run Tandem as root, with user ids to give, to separate them",
                )
            },
            if self.has_namespaces {
                mechanism(
                    "namespaces",
                    true,
                    "each workspace sees its own files and processes and the system, read-only",
                )
            } else {
                mechanism(
                    "namespaces",
                    false,
                    if self.has_users {
                        "install bubblewrap (bwrap) and util-linux (setpriv), and allow namespaces"
                    } else {
                        "install bubblewrap (bwrap) and allow user namespaces: without them commands reach the sockets of this user, \
                         Tandem's own database among them"
                    },
                )
            },
            if self.has_landlock {
                mechanism(
                    "landlock",
                    true,
                    "only the workspace can be written, and only the system can be read besides",
                )
            } else {
                mechanism(
                    "landlock",
                    false,
                    "the kernel has no Landlock; Linux 5.13 or later with Landlock enabled has it",
                )
            },
            mechanism(
                "limits",
                true,
                "processes, their data, open files and file sizes are limited",
            ),
            match self.cgroup {
                Some(version) => mechanism(
                    "cgroup",
                    true,
                    match version {
                        Version::Two => "memory, processes and processor time of each workspace as a whole are bounded",
                        Version::One => {
                            "memory, processes and processor time of each workspace as a whole are bounded (control groups version 1)"
                        }
                    },
                ),
                None => mechanism(
                    "cgroup",
                    false,
                    "memory and processor time of a workspace as a whole are bounded by Tandem's own service limits alone; give \
                     Tandem control groups of its own (systemd: Delegate=yes) with memory, pids and cpu",
                ),
            },
            match self.network {
                Network::None => mechanism("network", true, "workspaces have no network"),
                Network::Open => mechanism(
                    "network",
                    false,
                    "workspaces reach whatever this machine reaches; set limits.network = \"none\" to cut them off",
                ),
            },
            mechanism("no-new-privileges", true, "programs cannot gain privileges"),
        ]
    }
}

/// The directories above `paths` that the sandbox does not have yet, outermost first.
fn parents<'a>(paths: impl Iterator<Item = &'a Path>) -> BTreeSet<&'a Path> {
    let is_missing = |path: &&Path| *path != Path::new("/") && *path != Path::new("/tmp") && !is_system(path);
    paths
        .flat_map(|path| path.ancestors().skip(1))
        .filter(is_missing)
        .collect()
}

/// Whether the kernel makes a ruleset when it is asked for the oldest one.
fn has_landlock() -> bool {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1));
    ruleset.and_then(Ruleset::create).is_ok()
}

/// Whether `bwrap` knows how to bound a file system in memory; older ones do not.
async fn bounds_sizes() -> bool {
    let mut command = Command::new("bwrap");
    let run = command
        .arg("--help")
        .kill_on_drop(true)
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(Ok(output)) = tokio::time::timeout(PROBE_TIME, run).await else {
        return false;
    };
    [output.stdout, output.stderr]
        .iter()
        .any(|text| String::from_utf8_lossy(text).contains("--size"))
}

/// Whether a table of network devices names the loopback and nothing else.
fn is_loopback_alone(table: &str) -> bool {
    let mut devices = table
        .lines()
        .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()));
    devices.next() == Some("lo") && devices.next().is_none()
}

fn is_system(path: impl AsRef<Path>) -> bool {
    SYSTEM.iter().any(|directory| path.as_ref().starts_with(directory))
}

/// The program's absolute path without links, so that the same file is found inside.
pub(super) fn resolve(program: &str) -> std::io::Result<PathBuf> {
    if program.contains('/') {
        return Path::new(program).canonicalize();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file());
    found
        .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?
        .canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_besides_the_loopback_are_seen() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n    lo:       0       0\n";
        assert!(is_loopback_alone(table));
        assert!(!is_loopback_alone(&format!("{table}  eth0:  1 1\n")));
        assert!(!is_loopback_alone(""));
    }

    #[test]
    fn programs_of_the_system_need_no_binding_of_their_own() {
        assert!(is_system("/usr/bin/tandem"));
        assert!(!is_system("/root/tandem"));
    }
}
