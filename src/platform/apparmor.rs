//! AppArmor: whether a profile lets its program use a path. Pure, over the text of the profile with its includes put in
//! (apparmor.d(5)). Only rules on files are looked at.

use std::collections::{BTreeMap, BTreeSet};
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
    let variables = variables(profile);
    let mut allowed = false;
    for rule in profile.lines().filter_map(|line| rule(line, &variables)) {
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
fn rule<'t>(line: &'t str, variables: &Variables) -> Option<Rule<'t>> {
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
    Some(Rule { path: expanded(path.trim_matches('"'), variables), permissions, deny })
}

fn is_path(word: &str) -> bool {
    word.trim_start_matches('"').starts_with(['/', '@', '{'])
}

/// Names with their braces, and what they stand for.
type Variables = BTreeMap<String, Vec<String>>;

/// `@{HOME}=@{HOMEDIRS}/*/ /root/` and `@{HOMEDIRS}+=/srv/`, from the tunables and from the profile itself.
fn variables(text: &str) -> Variables {
    let mut all = Variables::new();
    // Where the tunables were not to be had.
    for (name, values) in [
        ("@{PROC}", &["/proc"][..]),
        ("@{run}", &["/run", "/var/run"]),
        ("@{sys}", &["/sys"]),
        ("@{etc_rw}", &["/etc"]),
        ("@{etc_ro}", &["/etc", "/usr/etc"]),
    ] {
        all.insert(name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
    }
    let mut defined = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim().split(" #").next().unwrap_or_default();
        let Some((name, values)) = line.split_once('=').filter(|(n, _)| n.starts_with("@{")) else { continue };
        let (name, more) = name.trim().strip_suffix('+').map_or((name.trim(), false), |name| (name.trim(), true));
        if !name.ends_with('}') {
            continue;
        }
        let list = all.entry(name.to_owned()).or_default();
        // The first definition takes the place of ours.
        if defined.insert(name.to_owned()) && !more {
            list.clear();
        }
        list.extend(values.split_whitespace().map(|v| v.trim_matches('"').to_owned()));
    }
    all
}

/// A pattern with its variables put in, as alternatives in braces.
fn expanded(path: &str, variables: &Variables) -> String {
    let mut path = path.to_owned();
    // A variable may hold others; one that holds itself ends here.
    for _ in 0..4 {
        let Some((name, values)) = variables.iter().find(|(name, _)| path.contains(name.as_str())) else { break };
        let value = match values.as_slice() {
            [one] => one.clone(),
            many => format!("{{{}}}", many.join(",")),
        };
        path = path.replace(name.as_str(), &value);
    }
    path
}

/// Variables that begin with a slash, and empty ones, leave two of them in a row.
fn single_slashes(pattern: &str) -> String {
    let mut pattern = pattern.to_owned();
    while pattern.contains("//") {
        pattern = pattern.replace("//", "/");
    }
    pattern
}

/// Does a rule forbid sockets of that family (`inet`, `inet6`) and type (`stream`, `dgram`)? Such a refusal leaves no line in
/// the log. What is merely not allowed does, and depends on what the kernel mediates.
pub fn forbids_network(profile: &str, family: &str, kind: &str) -> bool {
    profile.lines().any(|line| {
        let line = line.trim().split(" #").next().unwrap_or_default();
        let Some(line) = line.trim().strip_suffix(',') else { return false };
        let mut words = line.split_whitespace().skip_while(|w| ["audit", "quiet"].contains(w));
        if words.next() != Some("deny") || words.next() != Some("network") {
            return false;
        }
        let meant: Vec<&str> = words.collect();
        let other_family =
            meant.iter().any(|w| w.starts_with("inet") && *w != family || ["unix", "netlink", "packet"].contains(w));
        let other_kind =
            ["stream", "dgram", "raw", "seqpacket", "rdm", "packet"].iter().any(|k| meant.contains(k) && *k != kind);
        let other_protocol = match kind {
            "stream" => meant.iter().any(|w| ["udp", "icmp"].contains(w)),
            _ => meant.iter().any(|w| ["tcp", "icmp"].contains(w)),
        };
        !other_family && !other_kind && !other_protocol
    })
}

/// `*` within a folder, `**` beyond, `?`, `[a-z]`, `{a,b}`.
pub fn is_match(pattern: &str, path: &str) -> bool {
    alternatives(pattern, 0).iter().any(|p| glob(single_slashes(p).as_bytes(), path.as_bytes()))
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
    /// Of a file; else empty.
    pub path: String,
    /// Letters of what was refused on a file.
    #[serde(default)]
    pub mask: String,
    /// What is not a file, as the profile's language names it: `network inet stream`, `capability net_admin`.
    #[serde(default)]
    pub other: Option<String>,
    pub line: String,
}

impl Denial {
    /// What was refused, in words.
    pub fn what(&self) -> String {
        match (&self.other, self.access()) {
            (Some(other), _) => other.clone(),
            (None, Some(access)) => format!("to {access} {}", self.path),
            (None, None) => format!("to use {}", self.path),
        }
    }

    /// `None`: neither, such as to execute.
    pub fn access(&self) -> Option<Access> {
        match () {
            () if self.path.is_empty() || self.mask.contains('x') => None,
            () if self.mask.contains(['w', 'a', 'c', 'd', 'l']) => Some(Access::Write),
            () => Some(Access::Read),
        }
    }

