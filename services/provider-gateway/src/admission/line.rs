//! The line at one provider: who is inside, who waits, and who is next. Pure; waking those who wait is [`super`]'s.
//!
//! Owners take turns: whoever waits for many answers delays their own and not everybody's. When the line is full, whoever waits for most
//! gives up their latest place to somebody who waits for fewer.

use std::collections::VecDeque;

use tandem_chat_core::id::UserId;

/// On whose behalf; completions that nobody owns share one place in the turns.
pub(super) type Owner = Option<UserId>;

/// One provider's line. `W` is how somebody is reached who waits.
#[derive(Debug)]
pub(super) struct Line<W> {
    /// Inside at once; 0: as many as come.
    pub(super) limit: usize,
    inside: usize,
    /// Owners who wait, the next one first; none of them is without places.
    waiting: VecDeque<(Owner, VecDeque<Place<W>>)>,
}

#[derive(Debug)]
struct Place<W> {
    number: u64,
    waiter: W,
}

/// The line has no place left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self {
            limit: 0,
            inside: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<W> Line<W> {
    /// Lets somebody in who has just come, unless others wait or there is no room.
    pub(super) fn enter(&mut self) -> bool {
        let may = self.waiting.is_empty() && self.has_room();
        self.inside += usize::from(may);
        may
    }

    /// Somebody has left.
    pub(super) fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }

    /// Lets the next one in, if there is room.
    pub(super) fn advance(&mut self) -> Option<W> {
        if !self.has_room() {
            return None;
        }
        let (owner, mut places) = self.waiting.pop_front()?;
        let next = places.pop_front()?;
        if !places.is_empty() {
            self.waiting.push_back((owner, places));
        }
        self.inside += 1;
        Some(next.waiter)
    }

    /// Queues somebody. Gives the one who loses their place for it, if the line was full.
    ///
    /// # Errors
    /// [`Full`] when nobody waits for more than `owner` would.
    pub(super) fn queue(&mut self, max: usize, owner: Owner, number: u64, waiter: W) -> Result<Option<W>, Full> {
        let displaced = if self.queued() < max {
            None
        } else {
            Some(self.displace(owner).ok_or(Full)?)
        };
        let place = Place { number, waiter };
        match self.waiting.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, places)) => places.push_back(place),
            None => self.waiting.push_back((owner, VecDeque::from([place]))),
        }
        Ok(displaced)
    }

    /// The latest place of whoever waits for most, if that is more than `newcomer` would wait for.
    fn displace(&mut self, newcomer: Owner) -> Option<W> {
        let of = |owner: Owner| self.waiting.iter().find(|(known, _)| *known == owner);
        let own = of(newcomer).map_or(0, |(_, places)| places.len());
        let most = self.waiting.iter_mut().max_by_key(|(_, places)| places.len());
        let (_, places) = most.filter(|(_, places)| places.len() > own + 1)?;
        places.pop_back().map(|place| place.waiter)
    }

    /// Takes somebody out of the line who waits no more; whether they were in it.
    pub(super) fn give_up(&mut self, number: u64) -> bool {
        let before = self.queued();
        for (_, places) in &mut self.waiting {
            places.retain(|place| place.number != number);
        }
        self.waiting.retain(|(_, places)| !places.is_empty());
        self.queued() < before
    }

    /// How many are inside.
    pub(super) fn inside(&self) -> usize {
        self.inside
    }

    /// How many wait.
    pub(super) fn queued(&self) -> usize {
        self.waiting.iter().map(|(_, places)| places.len()).sum()
    }

    fn has_room(&self) -> bool {
        self.limit == 0 || self.inside < self.limit
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn owner(number: u128) -> Owner {
        Some(UserId::new(Uuid::from_u128(number)))
    }

    /// A line of one that is taken, with those who wait, as (owner, number).
    fn taken(max: usize, waiting: &[(u128, u64)]) -> Line<u64> {
        let mut line = Line {
            limit: 1,
            ..Line::default()
        };
        assert!(line.enter());
        for (who, number) in waiting {
            assert_eq!(line.queue(max, owner(*who), *number, *number), Ok(None));
        }
        line
    }

    fn order(mut line: Line<u64>) -> Vec<u64> {
        std::iter::from_fn(|| {
            line.leave();
            line.advance()
        })
        .collect()
    }

    #[test]
    fn owners_take_turns() {
        let line = taken(9, &[(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)]);
        assert_eq!(order(line), [10, 20, 30, 11, 21, 12]);
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let mut line = taken(9, &[(1, 10)]);
        line.leave();
        assert!(!line.enter(), "the one who waits is next");
        assert_eq!(line.advance(), Some(10));
        assert_eq!(line.advance(), None);
        line.limit = 2;
        assert!(line.enter());
    }

    #[test]
    fn without_a_limit_everybody_enters() {
        let mut line = Line::<u64>::default();
        assert!((0..100).all(|_| line.enter()));
        assert_eq!((line.inside(), line.queued()), (100, 0));
    }

    #[test]
    fn a_full_line_has_room_for_whoever_waits_for_fewer() {
        let mut line = taken(3, &[(1, 10), (1, 11), (1, 12)]);
        assert_eq!(line.queue(3, owner(1), 13, 13), Err(Full), "not for whoever filled it");
        assert_eq!(line.queue(3, owner(2), 20, 20), Ok(Some(12)), "the latest gives way");
        assert_eq!(line.queue(3, owner(2), 21, 21), Err(Full), "nobody waits for more");
        assert_eq!(line.queue(3, owner(3), 30, 30), Ok(Some(11)));
        assert_eq!(line.queue(3, owner(4), 40, 40), Err(Full), "all wait for one");
        assert_eq!(order(line), [10, 20, 30]);
    }

    #[test]
    fn whoever_gives_up_is_not_called() {
        let mut line = taken(9, &[(1, 10), (2, 20), (1, 11)]);
        assert!(line.give_up(10) && line.give_up(20) && !line.give_up(20));
        assert_eq!(line.queued(), 1);
        assert_eq!(order(line), [11]);
    }

    #[test]
    fn a_lower_limit_holds_for_whoever_comes_next() {
        let mut line = Line {
            limit: 2,
            ..Line::<u64>::default()
        };
        assert!(line.enter() && line.enter());
        line.limit = 1;
        line.leave();
        assert!(!line.enter());
        line.leave();
        assert!(line.enter());
    }
}
