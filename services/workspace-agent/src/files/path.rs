//! Opening paths beneath the home directory and nowhere else.
//!
//! A check of the path's text would lose the race against a process that swaps a directory for a link. So the kernel resolves, held
//! beneath an open directory (`openat2`); where it cannot, each component is opened by itself and links are refused.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Error, Failure};

/// Links followed at the end of one path before giving up.
const MAX_LINKS: usize = 8;

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 4_096;

/// How files are opened to be read: what is no file must not make us wait, or give us a terminal.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Tries of an open that a concurrent rename disturbed.
const MAX_TRIES: usize = 16;

/// Never above the directory it begins in, also not through links that the kernel makes up.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The home directory, held open.
#[derive(Debug)]
pub(crate) struct Root {
    home: PathBuf,
    directory: OwnedFd,
    resolver: Resolver,
}

/// Who sees to it that a path stays beneath the home directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// `openat2`, in one step.
    Kernel,
    /// We do, one component at a time. Follows fewer links than the kernel would, and none that leads out.
    Handles,
}

impl Resolver {
    /// What this host has. Old kernels do not know the call, and some sandboxes forbid it.
    fn of_this_host(directory: &OwnedFd) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(directory, ".", flags, Mode::empty(), BENEATH) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Self::Handles,
            Ok(_) | Err(_) => Self::Kernel,
        }
    }
}

/// A file to be written: its directory, held open, and its name there.
pub(crate) struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) name: String,
    /// The mode of the file that is there now.
    pub(crate) mode: Option<Mode>,
    /// The same place for the same file, whatever links led to it.
    pub(crate) identity: PathBuf,
}

impl Root {
    /// Opens the home directory.
    ///
    /// # Errors
    /// It is no directory, or not to be opened.
    pub(crate) fn open(home: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Home {
            path: home.to_owned(),
            source,
        };
        let home = home.canonicalize().map_err(failed)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &home, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let resolver = Resolver::of_this_host(&directory);
        Ok(Self {
            home,
            directory,
            resolver,
        })
    }

