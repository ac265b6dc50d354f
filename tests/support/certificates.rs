//! A certificate authority of a test's own, and a server certificate by it.

use cefctl::platform::certificate::make::Key;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyUsagePurpose};

/// PEM files.
pub struct Certificates {
    pub authority: String,
    pub server: String,
    pub key: String,
}

/// Valid for these names and for 127.0.0.1, issued by an authority of this organisation.
pub fn make(organisation: &str, names: &[&str]) -> Certificates {
    let (mut authority, ca_key) = (CertificateParams::new(Vec::new()).expect("no names"), Key::new().expect("a key"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let name = format!("test authority for {}", names.join(" "));
    authority.distinguished_name.push(rcgen::DnType::CommonName, name);
    authority.distinguished_name.push(rcgen::DnType::OrganizationName, organisation);
    authority.serial_number = Some(1u64.into());
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).chain(["127.0.0.1".to_owned()]).collect();
    let (mut server, key) = (CertificateParams::new(names).expect("names"), Key::new().expect("a key"));
    server.serial_number = Some(2u64.into());
    server.use_authority_key_identifier_extension = true; // strict clients ask for it
    authority.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![7; 20]);
    server.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![8; 20]);
    let ca_certificate = authority.self_signed(&ca_key).expect("a signature");
    let issuer = Issuer::from_params(&authority, &ca_key);
    let certificate = server.signed_by(&key, &issuer).expect("a signature");
    let key = String::from_utf8(key.pem().expect("a key that fits").expose().to_vec()).expect("PEM is text");
    Certificates { authority: ca_certificate.pem(), server: certificate.pem(), key }
}
