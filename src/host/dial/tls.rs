//! TLS that goes on where the certificate is not accepted, and writes down why: who issued it is what tells a proxy that
//! opens TLS from a box without root certificates. Nothing secret is ever sent over such a connection.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::stages::{Wire, in_words};
use crate::host::http::{HttpError, system_roots};

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
    if !graviola::util::is_cpu_supported() {
        return Err(HttpError::Processor.to_string());
    }
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| format!("{host} is no name of a server"))?;
    let provider = Arc::new(rustls_graviola::default_provider());
    let watcher = Arc::new(Watcher::new(&provider, roots));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(watcher.clone())
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut wire).map_err(|e| explain(&e))?;
    }
    let version = match tls.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    };
    let seen = TlsSeen { version, ..watcher.seen() };
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

/// Judges the certificate as a client would, writes the judgement down, and goes on.
#[derive(Debug)]
struct Watcher {
    provider: Arc<CryptoProvider>,
    verifier: Option<Arc<WebPkiServerVerifier>>,
    seen: Mutex<TlsSeen>,
}

impl Watcher {
    fn new(provider: &Arc<CryptoProvider>, roots: &Roots) -> Watcher {
        let verifier = store(roots)
            .and_then(|store| WebPkiServerVerifier::builder_with_provider(store, Arc::clone(provider)).build().ok());
        Watcher { provider: Arc::clone(provider), verifier, seen: Mutex::default() }
    }

    fn seen(&self) -> TlsSeen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn store(roots: &Roots) -> Option<Arc<RootCertStore>> {
    match roots {
        Roots::System => system_roots().ok(),
        Roots::Named { file, folder } => {
            let mut store = RootCertStore::empty();
            let found = rustls_native_certs::load_certs_from_paths(file.as_deref(), folder.as_deref());
            store.add_parsable_certificates(found.certs);
            (!store.is_empty()).then(|| Arc::new(store))
        }
    }
}

impl ServerCertVerifier for Watcher {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let distrust = match &self.verifier {
            None => Some(Distrust::NoRoots),
            Some(v) => {
                let judged = v.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                judged.err().map(|e| distrust(&e))
            }
        };
        let (subject, issuer) = match Certificate::from_der(end_entity) {
            Ok(c) => (c.tbs_certificate().subject().to_string(), c.tbs_certificate().issuer().to_string()),
            Err(_) => ("a certificate that cannot be read".into(), "unknown".into()),
        };
        let seen = TlsSeen { version: String::new(), subject, issuer, distrust };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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
