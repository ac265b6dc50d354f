//! Bytes and paths of the machine inside facts: kept without loss on the way through JSON, whatever is in them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Content of a file. Kept byte for byte; in JSON it is text where it is UTF-8, else a list of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BytesForm {
    Text(String),
    Raw(Vec<u8>),
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => s.serialize_str(text),
            Err(_) => s.collect_seq(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Bytes(match BytesForm::deserialize(d)? {
            BytesForm::Text(text) => text.into_bytes(),
            BytesForm::Raw(bytes) => bytes,
        }))
    }
}

/// A path as text, and back, without loss: bytes that are no UTF-8 become `\\xNN`, a backslash is doubled.
pub fn encode_path(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        out.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
    }
    out
}

/// See [`encode_path`].
pub fn decode_path(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        rest = match (first, after.first(), hex(1).zip(hex(2))) {
            (b'\\', Some(b'x'), Some((high, low))) => {
                bytes.push((high * 16 + low) as u8);
                after.get(3..).unwrap_or_default()
            }
            (b'\\', Some(b'\\'), _) => {
                bytes.push(b'\\');
                after.get(1..).unwrap_or_default()
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_content_survive() {
        for raw in [&b"/etc/a"[..], b"/\xff\\x41", b"/a\\\\b", "/\u{e9}".as_bytes(), b"/\\x4", b""] {
            let path = PathBuf::from(OsString::from_vec(raw.to_vec()));
            assert_eq!(decode_path(&encode_path(&path)), path, "{raw:?}");
            let bytes = Bytes(raw.to_vec());
            let json = serde_json::to_string(&bytes).unwrap();
            assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), bytes);
        }
        assert_eq!(encode_path(Path::new("/etc/rsyslog.conf")), "/etc/rsyslog.conf");
    }
}
