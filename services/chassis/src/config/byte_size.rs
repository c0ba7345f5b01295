//! Sizes as text with a binary unit: `#[serde(with = "tandem_chassis::config::byte_size")]` on `u64`, `usize`, `u32`.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Units, largest first, in bytes.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1024 * 1024 * 1024),
    ("MiB", 1024 * 1024),
    ("KiB", 1024),
    ("B", 1),
];

/// Reads `512B`, `64KiB`, `8MiB`, `2GiB`; a whole number and one unit.
///
/// # Errors
/// A sentence fragment saying what is expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let found = UNITS.iter().find(|(name, _)| *name == unit);
    number
        .parse::<u64>()
        .ok()
        .zip(found)
        .and_then(|(number, (_, bytes))| number.checked_mul(*bytes))
        .ok_or_else(|| format!("{text:?} is no size; write a number and B, KiB, MiB or GiB"))
}

/// The shortest text [`parse`] reads back as `bytes`.
pub fn format(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit)| bytes.is_multiple_of(*unit))
        .map(|(name, unit)| format!("{}{name}", bytes / unit))
        .unwrap_or_default()
}

/// For `serde(with)`.
///
/// # Errors
/// The serializer's own.
pub fn serialize<T, S>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Copy + TryInto<u64>,
    S: Serializer,
{
    let bytes = (*bytes)
        .try_into()
        .map_err(|_| serde::ser::Error::custom("size does not fit"))?;
    serializer.serialize_str(&format(bytes))
}

/// For `serde(with)`.
///
/// # Errors
/// Text that [`parse`] refuses, or a size the target type cannot hold.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    let bytes = parse(&text).map_err(D::Error::custom)?;
    T::try_from(bytes).map_err(|_| D::Error::custom(format_args!("{text} is too large here")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_reads_and_writes_back() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("8MiB", 8_388_608),
            ("2GiB", 2_147_483_648),
        ] {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(format(bytes), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "8", "MiB", "8MB", "8 MiB", "-1B", "1.5KiB", "99999999999GiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
