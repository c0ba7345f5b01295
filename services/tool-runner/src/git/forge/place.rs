//! From the address of a repository to its forge and project.

use url::Url;

use super::{Config, Kind};

/// A project of a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// As credentials are found by.
    pub(crate) host: String,
    /// Where the interface is, without a slash at its end.
    pub(super) api: Url,
    /// Where people see the project.
    web: Url,
    /// The project's path: owner and name, or groups and name.
    pub(super) path: Vec<String>,
}

impl Place {
    pub(super) fn parse(origin: &str, known: &[Config]) -> Option<Self> {
        let (host, path, is_plain) = address(origin)?;
        let path = path.strip_suffix(".git").unwrap_or(&path);
        let path: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        if path.len() < 2 || path.iter().any(|part| part == "." || part == "..") {
            return None;
        }
        let configured = known.iter().find(|forge| forge.host.eq_ignore_ascii_case(&host));
        let kind = match configured {
            Some(forge) => forge.kind,
            None => kind_of(&host)?,
        };
        if kind == Kind::GitHub && path.len() != 2 {
            return None;
        }
        // Nobody is sent a token in the clear, but where the installation's `api_url` says so or what stays on this machine.
        let scheme = if is_plain { "http" } else { "https" };
        let mut web = Url::parse(&format!("{scheme}://{host}/")).ok()?;
        if is_plain && !tandem_chassis::outbound::is_loopback(&web) {
            web.set_scheme("https").ok()?;
        }
        let api = match (configured.and_then(|forge| forge.api_url.clone()), kind) {
            (Some(api), _) => api,
            (None, Kind::GitHub) if host == "github.com" => Url::parse("https://api.github.com/").ok()?,
            (None, Kind::GitHub) => web.join("api/v3").ok()?,
            (None, Kind::GitLab) => web.join("api/v4").ok()?,
        };
        web.path_segments_mut().ok()?.pop_if_empty().extend(&path);
        Some(Self {
            kind,
            host,
            api,
            web,
            path,
        })
    }

    /// An address of the interface.
    pub(super) fn ask(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Where people see a branch.
    pub(crate) fn branch_url(&self, branch: &str) -> String {
        let mut url = self.web.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            match self.kind {
                Kind::GitHub => segments.push("tree"),
                Kind::GitLab => segments.push("-").push("tree"),
            };
            segments.extend(branch.split('/'));
        }
        url.into()
    }
}

/// The kind of a forge as its name says.
fn kind_of(host: &str) -> Option<Kind> {
    let name = host.split(':').next().unwrap_or_default();
    let labels: Vec<&str> = name.split('.').collect();
    if labels.contains(&"github") {
        Some(Kind::GitHub)
    } else if labels.contains(&"gitlab") {
        Some(Kind::GitLab)
    } else {
        None
    }
}

/// Host and path of an address, and whether it says `http:`.
fn address(origin: &str) -> Option<(String, String, bool)> {
    if let Some((scheme, _)) = origin.split_once("://") {
        let url = Url::parse(origin).ok()?;
        let name = url.host_str()?.to_ascii_lowercase();
        return match (scheme, url.port()) {
            ("http" | "https", Some(port)) => Some((format!("{name}:{port}"), decoded(&url)?, scheme == "http")),
            ("http" | "https", None) => Some((name, decoded(&url)?, scheme == "http")),
            // The port is that of another door.
            ("ssh" | "git+ssh" | "git", _) => Some((name, decoded(&url)?, false)),
            _ => None,
        };
    }
    let (host, path) = origin.split_once(':')?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // A path of this system has a slash before its first colon.
    if host.is_empty() || host.contains('/') {
        return None;
    }
    let host = super::super::credentials::host(host)?;
    Some((host, path.to_owned(), false))
}

fn decoded(url: &Url) -> Option<String> {
    let path = url.path().trim_start_matches('/');
    (!path.contains('%')).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(origin: &str) -> Option<(Kind, String, String, String)> {
        let known = [
            Config {
                host: "code.example.com".to_owned(),
                kind: Kind::GitLab,
                api_url: None,
            },
            Config {
                host: "127.0.0.1:3000".to_owned(),
                kind: Kind::GitHub,
                api_url: Some(Url::parse("http://127.0.0.1:3001/api").unwrap()),
            },
        ];
        let place = Place::parse(origin, &known)?;
        Some((
            place.kind,
            place.host.clone(),
            place.ask(&["x"], &[]).into(),
            place.path.join("/"),
        ))
    }

    #[test]
    fn addresses_name_forges_and_projects() {
        let cases = [
            (
                "https://github.com/a/b.git",
                Kind::GitHub,
                "github.com",
                "https://api.github.com/x",
                "a/b",
            ),
            (
                "git@github.com:a/b.git",
                Kind::GitHub,
                "github.com",
                "https://api.github.com/x",
                "a/b",
            ),
            (
                "ssh://git@github.com:22/a/b",
                Kind::GitHub,
                "github.com",
                "https://api.github.com/x",
                "a/b",
            ),
            (
                "https://github.example.com:8443/a/b",
                Kind::GitHub,
                "github.example.com:8443",
                "https://github.example.com:8443/api/v3/x",
                "a/b",
            ),
            (
                "https://gitlab.com/a/b/c.git",
                Kind::GitLab,
                "gitlab.com",
                "https://gitlab.com/api/v4/x",
                "a/b/c",
            ),
            (
                "git@code.example.com:a/b",
                Kind::GitLab,
                "code.example.com",
                "https://code.example.com/api/v4/x",
                "a/b",
            ),
            (
                "http://127.0.0.1:3000/a/b",
                Kind::GitHub,
                "127.0.0.1:3000",
                "http://127.0.0.1:3001/api/x",
                "a/b",
            ),
            // What would go in the clear goes sealed.
            (
                "http://github.com/a/b",
                Kind::GitHub,
                "github.com",
                "https://api.github.com/x",
                "a/b",
            ),
            (
                "http://gitlab.com/a/b",
                Kind::GitLab,
                "gitlab.com",
                "https://gitlab.com/api/v4/x",
                "a/b",
            ),
        ];
        for (origin, kind, host, api, path) in cases {
            let expected = (kind, host.to_owned(), api.to_owned(), path.to_owned());
            assert_eq!(place(origin), Some(expected), "{origin}");
        }
    }

    #[test]
    fn other_addresses_name_none() {
        for origin in [
            "",
            "/home/me/source",
            "../source",
            "https://git.example.com/a/b",
            "https://github.com/a",
            "https://github.com/a/b/c",
            "https://github.com/a/..",
            "https://notgithub.com/a/b",
            "file:///github.com/a/b",
            "https://github.com/a/%2e%2e",
        ] {
            assert_eq!(place(origin), None, "{origin}");
        }
    }

    #[test]
    fn a_branch_has_a_page() {
        let url = |origin| Place::parse(origin, &[]).unwrap().branch_url("fix/a b?#");
        assert_eq!(
            url("git@github.com:a/b.git"),
            "https://github.com/a/b/tree/fix/a%20b%3F%23"
        );
        assert_eq!(
            url("https://gitlab.com/a/b/c"),
            "https://gitlab.com/a/b/c/-/tree/fix/a%20b%3F%23"
        );
    }
}
