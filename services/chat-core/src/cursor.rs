//! A reader's place in a chat, as the opaque text that clients hand back.
//!
//! Owns the text form and its order. Whether a place still exists is for the log and the database to say.
//!
//! `v<version>` is a durable place: everything up to that change was seen. `v<version>.<epoch>.<step>.<attempt>.<index>` is a live
//! place behind it: the parts of that attempt were seen up to and including `index`. `-<seen>` behind the version says that of the next
//! change, which makes several events, the first `seen` were seen too.

use std::fmt;
use std::str::FromStr;

use crate::id::{Epoch, Version};

/// Where a reader stands. Ordered: later places compare greater, and a live place comes after its durable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The last committed change the reader has seen; 0 for a reader that has seen nothing.
    pub version: Version,
    /// Events of the next change it has seen already; 0 between two changes.
    pub seen: u32,
    /// The last live part it has seen since; `None` if none.
    pub live: Option<Place>,
}

/// The place of one part in a turn's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The lease under which the part was produced.
    pub epoch: Epoch,
    /// The step within the turn, from 0.
    pub step: u32,
    /// The attempt of the step, from 0; a failed attempt's parts are withdrawn.
    pub attempt: u32,
    /// The part within the attempt, from 0.
    pub index: u64,
}

impl Cursor {
    /// The longest text a cursor can have.
    pub const MAX_BYTES: usize = 94;

    /// Before everything.
    pub const START: Self = Self::durable(Version(0));

    /// The place right after a committed change.
    pub const fn durable(version: Version) -> Self {
        Self {
            version,
            seen: 0,
            live: None,
        }
    }

    /// The place right after a live part.
    pub const fn live(version: Version, place: Place) -> Self {
        Self {
            version,
            seen: 0,
            live: Some(place),
        }
    }

    /// The same place, with the first `seen` events of the next change seen too.
    #[must_use]
    pub const fn within_next(self, seen: u32) -> Self {
        Self { seen, ..self }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.version)?;
        if self.seen > 0 {
            write!(f, "-{}", self.seen)?;
        }
        match self.live {
            Some(Place {
                epoch,
                step,
                attempt,
                index,
            }) => write!(f, ".{epoch}.{step}.{attempt}.{index}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidCursor);
        }
        let mut fields = text.strip_prefix('v').ok_or(InvalidCursor)?.split('.');
        let mut next = || fields.next();
        let durable = next().ok_or(InvalidCursor)?;
        let (version, seen) = match durable.split_once('-') {
            Some((_, "0")) => return Err(InvalidCursor),
            Some((version, seen)) => (version, number(seen)?),
            None => (durable, 0),
        };
        let version = Version(non_negative(version)?);
        let live = match next() {
            None => None,
            Some(epoch) => Some(Place {
                epoch: Epoch(non_negative(epoch)?),
                step: number(next().ok_or(InvalidCursor)?)?,
                attempt: number(next().ok_or(InvalidCursor)?)?,
                index: number(next().ok_or(InvalidCursor)?)?,
            }),
        };
        match next() {
            None => Ok(Self { version, seen, live }),
            Some(_) => Err(InvalidCursor),
        }
    }
}

fn non_negative(text: &str) -> Result<i64, InvalidCursor> {
    number::<u64>(text)?.try_into().map_err(|_| InvalidCursor)
}

/// Digits as they are printed: no sign, no leading zero, so that every place has exactly one text.
fn number<N: FromStr>(text: &str) -> Result<N, InvalidCursor> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !is_canonical {
        return Err(InvalidCursor);
    }
    text.parse().map_err(|_| InvalidCursor)
}

/// The text was not made by this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid cursor")]
pub struct InvalidCursor;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        (0..=i64::MAX, any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(epoch, step, attempt, index)| Place {
            epoch: Epoch(epoch),
            step,
            attempt,
            index,
        })
    }

    fn cursors() -> impl Strategy<Value = Cursor> {
        (0..=i64::MAX, any::<u32>(), proptest::option::of(places())).prop_map(|(version, seen, live)| Cursor {
            version: Version(version),
            seen,
            live,
        })
    }

    proptest! {
        #[test]
        fn every_cursor_survives_its_text(cursor in cursors()) {
            let text = cursor.to_string();
            prop_assert!(text.len() <= Cursor::MAX_BYTES);
            prop_assert_eq!(text.parse(), Ok(cursor));
        }

        #[test]
        fn no_text_panics_and_accepted_text_is_canonical(text in "v?[0-9.+-]{0,90}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }

        #[test]
        fn no_other_text_panics_either(text in any::<String>()) {
            prop_assert!(text.parse::<Cursor>().is_ok_and(|cursor| cursor.to_string() == text) || text.parse::<Cursor>().is_err());
        }

        #[test]
        fn any_live_place_lies_between_two_versions(version in 0..i64::MAX, place in places()) {
            let live = Cursor::live(Version(version), place);
            prop_assert!(Cursor::durable(Version(version)) < live);
            prop_assert!(live < Cursor::durable(Version(version + 1)));
        }
    }

    #[test]
    fn the_longest_cursor_fits_the_limit_exactly() {
        let place = Place {
            epoch: Epoch(i64::MAX),
            step: u32::MAX,
            attempt: u32::MAX,
            index: u64::MAX,
        };
        assert_eq!(
            Cursor::live(Version(i64::MAX), place)
                .within_next(u32::MAX)
                .to_string()
                .len(),
            Cursor::MAX_BYTES
        );
    }

    #[test]
    fn later_attempts_and_parts_are_greater() {
        let parse = |text: &str| text.parse::<Cursor>().unwrap();
        assert!(parse("v3.2.0.0.9") < parse("v3.2.0.1.0"));
        assert!(parse("v3.2.9.9.9") < parse("v3.10.0.0.0"));
        assert!(Cursor::START < parse("v1"));
    }

    #[test]
    fn foreign_text_is_refused() {
        for text in [
            "",
            "v",
            "7",
            "v-1",
            "v01",
            "v1.",
            "v1.2",
            "v1.2.3.4",
            "v1.2.3.4.5.6",
            "v1.2.3.4.x",
            "v99999999999999999999",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
