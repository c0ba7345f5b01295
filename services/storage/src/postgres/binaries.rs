//! Where PostgreSQL's server programs are, and which version they have.

use std::path::{Path, PathBuf};

use super::Error;

/// Where distributions put them, with the version in the place of `*`.
const ROOTS: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"];

/// The programs of one installed version.
pub(super) struct Binaries {
    directory: PathBuf,
    /// The major version, for example `15`.
    pub(super) version: String,
}

impl Binaries {
    /// The newest version installed, else what is on the path.
    pub(super) fn find() -> Result<Self, Error> {
        let versions = ROOTS
            .iter()
            .filter_map(|root| std::fs::read_dir(root).ok())
            .flatten()
            .flatten();
        let mut candidates: Vec<(u32, PathBuf)> = versions
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let version = name.rsplit('@').next()?.split('.').next()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .filter(|(_, directory)| directory.join("postgres").is_file())
            .collect();
        candidates.sort();
        let on_path = || {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).find(|directory| directory.join("initdb").is_file())
        };
        let directory = candidates
            .pop()
            .map(|(_, directory)| directory)
            .or_else(on_path)
            .ok_or(Error::NotInstalled)?;
        let version = version(&directory)?;
        Ok(Self { directory, version })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The major version, from `postgres (PostgreSQL) 15.18 (Debian …)`.
fn version(directory: &Path) -> Result<String, Error> {
    let output = std::process::Command::new(directory.join("postgres"))
        .arg("--version")
        .output()
        .map_err(Error::io("ask PostgreSQL for its version"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let major = number.and_then(|number| number.split(['.', 'r', 'b', 'd']).next());
    major.map(str::to_owned).ok_or_else(|| Error::Program {
        program: "postgres",
        output: text.into_owned(),
    })
}
