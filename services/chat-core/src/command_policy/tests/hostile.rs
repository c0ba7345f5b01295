//! Harmless commands, run by a real shell in a directory that was made to turn readers into writers.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs, process};

use super::ordinary;

/// Programs that the directory has under the names of others.
const FAKED: [&str; 12] = [
    "ls", "cat", "git", "grep", "sh", "sort", "find", "gzip", "pr", "less", "more", "vi",
];

/// Files whose names are options to whoever does not look.
const OPTIONS: [&str; 16] = [
    "-rf",
    "-o",
    "-x",
    "-n",
    "-delete",
    "-exec",
    "-i",
    "--output=written",
    "--pre=canary.sh",
    "--compress-program=canary.sh",
    "-fprint",
    "--in-place",
    "-s",
    "--reference=canary.sh",
    "x;touch written",
    "$(touch written)",
];

/// A directory that is removed with all that is in it.
struct Place {
    root: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Place {
    /// * `name`: of one test, since the tests of a program may share its process.
    fn new(name: &str) -> Self {
        let root = env::temp_dir().join(format!("tandem-command-policy-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&root);
        let place = Self { root };
        fs::create_dir_all(place.work().join("src")).unwrap();
        place.fill();
        place
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Written by whatever the directory makes run.
    fn canary(&self) -> PathBuf {
        self.root.join("canary")
    }

    fn fill(&self) {
        let work = self.work();
        let write = |name: &str, text: &str| fs::write(work.join(name), text).unwrap();
        write("a.txt", "hello x\nworld 2\n# three\na,b\n");
        write("b.txt", "hello y\nworld 2\n");
        write("a file", "text\n");
        write("data.json", r#"{"a":[{"b":1}],"y":2}"#);
        write("src/main.rs", "fn main() {}\n");
        let script = format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n", self.canary().display());
        for name in FAKED.into_iter().chain(["canary.sh"]) {
            write(name, &script);
            fs::set_permissions(work.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in OPTIONS {
            write(name, "x\n");
        }
        let canary = work.join("canary.sh").display().to_string();
        write(".gitattributes", "* diff=evil filter=evil\n");
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.git(&["add", "a.txt", ".gitattributes"]);
        self.git(&["commit", "--quiet", "--message=x"]);
        write("a.txt", "hello x\nworld 2\n# three\na,b\nchanged\n");
        let keys = [
            "core.pager",
            "core.fsmonitor",
            "core.sshCommand",
            "core.editor",
            "core.askPass",
            "diff.external",
            "diff.evil.textconv",
            "diff.evil.command",
            "filter.evil.clean",
            "filter.evil.smudge",
            "gpg.program",
            "remote.origin.uploadpack",
            "pager.branch",
            "pager.remote",
            "pager.config",
            "credential.helper",
        ];
        for key in keys {
            self.git(&["config", key, &canary]);
        }
        let others = [
            ("alias.remote", "!sh canary.sh"),
            ("alias.rev-parse", "!sh canary.sh"),
            ("branch.sort", "signature"),
            ("log.showSignature", "true"),
            ("remote.origin.url", "ext::sh canary.sh"),
            ("protocol.ext.allow", "always"),
            ("remote.origin.promisor", "true"),
            ("extensions.partialClone", "origin"),
            ("core.repositoryformatversion", "1"),
            ("user.name", "x"),
            ("format.pretty", "%G?"),
        ];
        for (key, value) in others {
            self.git(&["config", key, value]);
        }
        write(
            "rust-toolchain.toml",
            &format!("[toolchain]\npath = \"{}\"\n", work.display()),
        );
    }

    fn git(&self, arguments: &[&str]) {
        let own = [
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "-c",
            "commit.gpgSign=false",
            "-c",
            "core.fsmonitor=false",
        ];
        let output = self
            .command("git")
            .args(own)
            .args(arguments)
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// In the directory, which is the home directory too; `PATH` is the test's own.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.work())
            .env("LANG", "C.UTF-8")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, command: &str) -> Output {
        self.command("/bin/sh")
            .args(["-c", command])
            .output()
            .expect("there is a shell")
    }

    /// Every file below the root, with what is in it.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.root, &mut files);
        files
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        if path.is_dir() {
            collect(&path, files);
            files.insert(path, mode.to_be_bytes().to_vec());
        } else {
            let mut content = fs::read(&path).unwrap();
            content.extend(mode.to_be_bytes());
            files.insert(path, content);
        }
    }
}

#[test]
fn s28_harmless_commands_change_nothing_in_a_hostile_place() {
    let place = Place::new("harmless");
    let before = place.files();
    for command in ordinary::TABLE {
        let output = place.run(command);
        assert!(
            !place.canary().exists(),
            "{command:?} ran what the directory names: {output:?}"
        );
        let after = place.files();
        let changed = before.iter().find(|(path, content)| after.get(*path) != Some(*content));
        let added = after.keys().find(|path| !before.contains_key(*path));
        assert!(
            changed.is_none() && added.is_none(),
            "{command:?} changed {changed:?} or added {added:?}"
        );
    }
}

/// The place is as hostile as it should be: what is not harmless there does what it is feared for.
#[test]
fn s28_the_hostile_place_catches_those_who_are_not_harmless() {
    for command in [
        "git status",
        "git diff",
        "./ls",
        "PATH=.:$PATH; ls",
        "find . -exec ./canary.sh {} +",
    ] {
        let place = Place::new("feared");
        let output = place.run(command);
        assert!(place.canary().exists(), "{command:?}: {output:?}");
        assert!(!super::is_harmless(command), "{command:?}");
    }
    let place = Place::new("feared");
    let before = place.files();
    for command in ["sort *", "uniq a.txt b.txt", "sort a.txt -o written"] {
        place.run(command);
        assert!(!super::is_harmless(command), "{command:?}");
    }
    assert_ne!(place.files(), before);
}