    /// The rule that lets it be.
    pub fn rule(&self) -> String {
        if let Some(other) = &self.other {
            return format!("{other},");
        }
        let path = if self.path.contains(' ') { format!("\"{}\"", self.path) } else { self.path.clone() };
        match self.access() {
            Some(Access::Write) => format!("{path} rwk,"),
            Some(Access::Read) => format!("{path} r,"),
            None => format!("{path} ix,"),
        }
    }
}

/// `apparmor="DENIED" operation="open" … profile="rsyslogd" name="/path" … denied_mask="r"`. A name with odd characters is in
/// hexadecimal, without quotes.
pub fn denial(line: &str) -> Option<Denial> {
    line.contains("apparmor=\"DENIED\"").then_some(())?;
    let field = |key: &str| {
        let (_, rest) = line.split_once(&format!(" {key}="))?;
        match rest.strip_prefix('"') {
            Some(rest) => rest.split_once('"').map(|(value, _)| value.to_owned()),
            None => rest.split_whitespace().next().map(|value| unhex(value).unwrap_or_else(|| value.to_owned())),
        }
    };
    let other = match (field("family"), field("capname")) {
        (Some(family), _) => {
            let kind = field("sock_type").map(|t| format!(" {t}")).unwrap_or_default();
            Some(format!("network {family}{kind}"))
        }
        (None, Some(name)) => Some(format!("capability {name}")),
        (None, None) => None,
    };
    // auditd adds names of its own after a group separator.
    let line = line.split('\u{1d}').next().unwrap_or_default();
    Some(Denial {
        profile: field("profile")?,
        path: field("name").filter(|n| n.starts_with('/')).unwrap_or_default(),
        mask: field("denied_mask").or_else(|| field("requested_mask")).unwrap_or_default(),
        other,
        line: line.trim().to_owned(),
    })
}

fn unhex(text: &str) -> Option<String> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).filter_map(|p| Some(p.first()? << 4 | p.get(1)?)).collect();
    (digits.len().is_multiple_of(2) && bytes.first() == Some(&b'/'))
        .then(|| String::from_utf8_lossy(&bytes).into_owned())
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
    fn variables_of_the_profile_are_put_in() {
        // As in Debian's sbin.syslog-ng and tunables/home.
        let text = "@{CHROOT_BASE}=\"\"\n@{HOMEDIRS}=/home/\n@{HOME}=@{HOMEDIRS}/*/ /root/\n@{HOMEDIRS}+=/srv/\n\
            @{CHROOT_BASE}/var/log/** w,\n@{CHROOT_BASE}/@{run}/syslog-ng.pid krw,\nowner @{HOME}/x r,\n@{a}=@{a}\n@{a}/x r,\n";
        for (path, access, wanted) in [
            ("/var/log/a", Access::Write, true),
            ("/run/syslog-ng.pid", Access::Write, true),
            ("/home/me/x", Access::Read, true),
            ("/srv/me/x", Access::Read, true),
            ("/root/x", Access::Read, true),
            ("/opt/x", Access::Read, false),
        ] {
            assert_eq!(allows(text, path, access), wanted, "{path}");
        }
    }

    #[test]
    fn rules_that_forbid_networks() {
        for (rule, stream4, dgram6) in [
            ("deny network inet stream,", true, false),
            ("audit deny network,", true, true),
            ("deny network tcp,", true, false),
            ("deny network inet6,", false, true),
            ("deny network raw,", false, false),
            ("deny network netlink dgram,", false, false),
            ("network inet stream,", false, false),
        ] {
            assert_eq!(forbids_network(rule, "inet", "stream"), stream4, "{rule}");
            assert_eq!(forbids_network(rule, "inet6", "dgram"), dgram6, "{rule}");
        }
    }

    #[test]
    fn what_was_refused_and_the_rule_for_it() {
        let of = |text: &str| denial(&format!("audit(1.2:3): apparmor=\"DENIED\" {text}")).unwrap();
        let file = of(
            "operation=\"open\" profile=\"rsyslogd\" name=\"/data/all.log\" pid=9 comm=\"rs:main Q:Reg\" requested_mask=\"ac\" denied_mask=\"ac\" fsuid=0 ouid=0",
        );
        assert_eq!((file.what().as_str(), file.rule().as_str()), ("to write /data/all.log", "/data/all.log rwk,"));
        let net = of(
            "operation=\"create\" class=\"net\" profile=\"rsyslogd\" pid=9 comm=\"rsyslogd\" family=\"inet\" sock_type=\"stream\" protocol=6 requested_mask=\"create\" denied_mask=\"create\"",
        );
        assert_eq!((net.what().as_str(), net.rule().as_str()), ("network inet stream", "network inet stream,"));
        // Seen when rsyslogd of Ubuntu's profile asks for a larger buffer.
        let cap = of(
            "operation=\"capable\" profile=\"rsyslogd\" pid=443 comm=\"rsyslogd\" capability=12  capname=\"net_admin\"",
        );
        assert_eq!(cap.rule(), "capability net_admin,");
        let odd = of("operation=\"open\" profile=\"rsyslogd\" name=2F642078 denied_mask=\"r\"");
        assert_eq!(odd.rule(), "\"/d x\" r,");
    }

    #[test]
    fn odd_patterns_end() {
        for pattern in ["{", "{a", "a}", "{{{{{{{{a,b},c}", "[", "[a", "**************x"] {
            assert!(!is_match(pattern, "/a/b/c"), "{pattern}");
        }
    }
}
