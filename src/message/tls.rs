//! TLS around a connection to a syslog listener: whom to trust, the handshake, and what the other side showed of itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection};

use crate::host::http::HttpError;
use crate::host::tls;

/// Whose certificate will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// One by somebody whom this box trusts, for the name that was asked for.
    System,
    /// One by these (PEM), for the name that was asked for.
    Roots(Vec<u8>),
    /// This one (DER).
    Exactly(Vec<u8>),
    /// Any.
    Anybody,
}

/// How to speak TLS to a listener.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// `name` is the host name or address that the listener is known by.
    ///
    /// # Errors
    /// No usable roots, a name that is none, a processor that will not do.
    pub fn new(trust: &Trust, name: &str) -> Result<Tls, HttpError> {
        let client = tls::client()?;
        let config = match trust.clone() {
            Trust::System => client.with_root_certificates(tls::system_roots()?),
            Trust::Roots(pem) => client.with_root_certificates(Arc::new(tls::roots_of_pem(&pem)?)),
            // Whatever its name, date and issuer.
            Trust::Exactly(der) => tls::judging(client, move |shown| match shown.certificate.as_ref() == der {
                true => Ok(()),
                false => Err(CertificateError::ApplicationVerificationFailure.into()),
            }),
            Trust::Anybody => tls::judging(client, |_| Ok(())),
        };
        let config = config.with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(|_| HttpError::Address(name.to_owned()))?;
        Ok(Tls { config: Arc::new(config), name })
    }

    /// The handshake on a fresh connection; `limit` for each of its steps.
    pub fn open(&self, mut tcp: TcpStream, limit: Duration) -> io::Result<TlsStream> {
        let mut connection =
            ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(io::Error::other)?;
        tcp.set_read_timeout(Some(limit))?;
        tcp.set_write_timeout(Some(limit))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(TlsStream { connection, tcp })
    }
}

/// An open connection.
pub struct TlsStream {
    connection: ClientConnection,
    tcp: TcpStream,
}

impl TlsStream {
    /// The listener's certificates (DER), its own first.
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        self.connection.peer_certificates().unwrap_or_default().iter().map(|c| c.to_vec()).collect()
    }

    /// Has the other side closed? What it sends by the way (tickets for a later session) is taken in.
    pub fn is_closed(&mut self) -> bool {
        if self.tcp.set_nonblocking(true).is_err() {
            return true;
        }
        let closed = loop {
            match self.connection.read_tls(&mut self.tcp) {
                Ok(0) => break true,
                Ok(_) => match self.connection.process_new_packets() {
                    Ok(state) if state.peer_has_closed() => break true,
                    Ok(_) => {}
                    Err(_) => break true,
                },
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        closed || self.tcp.set_nonblocking(false).is_err()
    }

    /// Says goodbye, and waits a moment for the other side to have read all.
    pub fn finish(mut self, patience: Duration) {
        self.connection.send_close_notify();
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.tcp).is_err() {
                return;
            }
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
        let _ = self.tcp.set_read_timeout(Some(patience));
        let mut rest = [0; 4096];
        while matches!(self.tcp.read(&mut rest), Ok(n) if n > 0) {}
    }
}

impl Write for TlsStream {
    /// What was taken is on its way, not only in a buffer.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.connection.writer().write(bytes)?;
        self.flush()?;
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.tcp)?;
        }
        self.tcp.flush()
    }
}

/// What a failed handshake means, for people; `None` where TLS is not to blame.
pub fn explain(error: &io::Error) -> Option<(String, &'static str)> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let hint = match cause {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "name the certificate of who signed it with --ca FILE (cefctl's own: ca.pem beside the key), or look away \
             with --insecure"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate is for other names: use one of these as --host, or look away with --insecure",
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            "another certificate than the configured one is shown: does another listener have the port?"
        }
        rustls::Error::InvalidMessage(_) => "what listens there does not speak TLS",
        _ => "",
    };
    Some((cause.to_string(), hint))
}
