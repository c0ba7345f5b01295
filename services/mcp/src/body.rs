//! Bodies of answers, read no further than we want to hold.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;

/// Why a body is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is longer than was wanted; the rest is not read.
    #[error("the answer is larger than {max_bytes} bytes")]
    TooLarge {
        /// What was wanted.
        max_bytes: usize,
    },
    /// It broke off.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
}

/// A whole body of at most `max_bytes`.
///
/// # Errors
/// [`Error`]; a body that says it is longer is not read at all.
pub async fn whole(response: reqwest::Response, max_bytes: usize) -> Result<Bytes, Error> {
    let announced = response.content_length();
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > max_bytes)) {
        return Err(Error::TooLarge { max_bytes });
    }
    let mut stream = response.bytes_stream();
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Error::Broken(error.without_url()))?;
        if body.len() + chunk.len() > max_bytes {
            return Err(Error::TooLarge { max_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The first `max_bytes` of a body, as far as they come.
pub async fn start(response: reqwest::Response, max_bytes: usize) -> Bytes {
    let mut stream = response.bytes_stream();
    let mut body = BytesMut::new();
    while let Some(Ok(chunk)) = stream.next().await {
        let room = max_bytes.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() >= max_bytes {
            break;
        }
    }
    body.freeze()
}
