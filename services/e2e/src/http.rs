//! The one HTTP client of tests and stand-ins: direct connections, bounded time.

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
    reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .build()
        .context("could not build the HTTP client")
}
