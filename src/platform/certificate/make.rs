//! A certificate for a start, where nobody brought one: an authority of this box's own, whose key is thrown away once it
//! has signed, and a server's certificate by it. Devices are given the authority's certificate: many take nothing but an
//! authority's for a peer they are to trust, and some take none of these for a server's own.

use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use sha2::{Digest, Sha256};

use crate::host::{Secret, tls};
use crate::message::base64;

/// Days that a pair is good for: the longest that strict clients take a certificate for (825 is Apple's limit).
const DAYS: i64 = 825;
const DAY: i64 = 24 * 60 * 60;

/// PEM files.
pub struct Pair {
    /// What devices are to trust.
    pub authority: String,
    /// The server's, and the authority's behind it.
    pub certificate: String,
    pub key: Secret,
}

/// Makes a pair for these names and addresses. `now` is in seconds since the epoch.
///
/// # Errors
/// In words; no random numbers, a name that cannot stand in a certificate, a processor without what the cryptography
/// needs.
pub fn make(names: &[String], now: i64) -> Result<Pair, String> {
    if !tls::is_possible() {
        return Err("this processor lacks instructions (AVX2, AES, ADX …) that making a key needs".to_owned());
    }
    let (ca_key, key) = (Key::new()?, Key::new()?);
    let mut authority = params(&[], &ca_key, now)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let of = names.first().map_or("this collector", String::as_str);
    authority.distinguished_name.push(DnType::CommonName, short(&format!("cefctl authority of {of}")));
    let mut server = params(names, &key, now)?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.distinguished_name.push(DnType::CommonName, short(of));
    server.use_authority_key_identifier_extension = true;
    let failed = |e: rcgen::Error| format!("the certificate could not be made: {e}");
    let ca_certificate = authority.self_signed(&ca_key).map_err(failed)?;
    let issuer = Issuer::from_params(&authority, &ca_key);
    let certificate = server.signed_by(&key, &issuer).map_err(failed)?;
    Ok(Pair {
        authority: ca_certificate.pem(),
        certificate: certificate.pem() + &ca_certificate.pem(),
        key: key.pem()?,
    })
}

fn params(names: &[String], key: &Key, now: i64) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::new(names.to_vec()).map_err(|e| format!("{}: {e}", names.join(", ")))?;
    let (from, to) = (date(now - DAY)?, date(now + DAYS * DAY)?);
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
    params.serial_number = Some(SerialNumber::from(uuid::Uuid::new_v4().as_bytes().to_vec()));
    let digest: Vec<u8> = Sha256::digest(&key.public).iter().copied().take(20).collect();
    params.key_identifier_method = KeyIdMethod::PreSpecified(digest);
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

/// A common name has 64 characters at most (RFC 5280, appendix A).
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Year, month, day.
fn date(seconds: i64) -> Result<(i32, u8, u8), String> {
    let day = jiff::Timestamp::from_second(seconds).map_err(|e| e.to_string())?;
    let day = jiff::tz::Offset::UTC.to_datetime(day);
    let number = |n: i8| u8::try_from(n).unwrap_or(1);
    Ok((day.year().into(), number(day.month()), number(day.day())))
}

/// A key of elliptic curve P-256. Signed by graviola: rcgen's own keys come from libraries that build C.
pub struct Key {
    key: SigningKey<P256>,
    /// The point, uncompressed.
    public: Vec<u8>,
}

impl Key {
    /// # Errors
    /// There are no random numbers.
    pub fn new() -> Result<Key, String> {
        let failed = |e: graviola::Error| format!("a key could not be made: {e:?}");
        let key = SigningKey::<P256>::generate().map_err(failed)?;
        let mut buffer = [0; 256];
        let spki = key.to_spki_der(&mut buffer).map_err(failed)?;
        // The point is what it ends with.
        let public = spki.get(spki.len().saturating_sub(65)..).unwrap_or_default().to_vec();
        Ok(Key { key, public })
    }

    /// PKCS #8, as PEM.
    ///
    /// # Errors
    /// None that is known.
    pub fn pem(&self) -> Result<Secret, String> {
        let mut buffer = [0; 512];
        let der = self.key.to_pkcs8_der(&mut buffer).map_err(|e| format!("the key could not be written: {e:?}"))?;
        let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in base64::encode(der).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END PRIVATE KEY-----\n");
        Ok(Secret::new(text))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut buffer = [0; 128];
        let signed = self.key.sign_asn1::<graviola::hashing::Sha256>(&[message], &mut buffer);
        signed.map(|s| s.to_vec()).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