    /// The same home with another way to find things in it.
    #[cfg(test)]
    pub(super) fn with(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The part of `path` below the home directory; `.` for the home directory itself.
    pub(crate) fn relative(&self, path: &str) -> Result<PathBuf, Failure> {
        if path.is_empty() {
            return Err(Failure::invalid("path is required"));
        }
        if path.len() > MAX_PATH_BYTES || path.contains('\0') {
            return Err(Failure::invalid("the path is too long or contains a NUL byte"));
        }
        let path = match path.strip_prefix('~') {
            Some("") => ".",
            Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
            Some(_) | None => path,
        };
        let relative = match Path::new(path).strip_prefix(&self.home) {
            Ok(below) => below,
            Err(_) if Path::new(path).is_absolute() => return Err(Failure::outside(path)),
            Err(_) => Path::new(path),
        };
        let is_empty = relative.as_os_str().is_empty();
        Ok(if is_empty {
            PathBuf::from(".")
        } else {
            relative.to_owned()
        })
    }

    /// Opens `relative` beneath the home directory.
    pub(crate) fn open_beneath(&self, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        if self.resolver == Resolver::Handles {
            return self.walk(relative, flags);
        }
        for _ in 0..MAX_TRIES {
            match rustix::fs::openat2(&self.directory, relative, flags, Mode::empty(), BENEATH) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The same without `openat2`: one component at a time, each from the handle of the one before, following no link and never going
    /// up.
    fn walk(&self, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory = rustix::fs::openat(&self.directory, ".", step, Mode::empty())?;
        let mut names: Vec<&OsStr> = Vec::new();
        for component in relative.components() {
            match component {
                Component::Normal(name) => names.push(name),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
            }
        }
        let Some((last, parents)) = names.split_last() else {
            return rustix::fs::openat(&directory, ".", flags, Mode::empty());
        };
        for name in parents {
            directory = rustix::fs::openat(&directory, *name, step, Mode::empty())?;
        }
        match rustix::fs::openat(&directory, *last, flags | OFlags::NOFOLLOW, Mode::empty()) {
            // A link, which might lead anywhere.
            Err(Errno::LOOP) => Err(Errno::XDEV),
            other => other,
        }
    }

    /// Opens a regular file for reading, and tells its size. Pipes and devices are refused without waiting for them.
    pub(crate) fn open_file(&self, path: &str) -> Result<(File, u64), Failure> {
        regular(path, self.open_following(path, READING)?)
    }

    /// The same for a place that was found before; a link that came there since is not followed.
    pub(crate) fn open_place(&self, path: &str, place: &Place) -> Result<(File, u64), Failure> {
        let flags = READING | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty());
        regular(path, file.map_err(|errno| Failure::system(path, errno))?)
    }

    /// Opens what `path` names. The kernel refuses absolute links even if they stay inside; one at the end is followed here.
    fn open_following(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Failure> {
        let mut relative = self.relative(path)?;
        for _ in 0..MAX_LINKS {
            match self.open_beneath(&relative, flags) {
                Err(Errno::XDEV) => relative = self.link_target(path, &relative)?,
                other => return other.map_err(|errno| Failure::system(path, errno)),
            }
        }
        Err(Failure::system(path, Errno::LOOP))
    }

    /// Where the link at the end of `relative` leads, from the home directory.
    fn link_target(&self, path: &str, relative: &Path) -> Result<PathBuf, Failure> {
        let Some(Component::Normal(name)) = relative.components().next_back() else {
            return Err(Failure::outside(path));
        };
        let name = name.to_str().ok_or_else(|| Failure::invalid("the path is not UTF-8"))?;
        let parent = relative.parent().map_or_else(PathBuf::new, Path::to_owned);
        let directory = self
            .directory(&parent, false)
            .map_err(|errno| Failure::system(path, errno))?;
        let stat = rustix::fs::statat(&directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Symlink) => self.follow(path, directory.as_fd(), name, &parent),
            Ok(_) => Err(Failure::outside(path)),
            Err(errno) => Err(Failure::system(path, errno)),
        }
    }

    /// Finds where `path` is to be written, following links to it that stay inside.
    pub(crate) fn place(&self, path: &str, makes_parents: bool) -> Result<Place, Failure> {
        let failed = |errno| Failure::system(path, errno);
        let mut relative = self.relative(path)?;
        for _ in 0..MAX_LINKS {
            let name = match relative.components().next_back() {
                Some(Component::Normal(name)) => {
                    name.to_str().ok_or_else(|| Failure::invalid("the path is not UTF-8"))?
                }
                _ => return Err(failed(Errno::ISDIR)),
            };
            let name = name.to_owned();
            if path.ends_with('/') {
                return Err(failed(Errno::ISDIR));
            }
            let parent = relative.parent().map_or_else(PathBuf::new, Path::to_owned);
            let directory = self.directory(&parent, makes_parents).map_err(failed)?;
            let stat = match rustix::fs::statat(&directory, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Some(stat),
                Err(Errno::NOENT) => None,
                Err(errno) => return Err(failed(errno)),
            };
            let mode = match stat.map(|stat| (FileType::from_raw_mode(stat.st_mode), stat.st_mode)) {
                None => None,
                Some((FileType::RegularFile, mode)) => Some(Mode::from_raw_mode(mode)),
                Some((FileType::Directory, _)) => return Err(failed(Errno::ISDIR)),
                Some((FileType::Symlink, _)) => {
                    relative = self.follow(path, directory.as_fd(), &name, &parent)?;
                    continue;
                }
                Some(_) => return Err(failed(Errno::NXIO)),
            };
            let identity = self.identity(&directory, &parent).join(&name);
            return Ok(Place {
                directory,
                name,
                mode,
                identity,
            });
        }
        Err(failed(Errno::LOOP))
    }

    /// The path a link names, from the home directory.
    fn follow(
        &self,
        path: &str,
        directory: std::os::fd::BorrowedFd<'_>,
        name: &str,
        parent: &Path,
    ) -> Result<PathBuf, Failure> {
        let target =
            rustix::fs::readlinkat(directory, name, Vec::new()).map_err(|errno| Failure::system(path, errno))?;
        let target = target
            .to_str()
            .map_err(|_| Failure::invalid("a link's target is not UTF-8"))?;
        if target.starts_with('/') {
            self.relative(target)
        } else {
            Ok(parent.join(target))
        }
    }

    /// Opens a directory, making what is missing of it if asked to.
    fn directory(&self, relative: &Path, makes_parents: bool) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let open = |path: &Path| {
            let path = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            self.open_beneath(path, flags)
        };
        match open(relative) {
            Err(Errno::NOENT) if makes_parents => {}
            other => return other,
        }
        let mut made = PathBuf::new();
        let mut directory = open(&made)?;
        for component in relative.components() {
            made.push(component);
            directory = match open(&made) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&directory, component.as_os_str(), Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => open(&made)?,
                        Err(errno) => return Err(errno),
                    }
                }
                other => other?,
            };
        }
        Ok(directory)
    }

    /// The directory's real path where the system tells it; else the given one.
    fn identity(&self, directory: &OwnedFd, otherwise: &Path) -> PathBuf {
        real_path(directory).unwrap_or_else(|| self.home.join(otherwise))
    }
}

/// Where an open file or directory really is, links followed; `None` where the system does not tell.
pub(super) fn real_path(handle: impl AsFd) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    std::fs::read_link(link).ok()
}

/// Lets regular files through, with their size.
fn regular(path: &str, file: OwnedFd) -> Result<(File, u64), Failure> {
    let stat = rustix::fs::fstat(&file).map_err(|errno| Failure::system(path, errno))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file.into(), u64::try_from(stat.st_size).unwrap_or(0))),
        FileType::Directory => Err(Failure::system(path, Errno::ISDIR)),
        _ => Err(Failure::system(path, Errno::NXIO)),
    }
}
