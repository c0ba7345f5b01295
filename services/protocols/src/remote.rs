//! Files that a request names by their address, for vendors that fetch them. Nothing is fetched here.
//!
//! Such a file is a [`FilePart`] whose type says that its content is elsewhere (RFC 2046, section 5.2.3) and whose bytes are the address.
//! Files of chats are never so: they are stored, and their types are few.

use tandem_chat_core::part::FilePart;
use url::Url;

use crate::{Kind, Protocol};

/// Longest address.
pub const MAX_URL_BYTES: usize = 2048;

const PICTURE: &str = "message/external-body; access-type=url; kind=image";
const DOCUMENT: &str = "message/external-body; access-type=url; kind=document";

/// A file that is elsewhere, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote<'a> {
    /// A picture.
    Picture(&'a str),
    /// A PDF document.
    Document(&'a str),
}

impl<'a> Remote<'a> {
    /// What a file says of itself; `None` for one whose bytes are there.
    pub fn of(file: &'a FilePart) -> Option<Self> {
        let kind = match file.media_type.as_str() {
            PICTURE => Self::Picture,
            DOCUMENT => Self::Document,
            _ => return None,
        };
        std::str::from_utf8(&file.data).ok().map(kind)
    }

    /// It as a file of that name; `None` if the address is none that a vendor could reach by HTTP.
    pub fn file(self, name: &str) -> Option<FilePart> {
        let (Self::Picture(address) | Self::Document(address)) = self;
        let url = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))?;
        (url.has_host() && address.len() <= MAX_URL_BYTES).then(|| FilePart {
            media_type: match self {
                Self::Picture(_) => PICTURE,
                Self::Document(_) => DOCUMENT,
            }
            .to_owned(),
            name: name.to_owned(),
            file_id: None,
            data: address.as_bytes().to_vec(),
        })
    }

    /// Whether a vendor fetches it.
    pub fn is_taken(self, protocol: Protocol, kind: Kind) -> bool {
        match (protocol, self) {
            (Protocol::Messages | Protocol::Responses, _) => true,
            (Protocol::ChatCompletions, Self::Picture(_)) => kind != Kind::Copilot,
            (Protocol::ChatCompletions, Self::Document(_))
            | (Protocol::Gemini | Protocol::Bedrock | Protocol::Demo, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_elsewhere_is_known_as_such_and_no_other_is() {
        for remote in [
            Remote::Picture("https://a.example/x.png"),
            Remote::Document("http://a.example/x?y#z"),
        ] {
            let file = remote.file("its name").unwrap();
            assert_eq!((Remote::of(&file), file.name.as_str()), (Some(remote), "its name"));
        }
        let here = FilePart {
            media_type: "image/png".to_owned(),
            name: String::new(),
            file_id: None,
            data: b"https://a.example".to_vec(),
        };
        assert_eq!(Remote::of(&here), None);
    }

    #[test]
    fn only_addresses_that_a_vendor_could_reach_are_taken() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        for address in [
            "",
            "x.png",
            "file:///etc/passwd",
            "gs://bucket/x",
            "data:image/png;base64,aGk",
            &long,
        ] {
            assert_eq!(Remote::Picture(address).file(""), None, "{address}");
        }
    }
}
