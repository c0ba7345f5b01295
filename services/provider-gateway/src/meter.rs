//! What a completion cost.
//!
//! Exact decimal arithmetic: prices are dollars per million tokens, so tokens times price are millionths of a dollar, and one
//! rounding up happens at the very end. Budgets are not kept here.

use serde_json::{Map, Value};
use tandem_chat_core::message::Usage;

/// Digits behind the point that count; prices below a trillionth of a dollar per million tokens are nothing.
const SCALE_DIGITS: usize = 12;

/// More tokens than any model takes or gives.
const MAX_TOKENS: i64 = 1_000_000_000;

/// The cost in millionths of a US dollar, or `None` when it is unpriced: nothing is priced, nothing was measured, or nothing of what
/// was measured has a price. Reasoning tokens are part of the output and not added again.
///
/// * `options`: the model's call options; prices stand in `cost`, or at the top level in old ones.
pub fn cost_usd_micros(options: &Map<String, Value>, usage: &Usage) -> Option<i64> {
    let terms = [
        ("input_price_per_million_tokens", usage.input_tokens),
        ("output_price_per_million_tokens", usage.output_tokens),
        ("cache_read_price_per_million_tokens", usage.cache_read_tokens),
        ("cache_write_price_per_million_tokens", usage.cache_creation_tokens),
    ];
    let mut sum: Option<i128> = None;
    for (name, tokens) in terms {
        let (Some(price), Some(tokens)) = (price(options, name), tokens) else {
            continue;
        };
        let term = price.checked_mul(i128::from(tokens.max(0)))?;
        sum = Some(sum.unwrap_or(0).checked_add(term)?);
    }
    let scale = 10_i128.pow(u32::try_from(SCALE_DIGITS).ok()?);
    // All terms are positive, so this rounds up.
    i64::try_from(sum?.checked_add(scale - 1)? / scale).ok()
}

/// Leaves out what cannot be. A vendor that reports more than any model takes or gives is not believed: nothing may be planned or summed
/// up by it.
pub fn forget_impossible(usage: &mut Usage) {
    for count in [
        &mut usage.input_tokens,
        &mut usage.output_tokens,
        &mut usage.total_tokens,
        &mut usage.reasoning_tokens,
        &mut usage.cache_creation_tokens,
        &mut usage.cache_read_tokens,
    ] {
        *count = count.filter(|count| (0..=MAX_TOKENS).contains(count));
    }
}

/// Adds what one more request has used; what is told of only one of them is not lost.
pub fn add(usage: &mut Usage, more: &Usage) {
    let add = |one: &mut Option<i64>, other: Option<i64>| {
        *one = match (*one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
    };
    add(&mut usage.input_tokens, more.input_tokens);
    add(&mut usage.output_tokens, more.output_tokens);
    add(&mut usage.total_tokens, more.total_tokens);
    add(&mut usage.reasoning_tokens, more.reasoning_tokens);
    add(&mut usage.cache_creation_tokens, more.cache_creation_tokens);
    add(&mut usage.cache_read_tokens, more.cache_read_tokens);
    usage.context_limit = more.context_limit.or(usage.context_limit);
}

/// A price in units of 10^-12 dollars; text or number.
fn price(options: &Map<String, Value>, name: &str) -> Option<i128> {
    let value = options
        .get("cost")
        .and_then(|cost| cost.get(name))
        .or_else(|| options.get(name))?;
    match value {
        Value::String(text) => decimal(text.trim()),
        Value::Number(number) => decimal(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A decimal, possibly with an exponent, in units of 10^-12. Negative and endless ones are none.
fn decimal(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = whole.len() + fraction.len() > 0
        && [whole, fraction]
            .iter()
            .all(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    if !is_number {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let decimals = i32::try_from(fraction.len()).ok()?;
    let shift = exponent
        .checked_add(i32::try_from(SCALE_DIGITS).ok()?)?
        .checked_sub(decimals)?;
    let factor = 10_i128.checked_pow(shift.unsigned_abs())?;
    match shift {
        0.. => digits.checked_mul(factor),
        _ => (digits % factor == 0).then_some(digits / factor),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cost(options: Value, usage: Usage) -> Option<i64> {
        cost_usd_micros(options.as_object().unwrap(), &usage)
    }

    fn usage(input: i64, output: i64) -> Usage {
        Usage {
            input_tokens: Some(input),
            output_tokens: Some(output),
            ..Usage::default()
        }
    }

    #[test]
    fn the_sum_is_rounded_up_once() {
        let options =
            json!({"cost": {"input_price_per_million_tokens": "0.15", "output_price_per_million_tokens": 0.6}});
        assert_eq!(cost(options.clone(), usage(1, 1)), Some(1));
        assert_eq!(cost(options.clone(), usage(1000, 1000)), Some(750));
        assert_eq!(cost(options, usage(3, 1)), Some(2), "0.45 + 0.6 is 1.05");
    }

    #[test]
    fn every_kind_of_token_has_its_price_and_old_options_count() {
        let options = json!({
            "input_price_per_million_tokens": 1, "output_price_per_million_tokens": 1,
            "cost": {"cache_read_price_per_million_tokens": "0.1", "cache_write_price_per_million_tokens": "1e0"},
        });
        let usage = Usage {
            cache_read_tokens: Some(10),
            cache_creation_tokens: Some(5),
            reasoning_tokens: Some(99),
            ..usage(2, 3)
        };
        assert_eq!(cost(options, usage), Some(11));
    }

    #[test]
    fn unpriced_is_not_free() {
        let priced = json!({"cost": {"input_price_per_million_tokens": "0"}});
        assert_eq!(cost(priced.clone(), usage(7, 7)), Some(0));
        assert_eq!(cost(priced.clone(), Usage::default()), None);
        assert_eq!(
            cost(
                priced,
                Usage {
                    output_tokens: Some(7),
                    ..Usage::default()
                }
            ),
            None
        );
        for options in [
            json!({}),
            json!({"cost": null}),
            json!({"cost": {"input_price_per_million_tokens": "-1"}}),
            json!({"cost": {"input_price_per_million_tokens": "many"}}),
        ] {
            assert_eq!(cost(options, usage(1, 1)), None);
        }
    }

    #[test]
    fn decimals_are_exact() {
        for (text, expected) in [
            ("0.000000000001", Some(1)),
            ("1e-7", Some(100_000)),
            ("12.5", Some(12_500_000_000_000)),
            (".5", Some(500_000_000_000)),
            ("5.", Some(5_000_000_000_000)),
            ("1e-40", None),
            ("1e2147483647", None),
            ("1e-2147483648", None),
            ("", None),
            (".", None),
            ("NaN", None),
            ("1e99", None),
            ("99999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(decimal(text), expected, "{text}");
        }
    }

    #[test]
    fn absurd_numbers_are_unpriced_and_never_overflow() {
        let options = json!({"cost": {"input_price_per_million_tokens": "99999999999999"}});
        assert_eq!(cost(options, usage(i64::MAX, 0)), None);
    }
}
