//! Durations as models write them: `10s`, `1m30s`, `1.5h`, `500ms`, `0`.

use std::time::Duration;

/// Units with their length in nanoseconds; longer names first where one begins with another.
const UNITS: [(&str, f64); 7] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
];

/// Longest duration that is understood.
const MAX: f64 = 1_000.0 * 3_600e9;

/// The duration, or `None` for anything else, negative ones included.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim().strip_prefix('+').unwrap_or(text.trim());
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        nanoseconds += number * unit;
        rest = &rest[end..];
    }
    (nanoseconds <= MAX).then(|| Duration::from_secs_f64(nanoseconds / 1e9))
}

/// The duration as the model would write it.
pub(super) fn format(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if !milliseconds.is_multiple_of(1_000) {
        return format!("{milliseconds}ms");
    }
    let (hours, minutes, seconds) = (
        milliseconds / 3_600_000,
        milliseconds / 60_000 % 60,
        milliseconds / 1_000 % 60,
    );
    let mut text = String::new();
    for (number, unit) in [(hours, 'h'), (minutes, 'm'), (seconds, 's')] {
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_understood_and_written_back() {
        let cases = [
            ("10s", 10_000, "10s"),
            ("1m30s", 90_000, "1m30s"),
            ("1.5h", 5_400_000, "1h30m"),
            ("500ms", 500, "500ms"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("+2m", 120_000, "2m"),
            (" 3s ", 3_000, "3s"),
            ("1h0m1s", 3_601_000, "1h1s"),
            (".5s", 500, "500ms"),
        ];
        for (text, milliseconds, written) in cases {
            let parsed = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parsed, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(format(parsed), written, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1x",
            "1s 2s",
            "1..5s",
            "9999999h",
            "ten seconds",
            "1sm",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
