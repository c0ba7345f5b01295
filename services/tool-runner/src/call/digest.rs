//! What says whether two calls under one id are the same: a digest of what their arguments say, however they are written.
//!
//! The arguments of one call are written by the model first, and from the stored message after a takeover. Storage keeps values and not
//! texts, so fields may come back in another order and numbers in another spelling. A person's approval holds for a digest, and must
//! not be lost by that. Fractions of more than 15 digits may lose their last one on the way: such a call is asked about once more.

use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

/// More zeros at the end than this has no number that comes back as a whole one.
const MAX_ZEROS: usize = 20;

/// SHA-256 of a call's arguments. Of what is no JSON, of its text.
pub(crate) fn of(arguments_json: &str) -> Vec<u8> {
    let written = match read(arguments_json) {
        Some(value) => plain(value).to_string(),
        None => arguments_json.to_owned(),
    };
    Sha256::digest(written.as_bytes()).to_vec()
}

/// What the arguments say. Nothing at all counts as an empty object; `None` for what is no JSON.
pub(super) fn read(arguments_json: &str) -> Option<Value> {
    if arguments_json.trim().is_empty() {
        return Some(Value::Object(Map::new()));
    }
    serde_json::from_str(arguments_json).ok()
}

/// The value in its one spelling. Objects have their fields in the order of their names already.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(plain_number(number)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, field)| (name, plain(field)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// Numbers with an exponent or a fraction of zeros come back from storage as whole ones, where they fit.
fn plain_number(number: Number) -> Number {
    let whole = match number.is_f64() {
        true => whole(&number.to_string()),
        false => None,
    };
    let parsed = |digits: String| {
        let unsigned = digits.parse::<u64>().map(Number::from);
        unsigned.or_else(|_| digits.parse::<i64>().map(Number::from)).ok()
    };
    whole.and_then(parsed).unwrap_or(number)
}

/// The digits of a number as it is written, where it has no fraction.
fn whole(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (digits, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = exponent.parse::<usize>().ok()?.checked_sub(fraction.len())?;
    (zeros <= MAX_ZEROS).then(|| format!("{digits}{fraction}{}", "0".repeat(zeros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_say_the_same_have_the_same_digest() {
        for (one, other) in [
            (
                r#"{"a":1,"b":{"c":[],"d":"x"}}"#,
                r#"{ "b": {"d": "x", "c": []}, "a": 1 }"#,
            ),
            (r#"{"n":1e16}"#, r#"{"n":10000000000000000}"#),
            (r#"{"n":-1e16}"#, r#"{"n":-10000000000000000}"#),
            (r#"{"n":12.34e16}"#, r#"{"n":123400000000000000}"#),
            (r#"{"n":1.23456789012345e17}"#, r#"{"n":123456789012345000}"#),
            (r#"{"n":-0.0}"#, r#"{"n":0}"#),
            (r#"{"n":1e300}"#, r#"{"n":1.0e+300}"#),
            (r#"{"n":2.50}"#, r#"{"n":2.5}"#),
            (r#"{"text":"\u0041"}"#, r#"{"text":"A"}"#),
            ("", "{}"),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn arguments_that_say_something_else_have_another_digest() {
        let texts = [
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1.5}"#,
            r#"{"a":[1]}"#,
            r#"{"a":-1}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"b":1}"#,
            "{}",
            "null",
            "no json",
            "no  json",
        ];
        let digests: std::collections::HashSet<Vec<u8>> = texts.iter().map(|text| of(text)).collect();
        assert_eq!(digests.len(), texts.len());
    }

    #[test]
    fn what_is_written_plainly_is_digested_as_it_is() {
        let text = r#"{"command":"ls","timeout":"5s"}"#;
        assert_eq!(of(text), Sha256::digest(text).to_vec());
    }
}
