//! The directory where one machine keeps everything: database, secrets, workspaces.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tandem_chassis::identity::ServiceSecret;

use crate::config::variable;

/// A machine's data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// `TANDEM_DATA_DIR`, else the usual place: `/var/lib/tandem` for root, `~/.local/share/tandem` for everybody else.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let path = match variable("TANDEM_DATA_DIR") {
            Some(path) => PathBuf::from(path),
            None if rustix::process::getuid().is_root() => PathBuf::from("/var/lib/tandem"),
            None => {
                let home = variable("HOME").context("neither TANDEM_DATA_DIR nor HOME is set")?;
                PathBuf::from(home).join(".local/share/tandem")
            }
        };
        let path = std::path::absolute(&path).context("TANDEM_DATA_DIR is not a path")?;
        Ok(Self(path))
    }

    /// Makes the directory. Others may pass through it, to workspaces of theirs, but not look around.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        for (path, mode) in [(self.0.clone(), 0o711), (self.0.join("secrets"), 0o700)] {
            std::fs::create_dir_all(&path)
                .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
                .with_context(|| format!("could not make the data directory {}", path.display()))?;
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub(crate) fn workspaces(&self) -> PathBuf {
        self.0.join("workspaces")
    }

    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.0.join("secrets").join(name)
    }

    /// What services prove themselves to each other with: `TANDEM_SERVICE_SECRET`, else a file made at the first start.
    pub(crate) fn service_secret(&self) -> anyhow::Result<ServiceSecret> {
        match variable("TANDEM_SERVICE_SECRET") {
            Some(text) => ServiceSecret::from_hex(&text).context("TANDEM_SERVICE_SECRET cannot be used"),
            None => Ok(ServiceSecret::load_or_create(&self.secret("service"))?),
        }
    }
}
