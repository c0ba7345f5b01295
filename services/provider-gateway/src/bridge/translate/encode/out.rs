//! Bytes on their way to a client.

use std::fmt::{self, Write as _};

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde_json::Value;

/// Memory that is asked for at once: room for a few frames.
const BLOCK_BYTES: usize = 4096;

/// Frames being written. What is taken shares its memory with what is written next.
#[derive(Debug)]
pub(super) struct Out(BytesMut);

impl Default for Out {
    fn default() -> Self {
        Self(BytesMut::with_capacity(BLOCK_BYTES))
    }
}

impl Out {
    /// Text as it is.
    pub(super) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Text with values in it.
    pub(super) fn format(&mut self, text: fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("memory takes every text");
    }

    /// A value as JSON.
    pub(super) fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        serde_json::to_writer((&mut self.0).writer(), value).expect("memory takes every byte, and keys are texts");
    }

    /// A frame without a name.
    pub(super) fn data(&mut self, value: &Value) {
        self.raw("data: ");
        self.json(value);
        self.raw("\n\n");
    }

    /// A frame with its name.
    pub(super) fn named(&mut self, name: &str, value: &Value) {
        self.raw("event: ");
        self.raw(name);
        self.raw("\n");
        self.data(value);
    }

    /// Everything written since the last time.
    pub(super) fn take(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}

/// One frame without a name.
pub(super) fn data(value: &Value) -> Bytes {
    let mut out = Out::default();
    out.data(value);
    out.take()
}

/// One frame with its name.
pub(super) fn named(name: &str, value: &Value) -> Bytes {
    let mut out = Out::default();
    out.named(name, value);
    out.take()
}
