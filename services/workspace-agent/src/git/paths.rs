//! Which directories each chat has worked in, the last one first. Bounded: what was worked in longest ago is forgotten.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

/// Chats that are remembered.
const MAX_CHATS: usize = 512;

/// Directories that are remembered of one chat.
const MAX_DIRECTORIES: usize = 1_000;

/// What is remembered of all chats.
#[derive(Default)]
pub(super) struct Paths {
    chats: HashMap<String, Chat>,
    /// Counts the times anybody worked.
    clock: u64,
}

struct Chat {
    /// The last one first.
    directories: Vec<PathBuf>,
    /// When it last worked. Told to whoever watches.
    worked: watch::Sender<u64>,
}

impl Paths {
    /// The chat has worked in these directories, in the last of them last.
    pub(super) fn add<'a>(&mut self, chat_id: &str, directories: impl IntoIterator<Item = &'a Path>) {
        let now = self.tick();
        let chat = self.chat(chat_id);
        for directory in directories {
            chat.directories.retain(|known| known != directory);
            chat.directories.insert(0, directory.to_owned());
        }
        chat.directories.truncate(MAX_DIRECTORIES);
        chat.worked.send_replace(now);
    }

    /// Whatever the chat has worked in is to be looked at again.
    pub(super) fn stir(&mut self, chat_id: &str) {
        let now = self.tick();
        self.chat(chat_id).worked.send_replace(now);
    }

    /// Tells when the chat works.
    pub(super) fn subscribe(&mut self, chat_id: &str) -> watch::Receiver<u64> {
        self.chat(chat_id).worked.subscribe()
    }

    /// Where the chat has worked, the last one first.
    pub(super) fn of(&self, chat_id: &str) -> Vec<PathBuf> {
        self.chats
            .get(chat_id)
            .map(|chat| chat.directories.clone())
            .unwrap_or_default()
    }

    /// Chats that have worked after `since`, and the present.
    pub(super) fn since(&self, since: u64) -> (Vec<String>, u64) {
        let chats = self.chats.iter().filter(|(_, chat)| *chat.worked.borrow() > since);
        (chats.map(|(id, _)| id.clone()).collect(), self.clock)
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn chat(&mut self, chat_id: &str) -> &mut Chat {
        if !self.chats.contains_key(chat_id) && self.chats.len() >= MAX_CHATS {
            let unwatched = self.chats.iter().filter(|(_, chat)| chat.worked.receiver_count() == 0);
            let oldest = unwatched
                .min_by_key(|(_, chat)| *chat.worked.borrow())
                .map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                self.chats.remove(&oldest);
            }
        }
        self.chats.entry(chat_id.to_owned()).or_insert_with(|| Chat {
            directories: Vec::new(),
            worked: watch::Sender::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_with_the_last_one_first_and_are_bounded() {
        let mut paths = Paths::default();
        for place in ["/a", "/b", "/a"] {
            paths.add("chat", [Path::new(place)]);
        }
        assert_eq!(paths.of("chat"), [PathBuf::from("/a"), PathBuf::from("/b")]);
        for number in 0..MAX_DIRECTORIES + 5 {
            paths.add("chat", [Path::new(&format!("/{number}"))]);
        }
        assert_eq!(paths.of("chat").len(), MAX_DIRECTORIES);
        assert!(!paths.of("chat").contains(&PathBuf::from("/b")));
    }

    #[test]
    fn chats_are_forgotten_that_worked_longest_ago_and_that_nobody_watches() {
        let mut paths = Paths::default();
        paths.add("first", [Path::new("/a")]);
        paths.add("watched", [Path::new("/a")]);
        let _watching = paths.subscribe("watched");
        for number in 0..MAX_CHATS {
            paths.add(&number.to_string(), [Path::new("/a")]);
        }
        assert_eq!(paths.chats.len(), MAX_CHATS);
        assert!(paths.of("first").is_empty());
        assert!(!paths.of("watched").is_empty());
    }

    #[test]
    fn who_asks_learns_which_chats_have_worked_since() {
        let mut paths = Paths::default();
        paths.add("a", [Path::new("/a")]);
        let (chats, now) = paths.since(0);
        assert_eq!(chats, ["a"]);
        paths.stir("b");
        let (chats, _) = paths.since(now);
        assert_eq!(chats, ["b"]);
    }
}
