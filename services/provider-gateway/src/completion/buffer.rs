//! The events of one completion: append-only, bounded, read by cursors.
//!
//! A reader is an index and costs no buffer of its own. It never holds up the writer. While there is room everything is kept, so
//! that a reader can begin anew; without room, what every present reader has read goes first, and only then appending fails.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::Stream;
use tokio::sync::watch;

use super::Event;

/// The room all buffers of a replica share.
#[derive(Debug)]
pub struct Budget {
    max_bytes: usize,
    used_bytes: AtomicUsize,
}

impl Budget {
    /// Room for `max_bytes`.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            used_bytes: AtomicUsize::new(0),
        })
    }

    /// What is used now.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= self.max_bytes)
            });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Why an event was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// This completion holds as much as it may and its readers do not keep up.
    #[error("the answer is longer than {max_bytes} bytes and its readers do not keep up")]
    Own {
        /// The limit.
        max_bytes: usize,
    },
    /// All completions together hold as much as they may.
    #[error("answers held for slow readers use up the memory set aside for them")]
    Shared,
}

/// The events of one completion. Share it as `Arc`.
#[derive(Debug)]
pub struct Buffer {
    max_bytes: usize,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// How many events there have been; tells readers to look.
    appended: watch::Sender<u64>,
    readers: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// Those still held; the first has index `first`.
    events: VecDeque<Arc<Event>>,
    first: u64,
    held_bytes: usize,
    is_closed: bool,
    /// The next index of each reader.
    cursors: HashMap<u64, u64>,
    next_reader: u64,
}

impl Buffer {
    /// An empty buffer for `max_bytes` within `budget`.
    pub fn new(max_bytes: usize, budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            budget,
            state: Mutex::default(),
            appended: watch::Sender::new(0),
            readers: watch::Sender::new(0),
        })
    }

    /// Appends an event. The last one (see [`Event::is_last`]) always finds room and closes the buffer; nothing is appended after it.
    ///
    /// # Errors
    /// [`Full`]; the event is lost then.
    pub fn push(&self, event: impl Into<Arc<Event>>) -> Result<(), Full> {
        let event: Arc<Event> = event.into();
        let size = event.size_bytes();
        let is_last = event.is_last();
        let mut state = self.lock();
        if state.is_closed {
            return Ok(());
        }
        if !is_last {
            self.make_room(&mut state, size)?;
            if !self.budget.take(size) {
                return Err(Full::Shared);
            }
            state.held_bytes += size;
        }
        state.events.push_back(event);
        state.is_closed = is_last;
        drop(state);
        self.appended.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Whether the last event has been appended.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// A reader of the events behind `after`, `None` for all. `None` if the first of those is not held any more.
    pub fn read(self: &Arc<Self>, after: Option<u64>) -> Option<Reader> {
        let next = after.map_or(0, |after| after.saturating_add(1));
        let mut state = self.lock();
        if next < state.first {
            return None;
        }
        let id = state.next_reader;
        state.next_reader += 1;
        state.cursors.insert(id, next);
        let count = state.cursors.len();
        drop(state);
        self.readers.send_replace(count);
        Some(Reader {
            id,
            next,
            appended: self.appended.subscribe(),
            buffer: Arc::clone(self),
        })
    }

    /// Tells how many readers there are, now and with each change.
    pub fn readers(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }

    fn make_room(&self, state: &mut State, size: usize) -> Result<(), Full> {
        let Some(read_by_all) = state.cursors.values().min().copied() else {
            return self.fits(state, size);
        };
        while self.fits(state, size).is_err() && state.first < read_by_all {
            let Some(event) = state.events.pop_front() else { break };
            state.first += 1;
            state.held_bytes -= event.size_bytes();
            self.budget.give_back(event.size_bytes());
        }
        self.fits(state, size)
    }

    fn fits(&self, state: &State, size: usize) -> Result<(), Full> {
        if state.held_bytes + size <= self.max_bytes {
            return Ok(());
        }
        Err(Full::Own {
            max_bytes: self.max_bytes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let held = self.lock().held_bytes;
        self.budget.give_back(held);
    }
}

/// A cursor over a buffer. Dropping it leaves.
#[derive(Debug)]
pub struct Reader {
    id: u64,
    next: u64,
    appended: watch::Receiver<u64>,
    buffer: Arc<Buffer>,
}

impl Reader {
    /// The next event with its index, as soon as there is one; `None` after the last.
    pub async fn next(&mut self) -> Option<(u64, Arc<Event>)> {
        loop {
            // Marked as seen before looking, so that what is appended meanwhile wakes us.
            self.appended.borrow_and_update();
            match self.take() {
                Taken::Event(index, event) => return Some((index, event)),
                Taken::End => return None,
                Taken::Nothing => {}
            }
            // The sender lives in the buffer this reader holds.
            if self.appended.changed().await.is_err() {
                return None;
            }
        }
    }

    /// The events as a stream.
    pub fn into_stream(self) -> impl Stream<Item = (u64, Arc<Event>)> + Send + 'static {
        futures::stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((event, reader))
        })
    }

    fn take(&mut self) -> Taken {
        let mut state = self.buffer.lock();
        let held = self
            .next
            .checked_sub(state.first)
            .and_then(|offset| usize::try_from(offset).ok());
        match held.and_then(|offset| state.events.get(offset)).map(Arc::clone) {
            Some(event) => {
                let index = self.next;
                self.next += 1;
                state.cursors.insert(self.id, self.next);
                Taken::Event(index, event)
            }
            None if state.is_closed => Taken::End,
            None => Taken::Nothing,
        }
    }
}

