//! What holds of every protocol's parser whatever comes: bytes at random, and real answers damaged at random.
//!
//! `PROPTEST_CASES` says how many are tried (256 unless told); an hour of it is a longer number.

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};

use super::{Understood, classified};
use crate::Delta;

/// Texts that mean something to some parser, in places where they may not.
const WORDS: [&[u8]; 28] = [
    b"\n\n",
    b"\r\n",
    b"\r",
    b"data: ",
    b"data:",
    b"event: error\n",
    b"data: [DONE]\n\n",
    b": ping\n\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"{\"type\":\"error\"}",
    b"{\"error\":{}}",
    b"\"index\":-1,",
    b"\"index\":4294967296,",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00\x00\x00\x10",
    b"<html>",
    b"",
];

/// Bytes at random in one run.
const MAX_RANDOM_BYTES: usize = 600;

/// Damages of one answer.
const MAX_DAMAGES: usize = 6;

/// Pieces in which one answer comes.
const MAX_PIECES: usize = 8;

/// One damage of an answer.
#[derive(Clone, Debug)]
enum Damage {
    /// Another byte stands there.
    Byte(Index, u8),
    /// One bit is another.
    Bit(Index, u8),
    /// Some bytes are lost.
    Loss(Index, usize),
    /// Some bytes come twice.
    Echo(Index, usize),
    /// A word comes in between.
    Word(Index, Index),
    /// Two stretches have changed their places.
    Swap(Index, Index),
    /// It ends there.
    End(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| Damage::Byte(place, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(place, bit)| Damage::Bit(place, bit)),
        (any::<Index>(), 1..80_usize).prop_map(|(place, count)| Damage::Loss(place, count)),
        (any::<Index>(), 1..300_usize).prop_map(|(place, count)| Damage::Echo(place, count)),
        (any::<Index>(), any::<Index>()).prop_map(|(place, word)| Damage::Word(place, word)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Damage::Swap(one, other)),
        any::<Index>().prop_map(Damage::End),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        if bytes.is_empty() {
            return bytes;
        }
        let length = bytes.len();
        match damage {
            Damage::Byte(place, byte) => bytes[place.index(length)] = *byte,
            Damage::Bit(place, bit) => bytes[place.index(length)] ^= 1 << bit,
            Damage::Loss(place, count) => {
                let start = place.index(length);
                bytes.drain(start..length.min(start + count));
            }
            Damage::Echo(place, count) => {
                let start = place.index(length);
                let again = bytes[start..length.min(start + count)].to_vec();
                bytes.splice(start..start, again);
            }
            Damage::Word(place, word) => {
                let place = place.index(length);
                bytes.splice(place..place, WORDS[word.index(WORDS.len())].iter().copied());
            }
            Damage::Swap(one, other) => bytes.swap(one.index(length), other.index(length)),
            Damage::End(place) => bytes.truncate(place.index(length)),
        }
    }
    bytes
}

/// Cuts bytes at places.
fn pieces<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn size(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Reasoning(text) => text.len(),
        Delta::ReasoningDone(done) => done.text.len() + done.signature.len(),
        Delta::ToolCall(call) => call.arguments.len(),
        Delta::Part(_) | Delta::Spent(_) | Delta::Resumed | Delta::Finish(_) => 0,
    }
}

/// What holds of whatever was understood of some bytes.
fn check(parse: &impl Fn(&[&[u8]]) -> Understood, provider: &str, bytes: &[u8], places: &[Index]) {
    let whole = parse(&[bytes]);
    let (deltas, failure) = &whole;
    let finishes = deltas.iter().filter(|delta| matches!(delta, Delta::Finish(_))).count();
    match failure {
        None => {
            assert_eq!(finishes, 1, "an answer has one end");
            assert!(matches!(deltas.last(), Some(Delta::Finish(_))), "and nothing behind it");
        }
        Some(failure) => {
            assert_eq!(finishes, 0, "a failure is no end");
            let said = classified(failure, provider);
            assert!(!said.error.message.is_empty(), "people are told something");
        }
    }
    // Nothing is made up: what is handed out was in the bytes, but for ends of paragraphs and words in the place of files.
    let handed_out: usize = deltas.iter().map(size).sum();
    assert!(
        handed_out <= 8 * bytes.len() + 4096,
        "{handed_out} bytes of {}",
        bytes.len()
    );
    assert!(
        deltas.len() <= 4 * bytes.len() + 16,
        "{} of {} bytes",
        deltas.len(),
        bytes.len()
    );
    assert_eq!(parse(&pieces(bytes, places)), whole, "the same, however it is cut");
}

/// No bytes make a parser panic, hang or say what was not in them, and what it makes of them does not depend on how they come.
///
/// * `recorded`: answers as the vendor gives them, which are damaged.
pub(crate) fn check_noise(parse: impl Fn(&[&[u8]]) -> Understood, provider: &str, recorded: &[&[u8]]) {
    let config = || ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let places = || vec(any::<Index>(), 0..MAX_PIECES);
    let stretch = prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        2 => any::<Index>().prop_map(|word| WORDS[word.index(WORDS.len())].to_vec()),
    ];
    let random = vec(stretch, 0..MAX_RANDOM_BYTES / 20).prop_map(|stretches| stretches.concat());
    let outcome = TestRunner::new(config()).run(&(random, places()), |(bytes, places)| {
        check(&parse, provider, &bytes, &places);
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
    let damages = vec(damage(), 0..MAX_DAMAGES);
    let outcome = TestRunner::new(config()).run(&(any::<Index>(), damages, places()), |(which, damages, places)| {
        let bytes = damaged(recorded[which.index(recorded.len())], &damages);
        check(&parse, provider, &bytes, &places);
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}
