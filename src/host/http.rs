//! HTTPS to the world outside: one GET or HEAD, its body piece by piece, with the proxy and the root certificates of the
//! system. When to try again is not known here.
//!
//! The request runs in a thread of its own that hands pieces over, so that whoever waits can look at the clock and at
//! Ctrl-C between them: a connection that has gone silent ends no blocking read.

use std::error::Error as _;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use reqwest::redirect::Policy;

use super::{Secret, tls};

/// How long a connection may take to be there, TLS included.
const CONNECT: Duration = Duration::from_secs(15);
/// Bytes of one piece of a body.
const PIECE: usize = 64 << 10;

/// The way out.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// `scheme://host:port`, without credentials.
    pub proxy: Option<String>,
    /// User and password for it.
    pub login: Option<(String, Secret)>,
    /// Root certificates to trust instead of the system's, as PEM: for tests.
    pub roots: Option<Vec<u8>>,
}

/// Why there is no answer, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("this processor lacks instructions (AVX2, AES, ADX …) that the built-in TLS needs")]
    Processor,
    #[error("no root certificates were found on this box")]
    NoRoots,
    #[error("this is no usable address: {0}")]
    Address(String),
    #[error("the name of the server is not resolved")]
    Name,
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(String),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the proxy wants a login (HTTP 407), or does not accept the one it was given")]
    ProxyLogin,
    #[error("the proxy did not let the connection through")]
    Proxy,
    #[error("it redirects to an address that is not encrypted")]
    Downgrade,
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// The head of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes that follow.
    pub length: Option<u64>,
    /// First byte of the whole that follows, and the size of the whole, where only a part was sent (206).
    pub range: Option<(u64, Option<u64>)>,
    pub ranges_accepted: bool,
    /// Tells two versions of a file apart: a strong ETag, else the time of the last change.
    pub version: Option<String>,
    /// `Date`, in seconds since the epoch.
    pub date: Option<i64>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
}

/// What comes of a request, in this order: a head, pieces, an end.
#[derive(Debug)]
pub enum Part {
    Head(Head),
    Piece(Vec<u8>),
    End,
}

/// A request under way.
pub struct Answer(Receiver<Result<Part, HttpError>>);

impl Answer {
    /// The next part; `None` where nothing came within `limit`.
    pub fn next(&self, limit: Duration) -> Option<Result<Part, HttpError>> {
        match self.0.recv_timeout(limit) {
            Ok(part) => Some(part),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(HttpError::Broken("the request ended early".into()))),
        }
    }
}

/// A client for one way out.
#[derive(Clone)]
pub struct Http {
    client: Client,
}

impl Http {
    /// # Errors
    /// The processor or the root certificates of this box will not do; the proxy's address cannot be used.
    pub fn new(way: &Way) -> Result<Http, HttpError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls_config(way)?)
            .user_agent(concat!("cefctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(None)
            .redirect(Policy::custom(|attempt| {
                let down =
                    attempt.previous().iter().any(|u| u.scheme() == "https") && attempt.url().scheme() != "https";
                if down {
                    attempt.error(HttpError::Downgrade)
                } else if attempt.previous().len() > 10 {
                    attempt.error(HttpError::Broken("it redirects in a circle".into()))
                } else {
                    attempt.follow()
                }
            }))
            .no_proxy();
        if let Some(address) = &way.proxy {
            let mut proxy = reqwest::Proxy::all(address).map_err(|_| HttpError::Address(address.clone()))?;
            if let Some((user, password)) = &way.login {
                proxy = proxy.basic_auth(user, &String::from_utf8_lossy(password.expose()));
            }
            builder = builder.proxy(proxy);
        }
        builder.build().map(|client| Http { client }).map_err(|e| explain(&e))
    }

    /// Asks for `url`, from a byte on if the whole still has that version.
    pub fn get(&self, url: &str, from: Option<(u64, &str)>) -> Answer {
        let mut request = self.client.get(url);
        if let Some((byte, version)) = from {
            request = request.header("Range", format!("bytes={byte}-")).header("If-Range", version);
        }
        start(request)
    }

    /// Asks for the head only.
    pub fn head(&self, url: &str) -> Answer {
        start(self.client.head(url))
    }
}

