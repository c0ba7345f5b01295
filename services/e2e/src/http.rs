//! The HTTP client of tests and stand-ins: direct connections, bounded time.

use std::time::Duration;

use anyhow::Context as _;

/// Whole exchange, body included. Longer than any server-side limit a test waits for.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Time to connect; everything is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client without proxy, cookies or redirects.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client() -> anyhow::Result<reqwest::Client> {
    builder().build().context("could not build the HTTP client")
}

/// The same with one HTTP/2 connection for everything, however much goes on at once.
///
/// # Errors
/// When TLS cannot be set up.
pub fn multiplexing_client() -> anyhow::Result<reqwest::Client> {
    let client = builder().http2_prior_knowledge().build();
    client.context("could not build the HTTP/2 client")
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
}
