//! The session cookie: read, set, taken away.

use axum::http::{HeaderMap, HeaderValue, header};

/// The browser's session.
pub const SESSION: &str = "tandem_session";

/// The value of the first cookie called `name`, without quotes.
pub fn get(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .filter(|value| !value.is_empty())
}

/// `Set-Cookie` of a session that lives for `seconds`; 0 removes it. `None` when the token is no cookie text.
pub fn set(token: &str, seconds: i64, is_secure: bool) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!(
        "{SESSION}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        seconds.max(0)
    );
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("xtandem_session=no; a=b"));
        headers.append(header::COOKIE, HeaderValue::from_static("tandem_session=\"yes\"; c"));
        assert_eq!(get(&headers, SESSION).as_deref(), Some("yes"));
        assert_eq!(get(&headers, "c"), None);
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_the_cookie() {
        let value = set("tdm_1_2", 60, true).unwrap();
        assert_eq!(
            value.to_str().unwrap(),
            "tandem_session=tdm_1_2; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
        assert!(!set("x", 0, false).unwrap().to_str().unwrap().contains("Secure"));
        assert!(set("a\nb", 1, false).is_none());
    }
}
