//! How long to wait before a failed model call is tried again, and when to give up.
//!
//! Owns the delay and the reading of `Retry-After`. It does not sleep, and which failures are worth a retry is in `classify`.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Attempts a step gets before its failure becomes the chat's error.
pub const MAX_ATTEMPTS: u32 = 25;
/// The first delay; each further one doubles.
pub const BASE_DELAY: Duration = Duration::from_secs(1);
/// Where doubling ends.
pub const MAX_DELAY: Duration = Duration::from_secs(60);
/// The longest wait a vendor can impose: beyond it the header is more likely broken than meant.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks this close are the same clock, seen at different moments: ours is the finer one then.
const CLOCKS_AGREE: Duration = Duration::from_secs(10);

/// The wait before the next attempt after `failed` attempts have failed, counted from 0 for the first failure.
///
/// `retry_after` is a floor and never a ceiling; zero if the vendor named none. No jitter: chats fail at different times anyway.
pub fn delay(failed: u32, retry_after: Duration) -> Duration {
    let doubled = BASE_DELAY.saturating_mul(2_u32.saturating_pow(failed));
    doubled.min(MAX_DELAY).max(retry_after)
}

/// The wait a vendor asks for in its response headers, at most [`MAX_RETRY_AFTER`]; zero if it asks for none or nonsense.
///
/// `retry-after-ms` (milliseconds) wins over `retry-after` (seconds, or an HTTP date compared with `now`, or with the vendor's own
/// `date` where that is clearly another time). Names match in any case.
pub fn retry_after<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>, now: OffsetDateTime) -> Duration {
    let mut coarse = None;
    let mut until = None;
    let mut vendors_now = None;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("retry-after-ms") {
            if let Some(wait) = positive(value, 1e-3) {
                return wait;
            }
        } else if name.eq_ignore_ascii_case("retry-after") {
            coarse = coarse.or_else(|| positive(value, 1.0));
            until = until.or_else(|| date(value));
        } else if name.eq_ignore_ascii_case("date") {
            vendors_now = date(value);
        }
    }
    let differs = |date: &OffsetDateTime| (*date - now).abs() > CLOCKS_AGREE;
    let now = vendors_now.filter(differs).unwrap_or(now);
    let wait = until.and_then(|until| Duration::try_from(until - now).ok());
    coarse.or(wait).unwrap_or_default().min(MAX_RETRY_AFTER)
}

/// A positive number of `unit` seconds.
fn positive(value: &str, unit: f64) -> Option<Duration> {
    let seconds = value.trim().parse::<f64>().ok()? * unit;
    // Also refuses NaN.
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64())))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one date format that RFC 9110 lets servers send.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

fn date(value: &str) -> Option<OffsetDateTime> {
    let date = time::PrimitiveDateTime::parse(value.trim(), HTTP_DATE).ok()?;
    Some(date.assume_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(1994-11-06 08:49:07 UTC);

    fn asked(headers: &[(&str, &str)]) -> Duration {
        retry_after(headers.iter().copied(), NOW)
    }

    #[test]
    fn delays_double_up_to_a_minute() {
        let seconds: Vec<u64> = (0..8).map(|failed| delay(failed, Duration::ZERO).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay(u32::MAX, Duration::ZERO), MAX_DELAY);
    }

    #[test]
    fn the_vendors_wish_is_a_floor() {
        assert_eq!(delay(0, Duration::from_secs(90)), Duration::from_secs(90));
        assert_eq!(delay(3, Duration::from_secs(2)), Duration::from_secs(8));
    }

    #[test]
    fn every_form_of_the_header_is_read() {
        assert_eq!(asked(&[("Retry-After", "7")]), Duration::from_secs(7));
        assert_eq!(asked(&[("retry-after", " 1.5 ")]), Duration::from_millis(1500));
        assert_eq!(asked(&[("RETRY-AFTER-MS", "250")]), Duration::from_millis(250));
        assert_eq!(
            asked(&[("retry-after", "9"), ("retry-after-ms", "250")]),
            Duration::from_millis(250)
        );
        assert_eq!(
            asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Duration::from_secs(30)
        );
    }

    #[test]
    fn a_date_is_compared_with_the_clock_it_was_read_from() {
        let until = |date| asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), ("date", date)]);
        assert_eq!(
            until("Sun, 06 Nov 1994 08:49:06 GMT"),
            Duration::from_secs(30),
            "the same clock"
        );
        assert_eq!(
            until("Sun, 06 Nov 1994 08:39:37 GMT"),
            Duration::from_secs(600),
            "ours is ahead"
        );
        assert_eq!(until("Sun, 06 Nov 1994 09:49:07 GMT"), Duration::ZERO, "ours is behind");
        assert_eq!(until("yesterday"), Duration::from_secs(30));
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        for value in [
            "",
            "-3",
            "0",
            "NaN",
            "soon",
            "Sun, 06 Nov 1994 08:49:00 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(asked(&[("retry-after", value)]), Duration::ZERO, "{value}");
        }
        assert_eq!(
            asked(&[("retry-after-ms", "x"), ("retry-after", "3")]),
            Duration::from_secs(3)
        );
    }

    #[test]
    fn no_vendor_can_park_a_chat_for_ever() {
        assert_eq!(asked(&[("retry-after", "1e300")]), MAX_RETRY_AFTER);
        assert_eq!(asked(&[("retry-after", "inf")]), MAX_RETRY_AFTER);
        assert_eq!(
            asked(&[("retry-after", "Sat, 06 Nov 2094 08:49:37 GMT")]),
            MAX_RETRY_AFTER
        );
    }

    proptest! {
        #[test]
        fn no_header_panics(name in "(?i)retry-after(-ms)?", value in any::<String>()) {
            prop_assert!(asked(&[(&name, &value)]) <= MAX_RETRY_AFTER);
        }
    }
}
