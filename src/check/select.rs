//! `--only` and `--skip`: ids, groups (`listen`) and patterns (`listen.*`, `*.udp`). A word that names nothing is an
//! error: a monitoring job with a typo in it must not look healthy.

use std::collections::BTreeSet;

use super::catalogue::{self, Check};

/// A word that names no check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no check is called `{given}`; {}", self.hint())]
pub struct UnknownCheck {
    pub given: String,
    /// Nearest id or group, where one is near.
    pub nearest: Option<String>,
}

impl UnknownCheck {
    pub(super) fn new(given: &str) -> Self {
        let names = catalogue::all().flat_map(|c| [c.id, c.group()]);
        let near = names.map(|n| (distance(given, n), n)).min().filter(|(d, n)| *d <= 1 + n.len() / 3);
        UnknownCheck { given: given.to_owned(), nearest: near.map(|(_, n)| n.to_owned()) }
    }

    fn hint(&self) -> String {
        match &self.nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("groups are {}", groups().join(", ")),
        }
    }
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = catalogue::all().map(Check::group).collect();
    groups.dedup();
    groups
}

/// The checks that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    ids: BTreeSet<&'static str>,
    skipped: BTreeSet<&'static str>,
}

impl Default for Selection {
    fn default() -> Self {
        Selection { ids: catalogue::all().map(|c| c.id).collect(), skipped: BTreeSet::new() }
    }
}

impl Selection {
    /// All of `only` (empty: every check) without those of `skip`. One word may hold several names, split by commas.
    ///
    /// # Errors
    /// A name that fits no check.
    pub fn new(only: &[String], skip: &[String]) -> Result<Self, UnknownCheck> {
        let mut selection = Selection::default();
        if !only.is_empty() {
            selection.ids = resolve(only)?;
        }
        selection.skipped = resolve(skip)?;
        selection.ids.retain(|id| !selection.skipped.contains(id));
        Ok(selection)
    }

    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Left out by name, so that it is not shown even where it holds up others.
    pub fn is_skipped(&self, id: &str) -> bool {
        self.skipped.contains(id)
    }
}

fn resolve(words: &[String]) -> Result<BTreeSet<&'static str>, UnknownCheck> {
    let mut ids = BTreeSet::new();
    for word in words.iter().flat_map(|w| w.split(',')).map(str::trim).filter(|w| !w.is_empty()) {
        let hits: Vec<_> = catalogue::all().filter(|c| c.group() == word || fits(word, c.id)).map(|c| c.id).collect();
        if hits.is_empty() {
            return Err(UnknownCheck::new(word));
        }
        ids.extend(hits);
    }
    Ok(ids)
}

/// Shell pattern with `*` and `?`.
fn fits(pattern: &str, id: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => id.is_empty(),
        Some('*') if chars.as_str().starts_with('*') => fits(chars.as_str(), id),
        Some('*') => id.char_indices().map(|(at, _)| at).chain([id.len()]).any(|at| fits(chars.as_str(), &id[at..])),
        Some(c) => {
            let mut rest = id.chars();
            rest.next().is_some_and(|i| c == '?' || c == i) && fits(chars.as_str(), rest.as_str())
        }
    }
}

/// Edits between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let best = (corner + usize::from(ca != *cb)).min(left + 1).min(*cell + 1);
            corner = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(only: &[&str], skip: &[&str]) -> Vec<&'static str> {
        let own = |words: &[&str]| words.iter().map(|w| w.to_string()).collect::<Vec<_>>();
        let s = Selection::new(&own(only), &own(skip)).unwrap();
        catalogue::all().map(|c| c.id).filter(|id| s.has(id)).collect()
    }

    #[test]
    fn ids_groups_patterns_and_commas() {
        assert_eq!(ids(&["listen.udp"], &[]), ["listen.udp"]);
        assert_eq!(ids(&["probe"], &[]), ["probe.udp", "probe.tcp"]);
        assert_eq!(ids(&["*.udp, host.os"], &[]), ["host.os", "listen.udp", "probe.udp"]);
        assert_eq!(
            ids(&["listen.*"], &["listen.??p", "listen.l*"]),
            ["listen.owner", "listen.duplicate", "listen.reachable"]
        );
        assert_eq!(ids(&[], &["*"]), Vec::<&str>::new());
        assert_eq!(ids(&[], &[]).len(), catalogue::all().count());
    }

    #[test]
    fn a_typo_is_an_error_with_the_nearest_name() {
        let e = Selection::new(&["listen.upd".into()], &[]).unwrap_err();
        assert_eq!(e.nearest.as_deref(), Some("listen.udp"));
        assert!(e.to_string().contains("; did you mean `listen.udp`?"), "{e}");
        let e = Selection::new(&[], &["lisen".into()]).unwrap_err();
        assert_eq!(e.nearest.as_deref(), Some("listen"));
        let e = Selection::new(&["xyzzy-plugh-frotz".into()], &[]).unwrap_err();
        assert!(e.to_string().contains("groups are host, daemon"), "{e}");
        assert!(Selection::new(&["listen.u".into()], &[]).is_err());
    }

    #[test]
    fn edits_between_words() {
        assert_eq!((distance("abc", "abc"), distance("", "abc"), distance("kitten", "sitting")), (0, 3, 3));
    }
}
