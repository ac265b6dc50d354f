//! What every TLS client of this tool has in common: whether this processor can do it, whom the box trusts, and a
//! verifier for those that decide on a certificate themselves.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};

use super::http::HttpError;

/// Does this processor have what the built-in cryptography needs? It asserts that at its first use.
pub fn is_possible() -> bool {
    graviola::util::is_cpu_supported()
}

/// A client that has yet to be told whom to trust.
///
/// # Errors
/// This processor will not do.
pub fn client() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, HttpError> {
    if !is_possible() {
        return Err(HttpError::Processor);
    }
    ClientConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| HttpError::Tls(e.to_string()))
}

/// The certificates of a PEM file, to be trusted.
///
/// # Errors
/// There is none.
pub fn roots_of_pem(pem: &[u8]) -> Result<RootCertStore, HttpError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    if store.is_empty() { Err(HttpError::NoRoots) } else { Ok(store) }
}

/// The certificates that this box trusts; also found by `SSL_CERT_FILE` and `SSL_CERT_DIR`. Read once.
///
/// # Errors
/// There are none.
pub fn system_roots() -> Result<Arc<RootCertStore>, HttpError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    if roots.is_empty() { Err(HttpError::NoRoots) } else { Ok(Arc::clone(roots)) }
}

/// What a server shows of itself.
pub struct Shown<'a> {
    /// Its certificate (DER).
    pub certificate: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    ocsp: &'a [u8],
    now: UnixTime,
}

impl Shown<'_> {
    /// As a client would judge it that trusts these authorities.
    ///
    /// # Errors
    /// Why it would not accept the certificate.
    pub fn judged_by(&self, verifier: &WebPkiServerVerifier) -> Result<(), rustls::Error> {
        verifier.verify_server_cert(self.certificate, self.intermediates, self.name, self.ocsp, self.now).map(|_| ())
    }
}

/// Has `judge` decide on the server's certificate. That the server has the key to it is checked all the same.
pub fn judging<J>(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    judge: J,
) -> ConfigBuilder<ClientConfig, WantsClientCert>
where
    J: Fn(&Shown<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
{
    let provider = Arc::clone(builder.crypto_provider());
    builder.dangerous().with_custom_certificate_verifier(Arc::new(Judging { provider, judge }))
}

struct Judging<J> {
    provider: Arc<CryptoProvider>,
    judge: J,
}

impl<J> fmt::Debug for Judging<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judging").finish_non_exhaustive()
    }
}

impl<J: Fn(&Shown<'_>) -> Result<(), rustls::Error> + Send + Sync> ServerCertVerifier for Judging<J> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        (self.judge)(&Shown { certificate, intermediates, name, ocsp, now })?;
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
