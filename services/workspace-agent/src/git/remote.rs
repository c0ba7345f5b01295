//! Addresses of repositories, without what is secret in them.

/// Longest address that is passed on, in bytes.
const MAX_BYTES: usize = 2_048;

/// `address` without user name and password, query and fragment; empty when it is no address that can be shown.
pub(super) fn without_credentials(address: &str) -> String {
    let address = address.trim();
    if address.len() > MAX_BYTES || address.chars().any(char::is_control) {
        return String::new();
    }
    let Some((scheme, rest)) = address.split_once("://") else {
        // `user@host:path` names a user that is no secret, and a path of this system has none.
        return address.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // With ssh the user belongs to the address, and a password has no place there.
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    match user.filter(|user| scheme.ends_with("ssh") && !user.contains(':')) {
        Some(user) => format!("{scheme}://{user}@{host}{path}"),
        None => format!("{scheme}://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_credentials() {
        let cases = [
            (
                "https://me:s3cret@git.example.com/a/b.git",
                "https://git.example.com/a/b.git",
            ),
            (
                "https://s3cret@git.example.com:8443/a/b",
                "https://git.example.com:8443/a/b",
            ),
            ("https://a@b:s3cret@git.example.com/a", "https://git.example.com/a"),
            (
                "https://git.example.com/a?token=s3cret#s3cret",
                "https://git.example.com/a",
            ),
            ("https://me:s3cret@git.example.com", "https://git.example.com"),
            ("ssh://git@git.example.com/a/b", "ssh://git@git.example.com/a/b"),
            ("ssh://git:s3cret@git.example.com/a/b", "ssh://git.example.com/a/b"),
            ("git@git.example.com:a/b.git", "git@git.example.com:a/b.git"),
            ("/home/me/source\n", "/home/me/source"),
            ("https://git.example.com/a\u{1b}[31m", ""),
            ("", ""),
        ];
        for (address, shown) in cases {
            assert_eq!(without_credentials(address), shown, "{address}");
        }
    }
}
