//! Directories that workspaces' users must be able to pass through, without looking around.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Everything for the owner, passing through for all others.
const MODE: u32 = 0o711;

/// What others need to pass through.
const PASS: u32 = 0o011;

/// Makes a directory and its parents, if they are missing.
///
/// # Errors
/// As the system says.
pub(crate) fn make(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(MODE).create(directory)
}

/// Lets others through a directory; takes nothing away from what it allows.
///
/// # Errors
/// As the system says.
pub(crate) fn open(directory: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(directory)?.mode() & 0o7777;
    if mode & PASS == PASS {
        return Ok(());
    }
    tracing::info!(directory = %directory.display(), "letting workspaces through a directory");
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode | PASS))
}

/// Whether everybody can pass through all of the directories above `path`.
pub(super) fn is_open(path: &Path) -> bool {
    let mut above = path.ancestors().skip(1);
    above.all(|directory| std::fs::metadata(directory).is_ok_and(|found| found.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_directory_allows_is_only_added_to() {
        let place = tempfile::tempdir().unwrap();
        for (before, after) in [(0o700, 0o711), (0o1777, 0o1777), (0o755, 0o755), (0o2750, 0o2751)] {
            std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(before)).unwrap();
            open(place.path()).unwrap();
            let mode = std::fs::metadata(place.path()).unwrap().mode() & 0o7777;
            assert_eq!(mode, after, "{before:o}");
        }
    }

    #[test]
    fn a_closed_directory_above_is_seen() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("a/b");
        make(&inner).unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_open(&inner));
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(is_open(&inner));
    }
}
