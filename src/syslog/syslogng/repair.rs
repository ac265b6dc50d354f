//! What the older scripts do to a main file, undone: they put `#` before a source and the lines behind it, and add
//! a network source of their own at the end, once a run (facts 2.4). Local logging stops, or the daemon does not start
//! again. Pure: the file goes in, the mended one comes out.

use std::path::Path;

use super::effective::{Effective, ReadSetting, Ref, StepKind};
use super::lint;
use crate::syslog::ConfigSource;
use crate::syslog::source::Overlay;

/// The line they add, whatever the blanks in it.
const ADDED: &[u8] = b"sources_src{udp(port(514));tcp(port(514));};";

/// The damage, and the file without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// One sentence without full stop.
    pub what: String,
    pub text: Vec<u8>,
}

/// Finds the damage in a main file; `None`: there is none, or it cannot be told for sure what the file was before.
pub fn repair(main: &Path, source: &dyn ConfigSource, setting: &ReadSetting) -> Option<Damage> {
    let before = source.read(main).ok()?;
    let lines: Vec<&[u8]> = before.split_inclusive(|b| *b == b'\n').collect();
    let added = lines.iter().filter(|l| is_added(l)).count();
    if added == 0 {
        return None;
    }
    let config = Effective::load_with(main, source, setting.clone());
    // Lines that the scripts have added stand for a source that has to be defined otherwise.
    let rest: Vec<&[u8]> = lines.into_iter().filter(|l| !is_added(l)).collect();
    let (text, names) = uncommented(&rest, &used_names(&config));
    if names.is_empty() {
        return None;
    }
    let changes = [(main.to_owned(), Some(text.clone()))].into();
    let mended = Effective::load_with(main, &Overlay { base: source, changes }, setting.clone());
    let known: Vec<String> = lint::fatal(&config).into_iter().map(|p| p.text).collect();
    if lint::fatal(&mended).iter().any(|p| !known.contains(&p.text)) {
        return None;
    }
    let times = if added == 1 { "once".to_owned() } else { format!("{added} times") };
    let what = format!(
        "an older script has made source {} in {} a comment and has added its own source {times}, so messages of this \
         box itself are not logged",
        names.join(", "),
        main.display()
    );
    Some(Damage { what, text })
}

/// Is it the line they add, or one of theirs that a later run made a comment?
fn is_added(line: &[u8]) -> bool {
    let bare = line.iter().copied().skip_while(|b| *b == b'#');
    bare.filter(|b| !b.is_ascii_whitespace()).eq(ADDED.iter().copied())
}

/// Names of the sources that log paths use.
fn used_names(config: &Effective) -> Vec<Vec<u8>> {
    let named = config.steps().into_iter().filter_map(|s| match &s.kind {
        StepKind::Source(Ref::Named(name)) => Some(name.as_bytes().to_vec()),
        _ => None,
    });
    named.collect()
}

/// Takes one `#` off the lines from a source on to the next line without; theirs go on until a line that begins
/// something else, and so have no gap. Gives the names of the sources, too.
fn uncommented(lines: &[&[u8]], used: &[Vec<u8>]) -> (Vec<u8>, Vec<String>) {
    let mut text = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut inside = false;
    for line in lines {
        let bare = line.strip_prefix(b"#");
        if let Some(name) = bare.and_then(source_name)
            && used.contains(&name)
        {
            inside = true;
            let name = String::from_utf8_lossy(&name).into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        inside = inside && bare.is_some();
        text.extend_from_slice(if inside { bare.unwrap_or(line) } else { line });
    }
    (text, names)
}

/// `source NAME {`
fn source_name(line: &[u8]) -> Option<Vec<u8>> {
    let rest = line.trim_ascii_start().strip_prefix(b"source")?;
    let name = rest.trim_ascii_start();
    let end = name.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')))?;
    let opens = name.get(end..)?.trim_ascii_start().starts_with(b"{");
    (rest.len() > name.len() && end > 0 && opens).then(|| name.get(..end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Root;
    use crate::syslog::MapSource;
    use crate::syslog::syslogng::effective::SourceKind;

    const MAIN: &str = "/etc/syslog-ng/syslog-ng.conf";

    fn tree(name: &str) -> Root {
        Root::at(format!("{}/fixtures/syslog-ng/trees/{name}", env!("CARGO_MANIFEST_DIR")))
    }

    fn of(source: &dyn ConfigSource) -> Option<Damage> {
        repair(Path::new(MAIN), source, &ReadSetting::usual(Path::new(MAIN)))
    }

    #[test]
    fn the_damage_is_undone_to_the_byte() {
        for (damaged, whole, times) in
            [("original-debian-twice", "debian", "2 times"), ("original-rhel", "rhel", "once")]
        {
            // Their rule names their source; it goes with them.
            let rule = "/etc/syslog-ng/conf.d/security-config-omsagent.conf";
            let changes = [(rule.into(), None)].into();
            let damage = of(&Overlay { base: &tree(damaged), changes }).unwrap();
            let before = ConfigSource::read(&tree(whole), Path::new(MAIN)).unwrap();
            assert_eq!(String::from_utf8_lossy(&damage.text), String::from_utf8_lossy(&before), "{damaged}");
            assert!(damage.what.contains(times), "{}", damage.what);
        }
    }

    #[test]
    fn what_is_whole_is_left_alone() {
        for whole in ["debian", "rhel", "suse", "own-ports"] {
            assert_eq!(of(&tree(whole)), None, "{whole}");
        }
        // Somebody has written such a source himself, and nothing is missing.
        let own = "@version: 3.38\nsource s_local { system(); };\nsource s_src { udp(port(514)); tcp(port(514)); };\n\
                   log { source(s_src); source(s_local); };\n";
        assert_eq!(of(&MapSource::new().with(MAIN, own)), None);
        assert_eq!(of(&MapSource::new()), None);
    }

    #[test]
    fn comments_that_were_there_before_stay_comments() {
        let damage = of(&tree("original-debian-twice")).unwrap();
        let source = MapSource::new().with(MAIN, damage.text);
        let config = Effective::load(Path::new(MAIN), &source);
        let kinds: Vec<&SourceKind> = config.sources[0].drivers.iter().map(|d| &d.kind).collect();
        assert_eq!(kinds, [&SourceKind::System, &SourceKind::Internal]);
        assert_eq!(config.sources.len(), 1);
    }
}
