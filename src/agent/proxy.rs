//! The proxy on the way out, as people write it: `[http://][user:password@]host[:port]`. The user may have encoded the
//! password or not; the agents want it encoded.

use std::fmt;

use crate::host::Secret;

/// A proxy. `Display` leaves user and password out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: String,
    /// A name, an address, or an IPv6 address in brackets.
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

impl Proxy {
    /// # Errors
    /// What is wrong with it, as a sentence that repeats no password.
    pub fn parse(text: &str) -> Result<Proxy, String> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("http".to_owned(), text),
        };
        if !["http", "https"].contains(&scheme.as_str()) {
            return Err(format!("a proxy of the kind {}:// is not known; http:// and https:// are", clean(&scheme)));
        }
        // The last @: a password may hold one.
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let place = place.split('/').next().unwrap_or_default();
        let (host, port) = split_port(place).ok_or("the proxy's port is no number from 1 to 65535")?;
        if host.is_empty() || host.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err("the proxy has no host name: [http://][user:password@]host[:port] is wanted".into());
        }
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        let (user, password) = match login.map(|l| l.split_once(':').unwrap_or((l, ""))) {
            Some((user, password)) => (
                Some(String::from_utf8_lossy(&decode(user)).into_owned()),
                (!password.is_empty()).then(|| Secret::new(decode(password))),
            ),
            None => (None, None),
        };
        Ok(Proxy { scheme, host: host.to_owned(), port, user, password })
    }

    /// Without user and password.
    pub fn address(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// As the agents want it: user and password with every odd character as `%XX`.
    pub fn with_credentials(&self) -> Secret {
        let Some(user) = &self.user else { return Secret::new(self.address()) };
        let password = self.password.as_ref().map(|p| format!(":{}", encode(p.expose()))).unwrap_or_default();
        Secret::new(format!("{}://{}{password}@{}:{}", self.scheme, encode(user.as_bytes()), self.host, self.port))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

fn clean(text: &str) -> String {
    crate::ui::text::visible(&text.chars().take(20).collect::<String>())
}

/// Host and port; `None` where the port is no port.
fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    if place.starts_with('[') {
        let end = place.find(']')? + 1;
        let (host, rest) = place.split_at(end);
        return match rest.strip_prefix(':') {
            None => rest.is_empty().then_some((host, None)),
            Some(port) => Some((host, Some(number(port)?))),
        };
    }
    match place.split_once(':') {
        None => Some((place, None)),
        Some((host, port)) => Some((host, Some(number(port)?))),
    }
}

fn number(port: &str) -> Option<u16> {
    port.parse().ok().filter(|p| *p > 0)
}

/// Takes `%XX` as that byte, and a per cent sign before anything else as itself.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = (first == b'%').then(|| tail.get(..2)).flatten().and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        String::from_utf8_lossy(Proxy::parse(text).unwrap().with_credentials().expose()).into_owned()
    }

    #[test]
    fn every_way_to_write_it() {
        assert_eq!(full("proxy"), "http://proxy:80");
        assert_eq!(full("https://proxy/"), "https://proxy:443");
        assert_eq!(full("HTTP://[2001:db8::1]:3128"), "http://[2001:db8::1]:3128");
        assert_eq!(full("user@proxy:8080"), "http://user@proxy:8080");
        assert_eq!(full("user:p%40ss@proxy:8080"), "http://user:p%40ss@proxy:8080");
        assert_eq!(full("user:p@ss:w/rd@proxy:8080"), "http://user:p%40ss%3Aw%2Frd@proxy:8080");
        assert_eq!(full("user:100%@proxy:8080"), "http://user:100%25@proxy:8080");
    }

    #[test]
    fn a_password_shows_nowhere() {
        let proxy = Proxy::parse("http://user:hunter22@proxy:3128").unwrap();
        assert_eq!(proxy.to_string(), "http://proxy:3128");
        assert!(!format!("{proxy:?}").contains("hunter22"));
        for bad in
            ["http://user:hunter22@proxy:port", "socks5://user:hunter22@proxy", "user:hunter22@", "user:hunter22@:1"]
        {
            assert!(!Proxy::parse(bad).unwrap_err().contains("hunter22"), "{bad}");
        }
        assert!(Proxy::parse("").is_err() && Proxy::parse("proxy:0").is_err() && Proxy::parse("[::1").is_err());
    }
}
