//! Workspace id and key as people paste them, checked before anything is downloaded.

use std::fmt;

use serde::Serialize;

use crate::host::Secret;
use crate::message::base64;

/// A workspace id: a GUID with its dashes, in small letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WorkspaceId(String);

impl WorkspaceId {
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<WorkspaceId, String> {
        let text = text.trim();
        if is_guid(text) {
            return Ok(WorkspaceId(text.to_ascii_lowercase()));
        }
        if looks_like_key(text) {
            return Err("that looks like a workspace key, not like a workspace id; the id comes first".into());
        }
        Err(format!(
            "“{}” is no workspace id: that is 32 hexadecimal digits in groups of 8-4-4-4-12",
            crate::ui::text::visible(&text.chars().take(60).collect::<String>())
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The agent names folders after the id as it was typed.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.trim())
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|g| g.len());
    lengths.eq([8, 4, 4, 4, 12]) && groups.iter().all(|g| g.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// More than an id can hold, or signs of base64 that no id has: such text is not repeated in a message.
fn looks_like_key(text: &str) -> bool {
    text.ends_with('=') || text.len() > 60 || text.contains(['+', '/'])
}

/// Characters of a workspace key: base64 of 64 bytes (facts 1.6).
const KEY_LEN: usize = 88;

/// A workspace key of the right shape. Whether it is the right one only the service knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceKey(Secret);

impl WorkspaceKey {
    /// White space around it (a line feed of a file) is no part of it.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence that does not repeat it.
    pub fn parse(secret: &Secret) -> Result<WorkspaceKey, String> {
        let bytes = secret.expose().trim_ascii();
        if bytes.is_empty() {
            return Err("the workspace key is empty".into());
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err("the workspace key holds bytes that are no text".into());
        };
        if is_guid(text) {
            return Err("what was given as the workspace key is a workspace id".into());
        }
        if text.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"+/=".contains(&b))) {
            return Err("the workspace key holds a character that no such key has (letters, digits, + / =)".into());
        }
        if text.len() != KEY_LEN {
            return Err(format!(
                "the workspace key has {} characters instead of {KEY_LEN}: it was cut or something was added",
                text.len()
            ));
        }
        match base64::decode(text) {
            Some(key) if text.ends_with("==") && key.len() == 64 => Ok(WorkspaceKey(Secret::new(bytes))),
            _ => Err("the workspace key is not the base64 of 64 bytes, which ends in ==".into()),
        }
    }

    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<WorkspaceKey, String> {
        WorkspaceKey::parse(&Secret::new(text))
    }

    #[test]
    fn an_id_is_a_guid_with_dashes() {
        let id = WorkspaceId::parse(" 0A1B2C3D-1111-2222-3333-444455556666\n").unwrap();
        assert_eq!(id.as_str(), "0a1b2c3d-1111-2222-3333-444455556666");
        assert!(id.is("0A1B2C3D-1111-2222-3333-444455556666"));
        for bad in [
            "",
            "x",
            "0a1b2c3d111122223333444455556666",
            "{0a1b2c3d-1111-2222-3333-444455556666}",
            "0a1b2c3d-1111-2222-3333-44445555666g",
        ] {
            assert!(WorkspaceId::parse(bad).unwrap_err().contains("no workspace id"), "{bad}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_the_id_is_not_repeated() {
        let swapped = base64::encode(&[7; 64]);
        let error = WorkspaceId::parse(&swapped).unwrap_err();
        assert!(error.contains("the id comes first") && !error.contains(&swapped), "{error}");
    }

    #[test]
    fn a_key_is_the_base64_of_64_bytes() {
        let good = base64::encode(&(0..64).collect::<Vec<u8>>());
        assert_eq!(key(&format!("{good}\n")).unwrap().secret().expose(), good.as_bytes());
        let shorter = base64::encode(&[1; 63]);
        for (bad, why) in [
            ("", "empty"),
            ("  \n", "empty"),
            (&good[1..], "87 characters"),
            (&format!("{good}{good}"), "176 characters"),
            (&good.replace('A', "*"), "a character"),
            ("0a1b2c3d-1111-2222-3333-444455556666", "is a workspace id"),
            (&format!("{shorter}ABCD"), "not the base64"),
        ] {
            let error = key(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
            assert!(bad.trim().is_empty() || !error.contains(bad));
        }
        assert!(!format!("{:?}", key(&good)).contains(&good));
    }
}
