//! Bytes and paths in JSON: as text where they are UTF-8, as hexadecimal digits where they are not, so that a file
//! name in some old encoding neither fails nor changes on its way through the journal.

use std::fmt::Write;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Hex { hex: String },
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Plain(text.to_owned()),
            Err(_) => Text::Hex { hex: hex(bytes) },
        }
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Text::Plain(text) => Some(text.into_bytes()),
            Text::Hex { hex } => unhex(&hex),
        }
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect())
}

fn bytes_of<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    Text::deserialize(from)?.into_bytes().ok_or_else(|| de::Error::custom("odd or bad hexadecimal digits"))
}

/// For `#[serde(with = "encode::bytes")]`.
pub mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        Text::of(bytes).serialize(to)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        bytes_of(from)
    }
}

/// For `#[serde(with = "encode::path")]`.
pub mod path {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        Text::of(path.as_os_str().as_bytes()).serialize(to)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        bytes_of(from).map(|b| PathBuf::from(OsString::from_vec(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Both {
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
        #[serde(with = "path")]
        path: std::path::PathBuf,
    }

    proptest! {
        #[test]
        fn every_byte_string_comes_back(bytes: Vec<u8>) {
            use std::os::unix::ffi::OsStringExt;
            let path = std::ffi::OsString::from_vec(bytes.clone()).into();
            let both = Both { bytes, path };
            let json = serde_json::to_string(&both).unwrap();
            prop_assert_eq!(serde_json::from_str::<Both>(&json).unwrap(), both);
        }
    }

    #[test]
    fn bad_digits_are_an_error() {
        for json in [r#"{"bytes":{"hex":"f"},"path":""}"#, r#"{"bytes":{"hex":"zz"},"path":""}"#] {
            assert!(serde_json::from_str::<Both>(json).is_err());
        }
        assert_eq!(unhex(&hex(b"\x00\xfe")).unwrap(), b"\x00\xfe");
    }
}
