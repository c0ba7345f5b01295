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

    /// Refuses a directory behind one that lets the server's user not pass, as home directories of root are: its programs would only say
    /// "permission denied".
    pub(super) async fn refuse_unreachable(&self, directory: &Path) -> Result<(), Error> {
        let (Some(ids), Some(user)) = (self.ids, self.names.last()) else {
            return Ok(());
        };
        let mut probe = tokio::process::Command::new("test");
        probe.arg("-x").arg(directory).current_dir("/");
        self.apply(&mut probe);
        // Asked of the kernel, who knows of more than modes; the modes then say where the way ends.
        if probe.status().await.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        let way: Vec<&Path> = directory.ancestors().collect();
        match way.into_iter().rev().find(|step| !may_pass(step, ids)) {
            Some(closed) => Err(Error::Unreachable {
                user: user.clone(),
                closed: closed.to_owned(),
                directory: directory.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Lets a command run as the server's user, without root's other groups.
    pub(super) fn apply(&self, command: &mut tokio::process::Command) {
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
    }
}

/// Whether a directory's mode lets this user and group pass.
fn may_pass(directory: &Path, (user, group): (u32, u32)) -> bool {
    let Ok(metadata) = std::fs::metadata(directory) else {
        return true;
    };
    let needed = match (metadata.uid() == user, metadata.gid() == group) {
        (true, _) => 0o100,
        (false, true) => 0o010,
        (false, false) => 0o001,
    };
    metadata.mode() & needed != 0
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_directory_the_server_cannot_get_to_is_refused_with_the_one_that_is_closed() {
        let owner = Owner::choose().unwrap();
        let Some(ids) = owner.ids else {
            // Only root gives the server another user.
            return;
        };
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        std::fs::create_dir(&directory).unwrap();
        let close = |mode| std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(mode)).unwrap();

        close(0o711);
        owner.refuse_unreachable(&directory).await.unwrap();
        assert!(may_pass(parent.path(), ids));

        close(0o700);
        let refused = owner.refuse_unreachable(&directory).await.unwrap_err();
        let Error::Unreachable { closed, .. } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(closed, parent.path());
        let said = refused.to_string();
        assert!(said.contains("chmod o+x") && said.contains("TANDEM_DATA_DIR"), "{said}");
    }
}
