//! Versions of the Azure Monitor Agent (facts 3.4, 3.8): `1.33.1-build.main.…`, any number of parts.

use std::cmp::Ordering;
use std::fmt;

/// A version, compared by its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Vec<u32>);

/// From here on syslog comes over TCP instead of the socket.
pub const TCP: [u32; 3] = [1, 28, 11];
/// The oldest that the agent's own troubleshooter accepts.
pub const OLDEST: [u32; 2] = [1, 21];
/// Known to lose events.
const BAD: [[u32; 3]; 3] = [[1, 10, 7], [1, 15, 1], [1, 25, 2]];

impl Version {
    /// The first word that begins with a digit, up to its first dash.
    pub fn parse(text: &str) -> Option<Version> {
        let word = text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
        let numbers: Option<Vec<u32>> =
            word.split(['-', '+', '~']).next()?.split('.').map(|part| part.parse().ok()).collect();
        numbers.filter(|n| n.len() > 1).map(Version)
    }

    /// Which one is newer.
    pub fn newer(&self, other: &Version) -> Ordering {
        self.compare(&other.0)
    }

    /// Begins with these numbers.
    pub fn is(&self, parts: &[u32]) -> bool {
        self.0.starts_with(parts)
    }

    /// At least this one? Missing parts count as 0.
    pub fn is_at_least(&self, other: &[u32]) -> bool {
        self.compare(other).is_ge()
    }

    fn compare(&self, other: &[u32]) -> Ordering {
        let most = self.0.len().max(other.len());
        let part = |list: &[u32], n: usize| list.get(n).copied().unwrap_or(0);
        let order = (0..most).map(|n| part(&self.0, n).cmp(&part(other, n))).find(|o| o.is_ne());
        order.unwrap_or(Ordering::Equal)
    }

    /// One of those that should not be used.
    pub fn is_bad(&self) -> bool {
        BAD.iter().any(|bad| self.0.starts_with(bad))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_come() {
        let version = |t: &str| Version::parse(t).unwrap();
        assert_eq!(version("1.33.1-build.main.845").to_string(), "1.33.1");
        assert_eq!(version("mdsd 1.40.0.2 x").to_string(), "1.40.0.2");
        assert!(version("1.28.11").is_at_least(&TCP) && version("1.100.0").is_at_least(&TCP));
        assert!(!version("1.28.9").is_at_least(&TCP) && version("1.21").is_at_least(&OLDEST));
        assert!(version("1.25.2-build").is_bad() && !version("1.25.20").is_bad());
        assert!(Version::parse("unknown").is_none() && Version::parse("1").is_none());
    }
}
