//! How far the way to one service goes, in words: where it ends, and whose fault that is.

use super::cloud_facts::{ProxyFacts, Tried, WayOut};
use crate::host::dial::{Distrust, TlsSeen};

/// Where the way to a service ends.
pub enum Reached {
    Yes(String),
    No(Fault),
    /// It could not be seen.
    Unknown(String),
}

/// What stands in the way, and what is seen of it.
pub struct Fault {
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Name,
    Connection,
    /// The proxy does not do its work at all.
    Proxy,
    /// The proxy does not let this service through.
    Refused,
    Tls,
    Certificate,
    /// The certificate is not valid by this box's clock.
    Clock,
    /// No root certificates.
    Roots,
    Service,
}

impl Reached {
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Reached::No(fault) => Some(fault),
            Reached::Yes(_) | Reached::Unknown(_) => None,
        }
    }
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Reached::Unknown(why) => Some(why),
            Reached::Yes(_) | Reached::No(_) => None,
        }
    }
    pub fn text(&self) -> &str {
        match self {
            Reached::Yes(text) | Reached::Unknown(text) => text,
            Reached::No(fault) => &fault.text,
        }
    }
}

/// How far the way to a service goes.
pub fn reached(tried: &Tried, way: &WayOut) -> Reached {
    let seen = &tried.seen;
    let no = |kind: Kind, text: String| Reached::No(Fault { kind, text });
    let late = || "no answer in time".to_owned();
    let proxied = |kind: Kind| if seen.proxied { Kind::Proxy } else { kind };
    let whose = if seen.proxied { "the proxy's name" } else { "its name" };
    match &seen.names {
        Some(Ok(_)) => {}
        Some(Err(why)) => return no(proxied(Kind::Name), format!("{whose} is not resolved: {why}")),
        None => {
            return no(proxied(Kind::Name), format!("{whose} is not resolved: the name servers do not answer in time"));
        }
    }
    let to = if seen.proxied { "no connection to the proxy" } else { "no connection" };
    let address = match &seen.connected {
        Some(Ok(address)) => address,
        Some(Err(why)) => return no(proxied(Kind::Connection), format!("{to}: {why}")),
        None => return no(proxied(Kind::Connection), format!("{to}: {}", late())),
    };
    if seen.proxied {
        match &seen.tunnel {
            Some(Ok(200..=299)) => {}
            Some(Ok(407)) => {
                let given = proxy_facts(way).is_some_and(|p| p.login);
                let text = match given {
                    true => "the proxy does not accept the user and password that it is given (407)",
                    false => "the proxy wants a user and a password (407), and the agent's setting has none",
                };
                return no(Kind::Proxy, text.into());
            }
            Some(Ok(status)) => return no(Kind::Refused, format!("the proxy does not let it through ({status})")),
            Some(Err(why)) => return no(Kind::Proxy, why.clone()),
            None => return no(Kind::Proxy, "the proxy does not answer in time".into()),
        }
    }
    let tls = match &seen.tls {
        Some(Ok(tls)) => tls,
        Some(Err(why)) if why.starts_with("this processor") => {
            return Reached::Unknown(format!("{address} takes connections, but {why}"));
        }
        Some(Err(why)) => return no(Kind::Tls, format!("TLS fails behind the connection to {address}: {why}")),
        None => return no(Kind::Tls, format!("{address} takes the connection, but does not begin TLS in time")),
    };
    if let Some(why) = &tls.distrust {
        let (kind, text) = distrusted(why, tls);
        return no(kind, text);
    }
    let status = match &seen.http {
        Some(Ok(http)) => http.status,
        // It wants the agent's own certificate before it says anything.
        Some(Err(why)) if why.contains("CertificateRequired") || why.contains("HandshakeFailure") => {
            return Reached::Yes(format!("{address}, {}, wants a certificate", tls.version));
        }
        Some(Err(why)) => return no(Kind::Service, format!("TLS stands, but there is no answer behind it: {why}")),
        None => return no(Kind::Service, format!("TLS stands, but there is no answer behind it: {}", late())),
    };
    let text = format!("{address}, {}, HTTP {status}, certificate by {}", tls.version, issuer(tls));
    match (status, tried.endpoint.path.as_str()) {
        (500.., _) => no(Kind::Service, format!("the service answers with an error (HTTP {status})")),
        // Says "Healthy" to everybody whom it lets in.
        (401 | 403, "/ping") => no(Kind::Service, format!("the service refuses this network (HTTP {status})")),
        (407, _) => no(Kind::Refused, "something between asks for a login (HTTP 407)".into()),
        _ => Reached::Yes(text),
    }
}

fn distrusted(why: &Distrust, tls: &TlsSeen) -> (Kind, String) {
    let by = issuer(tls);
    match why {
        Distrust::Issuer => (Kind::Certificate, format!("the certificate is by {by}, whom this box does not trust")),
        Distrust::Name => (Kind::Certificate, format!("the certificate is for another name: {}", tls.subject)),
        Distrust::Time => (Kind::Clock, "the certificate is not valid by the clock of this box".into()),
        Distrust::NoRoots => (Kind::Roots, "this box has no root certificates, so it trusts no server".into()),
        Distrust::Other(why) => (Kind::Certificate, format!("the certificate is not accepted: {why}")),
    }
}

/// The issuer as people know it: `Corp Inspection CA (Corp Inc)`.
pub fn issuer(tls: &TlsSeen) -> String {
    match (part(&tls.issuer, "CN"), part(&tls.issuer, "O")) {
        (Some(name), Some(organisation)) => format!("{name} ({organisation})"),
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) if tls.issuer.is_empty() => "nobody".into(),
        (None, None) => tls.issuer.clone(),
    }
}

/// A part of a distinguished name as RFC 4514 writes it.
pub fn part(name: &str, key: &str) -> Option<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match (c, parts.last_mut()) {
            ('\\', Some(last)) => last.extend(chars.next()),
            (',' | '+', _) => parts.push(String::new()),
            (c, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    parts.iter().find_map(|p| Some(p.trim().strip_prefix(key)?.strip_prefix('=')?.trim().to_owned()))
}

pub fn proxy_facts(way: &WayOut) -> Option<&ProxyFacts> {
    way.proxy.as_ref().ok()?.as_ref()
}

pub fn proxy_of(way: &WayOut) -> Option<&str> {
    proxy_facts(way)?.address.as_ref()?.as_ref().ok().map(String::as_str)
}
