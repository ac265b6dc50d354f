//! A certificate authority of a test's own, and a server certificate by it. Signed by graviola: rcgen's own keys come
//! from libraries that build C.

use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm};

/// PEM files.
pub struct Certificates {
    pub authority: String,
    pub server: String,
    pub key: String,
}

struct Key {
    key: SigningKey<P256>,
    public: Vec<u8>,
}

impl Key {
    fn new() -> Key {
        let key = SigningKey::<P256>::generate().expect("random numbers");
        let mut buffer = [0; 256];
        let spki = key.to_spki_der(&mut buffer).expect("a key that fits");
        let public = spki[spki.len() - 65..].to_vec(); // the point is what it ends with
        Key { key, public }
    }
    fn pem(&self) -> String {
        let mut buffer = [0; 512];
        let der = self.key.to_pkcs8_der(&mut buffer).expect("a key that fits").to_vec();
        let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in cefctl::message::base64::encode(&der).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text + "-----END PRIVATE KEY-----\n"
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

/// Valid for these names and for 127.0.0.1, issued by an authority of this organisation.
pub fn make(organisation: &str, names: &[&str]) -> Certificates {
    let (mut authority, ca_key) = (CertificateParams::new(Vec::new()).expect("no names"), Key::new());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let name = format!("test authority for {}", names.join(" "));
    authority.distinguished_name.push(rcgen::DnType::CommonName, name);
    authority.distinguished_name.push(rcgen::DnType::OrganizationName, organisation);
    authority.serial_number = Some(1u64.into());
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).chain(["127.0.0.1".to_owned()]).collect();
    let (mut server, key) = (CertificateParams::new(names).expect("names"), Key::new());
    server.serial_number = Some(2u64.into());
    authority.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![7; 20]);
    server.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![8; 20]);
    let ca_certificate = authority.self_signed(&ca_key).expect("a signature");
    let issuer = Issuer::from_params(&authority, &ca_key);
    let certificate = server.signed_by(&key, &issuer).expect("a signature");
    Certificates { authority: ca_certificate.pem(), server: certificate.pem(), key: key.pem() }
}
