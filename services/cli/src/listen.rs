//! Where a process listens: its face, with TLS when configured, and the pages for its operator.

use anyhow::Context;
use tandem_chassis::transport::{Address, Listener};
use tandem_chassis::{Runtime, admin, tls};

use crate::config::variable;
use crate::services::Name;

/// Where browsers find Tandem unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:7080";

/// Says where the operator's pages are.
const ADMIN: &str = "TANDEM_ADMIN_LISTEN";

/// Why a process cannot listen as it was told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("set {variable} to where {service} shall listen, for example http://127.0.0.1:7090")]
    Unset { variable: String, service: &'static str },
    #[error("{variable} is not an address such as {example}")]
    Invalid {
        variable: String,
        example: &'static str,
        #[source]
        source: tandem_chassis::transport::InvalidAddress,
    },
    #[error(
        "{variable} asks for https, which needs a certificate: set TANDEM_TLS__CERT_FILE and TANDEM_TLS__KEY_FILE to PEM files, or listen \
         at an http address behind a proxy that ends TLS"
    )]
    NoCertificate { variable: String },
    #[error("the listener's TLS cannot be used")]
    Tls(#[from] tls::Error),
}

/// The address of a service: of the gateway `TANDEM_LISTEN`, of others `TANDEM_<SERVICE>__LISTEN`. Without a scheme it is `https` when
/// there is a certificate, else `http`.
pub(crate) fn address(name: Name, has_certificate: bool) -> Result<Address, Error> {
    let (variable_name, text) = if name == Name::Gateway {
        let text = variable("TANDEM_LISTEN").unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        ("TANDEM_LISTEN".to_owned(), text)
    } else {
        let variable_name = format!("TANDEM_{}__LISTEN", name.variable());
        match variable(&variable_name) {
            Some(text) => (variable_name, text),
            None => {
                return Err(Error::Unset {
                    variable: variable_name,
                    service: name.as_str(),
                });
            }
        }
    };
    parse(variable_name, &text, has_certificate)
}

fn parse(variable: String, text: &str, has_certificate: bool) -> Result<Address, Error> {
    let has_scheme = text.contains("://") || text.starts_with("unix:") || text.starts_with("memory:");
    let text = match (has_scheme, has_certificate) {
        (true, _) => text.to_owned(),
        (false, true) => format!("https://{text}"),
        (false, false) => format!("http://{text}"),
    };
    let address = text.parse().map_err(|source| Error::Invalid {
        variable: variable.clone(),
        example: DEFAULT_LISTEN,
        source,
    })?;
    // Who asked for TLS must not silently be served without.
    if matches!(address, Address::Https { .. }) && !has_certificate {
        return Err(Error::NoCertificate { variable });
    }
    Ok(address)
}

/// Opens the face of a service.
pub(crate) async fn bind(name: Name, config: Option<&tls::ServerConfig>) -> anyhow::Result<Listener> {
    let address = address(name, config.is_some())?;
    let acceptor = match config {
        Some(config) => Some(config.load().map_err(Error::from)?),
        None => None,
    };
    Listener::bind_with(&address, acceptor)
        .await
        .with_context(|| format!("could not listen on {address}"))
}

/// Opens the operator's pages, if they were asked for.
pub(crate) async fn bind_admin() -> anyhow::Result<Option<Listener>> {
    let Some(text) = variable(ADMIN) else {
        return Ok(None);
    };
    let address = parse(ADMIN.to_owned(), &text, false)?;
    let listener = Listener::bind(&address)
        .await
        .with_context(|| format!("could not listen on {address}, as {ADMIN} says"))?;
    Ok(Some(listener))
}

/// Serves the operator's pages of the whole process until it stops, draining included.
pub(crate) fn serve_admin(listener: Option<Listener>, process: &Runtime) {
    let Some(listener) = listener else {
        return;
    };
    let process = process.clone();
    // It ends with the process, after everything that is waited for.
    tokio::spawn(async move {
        if let Err(error) = admin::serve_on(listener, &process).await {
            tracing::error!(%error, "the operator's pages are gone");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, has_certificate: bool) -> Result<String, String> {
        parse("TANDEM_LISTEN".to_owned(), text, has_certificate)
            .map(|address| address.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_without_a_scheme_speaks_tls_when_there_is_a_certificate() {
        assert_eq!(read("0.0.0.0:7080", false).unwrap(), "http://0.0.0.0:7080");
        assert_eq!(read("0.0.0.0:7443", true).unwrap(), "https://0.0.0.0:7443");
        assert_eq!(read("http://0.0.0.0:7080", true).unwrap(), "http://0.0.0.0:7080");
        assert_eq!(read("https://0.0.0.0:7443", true).unwrap(), "https://0.0.0.0:7443");
        assert_eq!(read("unix:/run/tandem.sock", true).unwrap(), "unix:/run/tandem.sock");
    }

    #[test]
    fn https_without_a_certificate_is_refused_with_what_to_set() {
        let said = read("https://0.0.0.0:7443", false).unwrap_err();
        assert!(
            said.contains("TANDEM_TLS__CERT_FILE") && said.contains("TANDEM_TLS__KEY_FILE"),
            "{said}"
        );
    }
}
