//! Certificates and keys of a TLS listener: what a pair says of itself, whether it can be used, and a pair of our own for
//! where nobody brought one. Pure; the daemons read the files themselves and say little about what is wrong with them.

pub mod make;

use std::net::IpAddr;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// DNS names and addresses that it is valid for; the common name where it has none of these.
    pub names: Vec<String>,
    pub subject: String,
    pub issuer: String,
    /// Seconds since the epoch.
    pub not_before: i64,
    pub not_after: i64,
}

/// Why a pair cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    #[error("holds no certificate in PEM form (“-----BEGIN CERTIFICATE-----”)")]
    NoCertificate,
    #[error("holds a certificate that cannot be read: {0}")]
    Unreadable(String),
    #[error("holds no private key in PEM form (“-----BEGIN PRIVATE KEY-----”)")]
    NoKey,
    #[error("holds a key behind a pass phrase, which the daemon has nobody to ask for")]
    Encrypted,
    #[error("holds the key of another certificate")]
    Mismatch,
    #[error("has expired on {0}")]
    Expired(String),
    #[error("is valid from {0} on only")]
    NotYet(String),
}

impl PairError {
    /// Is it the key's file that is to blame?
    pub fn is_of_key(&self) -> bool {
        matches!(self, PairError::NoKey | PairError::Encrypted | PairError::Mismatch)
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            PairError::NoCertificate | PairError::Unreadable(_) => {
                "give the server's certificate as PEM, the ones that signed it behind it: openssl x509 -in FILE -noout -text"
            }
            PairError::NoKey => "give the private key as PEM",
            PairError::Encrypted => "take the pass phrase off a copy: openssl pkey -in FILE -out KEY",
            PairError::Mismatch => "give the key that the certificate was made for",
            PairError::Expired(_) => "have it renewed, or leave the options out to get a self-made one for a start",
            PairError::NotYet(_) => "look at this machine's clock; else wait for that day",
        }
    }
}

/// The certificates of a PEM file, the server's own first.
///
/// # Errors
/// There is none, or one that is no certificate.
pub fn chain(pem: &[u8]) -> Result<Vec<Vec<u8>>, PairError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|e| PairError::Unreadable(e.to_string()))?;
    if found.is_empty() {
        return Err(PairError::NoCertificate);
    }
    Ok(found.into_iter().map(|c| c.to_vec()).collect())
}

/// Reads one certificate (DER).
///
/// # Errors
/// It is none.
pub fn about(der: &[u8]) -> Result<About, PairError> {
    let certificate = parse(der)?;
    let told = certificate.tbs_certificate();
    let own = told.get_extension::<SubjectAltName>().ok().flatten();
    let mut names: Vec<String> = own.iter().flat_map(|(_, names)| &names.0).filter_map(name_of).collect();
    if names.is_empty() {
        names.extend(told.subject().to_string().split(',').filter_map(|p| p.strip_prefix("CN=")).map(str::to_owned));
    }
    let seconds = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Ok(About {
        names,
        subject: told.subject().to_string(),
        issuer: told.issuer().to_string(),
        not_before: seconds(&told.validity().not_before),
        not_after: seconds(&told.validity().not_after),
    })
}

fn parse(der: &[u8]) -> Result<Certificate, PairError> {
    Certificate::from_der(der).map_err(|e| PairError::Unreadable(e.to_string()))
}

fn name_of(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// A day, as people write it.
pub fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
}

/// Can a listener use these files? Returns what the server's certificate says. A key of a kind that is not known here is
/// given the benefit of the doubt.
///
/// # Errors
/// Why not; `now` is in seconds since the epoch.
pub fn check(certificate: &[u8], key: &[u8], now: i64) -> Result<About, PairError> {
    let chain = chain(certificate)?;
    let first = chain.first().ok_or(PairError::NoCertificate)?;
    let about = about(first)?;
    let key = private_key(key)?;
    let public = parse(first)?.tbs_certificate().subject_public_key_info().to_der().ok();
    if public_half(key).zip(public).is_some_and(|(own, public)| own != public) {
        return Err(PairError::Mismatch);
    }
    if about.not_after < now {
        return Err(PairError::Expired(day(about.not_after)));
    }
    if about.not_before > now {
        return Err(PairError::NotYet(day(about.not_before)));
    }
    Ok(about)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PairError> {
    let text = String::from_utf8_lossy(pem);
    // PKCS#8, and the older form with a header line
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(PairError::Encrypted);
    }
    let is_key = |kind: &SectionKind| {
        matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
    };
    let found = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).flatten().find(|(kind, _)| is_key(kind));
    let (kind, der) = found.ok_or(PairError::NoKey)?;
    Ok(match kind {
        SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.into()),
        SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.into()),
        _ => PrivateKeyDer::Pkcs8(der.into()),
    })
}

/// The public key (DER, as certificates have it) to a private one; `None`: of a kind not known here.
fn public_half(key: PrivateKeyDer<'static>) -> Option<Vec<u8>> {
    if !crate::host::tls::is_possible() {
        return None;
    }
    let key = rustls_graviola::default_provider().key_provider.load_private_key(key).ok()?;
    key.public_key().map(|k| k.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_000_000;

    fn pair() -> make::Pair {
        make::make(&["collector".into(), "192.0.2.7".into(), "2001:db8::1".into()], NOW).unwrap()
    }

    #[test]
    fn a_pair_of_our_own_can_be_used_for_its_time() {
        let pair = pair();
        let about = check(pair.certificate.as_bytes(), pair.key.expose(), NOW).unwrap();
        assert_eq!(about.names, ["collector", "192.0.2.7", "2001:db8::1"]);
        let after = about.not_after + 1;
        assert!(matches!(check(pair.certificate.as_bytes(), pair.key.expose(), after), Err(PairError::Expired(_))));
        let before = about.not_before - 1;
        assert!(matches!(check(pair.certificate.as_bytes(), pair.key.expose(), before), Err(PairError::NotYet(_))));
        // signed by the authority that devices are given
        let authority = super::about(&chain(pair.authority.as_bytes()).unwrap()[0]).unwrap();
        assert_eq!(authority.subject, about.issuer);
        assert_ne!(about.subject, about.issuer);
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_said() {
        let (one, other) = (pair(), pair());
        let check = |c: &str, k: &[u8]| check(c.as_bytes(), k, NOW).unwrap_err();
        assert_eq!(check(&one.certificate, other.key.expose()), PairError::Mismatch);
        assert_eq!(check("", one.key.expose()), PairError::NoCertificate);
        assert_eq!(check(&one.certificate, b""), PairError::NoKey);
        assert_eq!(check(&one.certificate, one.certificate.as_bytes()), PairError::NoKey);
        let locked = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(check(&one.certificate, locked), PairError::Encrypted);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(check(broken, one.key.expose()), PairError::Unreadable(_)));
        assert!(matches!(
            check("-----BEGIN CERTIFICATE-----\n*", b""),
            PairError::Unreadable(_) | PairError::NoCertificate
        ));
    }
}
