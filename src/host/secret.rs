//! Secrets (workspace keys, pass phrases): a type whose content shows nowhere by accident, and the stars that hide
//! known secrets in text that goes to a trace.

use std::fmt;

/// Bytes that must not show in output, journal, receipt or panic text: no `Display`, no `Serialize`, and `Debug` says
/// only that something is there.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(bytes.into())
    }
    /// The content, for the one place that hands it on (a 0600 file, a child's stdin).
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Shortest secret that is starred: shorter ones would star innocent text everywhere.
const MIN_LEN: usize = 4;

/// Known secrets, to be replaced by stars wherever they show up in text.
#[derive(Clone, Default)]
pub struct Stars(Vec<Secret>);

impl Stars {
    pub fn add(&mut self, secret: &Secret) {
        if secret.0.len() >= MIN_LEN && !self.0.contains(secret) {
            self.0.push(secret.clone());
            // The longest first: a secret may contain another one.
            self.0.sort_by_key(|s| std::cmp::Reverse(s.0.len()));
        }
    }

    /// `text` with every known secret replaced by `***`.
    pub fn hide(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.0 {
            if let Ok(plain) = std::str::from_utf8(&secret.0) {
                out = out.replace(plain, "***");
            }
        }
        out
    }
}

impl fmt::Debug for Stars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stars({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("hunter22");
        assert!(!format!("{secret:?}").contains("hunter"));
        assert_eq!(secret.expose(), b"hunter22");
    }

    #[test]
    fn stars_hide_the_longer_secret_first() {
        let mut stars = Stars::default();
        for s in ["abcd", "abcdef", "ab", ""] {
            stars.add(&Secret::new(s));
        }
        assert_eq!(stars.hide("ab abcd xabcdefx"), "ab *** x***x");
        assert!(!format!("{stars:?}").contains("abcd"));
    }
}
