//! AppArmor: whether a profile lets its program use a path. Pure, over the text of the profile with its includes put in
//! (apparmor.d(5)). Only rules on files are looked at.

use std::fmt;

/// How a process is confined, as `/proc/PID/attr/current` says: `rsyslogd (enforce)`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Confinement {
    pub profile: String,
    /// Refuses, else only complains.
    pub enforced: bool,
}

/// `None`: unconfined.
pub fn confinement(text: &[u8]) -> Option<Confinement> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches(['\0', '\n']).trim();
    let (profile, mode) = text.rsplit_once(" (")?;
    let enforced = !matches!(mode.trim_end_matches(')'), "complain" | "unconfined");
    Some(Confinement { profile: profile.to_owned(), enforced })
}

/// What a program wants of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Access::Read { "read" } else { "write" })
    }
}

/// Does the profile allow it? A `deny` rule beats every other.
pub fn allows(profile: &str, path: &str, access: Access) -> bool {
    let wants = |rule: &Rule<'_>| match access {
        Access::Read => rule.permissions.contains('r'),
        Access::Write => rule.permissions.contains('w') || (!rule.deny && rule.permissions.contains('a')),
    };
    let mut allowed = false;
    for rule in profile.lines().filter_map(rule) {
        if wants(&rule) && is_match(&rule.path, path) {
            if rule.deny {
                return false;
            }
            allowed = true;
        }
    }
    allowed
}

struct Rule<'t> {
    path: String,
    permissions: &'t str,
    deny: bool,
}

/// `[audit] [deny] [owner] [file] PATH PERMISSIONS,` or with the permissions first. `file,` alone allows all.
fn rule(line: &str) -> Option<Rule<'_>> {
    let line = line.trim().split(" #").next().unwrap_or_default();
    let line = line.trim().strip_suffix(',')?.trim();
    let mut words = line.split_whitespace().peekable();
    let mut deny = false;
    while let Some(word) = words.peek() {
        match *word {
            "deny" => deny = true,
            "audit" | "allow" | "owner" | "file" | "quiet" => {}
            _ => break,
        }
        words.next();
    }
    let rest: Vec<&str> = words.collect();
    let (path, permissions) = match rest.as_slice() {
        [] if line.split_whitespace().any(|w| w == "file") => ("/**", "rwaklmx"),
        [path, permissions] if is_path(path) => (*path, *permissions),
        [permissions, path] if is_path(path) => (*path, *permissions),
        // A rule that changes profile when it executes: `PATH Px -> other`.
        [path, permissions, "->", _] if is_path(path) => (*path, *permissions),
        _ => return None,
    };
    Some(Rule { path: expanded(path.trim_matches('"')), permissions, deny })
}

fn is_path(word: &str) -> bool {
    word.trim_start_matches('"').starts_with(['/', '@', '{'])
}

/// The variables of the tunables that matter here.
fn expanded(path: &str) -> String {
    let known = [
        ("@{PROC}", "/proc"),
        ("@{run}", "/{,var/}run"),
        ("@{HOME}", "/{home/*,root}"),
        ("@{sys}", "/sys"),
        ("@{etc_rw}", "/etc"),
        ("@{etc_ro}", "/{,usr/}etc"),
    ];
    known.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value)).replace("//", "/")
}

/// `*` within a folder, `**` beyond, `?`, `[a-z]`, `{a,b}`.
pub fn is_match(pattern: &str, path: &str) -> bool {
    alternatives(pattern, 0).iter().any(|p| glob(p.as_bytes(), path.as_bytes()))
}

/// The pattern without braces. Nested or many of them are cut short: then nothing is allowed by it.
fn alternatives(pattern: &str, depth: usize) -> Vec<String> {
    let Some(open) = pattern.find('{').filter(|_| depth < 6) else { return vec![pattern.to_owned()] };
    let (mut level, mut parts, mut start, mut end) = (0, Vec::new(), open + 1, None);
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => level += 1,
            ',' if level == 1 => {
                parts.push(pattern.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            '}' => {
                level -= 1;
                if level == 0 {
                    parts.push(pattern.get(start..at).unwrap_or_default());
                    end = Some(at + 1);
                    break;
                }
            }
            _ => {}
        }
    }
    let Some(end) = end else { return vec![pattern.to_owned()] };
    let (before, after) = (pattern.get(..open).unwrap_or_default(), pattern.get(end..).unwrap_or_default());
    parts
        .iter()
        .take(32)
        .flat_map(|part| alternatives(&format!("{before}{part}{after}"), depth + 1))
        .take(512)
        .collect()
}

