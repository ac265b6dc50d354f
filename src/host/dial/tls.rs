//! TLS that goes on where the certificate is not accepted, and writes down why: who issued it is what tells a proxy that
//! opens TLS from a box without root certificates. Nothing secret is ever sent over such a connection.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, RootCertStore};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::stages::{Wire, in_words};
use crate::host::tls::{self, Shown};

/// Whose word is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// What this box trusts.
    System,
    /// What the agent was told to trust instead: a bundle, a folder.
    Named { file: Option<PathBuf>, folder: Option<PathBuf> },
}

/// How TLS came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSeen {
    /// `TLS 1.3`
    pub version: String,
    /// Distinguished names of the server's certificate.
    pub subject: String,
    pub issuer: String,
    /// Why a client would not accept the certificate.
    pub distrust: Option<Distrust>,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distrust {
    /// Nobody whom this box trusts has signed it.
    Issuer,
    /// It is not valid now, by the clock of this box.
    Time,
    /// It is for other names.
    Name,
    /// This box trusts nobody at all.
    NoRoots,
    Other(String),
}

/// Makes TLS on a connection.
///
/// # Errors
/// There is no TLS: what was seen instead.
pub fn secure(mut wire: Box<dyn Wire>, host: &str, roots: &Roots) -> Result<(TlsSeen, Box<dyn Wire>), String> {
    let client = tls::client().map_err(|e| e.to_string())?;
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| format!("{host} is no name of a server"))?;
    let verifier = store(roots).and_then(|store| {
        WebPkiServerVerifier::builder_with_provider(store, Arc::clone(client.crypto_provider())).build().ok()
    });
    let seen = Arc::new(Mutex::new(TlsSeen::default()));
    let watched = Arc::clone(&seen);
    let config = tls::judging(client, move |shown| {
        *watched.lock().unwrap_or_else(PoisonError::into_inner) = look(shown, verifier.as_deref());
        Ok(())
    });
    let config = config.with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut wire).map_err(|e| explain(&e))?;
    }
    let version = match tls.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    };
    let seen = TlsSeen { version, ..seen.lock().unwrap_or_else(PoisonError::into_inner).clone() };
    Ok((seen, Box::new(rustls::StreamOwned::new(tls, wire))))
}

fn explain(e: &io::Error) -> String {
    match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => "what answers there does not speak TLS".into(),
        Some(rustls::Error::AlertReceived(alert)) => format!("the other side refuses TLS: {alert:?}"),
        Some(other) => other.to_string(),
        None => in_words(e),
    }
}

fn store(roots: &Roots) -> Option<Arc<RootCertStore>> {
    match roots {
        Roots::System => tls::system_roots().ok(),
        Roots::Named { file, folder } => {
            let mut store = RootCertStore::empty();
            let found = rustls_native_certs::load_certs_from_paths(file.as_deref(), folder.as_deref());
            store.add_parsable_certificates(found.certs);
            (!store.is_empty()).then(|| Arc::new(store))
        }
    }
}

/// Judges the certificate as a client would.
fn look(shown: &Shown<'_>, verifier: Option<&WebPkiServerVerifier>) -> TlsSeen {
    let distrust = match verifier {
        None => Some(Distrust::NoRoots),
        Some(verifier) => shown.judged_by(verifier).err().map(|e| distrust(&e)),
    };
    let (subject, issuer) = match Certificate::from_der(shown.certificate) {
        Ok(c) => (c.tbs_certificate().subject().to_string(), c.tbs_certificate().issuer().to_string()),
        Err(_) => ("a certificate that cannot be read".into(), "unknown".into()),
    };
    TlsSeen { version: String::new(), subject, issuer, distrust }
}

fn distrust(e: &rustls::Error) -> Distrust {
    let rustls::Error::InvalidCertificate(why) = e else { return Distrust::Other(e.to_string()) };
    match why {
        CertificateError::UnknownIssuer => Distrust::Issuer,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Distrust::Time,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Distrust::Name,
        other => Distrust::Other(other.to_string()),
    }
}
