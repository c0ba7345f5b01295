//! What a file really is: a few magic bytes, and for text its name. It decides what may be stored; it changes no byte.
//!
//! Whoever takes files in asks here: the gateway for uploads, tool-runner for files of workspaces.

/// Media types that may be stored.
pub const ALLOWED: [&str; 9] = [
    "application/json",
    "application/pdf",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/csv",
    "text/markdown",
    "text/plain",
];

/// Longest file name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Bytes looked at to tell text from binary and to find an SVG's root.
const LOOKED_AT: usize = 4096;

/// Why a file is not accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The client's own word for it is not accepted.
    Declared(String),
    /// What it really is, is not accepted.
    Detected(&'static str),
    /// It is not what the client says.
    Mismatch { declared: String, detected: &'static str },
}

/// The media type to store for `data` called `name`, which the client declares to be `declared` (parameters cut, lower
/// case; empty counts as `application/octet-stream`).
///
/// # Errors
/// [`Refusal`].
pub fn check(data: &[u8], name: &str, declared: &str) -> Result<&'static str, Refusal> {
    let is_vague = declared.is_empty() || declared == "application/octet-stream";
    if !is_vague && !ALLOWED.contains(&declared) {
        return Err(Refusal::Declared(declared.to_owned()));
    }
    let detected = detect(data, name);
    if !ALLOWED.contains(&detected) {
        return Err(Refusal::Detected(detected));
    }
    let is_refined = declared == "text/plain" && matches!(detected, "text/markdown" | "text/csv" | "application/json");
    if is_vague || is_refined || declared == detected {
        Ok(detected)
    } else {
        Err(Refusal::Mismatch {
            declared: declared.to_owned(),
            detected,
        })
    }
}

fn detect(data: &[u8], name: &str) -> &'static str {
    let head = data.get(..LOOKED_AT).unwrap_or(data);
    if is_svg(head) {
        return "image/svg+xml";
    }
    if let Some(found) = magic(head) {
        return found;
    }
    if is_binary(head) {
        return "application/octet-stream";
    }
    let lower = String::from_utf8_lossy(head).trim_start().to_lowercase();
    if lower.starts_with("<?xml") {
        return "text/xml";
    }
    if ["<!doctype html", "<html", "<head", "<body", "<script", "<iframe"]
        .iter()
        .any(|start| lower.starts_with(start))
    {
        // Served back as plain text, which no browser runs.
        return "text/plain";
    }
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("json") if serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok() => "application/json",
        Some("md" | "markdown") => "text/markdown",
        Some("csv") => "text/csv",
        _ => "text/plain",
    }
}

fn magic(head: &[u8]) -> Option<&'static str> {
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP".as_slice());
    if is_webp {
        return Some("image/webp");
    }
    let is_mp4 = head.get(4..8) == Some(b"ftyp".as_slice());
    if is_mp4 {
        return Some("video/mp4");
    }
    let signatures: [(&[u8], &'static str); 9] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b", "application/gzip"),
        (b"\x7fELF", "application/x-executable"),
        (b"MZ", "application/x-executable"),
    ];
    signatures
        .into_iter()
        .find(|(start, _)| head.starts_with(start))
        .map(|(_, media_type)| media_type)
        // Two letters are also how plain words start.
        .filter(|media_type| *media_type != "application/x-executable" || is_binary(head))
}

/// Control characters no text has. The end may cut a character in half, so UTF-8 is not asked for.
fn is_binary(head: &[u8]) -> bool {
    head.iter()
        .any(|byte| matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

/// Whether the first element is `<svg`, behind declarations and comments.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!") {
            // Declarations inside a declaration have ends of their own.
            let inner = rest.find('[').unwrap_or(rest.len());
            if rest.find('>').is_none_or(|end| inner < end) {
                return text.to_ascii_lowercase().contains("<svg");
            }
            ">"
        } else {
            break;
        };
        match rest.find(end) {
            Some(at) => rest = rest[at + end.len()..].trim_start(),
            None => return text.to_ascii_lowercase().contains("<svg"),
        }
    }
    let root = rest.get(..4).unwrap_or_default();
    root.eq_ignore_ascii_case("<svg") || rest.get(1..).is_some_and(|name| name.starts_with("svg:svg"))
}

