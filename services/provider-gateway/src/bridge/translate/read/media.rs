//! Files within a body: `data:` addresses and base64; and addresses of others, for vendors that fetch them. Nothing is fetched here.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use tandem_chat_core::part::FilePart;
use tandem_protocols::remote::{MAX_URL_BYTES, Remote};

use crate::bridge::translate::Refused;

/// Largest file, as bytes.
const MAX_FILE_BYTES: usize = 10 * 1024 * 1024;

/// Longest name that is kept.
const MAX_NAME_BYTES: usize = 256;

/// Some clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A picture at an address: within it, or where its vendor may fetch it.
///
/// # Errors
/// It is neither.
pub(super) fn picture(url: &str, field: &str) -> Result<FilePart, Refused> {
    if is_data(url) {
        return within(url, "", field);
    }
    remote(Remote::Picture(url), field)
}

/// A PDF document where its vendor may fetch it.
///
/// # Errors
/// That is no address to fetch from.
pub(super) fn document(url: &str, field: &str) -> Result<FilePart, Refused> {
    remote(Remote::Document(url), field)
}

/// A file that is elsewhere is called by where it stands in the request: that is what a refusal names.
fn remote(remote: Remote<'_>, field: &str) -> Result<FilePart, Refused> {
    let wrong = || {
        let text = format!(
            "It must be an address that begins with https:// or http://, of at most {MAX_URL_BYTES} bytes, or hold the file itself (data:TYPE;base64,DATA)."
        );
        Refused::new(field, text)
    };
    remote.file(field).ok_or_else(wrong)
}

fn is_data(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// A file within a `data:` address.
fn within(url: &str, name: &str, field: &str) -> Result<FilePart, Refused> {
    let parts = url.get(5..).and_then(|rest| rest.split_once(','));
    let parts = parts.and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
    let Some((media_type, data)) = parts else {
        return Err(Refused::new(
            field,
            "The data: address must have the form data:TYPE;base64,DATA.",
        ));
    };
    file(media_type, data, name, field)
}

/// A file that is somewhere else and cannot be told: by a vendor's name for it, or where this model's vendor fetches none.
pub(in crate::bridge::translate) fn elsewhere(field: &str) -> Refused {
    Refused::new(
        field,
        "Tandem fetches no files and has none that a provider keeps, and this model's provider fetches none of this kind here. Send the file itself, as base64 (data:TYPE;base64,DATA).",
    )
}

/// A file as base64.
///
/// # Errors
/// It is no base64, or too large.
pub(super) fn file(media_type: &str, base64: &str, name: &str, field: &str) -> Result<FilePart, Refused> {
    if base64.len() / 4 * 3 > MAX_FILE_BYTES {
        return Err(Refused::new(
            field,
            format!("The file is larger than {MAX_FILE_BYTES} bytes."),
        ));
    }
    let data = LENIENT
        .decode(base64)
        .map_err(|error| Refused::new(field, format!("The file is not base64: {error}.")))?;
    Ok(FilePart {
        media_type: media_type.trim().to_ascii_lowercase(),
        name: name[..name.floor_char_boundary(MAX_NAME_BYTES)].to_owned(),
        file_id: None,
        data,
    })
}

/// A file of which only the name tells the type, unless it comes with its own.
///
/// # Errors
/// As [`file`], or its type cannot be told.
pub(super) fn named(data: &str, name: &str, field: &str) -> Result<FilePart, Refused> {
    if is_data(data) {
        return within(data, name, field);
    }
    let mut file = file("", data, name, field)?;
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    file.media_type = match ending.as_deref() {
        _ if file.data.starts_with(b"%PDF-") => "application/pdf",
        Some("txt" | "md" | "csv" | "log") => "text/plain",
        Some("json") => "application/json",
        _ => {
            return Err(Refused::new(
                field,
                "The type of the file is not known. Send it as data:TYPE;base64,DATA.",
            ));
        }
    }
    .to_owned();
    Ok(file)
}

/// Whether a file is a picture.
pub(super) fn is_image(file: &FilePart) -> bool {
    file.media_type.starts_with("image/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_within_its_address_is_taken() {
        let file = within("data:image/PNG;base64,iVBO", "", "f").unwrap();
        assert_eq!(
            (file.media_type.as_str(), file.data.as_slice()),
            ("image/png", b"\x89PN".as_slice())
        );
        assert_eq!(
            within("data:text/plain;charset=utf-8;base64,aGk", "", "f")
                .unwrap()
                .data,
            b"hi",
            "without padding"
        );
    }

    #[test]
    fn what_would_have_to_be_fetched_is_refused() {
        for url in [
            "https://a.org/x.png",
            "",
            "file:///etc/passwd",
            "data:text/plain,hi",
            "data:",
            "dätä:",
        ] {
            assert_eq!(within(url, "", "f").unwrap_err().field, "f", "{url}");
        }
        let long = "A".repeat(MAX_FILE_BYTES * 4 / 3 + 8);
        let error = file("image/png", &long, "", "f").unwrap_err();
        assert!(error.message.contains("larger"), "{error}");
    }

    #[test]
    fn the_name_tells_the_type_where_nothing_else_does() {
        assert_eq!(named("JVBERi0=", "x", "f").unwrap().media_type, "application/pdf");
        assert_eq!(named("aGk=", "a.TXT", "f").unwrap().media_type, "text/plain");
        assert!(named("aGk=", "a.bin", "f").is_err());
    }
}
