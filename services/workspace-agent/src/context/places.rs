//! Where context is looked for. The agent's own environment can name other places; processes of the workspace never see it.

use std::path::{Component, Path, PathBuf};

/// Places of one kind, at most.
const MAX_PLACES: usize = 16;

/// Directories relative to the home directory, and names of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Where instruction files are looked for; the home directory comes last.
    pub(super) instructions: Vec<PathBuf>,
    /// Compared without regard to case.
    pub(super) instructions_file: String,
    /// Whose children are skills.
    pub(super) skills: Vec<PathBuf>,
    pub(super) meta_file: String,
}

impl Places {
    /// What the variables name, or else the defaults. Directories are separated by commas; `~` is the home directory, and so is where
    /// relative ones begin.
    pub(crate) fn new(home: &Path, variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str, default: &str| {
            let set = variable(name).map(|value| value.trim().to_owned());
            set.filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.to_owned())
        };
        let mut instructions = directories(home, &value("TANDEM_AGENT_INSTRUCTIONS_DIRS", "~/.tandem"));
        if !instructions.contains(&PathBuf::from(".")) {
            instructions.push(PathBuf::from("."));
        }
        Self {
            instructions,
            instructions_file: value("TANDEM_AGENT_INSTRUCTIONS_FILE", "AGENTS.md"),
            skills: directories(
                home,
                &value("TANDEM_AGENT_SKILLS_DIRS", ".agents/skills,~/.tandem/skills"),
            ),
            meta_file: value("TANDEM_AGENT_SKILL_META_FILE", "SKILL.md"),
        }
    }
}

fn directories(home: &Path, list: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let name = name.strip_prefix("~/").unwrap_or(if name == "~" { "." } else { name });
        let path = Path::new(name);
        let components = path.strip_prefix(home).unwrap_or(path).components();
        let below: PathBuf = components.filter(|part| *part != Component::CurDir).collect();
        let below = if below.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            below
        };
        if !found.contains(&below) && found.len() < MAX_PLACES {
            found.push(below);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_variables_mean_the_defaults() {
        let places = Places::new(Path::new("/home/w"), |_| Some(" ".to_owned()));
        assert_eq!(places, Places::new(Path::new("/home/w"), |_| None));
        assert_eq!(places.instructions, [PathBuf::from(".tandem"), PathBuf::from(".")]);
        assert_eq!(
            places.skills,
            [PathBuf::from(".agents/skills"), PathBuf::from(".tandem/skills")]
        );
    }

    #[test]
    fn directories_are_resolved_and_named_once() {
        let list = |name: &str| {
            name.ends_with("INSTRUCTIONS_DIRS")
                .then(|| "~, a/b ,/home/w/a/b,/etc,./c".to_owned())
        };
        let places = Places::new(Path::new("/home/w"), list);
        let expected: Vec<PathBuf> = [".", "a/b", "/etc", "c"].map(PathBuf::from).into();
        assert_eq!(places.instructions, expected);
    }
}