/// `name` as it is stored: without control characters, characters that are not seen or turn others around, and edge white space, cut to
/// [`MAX_NAME_BYTES`].
pub fn normal_name(name: &str) -> String {
    let is_hidden = |letter: char| {
        // Joiners stay: whole languages are written with them.
        let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns
            || matches!(
                letter,
                '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            )
    };
    let cleaned: String = name
        .chars()
        .filter(|letter| !letter.is_control() && !is_hidden(*letter))
        .collect();
    let trimmed = cleaned.trim();
    trimmed[..trimmed.floor_char_boundary(MAX_NAME_BYTES)]
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn files_are_what_their_bytes_say() {
        let table: [(&[u8], &str, &str, &str); 12] = [
            (PNG, "a.png", "image/png", "image/png"),
            (PNG, "a", "", "image/png"),
            (PNG, "a", "application/octet-stream", "image/png"),
            (b"\xff\xd8\xff\xe0", "a.jpg", "image/jpeg", "image/jpeg"),
            (b"GIF89a..", "a.gif", "image/gif", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "a.webp", "image/webp", "image/webp"),
            (b"%PDF-1.7\n", "a.pdf", "application/pdf", "application/pdf"),
            (b"{\"a\":1}", "a.json", "application/json", "application/json"),
            (b"{\"a\":1", "a.json", "text/plain", "text/plain"),
            (b"# Title", "a.MD", "text/plain", "text/markdown"),
            (b"a,b\n1,2", "a.csv", "text/csv", "text/csv"),
            (b"<html><script>", "a.html", "text/plain", "text/plain"),
        ];
        for (data, name, declared, expected) in table {
            assert_eq!(check(data, name, declared), Ok(expected), "{name} {declared}");
        }
    }

    #[test]
    fn what_is_not_accepted_says_why() {
        let svg: &[u8] = b"<?xml version=\"1.0\"?><!-- c --><!DOCTYPE svg><SVG onload=alert(1)>";
        let table: [(&[u8], &str, &str, Refusal); 9] = [
            (PNG, "a.png", "image/tiff", Refusal::Declared("image/tiff".into())),
            (b"<html>", "a.html", "text/html", Refusal::Declared("text/html".into())),
            (svg, "a.txt", "text/plain", Refusal::Detected("image/svg+xml")),
            (b"<svg/>", "a.png", "image/png", Refusal::Detected("image/svg+xml")),
            (
                b"<!DOCTYPE svg [<!ENTITY a \">\">]><svg onload=alert(1)>",
                "a.txt",
                "",
                Refusal::Detected("image/svg+xml"),
            ),
            (
                b"<?xml version=\"1.0\"?><a/>",
                "a.txt",
                "",
                Refusal::Detected("text/xml"),
            ),
            (b"PK\x03\x04", "a.zip", "", Refusal::Detected("application/zip")),
            (
                b"\0\x01\x02",
                "a.txt",
                "text/plain",
                Refusal::Detected("application/octet-stream"),
            ),
            (
                PNG,
                "a.jpg",
                "image/jpeg",
                Refusal::Mismatch {
                    declared: "image/jpeg".into(),
                    detected: "image/png",
                },
            ),
        ];
        for (data, name, declared, expected) in table {
            assert_eq!(check(data, name, declared), Err(expected), "{name} {declared}");
        }
    }

    #[test]
    fn names_lose_what_is_dangerous() {
        assert_eq!(normal_name(" a\u{0}\r\nb "), "ab");
        assert_eq!(normal_name(&"\u{2603}".repeat(100)).len(), 255);
        assert_eq!(normal_name("\n"), "");
        assert_eq!(
            normal_name("report\u{202e}gpj.exe"),
            "reportgpj.exe",
            "nothing turns it around"
        );
        assert_eq!(normal_name("\u{200b}\u{feff}"), "");
    }
}
