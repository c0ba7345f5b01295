//! As whom the server runs. PostgreSQL refuses to be root, so root gives it another user; everybody else runs it as themselves.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::Error;

/// Users that may exist for this, best first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The server's user.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// Its name, and ours: who may connect as the database's role.
    pub(super) names: Vec<String>,
    /// Set when it is not ourselves.
    pub(super) ids: Option<(u32, u32)>,
}

impl Owner {
    pub(super) fn choose() -> Result<Self, Error> {
        let own_id = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(Error::io("read /etc/passwd"))?;
        let users = || passwd.lines().filter_map(User::parse);
        let own_name = users()
            .find(|user| user.id == own_id)
            .map_or_else(|| own_id.to_string(), |user| user.name);
        if own_id != 0 {
            return Ok(Self {
                names: vec![own_name],
                ids: None,
            });
        }
        let server = CANDIDATES
            .iter()
            .find_map(|name| users().find(|user| user.name == *name))
            .ok_or(Error::NoUser)?;
        Ok(Self {
            names: vec![own_name, server.name],
            ids: Some((server.id, server.group)),
        })
    }

    /// Gives a file or directory to the server.
    pub(super) fn own(&self, path: &Path) -> Result<(), Error> {
        let Some((user, group)) = self.ids else { return Ok(()) };
        chown(path, Some(user), Some(group)).map_err(Error::io(format!("give {} to PostgreSQL", path.display())))
    }

    /// Refuses a path that somebody else put there: a link, or a directory of another user.
    pub(super) fn refuse_foreign(&self, path: &Path) -> Result<(), Error> {
        let Ok(metadata) = std::fs::symlink_metadata(path) else {
            return Ok(());
        };
        let server = self.ids.map(|(user, _)| user);
        let is_ours = metadata.uid() == rustix::process::getuid().as_raw() || Some(metadata.uid()) == server;
        if is_ours && metadata.is_dir() {
            return Ok(());
        }
        let problem = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "it belongs to somebody else");
        Err(Error::io(format!("use {}", path.display()))(problem))
    }

    /// Lets a command run as the server's user, without root's other groups.
    pub(super) fn apply(&self, command: &mut tokio::process::Command) {
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
    }
}

struct User {
    name: String,
    id: u32,
    group: u32,
}

impl User {
    /// A line of `/etc/passwd`: `name:password:uid:gid:…`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let id = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Self { name, id, group })
    }
}