fn start(request: RequestBuilder) -> Answer {
    let (send, receive) = sync_channel(8);
    // Whoever waits may give up; the thread ends with its connection or the process.
    std::thread::spawn(move || {
        let mut response = match request.send() {
            Ok(response) => response,
            Err(e) => return drop(send.send(Err(explain(&e)))),
        };
        if send.send(Ok(Part::Head(head_of(response.status().as_u16(), response.headers())))).is_err() {
            return;
        }
        loop {
            let mut piece = vec![0; PIECE];
            let part = match response.read(&mut piece) {
                Ok(0) => Ok(Part::End),
                Ok(size) => {
                    piece.truncate(size);
                    Ok(Part::Piece(piece))
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => Err(HttpError::Broken(deepest(&e))),
            };
            let last = !matches!(part, Ok(Part::Piece(_)));
            if send.send(part).is_err() || last {
                return;
            }
        }
    });
    Answer(receive)
}

fn head_of(status: u16, headers: &HeaderMap) -> Head {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let etag = text(ETAG).filter(|t| !t.starts_with("W/"));
    Head {
        status,
        length: text(CONTENT_LENGTH).and_then(|l| l.trim().parse().ok()),
        range: text(CONTENT_RANGE).as_deref().and_then(content_range),
        ranges_accepted: text(ACCEPT_RANGES).is_some_and(|a| a.trim().eq_ignore_ascii_case("bytes")),
        version: etag.or_else(|| text(LAST_MODIFIED)),
        date: text(DATE).as_deref().and_then(http_date),
        retry_after: text(reqwest::header::RETRY_AFTER).and_then(|s| s.trim().parse().ok()),
    }
}

/// `bytes 100-999/1000` as first byte and size; the size may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-')?.0.parse().ok()?;
    Some((first, size.parse().ok()))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7), in seconds since the epoch.
pub(super) fn http_date(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim().as_bytes()).ok()?;
    Some(time.as_second())
}

fn tls_config(way: &Way) -> Result<rustls::ClientConfig, HttpError> {
    let client = tls::client()?;
    let roots = match &way.roots {
        Some(pem) => Arc::new(tls::roots_of_pem(pem)?),
        None => tls::system_roots()?,
    };
    Ok(client.with_root_certificates(roots).with_no_client_auth())
}

/// The cause at the bottom of a chain says the most.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// What an error of the client means. Its own text would repeat the address, which may hold a login.
fn explain(error: &reqwest::Error) -> HttpError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut words = String::new();
    while let Some(e) = cause {
        if let Some(own) = e.downcast_ref::<HttpError>() {
            return own.clone();
        }
        if let Some(own) = e.downcast_ref::<rustls::Error>() {
            return of_tls(own);
        }
        words = e.to_string();
        if words.contains("proxy authorization required") {
            return HttpError::ProxyLogin;
        }
        if words == "unsuccessful" || words.contains("unsuccessful tunnel") {
            return HttpError::Proxy;
        }
        // an input/output error hides what it wraps: its source is the source of that
        let wrapped = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner),
            None => e.source(),
        };
    }
    match () {
        () if error.is_dns() => HttpError::Name,
        () if error.is_timeout() => HttpError::Timeout,
        () if error.is_builder() => HttpError::Address(words),
        () if error.is_connect() => HttpError::Connect(words),
        () => HttpError::Broken(words),
    }
}

fn of_tls(error: &rustls::Error) -> HttpError {
    match error {
        rustls::Error::InvalidCertificate(why) => HttpError::Certificate(match why {
            rustls::CertificateError::UnknownIssuer => {
                "nobody whom this box trusts has signed it; does a proxy inspect TLS?".into()
            }
            other => format!("{other}"),
        }),
        other => HttpError::Tls(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_matter() {
        assert_eq!(content_range("bytes 100-999/1000"), Some((100, Some(1000))));
        assert_eq!(content_range("bytes 0-9/*"), Some((0, None)));
        assert_eq!(content_range("bytes */1000"), None);
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("yesterday"), None);
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, "W/\"1\"".parse().unwrap());
        headers.insert(CONTENT_LENGTH, "7".parse().unwrap());
        let head = head_of(200, &headers);
        assert_eq!((head.version, head.length), (None, Some(7)));
    }

    #[test]
    fn a_bad_address_is_no_panic() {
        let way = Way { roots: Some(Vec::new()), ..Way::default() };
        assert_eq!(Http::new(&way).err(), Some(HttpError::NoRoots));
    }
}
