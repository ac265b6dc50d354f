//! What Microsoft's installer did to syslog-ng's main file (facts 2.4): it made comments of sources line by line and added
//! a source `s_src` for the network alone, once more with every run. The daemon's own check is content with that.

use std::path::Path;

use super::case::{Case, read_setting};
use super::facts::encode_path;
use super::outcome::Outcome;
use crate::syslog::source::Overlay;
use crate::syslog::syslogng::effective::{Ref, SourceKind, StepKind};
use crate::syslog::syslogng::{Effective, repair};

/// A source that is a comment now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Commented {
    name: String,
    /// Counted from 1.
    line: usize,
    /// Is it one that the installer itself had added?
    own: bool,
}

/// `#source NAME {` at the start of a line, as the installer leaves it; distributions write their examples so too, so
/// this alone means nothing.
fn commented(text: &[u8]) -> Vec<Commented> {
    let text = String::from_utf8_lossy(text);
    let of = |(n, line): (usize, &str)| {
        let rest = line.strip_prefix('#')?.strip_prefix("source ")?;
        let (name, content) = rest.split_once('{')?;
        let name = name.trim();
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        plain.then(|| Commented {
            name: name.to_owned(),
            line: n + 1,
            own: is_added(&format!("source s_src {{{content}")),
        })
    };
    text.lines().enumerate().filter_map(of).collect()
}

/// `source s_src { udp( port(514)); tcp( port(514));};`
fn is_added(line: &str) -> bool {
    let squeezed: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    squeezed.starts_with("sources_src{udp(port(514));tcp(port(514));}")
}

struct Damage {
    path: String,
    commented: Vec<Commented>,
    /// Line of the source that was added.
    added: Option<usize>,
}

fn look(case: &Case<'_>, config: &Effective) -> Option<Damage> {
    let path = case.daemon().main_file.clone();
    let file = case.daemon().config.files.get(&encode_path(std::path::Path::new(&path)))?;
    let text = &file.content.as_ref().ok()?.0;
    let added = String::from_utf8_lossy(text).lines().position(is_added).map(|n| n + 1);
    // Distributions have example sources in comments too, which no log path names.
    let mut commented = commented(text);
    commented.retain(|c| c.own || is_named(config, &c.name));
    Some(Damage { path, commented, added })
}

impl Damage {
    fn seen(&self) -> Vec<(String, String)> {
        let comments = self.commented.iter().map(|c| {
            let text = match c.own {
                true => "a source that cef_installer.py added and made a comment again".to_owned(),
                false => format!("source {} is a comment: cef_installer.py does that", c.name),
            };
            (format!("{}:{}", self.path, c.line), text)
        });
        let added = self.added.map(|n| (format!("{}:{n}", self.path), "added by cef_installer.py".to_owned()));
        comments.chain(added).collect()
    }
}

/// The installer's source stands where the system's own was: local messages of this box are read by nobody.
pub fn local_logs_lost(case: &Case<'_>, config: &Effective) -> Option<Outcome> {
    let damage = look(case, config)?;
    let line = damage.added?;
    let original = damage.commented.iter().find(|c| !c.own)?;
    let local = |kind: &SourceKind| !matches!(kind, SourceKind::Listener(_));
    let used = config.used_sources();
    let sources = config.sources.iter().zip(used).filter(|(_, used)| *used).map(|(s, _)| s);
    if sources.flat_map(|s| &s.drivers).any(|d| local(&d.kind)) {
        return None;
    }
    let out = Outcome::warn(format!(
        "local messages of this box are logged nowhere: {}:{} is a comment, and the source at line {line} takes the network only",
        damage.path, original.line
    ));
    let out = out.seen_all(damage.seen());
    Some(match is_mendable(case) {
        true => out
            .advise(format!("let `cefctl install --repair` {MENDS}, and open the port by a source of its own"))
            .command(repair_command(case)),
        false => out
            .advise(format!(
                "remove the line that was added, take the comment marks from source {}, and let `cefctl install` open the port",
                original.name
            ))
            .command(format!("sudo editor {}", damage.path))
            .command(case.install_command()),
    })
}

/// What `--repair` does, as the rest of a sentence.
const MENDS: &str = "take the comment marks off and the added line out";

fn repair_command(case: &Case<'_>) -> String {
    format!("{} --repair", case.install_command())
}

/// Does `install --repair` mend it? It looks at the main file without the older rule, as it does itself.
fn is_mendable(case: &Case<'_>) -> bool {
    let daemon = case.daemon();
    let main = Path::new(&daemon.main_file);
    let rule = main.with_file_name("conf.d/security-config-omsagent.conf");
    let source = Overlay { base: &daemon.config, changes: [(rule, None)].into() };
    let setting = read_setting(&daemon.main_file, &case.facts.syslog_ng_says.about);
    repair::repair(main, &source, &setting).is_some()
}

/// An undefined name that the installer's damage explains: said, and how it is mended.
pub fn explain_missing(case: &Case<'_>, config: &Effective, mut out: Outcome) -> Outcome {
    let damage = missing_source(case, config);
    if damage.is_empty() {
        return out;
    }
    out.summary.push_str("; cef_installer.py has made that source a comment");
    let out = out.seen_all(damage);
    if !is_mendable(case) {
        return out;
    }
    out.advise(format!("let `cefctl install --repair` {MENDS}, and start the daemon")).command(repair_command(case))
}

/// Sources that log paths name and that stand in the main file as comments.
fn missing_source(case: &Case<'_>, config: &Effective) -> Vec<(String, String)> {
    let Some(damage) = look(case, config) else { return Vec::new() };
    let gone = |c: &Commented| !c.own && config.source(&Ref::Named(c.name.as_str().into())).is_none();
    let gone = damage.commented.iter().any(gone);
    if gone { damage.seen() } else { Vec::new() }
}

/// Does a log path take events of that source?
fn is_named(config: &Effective, name: &str) -> bool {
    let name = Ref::Named(name.into());
    config.steps().iter().any(|s| matches!(&s.kind, StepKind::Source(r) if *r == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_the_installer_are_told_from_other_ones() {
        let text = b"#source s_src {\n##source s_net { tcp(); };\n# source s_old { };\n#source s_src { udp( port(514)); tcp( port(514));};\n\xff#source x\n";
        let found: Vec<_> = commented(text).into_iter().map(|c| (c.name, c.line, c.own)).collect();
        assert_eq!(found, [("s_src".to_owned(), 1, false), ("s_src".to_owned(), 4, true)]);
        assert!(is_added("source s_src { udp( port(514)); tcp( port(514));};"));
        assert!(!is_added("source s_src { udp( port(5140)); };"));
    }
}
