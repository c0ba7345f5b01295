//! How files are named on their way in and out. What they really are is [`tandem_chassis::sniff`]'s, and here under the same name.

pub use tandem_chassis::sniff::{ALLOWED, Refusal, check, normal_name};

/// The file name of a `Content-Disposition` header: `filename*` (RFC 5987, UTF-8) before `filename`. Folders are cut.
pub fn name_of_disposition(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let parameters = parameters(&text);
    let find = |wanted: &str| {
        parameters
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.clone())
    };
    let extended = find("filename*").and_then(|value| {
        let (charset, rest) = value.split_once('\'')?;
        let (_, encoded) = rest.split_once('\'')?;
        charset
            .eq_ignore_ascii_case("utf-8")
            .then(|| percent_decoded(encoded))?
    });
    let name = extended.or_else(|| find("filename"))?;
    let bare = name.rsplit(['/', '\\']).next().unwrap_or_default();
    Some(bare.to_owned())
}

/// `; name=value` pairs; quoted values unescaped.
fn parameters(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some(at) = rest.find(';') {
        rest = rest[at + 1..].trim_start();
        let Some((name, after)) = rest.split_once('=') else {
            break;
        };
        let after = after.trim_start();
        let (value, used) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), end)
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = after.get(used..).unwrap_or_default();
    }
    found
}

/// The text up to the closing quote, and how much of the input (opening quote included) it took.
fn unquote(quoted: &str) -> (String, usize) {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, at + 2),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, quoted.len() + 1)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// `Content-Disposition` for serving `name` back: media a page can show is shown, all else is saved.
pub fn disposition(media_type: &str, name: &str) -> String {
    let is_shown = ALLOWED.contains(&media_type) && media_type != "application/pdf";
    let kind = if is_shown { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            '"' | '\\' => '_',
            ' '..='~' => letter,
            _ => '_',
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_header_and_lose_their_folders() {
        let table: [(&[u8], Option<&str>); 7] = [
            (b"attachment; filename=\"a b.txt\"", Some("a b.txt")),
            (b"attachment; filename=a.txt; x=y", Some("a.txt")),
            (
                b"inline; filename=\"fallback\"; filename*=UTF-8''%E2%98%83.txt",
                Some("\u{2603}.txt"),
            ),
            (b"attachment; filename=\"a\\\"b.txt\"", Some("a\"b.txt")),
            (b"attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            (b"attachment; filename*=UTF-8''%zz; filename=b", Some("b")),
            (b"attachment", None),
        ];
        for (header, expected) in table {
            assert_eq!(name_of_disposition(header).as_deref(), expected);
        }
    }

    #[test]
    fn served_files_carry_their_name_safely() {
        assert_eq!(
            disposition("text/plain", "a\"b \u{2603}.txt"),
            "inline; filename=\"a_b _.txt\"; filename*=UTF-8''a%22b%20%E2%98%83.txt"
        );
        assert!(disposition("application/pdf", "a.pdf").starts_with("attachment;"));
        assert!(disposition("video/mp4", "a.mp4").starts_with("attachment;"));
    }
}