enum Taken {
    Event(u64, Arc<Event>),
    Nothing,
    End,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.buffer.lock();
        state.cursors.remove(&self.id);
        let count = state.cursors.len();
        drop(state);
        self.buffer.readers.send_replace(count);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tandem_chat_core::{error::ChatError, message::Usage};
    use tandem_protocols::call::FinishReason;

    use super::super::{Failed, Finished};
    use super::*;

    fn buffer(max_bytes: usize) -> Arc<Buffer> {
        Buffer::new(max_bytes, Budget::new(1 << 20))
    }

    fn text(text: &str) -> Event {
        Event::TextDelta(text.to_owned())
    }

    fn finished() -> Event {
        Event::Finished(Box::new(Finished {
            reason: FinishReason::Stop,
            usage: Usage::default(),
            response_id: String::new(),
            cost_usd_micros: None,
        }))
    }

    fn failed() -> Event {
        Event::Failed(Box::new(Failed {
            error: ChatError::generic("x"),
            retry_after: Duration::ZERO,
            is_cancelled: true,
            is_context_exceeded: false,
        }))
    }

    async fn rest_of(mut reader: Reader) -> Vec<(u64, Event)> {
        let mut events = Vec::new();
        while let Some((index, event)) = reader.next().await {
            events.push((index, (*event).clone()));
        }
        events
    }

    #[tokio::test]
    async fn every_reader_sees_everything_from_where_it_began() {
        let buffer = buffer(1024);
        let early = buffer.read(None).unwrap();
        buffer.push(text("a")).unwrap();
        buffer.push(text("b")).unwrap();
        let late = buffer.read(Some(0)).unwrap();
        buffer.push(finished()).unwrap();
        assert_eq!(rest_of(early).await, [(0, text("a")), (1, text("b")), (2, finished())]);
        assert_eq!(rest_of(late).await, [(1, text("b")), (2, finished())]);
        assert_eq!(rest_of(buffer.read(Some(2)).unwrap()).await, []);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let buffer = buffer(1024);
        let mut reader = buffer.read(None).unwrap();
        assert!(reader.next().now_or_never().is_none());
        buffer.push(text("a")).unwrap();
        assert_eq!(reader.next().await.unwrap().0, 0);
    }

    #[tokio::test]
    async fn without_room_what_all_have_read_goes_first() {
        let buffer = buffer(3 * text("a").size_bytes());
        let mut reader = buffer.read(None).unwrap();
        for _ in 0..3 {
            buffer.push(text("a")).unwrap();
        }
        assert!(
            matches!(buffer.push(text("b")), Err(Full::Own { .. })),
            "nothing is read yet"
        );
        reader.next().await.unwrap();
        buffer.push(text("b")).unwrap();
        assert!(buffer.read(None).is_none(), "the beginning is gone");
        assert_eq!(reader.next().await.unwrap().0, 1);
    }

    #[tokio::test]
    async fn without_readers_a_full_buffer_stays_as_it_is() {
        let buffer = buffer(text("a").size_bytes());
        buffer.push(text("a")).unwrap();
        assert!(buffer.push(text("b")).is_err());
        buffer.push(failed()).unwrap();
        assert_eq!(
            rest_of(buffer.read(None).unwrap()).await,
            [(0, text("a")), (1, failed())]
        );
    }

    #[test]
    fn nothing_follows_the_last_event() {
        let buffer = buffer(1024);
        buffer.push(failed()).unwrap();
        buffer.push(text("late")).unwrap();
        assert!(buffer.is_closed());
        assert_eq!(buffer.lock().events.len(), 1);
    }

    #[test]
    fn the_shared_budget_is_taken_and_given_back() {
        let size = text("a").size_bytes();
        let budget = Budget::new(3 * size - 1);
        let first = Buffer::new(1024, Arc::clone(&budget));
        let second = Buffer::new(1024, Arc::clone(&budget));
        first.push(text("a")).unwrap();
        second.push(text("a")).unwrap();
        assert_eq!(second.push(text("b")), Err(Full::Shared));
        drop(first);
        assert_eq!(budget.used_bytes(), size);
        second.push(text("b")).unwrap();
        drop(second);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn readers_are_counted_as_they_come_and_go() {
        let buffer = buffer(1024);
        let count = buffer.readers();
        let reader = buffer.read(None).unwrap();
        assert_eq!(*count.borrow(), 1);
        drop(reader);
        assert_eq!(*count.borrow(), 0);
    }
}
