//! Whatever strangers send, the parsers of this service answer or refuse; none panics, and what they make of it is bounded. Tests only.
//!
//! `PROPTEST_CASES=1000000` runs them for long.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use proptest::{collection::vec, option, prelude::*, sample::select};
use url::Url;

use crate::{
    auth::{cookie, origin::Origins, token},
    rest::{
        query::Query,
        wire::{command, input},
    },
    search, sniff,
    ws::frame,
};

/// Pieces of a query of lists, in any order and with anything between them.
fn search_query() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "archived",
            "has_unread",
            "title",
            "pr",
            "pr_status",
            "diff_url",
            "repo",
            "label",
            ":",
            "\"",
            " ",
            "\t",
            ",",
            "true",
            "0",
            "http://",
            "[::1]",
            "é",
            "\u{2003}",
            "\\",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A header of a request that carries credentials or says where it comes from, with any bytes a header can have.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let name = select(vec![
        header::COOKIE,
        header::AUTHORIZATION,
        header::ORIGIN,
        header::HOST,
        HeaderName::from_static("coder-session-token"),
    ]);
    let known = select(vec![
        "tandem_session=",
        "Bearer ",
        "bearer",
        "http://",
        "https://127.0.0.1:7080",
        "localhost",
        "null",
        ";",
        "=",
        "\"",
        "[::1]:7080",
    ]);
    // Bytes no header can have do not get as far as here.
    let byte = any::<u8>().prop_map(|byte| if byte < b' ' || byte == 0x7f { b'~' } else { byte });
    let value = (option::of(known), vec(byte, 0..64)).prop_map(|(known, bytes)| {
        let bytes = [known.unwrap_or_default().as_bytes(), &bytes].concat();
        HeaderValue::from_bytes(&bytes).expect("bytes a header can have")
    });
    vec((name, value), 0..6).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    })
}

proptest! {
    #[test]
    fn searches_are_understood_or_refused(text in search_query()) {
        match search::parse(&text) {
            Ok(filter) => prop_assert!(filter.title.len() <= text.len()),
            Err(problem) => prop_assert_eq!(problem.status(), 400),
        }
        if let Ok(terms) = search::terms(&text) {
            let length: usize = terms.iter().map(|(key, values)| key.len() + values.concat().len()).sum();
            // Lower case of some letters is longer.
            prop_assert!(length <= 3 * text.len());
        }
    }

    #[test]
    fn parameters_of_an_address_are_read_or_refused(text in "[ -~é\u{0}]{0,200}", name in "[a-z_]{0,8}") {
        let query = Query::parse(&text);
        prop_assert!(query.all(&name).count() <= 128);
        let _ = query.one(&name);
        let _ = query.number::<i32>(&name, 0);
        let _ = query.number::<u64>(&name, 1);
        let _ = query.read::<tandem_chat_core::cursor::Cursor>(&name, "a cursor");
        let _ = query.only(&["limit", "offset"]);
    }

    #[test]
    fn commands_are_taken_apart(line in "(?s)[ -~\n\t\\\\'\";|&=é]{0,300}") {
        let commands = command::parse(&line);
        prop_assert!(commands.len() <= 32);
        prop_assert!(commands.iter().all(|words| (1..=2).contains(&words.len())));
    }

    #[test]
    fn files_are_what_they_are_or_refused(
        magic in select(vec![&b""[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"%PDF-", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff", b"<svg", b"<?xml", b"{"]),
        data in vec(any::<u8>(), 0..600),
        name in any::<String>(),
        declared in select(vec!["", "image/png", "text/plain", "application/json", "application/octet-stream", "text/html", "x/y"]),
    ) {
        if let Ok(kind) = sniff::check(&[magic, &data].concat(), &name, declared) {
            prop_assert!(sniff::ALLOWED.contains(&kind));
        }
    }

    #[test]
    fn credentials_are_found_or_not(headers in headers(), query in "[ -~]{0,80}", is_query_allowed in any::<bool>()) {
        let _ = cookie::get(&headers, cookie::SESSION);
        let uri = format!("/api/v1/chats?{}", query.replace([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'], ""));
        let Ok(mut request) = Request::builder().uri(uri).body(()) else { return Ok(()) };
        *request.headers_mut() = headers;
        let (parts, ()) = request.into_parts();
        let found = token::find(&parts, is_query_allowed);
        if let Some(found) = &found {
            prop_assert!((1..=1024).contains(&found.token.expose().len()));
            prop_assert_eq!(format!("{:?}", found.token), "Token(redacted)");
        }
        let public_url: Url = "https://tandem.example.com".parse()?;
        let origins = Origins::new(&public_url, false, []);
        let carrier = found.map(|found| found.carrier);
        let admitted = origins.check(&Method::POST, &parts.headers, carrier, true).is_ok();
        let has_origin = parts.headers.contains_key(header::ORIGIN);
        prop_assert!(!admitted || !has_origin || is_ours(&parts.headers), "a foreign page was admitted");
    }

    #[test]
    fn bodies_with_a_message_are_read_or_refused(body in vec(any::<u8>(), 0..200), text in any::<String>(), kind in "[a-z-]{0,12}") {
        let _ = serde_json::from_slice::<Vec<input::ChatInputPart>>(&body);
        let part = serde_json::json!([{ "type": kind, "text": text, "file_id": text, "file_name": text, "start_line": 7 }]);
        let _ = serde_json::from_value::<Vec<input::ChatInputPart>>(part);
    }

    #[test]
    fn an_event_is_one_line_of_its_stream_whatever_it_says(text in any::<String>()) {
        let data = frame::data(&text);
        prop_assert!(!data.contains(['\n', '\r']), "{data:?} would end its event");
        prop_assert_eq!(serde_json::from_str::<String>(&data)?, text);
    }
}

/// Whether the page the request came from is the test's own, or an address or `localhost` that the request itself went to.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    origin == "https://tandem.example.com" || (origin == format!("http://{host}") && !host.is_empty())
}
