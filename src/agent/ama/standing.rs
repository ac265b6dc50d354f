//! Versions of the Azure Monitor Agent that matter to a collector (facts 3.4, field-failures 4.1).

use super::version::{OLDEST, TCP, Version};

/// What a version means for security events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Good,
    /// Works, but.
    Poor(&'static str),
    /// Loses or never takes security events.
    Bad(&'static str),
}

/// Versions with a fault of their own; the numbers in front decide.
const FAULTY: [(&[u32], Standing); 7] = [
    (&[1, 10, 7], Standing::Bad("it is one of the versions that must not be used")),
    (&[1, 15, 1], Standing::Bad("it is one of the versions that must not be used")),
    (&[1, 25, 2], Standing::Poor("without its hotfix it loses data (\"Bad file descriptor\")")),
    (&[1, 29, 4], Standing::Poor("it writes errors to mdsd.warn by mistake and does not install on Arc machines")),
    (&[1, 29, 5], Standing::Poor("it does not install on Arc machines")),
    (&[1, 40], Standing::Poor("it does not write the daemon's forward file again when a rule is associated anew")),
    (&[1, 41], Standing::Poor("it does not write the daemon's forward file again when a rule is associated anew")),
];

/// Limits from the lowest on: below the first that is not reached, this holds.
const FROM: [(&[u32], Standing); 3] = [
    (&[1, 15, 2], Standing::Bad("it does not know CEF and ASA (they came with 1.15.2)")),
    (&OLDEST, Standing::Bad("it is older than 1.21, which nobody supports or checks any more")),
    (&TCP, Standing::Poor("it is older than 1.28.11: events come over a unix socket that loses them under load")),
];

/// First versions that work on a distribution (facts 3.4): `(id, version prefix, version)`.
const DISTRIBUTIONS: [(&str, &str, &[u32], &str); 3] = [
    ("debian", "12", &[1, 31], "Debian 12 needs 1.31 or later"),
    ("ubuntu", "24.04", &[1, 33, 1], "Ubuntu 24.04 needs 1.33.1 or later"),
    ("amzn", "2023", &[1, 33, 1], "Amazon Linux 2023 needs 1.33.1 or later"),
];

/// Judges a version on a distribution, named as in os-release.
pub fn standing(version: &Version, id: &str, version_id: &str) -> Standing {
    if let Some((_, fault)) = FAULTY.iter().find(|(parts, _)| version.is(parts)) {
        return fault.clone();
    }
    if let Some((_, fault)) = FROM.iter().find(|(parts, _)| !version.is_at_least(parts)) {
        return fault.clone();
    }
    let here =
        DISTRIBUTIONS.iter().find(|(d, v, parts, _)| *d == id && version_id == *v && !version.is_at_least(parts));
    here.map_or(Standing::Good, |(_, _, _, why)| Standing::Poor(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn every_version_has_a_standing() {
        let of = |text: &str| standing(&v(text), "debian", "12");
        assert!(
            matches!(of("1.10.7"), Standing::Bad(_)) && matches!(of("1.12"), Standing::Bad(w) if w.contains("CEF"))
        );
        assert!(matches!(of("1.20.9"), Standing::Bad(_)) && matches!(of("1.25.2"), Standing::Poor(_)));
        assert!(matches!(of("1.28.10"), Standing::Poor(w) if w.contains("socket")));
        assert!(matches!(of("1.30.2"), Standing::Poor(w) if w.contains("Debian 12")));
        assert_eq!(of("1.33.1"), Standing::Good);
        assert!(matches!(of("1.41.3"), Standing::Poor(_)));
        assert_eq!(standing(&v("1.30.2"), "rhel", "9.4"), Standing::Good);
    }
}
