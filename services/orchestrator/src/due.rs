//! What the claim loop has heard: chats that are due, by name, and that there may be others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Chats remembered by name. Beyond that storage is asked for what is due.
const MAX_HEARD: usize = 1_024;

/// Filled by hints, commands and turns; emptied by the claim loop.
#[derive(Default)]
pub(crate) struct Due {
    heard: Mutex<Heard>,
    news: Notify,
}

/// What was heard since it was last asked for.
#[derive(Default)]
pub(crate) struct Heard {
    /// Chats with the version at which they were due.
    pub(crate) chats: HashMap<String, i64>,
    /// Others may be due: storage has to search.
    pub(crate) is_search: bool,
}

impl Due {
    /// This chat was due at this version. Trying it by name spares storage the search.
    pub(crate) fn hear(&self, chat_id: &str, version: i64) {
        {
            let mut heard = self.lock();
            if heard.chats.len() < MAX_HEARD {
                let newest = heard.chats.entry(chat_id.to_owned()).or_insert(version);
                *newest = version.max(*newest);
            } else {
                heard.is_search = true;
            }
        }
        self.news.notify_one();
    }

    /// Something may be due.
    pub(crate) fn search(&self) {
        self.lock().is_search = true;
        self.news.notify_one();
    }

    /// Waits until there is something to take.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// What was heard; nothing is left.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_heard_once_at_its_newest_version() {
        let due = Due::default();
        due.hear("a", 3);
        due.hear("a", 2);
        let heard = due.take();
        assert_eq!(heard.chats, HashMap::from([("a".to_owned(), 3)]));
        assert!(!heard.is_search);
        assert!(due.take().chats.is_empty());
    }

    #[test]
    fn what_cannot_be_remembered_is_searched_for() {
        let due = Due::default();
        for number in 0..=MAX_HEARD {
            due.hear(&number.to_string(), 1);
        }
        let heard = due.take();
        assert_eq!((heard.chats.len(), heard.is_search), (MAX_HEARD, true));
    }
}
