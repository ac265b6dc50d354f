//! Every check as a record, in hop order: the way of an event through the box. Ids are an interface (reports, `--only`,
//! monitoring), so an id keeps its meaning for good. `explain` and docs/checks.md are made from these records.

mod agent;
mod ama;
mod cloud;
mod daemon;
mod firewall;
mod forward;
mod host;
mod listen;
mod probe;
mod traffic;

use super::case::Case;
use super::outcome::Judged;
use super::select::UnknownCheck;

pub struct Check {
    /// `group.name`
    pub id: &'static str,
    /// What it asks.
    pub title: &'static str,
    /// Why it matters, in one sentence.
    pub why: &'static str,
    pub looks_at: &'static str,
    pub mend: &'static str,
    /// Checks without whose success this one says nothing.
    pub needs: &'static [&'static str],
    pub judge: fn(&Case<'_>) -> Judged,
}

impl Check {
    pub fn group(&self) -> &'static str {
        self.id.split('.').next().unwrap_or(self.id)
    }

    /// Where docs/checks.md describes it.
    pub fn doc(&self) -> String {
        format!("docs/checks.md#{}", self.id.replace('.', ""))
    }
}

/// All checks in hop order.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        host::CHECKS,
        daemon::CHECKS,
        listen::CHECKS,
        firewall::CHECKS,
        forward::CHECKS,
        agent::CHECKS,
        ama::CHECKS,
        cloud::CHECKS,
        traffic::CHECKS,
        probe::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// What one check looks at, why it matters, how to mend it.
///
/// # Errors
/// An id that names no check.
pub fn explain(id: &str) -> Result<String, UnknownCheck> {
    let check = all().find(|c| c.id == id).ok_or_else(|| UnknownCheck::new(id))?;
    Ok(format!("{}: {}\n\n{}", check.id, check.title, body(check)))
}

/// docs/checks.md.
pub fn document() -> String {
    let mut out = String::from(HEAD);
    for check in all() {
        out.push_str(&format!("\n## {}\n\n*{}*\n\n{}", check.id, check.title, body(check)));
    }
    out
}

fn body(check: &Check) -> String {
    let needs = match check.needs {
        [] => String::new(),
        needs => format!("\nNot judged while one of these fails: {}.\n", needs.join(", ")),
    };
    format!(
        "What it looks at: {}\n\nWhy it matters: {}\n\nHow to mend it: {}\n{needs}",
        check.looks_at, check.why, check.mend
    )
}

const HEAD: &str = "# The checks of `cefctl troubleshoot`

<!-- Made from src/check/catalogue: `UPDATE_DOCS=1 cargo test --lib docs_are_up_to_date` writes this file anew. -->

In the order an event takes through the box. The first check that fails in this order is the root cause that the report
names; a check that cannot be judged because of another one's fault is skipped and says so. Results are `pass`, `warn`
(works, but will hurt), `fail` (events are lost, stuck or refused now), `skip` (does not apply, or blocked) and `unknown`
(could not be judged; never counted as good). `cefctl explain ID` shows the same text. A diagnosis changes nothing on the
host.
";

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // a test makes its own files

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_grouped_and_in_hop_order() {
        let ids: Vec<_> = all().map(|c| c.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let mut groups: Vec<_> = all().map(Check::group).collect();
        groups.dedup();
        assert_eq!(
            groups,
            ["host", "daemon", "listen", "firewall", "forward", "agent", "ama", "cloud", "traffic", "probe"]
        );
        assert!(ids.iter().all(|id| id.split('.').count() == 2));
    }

    #[test]
    fn needs_name_checks_and_form_no_circle() {
        fn depth(id: &str, left: usize) {
            assert!(left > 0, "{id} needs itself");
            let check = all().find(|c| c.id == id).unwrap_or_else(|| panic!("{id} is needed but not there"));
            check.needs.iter().for_each(|need| depth(need, left - 1));
        }
        all().for_each(|c| depth(c.id, all().count()));
    }

    #[test]
    fn every_check_is_explained_in_sentences() {
        for c in all() {
            for text in [c.why, c.looks_at, c.mend] {
                assert!(text.ends_with('.') && text.len() > 20, "{}: {text}", c.id);
            }
            assert!(c.title.ends_with('?'), "{}: {}", c.id, c.title);
        }
        let text = explain("listen.udp").unwrap();
        assert!(text.starts_with("listen.udp: ") && text.contains("How to mend it"), "{text}");
        assert_eq!(explain("listen.upd").err().and_then(|e| e.nearest).as_deref(), Some("listen.udp"));
    }

    #[test]
    fn docs_are_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checks.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(on_disk == document(), "docs/checks.md differs from the catalogue: run with UPDATE_DOCS=1");
    }
}
