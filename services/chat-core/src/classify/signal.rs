//! What a failure's text gives away: a status, a provider, and words that belong to one kind.
//!
//! Owns the word lists. All texts here are lower case. Which signal wins is decided in `classify`.

/// How much of a text is looked at.
pub(super) const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The part of a text that counts, cut at a character.
pub(super) fn head(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES.min(text.len()));
    &text[..end]
}

/// Statuses worth finding in bare text.
const TELLING: [u16; 9] = [401, 403, 408, 429, 500, 502, 503, 504, 529];

/// A status named as such (`status code: 503`, `http 429`), else the first telling number that stands alone.
pub(super) fn status_in(text: &str) -> Option<u16> {
    named_status(text).or_else(|| bare_status(text))
}

fn named_status(text: &str) -> Option<u16> {
    ["status code", "status", "http"].into_iter().find_map(|name| {
        text.match_indices(name).find_map(|(start, _)| {
            let rest = text[start + name.len()..].trim_start_matches([' ', ':', '=']);
            leading_status(rest).filter(|status| (100..600).contains(status))
        })
    })
}

/// Exactly three digits at the start of `text`.
fn leading_status(text: &str) -> Option<u16> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 3 { text[..3].parse().ok() } else { None }
}

/// Not behind a colon, where a number is a port, and not behind "stream id", where it names a stream.
fn bare_status(text: &str) -> Option<u16> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|start| {
        let begins = bytes[start].is_ascii_digit() && (start == 0 || !is_word(bytes[start - 1]));
        let status = begins.then(|| leading_status(&text[start..]))??;
        let ends = bytes.get(start + 3).is_none_or(|next| !is_word(*next));
        let before = text[..start].trim_end_matches([' ', '=']);
        let is_other = text[..start].ends_with(':') || before.trim_end_matches(':').ends_with("stream id");
        (ends && !is_other && TELLING.contains(&status)).then_some(status)
    })
}

/// The provider a text seems to come from; empty if none.
pub(super) fn provider_in(text: &str) -> &'static str {
    const SIGNS: [(&str, &[&str]); 8] = [
        ("openai-compat", &["openai-compat"]),
        ("azure", &["azure"]),
        ("openrouter", &["openrouter"]),
        ("bedrock", &["bedrock"]),
        ("vercel", &["vercel"]),
        ("anthropic", &["anthropic", "claude"]),
        ("google", &["google", "gemini", "vertex"]),
        ("openai", &["openai"]),
    ];
    SIGNS
        .into_iter()
        .find(|(_, signs)| has_any(text, signs))
        .map_or("", |(provider, _)| provider)
}

/// The prompt is longer than the model's window.
pub(super) fn is_context_exceeded(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "context length exceeded",
        "context_length_exceeded",
        "context_exceeded",
        "exceed_context_size",
        "exceeds the available context size",
        "maximum context length",
        "prompt is too long",
        "exceed context limit",
        "exceeds the maximum number of tokens",
        "input is too long for requested model",
        // Too many messages, however short.
        "'messages': array too long",
    ];
    has_any(text, &WORDS)
}

/// A vendor refuses the model or the shape of the request.
pub(super) fn is_config(status: Option<u16>, text: &str) -> bool {
    const WORDS: [&str; 7] = [
        "invalid model",
        "model not found",
        "model_not_found",
        "unsupported model",
        "malformed config",
        "model is not supported",
        "unknown model",
    ];
    // Local servers answer 404 with the missing model's name between "model" and "not found".
    is_context_exceeded(text) || has_any(text, &WORDS) || (status == Some(404) && text.contains("model"))
}

/// A budget is spent. With a 429, looser words also occur in ordinary rate limits and do not count.
pub(super) fn is_usage_limit(status: Option<u16>, text: &str) -> bool {
    let is_certain = status == Some(402) || text.contains("insufficient_quota");
    is_certain || (status != Some(429) && has_any(text, &["quota", "billing", "payment required"]))
}

pub(super) fn is_auth(text: &str) -> bool {
    has_any(
        text,
        &[
            "authentication",
            "unauthorized",
            "invalid api key",
            "invalid_api_key",
            "incorrect api key",
        ],
    )
}

pub(super) fn is_rate_limit(text: &str) -> bool {
    has_any(text, &["rate limit", "rate_limit", "rate-limit", "too many requests"])
}

pub(super) fn is_provider_disabled(text: &str) -> bool {
    has_any(text, &["provider disabled", "provider_disabled"])
}

pub(super) fn is_server_error(text: &str) -> bool {
    has_any(text, &["server error", "server_error"])
}

/// A call that was stopped somewhere on the way, with nothing else to blame.
pub(super) fn is_bare_cancellation(text: &str) -> bool {
    has_any(
        text,
        &[
            "context canceled",
            "context cancelled",
            "operation was canceled",
            "request canceled",
        ],
    )
}

/// The vendor could not be reached or did not finish.
pub(super) fn is_timeout(text: &str) -> bool {
    const WORDS: [&str; 22] = [
        "timeout",
        "timed out",
        "deadline",
        "unavailable",
        "connection reset",
        "connection refused",
        "connection closed",
        "broken pipe",
        "bad gateway",
        "client conn",
        "goaway",
        "http2: stream closed",
        "use of closed network connection",
        "unexpected eof",
        "unexpected end of file",
        "incomplete message",
        "error sending request",
        "internal_error; received from peer",
        "refused_stream; received from peer",
        "cancel; received from peer",
        "enhance_your_calm; received from peer",
        "no_error; received from peer",
    ];
    has_any(text, &WORDS) || has_word(text, "eof")
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// Whether `word` stands alone: short words also hide inside others.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
}
