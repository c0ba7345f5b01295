//! What the model is told of a workspace and of its owner's skills, beside the conversation.
//!
//! Owns which messages are context, which of them count, and the two blocks of the system prompt made of them. Where files are looked
//! for is the agent's business; `clean` makes their texts fit to be shown, `skill` knows what a skill is.

use crate::part::{ContextFilePart, Part, SkillPart};

pub mod clean;
pub mod skill;

/// Longest text of one instruction file, in bytes. What is longer is cut and marked.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// Instruction files and skills one message of context may hold.
pub const MAX_FILES: usize = 100;
/// See [`MAX_FILES`].
pub const MAX_SKILLS: usize = 500;

/// Bytes of text that one message of context may hold.
pub const MAX_TOTAL_BYTES: usize = 2 * 1024 * 1024;

/// Longest list of skills in a prompt, in bytes; what comes behind is counted only.
const MAX_INDEX_BYTES: usize = 64 * 1024;

const BLOCK: &str = "workspace-context";
const INDEX: &str = "available-skills";

/// Whether a message with these parts is context, and not something that was said.
pub fn is_context(parts: &[Part]) -> bool {
    !parts.is_empty()
        && parts
            .iter()
            .all(|part| matches!(part, Part::ContextFile(_) | Part::Skill(_)))
}

/// Whether context was found by an agent, whose id it bears then, and not added by hand.
pub fn is_found(parts: &[Part]) -> bool {
    is_context(parts) && matches!(parts.first(), Some(Part::ContextFile(file)) if file.agent_id.is_some())
}

/// Whether context says no more than that there is none: such a message only takes the place of an earlier one.
pub fn is_empty(parts: &[Part]) -> bool {
    parts
        .iter()
        .all(|part| matches!(part, Part::ContextFile(file) if file.path.is_empty()))
}

/// The message that takes the place of all that was added by hand.
pub fn nothing_added() -> Vec<Part> {
    vec![Part::ContextFile(ContextFilePart::default())]
}

/// A skill of the user's own, as far as the prompt names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Personal {
    /// Its name.
    pub name: String,
    /// What it is good for; may be empty.
    pub description: String,
}

/// What counts of a chat's context.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    os: String,
    directory: String,
    files: Vec<ContextFilePart>,
    skills: Vec<SkillPart>,
}

impl Context {
    /// Of what was found and what was added, either of which may be empty. What was found is fresher: where both have the same path or
    /// the same name of a skill, it wins.
    pub fn new(found: &[Part], added: &[Part]) -> Self {
        let mut context = Self::default();
        for part in found.iter().chain(added) {
            match part {
                Part::ContextFile(file) => context.take_file(file),
                Part::Skill(skill) => context.take_skill(skill),
                _ => {}
            }
        }
        context
    }

    fn take_file(&mut self, file: &ContextFilePart) {
        if !file.os.is_empty() {
            self.os.clone_from(&file.os);
        }
        if !file.directory.is_empty() {
            self.directory.clone_from(&file.directory);
        }
        let is_known = self.files.iter().any(|known| known.path == file.path);
        if !file.path.is_empty() && !is_known {
            self.files.push(file.clone());
        }
    }

    fn take_skill(&mut self, skill: &SkillPart) {
        if !self.skills.iter().any(|known| known.name == skill.name) {
            self.skills.push(skill.clone());
        }
    }

    /// Whether there is a skill in the workspace.
    pub fn has_skills(&self) -> bool {
        !self.skills.is_empty()
    }

    /// The block with the workspace's instructions; `None` without any file and skill. The same context always gives the same text.
    pub fn instructions(&self) -> Option<String> {
        if self.files.is_empty() && self.skills.is_empty() {
            return None;
        }
        let mut text = format!("<{BLOCK}>\n");
        for (name, value) in [("Operating System", &self.os), ("Working Directory", &self.directory)] {
            if !value.is_empty() {
                text.push_str(&format!("{name}: {}\n", inert(value)));
            }
        }
        for file in &self.files {
            let mark = if file.is_truncated { " (truncated)" } else { "" };
            let (path, content) = (inert(&file.path), inert(&file.content));
            text.push_str(&format!("\nSource: {path}{mark}\n{}\n", content.trim_end()));
        }
        text.push_str(&format!("</{BLOCK}>"));
        Some(text)
    }

    /// The block that names the skills; `None` without any. A name that is both the workspace's and the user's is listed as
    /// `workspace/name` and `personal/name`.
    pub fn skill_index(&self, personal: &[Personal]) -> Option<String> {
        if self.skills.is_empty() && personal.is_empty() {
            return None;
        }
        let is_personal = |name: &str| personal.iter().any(|skill| skill.name == name);
        let is_workspace = |name: &str| self.skills.iter().any(|skill| skill.name == name);
        let ours = self
            .skills
            .iter()
            .map(|skill| entry("workspace", is_personal(&skill.name), &skill.name, &skill.description));
        let theirs = personal
            .iter()
            .map(|skill| entry("personal", is_workspace(&skill.name), &skill.name, &skill.description));
        let mut text = format!(
            "<{INDEX}>\nSkills are instructions for a kind of work. Before you do work that one of these is for, call read_skill with its \
             name and follow what it says.\n"
        );
        let mut left_out = 0;
        for line in ours.chain(theirs) {
            if text.len() + line.len() > MAX_INDEX_BYTES {
                left_out += 1;
            } else {
                text.push_str(&line);
            }
        }
        if left_out > 0 {
            text.push_str(&format!("({left_out} more are not listed.)\n"));
        }
        text.push_str(&format!("</{INDEX}>"));
        Some(text)
    }
}

fn entry(owner: &str, is_ambiguous: bool, name: &str, description: &str) -> String {
    let prefix = if is_ambiguous {
        format!("{owner}/")
    } else {
        String::new()
    };
    let description = inert(&clean::line(description, skill::MAX_DESCRIPTION_BYTES));
    match description.is_empty() {
        true => format!("- {prefix}{name}\n"),
        false => format!("- {prefix}{name}: {description}\n"),
    }
}

/// The text without what would end its block, or begin another: files of a workspace may be anybody's.
fn inert(text: &str) -> String {
    let mut text = text.to_owned();
    for block in [BLOCK, INDEX, "user-instructions"] {
        for opening in ["</", "<"] {
            let tag = format!("{opening}{block}");
            text = replaced_ignoring_case(&text, &tag, &format!("&lt;{}{block}", &opening[1..]));
        }
    }
    text
}

fn replaced_ignoring_case(text: &str, tag: &str, with: &str) -> String {
    // ASCII case folding keeps the places of all bytes.
    let folded = text.to_ascii_lowercase();
    let mut places = folded.match_indices(tag).map(|(place, _)| place).peekable();
    if places.peek().is_none() {
        return text.to_owned();
    }
    let mut result = String::with_capacity(text.len() + 64);
    let mut end = 0;
    for place in places {
        result.push_str(&text[end..place]);
        result.push_str(with);
        end = place + tag.len();
    }
    result.push_str(&text[end..]);
    result
}

#[cfg(test)]
mod tests;
