//! Text and places of configuration files. Such files are bytes: a name or a value may hold anything but NUL, so it is
//! kept as found and only turned into UTF-8 (with replacement marks) where a person reads it.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A piece of configuration text, bytes as found.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub Vec<u8>);

impl Text {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// For people; bytes that are not UTF-8 become replacement marks.
    pub fn to_str_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Equal but for the case of ASCII letters, as the daemon compares keywords and parameter names.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }
    /// ASCII letters in lower case.
    pub fn to_lower(&self) -> Text {
        Text(self.0.to_ascii_lowercase())
    }
    /// A decimal number with blanks around it; `None` for anything else.
    pub fn number(&self) -> Option<i64> {
        std::str::from_utf8(self.0.trim_ascii()).ok()?.parse().ok()
    }
    /// `on`/`yes`/`true`/`1` and `off`/`no`/`false`/`0`; `None` for anything else.
    pub fn switch(&self) -> Option<bool> {
        match self.0.trim_ascii().to_ascii_lowercase().as_slice() {
            b"on" | b"yes" | b"true" | b"1" => Some(true),
            b"off" | b"no" | b"false" | b"0" => Some(false),
            _ => None,
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_str_lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl From<&str> for Text {
    fn from(s: &str) -> Self {
        Text(s.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Text {
    fn from(s: &[u8]) -> Self {
        Text(s.to_vec())
    }
}

impl From<Vec<u8>> for Text {
    fn from(s: Vec<u8>) -> Self {
        Text(s)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_str_lossy())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Text(String::deserialize(d)?.into_bytes()))
    }
}

/// A place in a configuration file, as `path:line`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    #[serde(with = "shared_path")]
    pub file: Arc<Path>,
    /// First line of the item, counted from 1.
    pub line: u32,
    /// First byte of the item in the file as stored.
    pub start: usize,
    /// First byte behind the item.
    pub end: usize,
}

impl Location {
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }
    /// The same place, reaching on to the end of `last` where that lies in the same file.
    pub fn to(&self, last: &Location) -> Location {
        let end = if self.file == last.file { last.end.max(self.end) } else { self.end };
        Location { end, ..self.clone() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Paths shared by many places, stored as plain text.
mod shared_path {
    use super::*;
    use std::path::PathBuf;

    pub fn serialize<S: Serializer>(path: &Arc<Path>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&path.to_string_lossy())
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Path>, D::Error> {
        Ok(PathBuf::deserialize(d)?.into())
    }
}
