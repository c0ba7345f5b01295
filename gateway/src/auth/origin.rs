//! Which pages may use a browser's session: only our own. Protects cookies against other sites' pages and open sockets
//! against rebinding of names; programs that send their token in a header are not concerned.

use axum::http::{HeaderMap, Method, header};
use tandem_chassis::status::Fault;
use url::{Host, Url};

use super::{is_ambient, token::Carrier};
use crate::problem::Problem;

/// The origins whose pages are ours.
#[derive(Clone, Debug)]
pub struct Origins {
    /// `scheme://host:port` as browsers write it.
    allowed: Vec<String>,
    /// Of our own listener.
    scheme: &'static str,
}

impl Origins {
    /// Those of `public_url` and `others`; `has_tls` says whether our own listener speaks TLS. A page from where the request itself went to is ours too, if that is an
    /// address or `localhost`, which nobody else's name can point to.
    pub fn new<'a>(public_url: &'a Url, has_tls: bool, others: impl IntoIterator<Item = &'a Url>) -> Self {
        let allowed = std::iter::once(public_url)
            .chain(others)
            .map(|url| url.origin().ascii_serialization())
            .collect();
        let scheme = if has_tls { "https" } else { "http" };
        Self { allowed, scheme }
    }

    /// Refuses a request another site's page could have caused.
    ///
    /// * A socket, and a request that changes something: a foreign `Origin` is refused however the token came, unless a
    ///   header carries it, which pages of other sites cannot set.
    /// * The same with a cookie, without `Origin`: refused, because browsers always send one there.
    ///
    /// # Errors
    /// 403.
    pub fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        carrier: Option<Carrier>,
        is_socket: bool,
    ) -> Result<(), Problem> {
        let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if is_safe && !is_socket {
            return Ok(());
        }
        let is_ours = match headers.get(header::ORIGIN) {
            None => !is_ambient(carrier),
            Some(_) if !is_socket && carrier == Some(Carrier::Header) => true,
            Some(origin) => origin.to_str().is_ok_and(|origin| self.is_ours(origin, headers)),
        };
        if is_ours {
            Ok(())
        } else {
            Err(Fault::forbidden(
                "FOREIGN_ORIGIN",
                "this request does not come from a page of this server",
            )
            .into())
        }
    }

    fn is_ours(&self, origin: &str, headers: &HeaderMap) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.allowed.contains(&origin) {
            return true;
        }
        let Ok(page) = Url::parse(&origin) else {
            return false;
        };
        let is_unforgeable = match page.host() {
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        is_unforgeable
            && page.scheme() == self.scheme
            && host.is_some_and(|host| Some(host.to_ascii_lowercase().as_str()) == authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: Option<Carrier> = Some(Carrier::Cookie);
    const HEADER: Option<Carrier> = Some(Carrier::Header);
    const QUERY: Option<Carrier> = Some(Carrier::Query);

    fn is_admitted(
        method: Method,
        origin: Option<&str>,
        host: &str,
        carrier: Option<Carrier>,
        is_socket: bool,
    ) -> bool {
        let public_url = "https://tandem.example.com".parse().unwrap();
        let other = "http://localhost:5173".parse().unwrap();
        let origins = Origins::new(&public_url, false, [&other]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        origins.check(&method, &headers, carrier, is_socket).is_ok()
    }

    #[test]
    fn sockets_open_for_our_own_pages_only() {
        let public = "tandem.example.com";
        let table = [
            (Some("https://tandem.example.com"), public, COOKIE, true),
            (Some("https://TANDEM.example.com"), public, COOKIE, true),
            (Some("https://tandem.example.com"), "gateway:8080", COOKIE, true),
            (Some("http://localhost:5173"), public, COOKIE, true),
            (Some("http://127.0.0.1:7080"), "127.0.0.1:7080", COOKIE, true),
            (Some("http://[::1]:7080"), "[::1]:7080", COOKIE, true),
            (Some("http://localhost:7080"), "localhost:7080", COOKIE, true),
            (None, public, HEADER, true),
            (None, public, QUERY, true),
            (None, public, COOKIE, false),
            (Some("null"), public, COOKIE, false),
            (Some("https://evil.example"), public, COOKIE, false),
            (Some("https://evil.example"), public, QUERY, false),
            (Some("https://evil.example"), public, HEADER, false),
            (Some("https://a.tandem.example.com"), public, COOKIE, false),
            (Some("https://tandem.example.com.evil.example"), public, COOKIE, false),
            (Some("https://tandem.example.com:444"), public, COOKIE, false),
            (Some("http://tandem.example.com"), public, COOKIE, false),
            (Some("http://127.0.0.1:9"), "127.0.0.1:7080", COOKIE, false),
            (Some("https://127.0.0.1:7080"), "127.0.0.1:7080", COOKIE, false),
            // A name of the attacker's that points here: page and host agree, and still it is not ours.
            (
                Some("http://rebound.example:7080"),
                "rebound.example:7080",
                COOKIE,
                false,
            ),
            (Some("file://"), public, COOKIE, false),
            (Some(""), public, COOKIE, false),
        ];
        for (origin, host, carrier, expected) in table {
            assert_eq!(
                is_admitted(Method::GET, origin, host, carrier, true),
                expected,
                "{origin:?} {host} {carrier:?}"
            );
        }
    }

    #[test]
    fn pages_of_this_machine_count_with_the_scheme_of_the_listener() {
        let public_url = "https://tandem.example.com".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost:7443".parse().unwrap());
        for (has_tls, origin, expected) in [
            (true, "https://localhost:7443", true),
            (true, "http://localhost:7443", false),
            (false, "https://localhost:7443", false),
        ] {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            let origins = Origins::new(&public_url, has_tls, []);
            let admitted = origins.check(&Method::GET, &headers, COOKIE, true).is_ok();
            assert_eq!(admitted, expected, "{has_tls} {origin}");
        }
    }

    #[test]
    fn requests_that_change_something_need_our_page_or_a_header() {
        let host = "tandem.example.com";
        let own = Some("https://tandem.example.com");
        let evil = Some("https://evil.example");
        let table = [
            (Method::POST, own, COOKIE, true),
            (Method::POST, evil, COOKIE, false),
            (Method::DELETE, None, COOKIE, false),
            (Method::PATCH, Some("null"), COOKIE, false),
            (Method::PUT, evil, HEADER, true),
            (Method::POST, None, HEADER, true),
            // Signing in: nobody is known yet, and another site must not sign a browser in.
            (Method::POST, evil, None, false),
            (Method::POST, None, None, true),
            (Method::GET, evil, COOKIE, true),
        ];
        for (method, origin, carrier, expected) in table {
            let admitted = is_admitted(method.clone(), origin, host, carrier, false);
            assert_eq!(admitted, expected, "{method} {origin:?} {carrier:?}");
        }
    }
}
