use proptest::prelude::*;
use tandem_proto::common::v1::{LivePart, RetryEvent, Role, live_part::Content};

use super::*;

fn text(text: &str) -> LivePart {
    LivePart {
        role: Role::Assistant.into(),
        content: Some(Content::TextDelta(text.to_owned())),
        created_at: None,
    }
}

fn place(step: u32, attempt: u32, index: u64) -> Position {
    Position { step, attempt, index }
}

fn entry(position: Position, after_version: i64) -> Entry {
    Entry {
        position,
        after_version,
        event: Event::Part(text("x")),
    }
}

/// Copies what the origin has behind the mirror's end, in pages of `limit`.
fn copy(origin: &Log, mirror: &Log, limit: usize) {
    loop {
        let page = origin.page(Some(mirror.position()), limit);
        if let Some(dropped) = page.dropped {
            mirror.pass_over(dropped);
        }
        for entry in page.entries {
            // What a reader behind a network sees: every entry through the contract's shape.
            mirror.append(Entry::from_wire(entry.into_wire()).unwrap()).unwrap();
        }
        if !page.has_more {
            return;
        }
    }
}

#[test]
fn pages_carry_every_delta_by_itself() {
    let origin = Log::new(1, 5);
    for word in ["a", "b", "c"] {
        origin.push(text(word)).unwrap();
    }
    let page = origin.page(Some(place(0, 0, 1)), 1);
    assert_eq!(
        page,
        Page {
            entries: vec![Entry {
                position: place(0, 0, 2),
                after_version: 5,
                event: Event::Part(text("b"))
            }],
            has_more: true,
            dropped: None,
        }
    );
}

#[test]
fn pages_are_bounded_in_bytes_but_never_empty() {
    let origin = Log::new(1, 5);
    let big = "x".repeat(MAX_PAGE_BYTES);
    origin.push(text(&big)).unwrap();
    origin.push(text("small")).unwrap();
    let page = origin.page(None, 10);
    assert_eq!((page.entries.len(), page.has_more), (1, true));
}

#[test]
fn entries_wait_in_the_mirror_for_the_version_they_follow() {
    let (origin, mirror) = (Log::new(1, 5), Log::mirror(1));
    origin.push(text("step 0")).unwrap();
    origin.seal(origin.position(), 7);
    origin.begin(1, 0);
    origin.push(text("step 1")).unwrap();
    copy(&origin, &mirror, 10);
    assert_eq!(mirror.read(None, 4, 10), []);
    assert_eq!(mirror.read(None, 6, 10).len(), 1);
    assert_eq!(mirror.read(None, 7, 10).len(), 2);
}

#[test]
fn a_hole_is_refused_and_nothing_comes_behind_it() {
    let mirror = Log::mirror(1);
    mirror.append(entry(place(0, 0, 1), 5)).unwrap();
    for next in [place(0, 0, 3), place(0, 1, 1), place(1, 0, 2), place(1, 1, 1)] {
        let last = place(0, 0, 1);
        assert_eq!(mirror.append(entry(next, 5)), Err(Torn::Gap { last, next }));
    }
    mirror.append(entry(place(0, 0, 2), 5)).unwrap();
    assert_eq!(mirror.position(), place(0, 0, 2));
}

#[test]
fn an_evicted_beginning_is_no_hole_once_the_origin_has_said_so() {
    let mirror = Log::mirror(1);
    let next = entry(place(2, 0, 9), 5);
    assert!(mirror.append(next.clone()).is_err());
    mirror.pass_over(place(2, 0, 8));
    mirror.append(next).unwrap();
}

#[test]
fn an_entry_that_comes_twice_is_there_once() {
    let mirror = Log::mirror(1);
    for _ in 0..2 {
        mirror.append(entry(place(0, 0, 1), 5)).unwrap();
    }
    assert_eq!(mirror.page(None, 10).entries.len(), 1);
}

#[test]
fn a_mirror_forgets_durable_steps_as_its_origin_does() {
    let (origin, mirror) = (Log::new(1, 5), Log::mirror(1));
    let big = "x".repeat(MAX_LOG_BYTES / 4);
    for step in 0..20 {
        origin.begin(step, 0);
        origin.push(text(&big)).unwrap();
        copy(&origin, &mirror, 10);
        origin.seal(origin.position(), i64::from(step) + 6);
    }
    assert!(mirror.page(None, 100).entries.len() <= 3);
}

/// What can happen to a log, and to the way to its mirror.
#[derive(Clone, Debug)]
enum Act {
    Push,
    Withdraw {
        is_retry: bool,
    },
    Seal,
    NextStep,
    Copy {
        limit: usize,
    },
    /// The mirror is dropped, and another one begins.
    Reopen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => Just(Act::Push),
        1 => any::<bool>().prop_map(|is_retry| Act::Withdraw { is_retry }),
        2 => Just(Act::Seal),
        1 => Just(Act::NextStep),
        4 => (1..5_usize).prop_map(|limit| Act::Copy { limit }),
        1 => Just(Act::Reopen),
    ];
    proptest::collection::vec(act, 0..80)
}

proptest! {
    #[test]
    fn a_reader_of_the_mirror_sees_what_a_reader_of_the_origin_sees(acts in acts()) {
        let origin = Log::new(1, 5);
        let mut mirror = Log::mirror(1);
        let mut version = 5;
        let mut sealed = None;
        for (number, act) in acts.iter().enumerate() {
            match act {
                Act::Push => origin.push(text(&format!("{number} "))).unwrap(),
                Act::Withdraw { is_retry } => {
                    let attempt = origin.position().attempt + 1;
                    origin.withdraw(attempt, is_retry.then(RetryEvent::default));
                }
                Act::Seal => {
                    version += 1;
                    sealed = Some(origin.position());
                    origin.seal(origin.position(), version);
                }
                Act::NextStep => {
                    version += 1;
                    sealed = Some(origin.position());
                    origin.seal(origin.position(), version);
                    origin.begin(origin.position().step + 1, 0);
                }
                Act::Copy { limit } => copy(&origin, &mirror, *limit),
                Act::Reopen => mirror = Log::mirror(1),
            }
        }
        copy(&origin, &mirror, 3);
        // From every place that is still there, and for a late joiner, at every version.
        let places: Vec<Position> = origin.page(None, usize::MAX).entries.iter().map(|entry| entry.position).collect();
        for seen in 5..=version {
            for place in &places {
                prop_assert_eq!(origin.read(Some(*place), seen, usize::MAX), mirror.read(Some(*place), seen, usize::MAX));
            }
        }
        prop_assert_eq!(origin.snapshot_start(sealed, version), mirror.snapshot_start(sealed, version));
    }
}