fn glob(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|n| path.get(n..).is_some_and(|tail| glob(rest, tail))),
        [b'*', rest @ ..] => {
            let folder = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
            (0..=folder).any(|n| path.get(n..).is_some_and(|tail| glob(rest, tail)))
        }
        [b'?', rest @ ..] => matches!(path, [c, tail @ ..] if *c != b'/' && glob(rest, tail)),
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|b| *b == b']') else { return false };
            let (set, after) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
            let (set, not) = set.strip_prefix(b"^").map_or((set, false), |s| (s, true));
            matches!(path, [c, tail @ ..] if in_set(set, *c) != not && glob(after, tail))
        }
        [c, rest @ ..] => matches!(path, [d, tail @ ..] if c == d && glob(rest, tail)),
    }
}

fn in_set(set: &[u8], c: u8) -> bool {
    match set {
        [low, b'-', high, rest @ ..] => (*low..=*high).contains(&c) || in_set(rest, c),
        [one, rest @ ..] => *one == c || in_set(rest, c),
        [] => false,
    }
}

/// Paths of `include` lines: `<abstractions/base>` is below /etc/apparmor.d, `if exists` may be missing.
pub fn includes(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let rest = line.strip_prefix("#include").or_else(|| line.strip_prefix("include"))?.trim();
            let rest = rest.strip_prefix("if exists").unwrap_or(rest).trim();
            match rest.strip_prefix('<').and_then(|r| r.strip_suffix('>')) {
                Some(name) => Some(format!("/etc/apparmor.d/{name}")),
                None => Some(rest.trim_matches('"').to_owned()).filter(|p| p.starts_with('/')),
            }
        })
        .collect()
}

/// A refusal in the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Denial {
    pub profile: String,
    pub path: String,
    pub line: String,
}

/// `apparmor="DENIED" operation="open" … profile="rsyslogd" name="/path" … requested_mask="r"`.
pub fn denial(line: &str) -> Option<Denial> {
    let field = |key: &str| {
        let (_, rest) = line.split_once(&format!("{key}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    line.contains("apparmor=\"DENIED\"").then_some(())?;
    Some(Denial { profile: field("profile")?, path: field("name").unwrap_or_default(), line: line.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "include <tunables/global>\nprofile rsyslogd /usr/sbin/rsyslogd {\n  include <abstractions/base>\n  capability sys_tty_config,\n  unix (receive) type=dgram,\n  /etc/rsyslog.conf r,\n  /etc/rsyslog.d/{,**} r,\n  /{,var/}run/rsyslogd.pid{,.tmp} rwk,\n  @{run}/systemd/notify w,\n  audit owner /var/spool/rsyslog/ r,\n  /var/spool/rsyslog/** rwk, # queues\n  /var/log/** rw,\n  deny /var/log/secret/** w,\n  r /srv/[a-c]x?,\n  /usr/lib{,32,64}/** mr,\n  include if exists <local/usr.sbin.rsyslogd>\n}\n";

    #[test]
    fn paths_are_allowed_as_the_profile_says() {
        for (path, access, wanted) in [
            ("/etc/rsyslog.conf", Access::Read, true),
            ("/etc/rsyslog.conf", Access::Write, false),
            ("/etc/rsyslog.d/10-cefctl.conf", Access::Read, true),
            ("/var/spool/rsyslog/q.00000001", Access::Write, true),
            ("/data/spool/q.00000001", Access::Write, false),
            ("/var/log/a/b.log", Access::Write, true),
            ("/var/log/secret/b.log", Access::Write, false),
            ("/run/rsyslogd.pid.tmp", Access::Write, true),
            ("/var/run/systemd/notify", Access::Write, true),
            ("/srv/bx1", Access::Read, true),
            ("/srv/dx1", Access::Read, false),
            ("/usr/lib64/rsyslog/imudp.so", Access::Read, true),
        ] {
            assert_eq!(allows(PROFILE, path, access), wanted, "{path} {access}");
        }
        assert!(allows("file,", "/any/where", Access::Write));
    }

    #[test]
    fn includes_modes_and_refusals_are_read() {
        assert_eq!(
            includes(PROFILE),
            ["tunables/global", "abstractions/base", "local/usr.sbin.rsyslogd"].map(|p| format!("/etc/apparmor.d/{p}"))
        );
        let c = confinement(b"rsyslogd (enforce)\n").unwrap();
        assert_eq!((c.profile.as_str(), c.enforced), ("rsyslogd", true));
        assert!(!confinement(b"/usr/sbin/rsyslogd (complain)\0").unwrap().enforced);
        assert_eq!(confinement(b"unconfined\n"), None);
        let line = "audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\" profile=\"rsyslogd\" name=\"/data/q\" pid=1 comm=\"rs:main\" requested_mask=\"wc\"";
        assert_eq!(denial(line).map(|d| (d.profile, d.path)), Some(("rsyslogd".into(), "/data/q".into())));
        assert_eq!(denial("apparmor=\"ALLOWED\" profile=\"x\""), None);
    }

    #[test]
    fn odd_patterns_end() {
        for pattern in ["{", "{a", "a}", "{{{{{{{{a,b},c}", "[", "[a", "**************x"] {
            assert!(!is_match(pattern, "/a/b/c"), "{pattern}");
        }
    }
}
