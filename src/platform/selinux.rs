//! SELinux: its mode, the labels of ports and files, its refusals. Pure parsers of what the system's own files and tools
//! say (facts.md 7.5).

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Enforcing,
    Permissive,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Mode::Enforcing => "enforcing",
            Mode::Permissive => "permissive",
        }
    }
}

/// `/sys/fs/selinux/enforce`.
pub fn mode(enforce: &[u8]) -> Option<Mode> {
    match enforce.trim_ascii() {
        b"1" => Some(Mode::Enforcing),
        b"0" => Some(Mode::Permissive),
        _ => None,
    }
}

/// Types of port that syslogd_t may connect to and listen on, of those that can be given to a port of ours.
pub const SYSLOG_PORT: &str = "syslogd_port_t";

/// Labels that a port has because nobody gave it one: a label of its own can be added.
const FREE: &[&str] = &["unreserved_port_t", "ephemeral_port_t", "port_t", "reserved_port_t", "hi_reserved_port_t"];

fn is_free(label: &str) -> bool {
    FREE.contains(&label)
}

/// May [`SYSLOG_PORT`] take the place of that label? Where it is the label of syslog over TLS nothing else is meant to use
/// the port; Debian's policy lets the daemon connect to 6514, and not listen on it.
pub fn may_relabel(label: &str) -> bool {
    is_free(label) || label == "syslog_tls_port_t"
}

/// Gives a port that has `label` the one of syslog. One that the policy itself gives a label cannot be added once more,
/// only changed (semanage-port(8)).
pub fn label_command(protocol: &str, port: u16, label: &str) -> String {
    let how = if is_free(label) { "-a" } else { "-m" };
    format!("semanage port {how} -t {SYSLOG_PORT} -p {protocol} {port}")
}

/// Where `semanage` is (facts.md 7.5), on most distributions.
pub const SEMANAGE_PACKAGE: &str = "policycoreutils-python-utils";

/// Types that the policy lets syslogd_t connect to (Fedora policy, facts.md 7.5).
const MAY_CONNECT: &[&str] = &[
    SYSLOG_PORT,
    "syslog_tls_port_t",
    "rsh_port_t",
    "http_port_t",
    "http_cache_port_t",
    "postgresql_port_t",
    "mysqld_port_t",
    "wap_wsp_port_t",
];
/// And those it may listen on.
const MAY_BIND: &[&str] = &[SYSLOG_PORT, "syslog_tls_port_t", "rsh_port_t"];

pub fn may_connect(label: &str) -> bool {
    MAY_CONNECT.contains(&label)
}
pub fn may_bind(label: &str) -> bool {
    MAY_BIND.contains(&label)
}

/// A line of `semanage port -l`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub label: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    pub ranges: Vec<(u16, u16)>,
}

impl Ports {
    pub fn has(&self, port: u16) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
    }
}

/// `syslogd_port_t                 udp      601, 514, 20514-20520`
pub fn ports(text: &[u8]) -> Vec<Ports> {
    let text = String::from_utf8_lossy(text);
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (label, protocol) = (words.next()?, words.next()?);
        let ranges: Vec<(u16, u16)> = words
            .flat_map(|w| w.split(','))
            .filter(|w| !w.is_empty())
            .filter_map(|w| {
                let (low, high) = w.split_once('-').unwrap_or((w, w));
                Some((low.parse().ok()?, high.parse().ok()?))
            })
            .collect();
        let known = label.ends_with("_t") && matches!(protocol, "tcp" | "udp" | "sctp" | "dccp");
        (known && !ranges.is_empty()).then(|| Ports { label: label.to_owned(), protocol: protocol.to_owned(), ranges })
    };
    text.lines().filter_map(line).collect()
}

/// Does a port stand under two labels, the policy's and one that was given here? `semanage port -l` lists both.
pub fn is_doubtful(ports: &[Ports]) -> bool {
    ports.iter().enumerate().any(|(n, one)| {
        let rest = ports.iter().skip(n + 1).filter(|other| other.protocol == one.protocol);
        rest.flat_map(|other| &other.ranges).any(|range| one.ranges.contains(range))
    })
}

/// The list without the labels that those given here (`semanage port -l -C`) take the place of.
pub fn with_local(mut ports: Vec<Ports>, local: &[Ports]) -> Vec<Ports> {
    for own in local {
        for other in ports.iter_mut().filter(|p| p.protocol == own.protocol && p.label != own.label) {
            other.ranges.retain(|range| !own.ranges.contains(range));
        }
    }
    ports
}

/// The label of a port: where ranges overlap, the narrowest one counts.
pub fn label_of<'a>(ports: &'a [Ports], protocol: &str, port: u16) -> Option<&'a str> {
    let width = |(low, high): &(u16, u16)| high - low;
    ports
        .iter()
        .filter(|p| p.protocol == protocol)
        .filter_map(|p| {
            let range =
                p.ranges.iter().filter(|(low, high)| (*low..=*high).contains(&port)).min_by_key(|r| width(r))?;
            Some((width(range), p.label.as_str()))
        })
        .min()
        .map(|(_, label)| label)
}

/// The type in `system_u:object_r:syslog_conf_t:s0`.
pub fn type_of(context: &str) -> &str {
    context.trim_end_matches(['\0', '\n']).split(':').nth(2).unwrap_or(context)
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// `name_connect`
    pub permission: String,
    /// Type of who was refused.
    pub who: String,
    /// Type of what it was refused.
    pub what: String,
    /// `tcp_socket`, `file`
    pub class: String,
    pub path: Option<String>,
    pub port: Option<u16>,
    /// Nothing was kept from it: the mode is permissive.
    pub permissive: bool,
    pub line: String,
    /// Type that the file has now, and the one that the policy has for its place.
    #[serde(default)]
    pub now: Option<String>,
    #[serde(default)]
    pub wants: Option<String>,
}

impl Denial {
    /// Of a file or a folder.
    pub fn is_of_file(&self) -> bool {
        matches!(self.class.as_str(), "file" | "dir" | "lnk_file" | "sock_file" | "fifo_file" | "chr_file")
    }
    /// The whole path of a file; kernels tell it only where a file is open or looked at, else its last part.
    pub fn file(&self) -> Option<&str> {
        self.path.as_deref().filter(|p| self.is_of_file() && p.starts_with('/'))
    }
    /// The file has got another label since.
    pub fn is_past(&self) -> bool {
        self.now.as_ref().is_some_and(|now| *now != self.what)
    }
}

/// `avc:  denied  { name_connect } for pid=… dest=25226 scontext=… tcontext=… tclass=tcp_socket permissive=0`, as the
/// audit log and the journal have it. A line may name several permissions; the first one is taken.
pub fn denial(line: &str) -> Option<Denial> {
    // auditd adds names of its own after a group separator.
    let line = line.split('\u{1d}').next().unwrap_or_default();
    let (_, rest) = line.split_once("avc:")?;
    let rest = rest.trim_start().strip_prefix("denied")?;
    let (permissions, rest) = rest.trim_start().strip_prefix('{')?.split_once('}')?;
    let field = |key: &str| {
        let start = format!("{key}=");
        rest.split_whitespace().find_map(|w| w.strip_prefix(&start)).map(|v| v.trim_matches('"').to_owned())
    };
    Some(Denial {
        permission: permissions.split_whitespace().next()?.to_owned(),
        who: type_of(&field("scontext")?).to_owned(),
        what: type_of(&field("tcontext")?).to_owned(),
        class: field("tclass").unwrap_or_default(),
        path: field("path").or_else(|| field("name")),
        port: field("dest").or_else(|| field("src")).and_then(|p| p.parse().ok()),
        permissive: field("permissive").as_deref() == Some("1"),
        line: line.trim().to_owned(),
        now: None,
        wants: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &[u8] =
        b"SELinux Port Type              Proto    Port Number\n\nrsh_port_t                     tcp      514\n\
syslogd_port_t                 tcp      601, 20514\nsyslogd_port_t                 udp      601, 514, 20514\n\
syslog_tls_port_t              tcp      6514, 10514\nunreserved_port_t              tcp      61001-65535, 1024-32767\n\
unreserved_port_t              udp      61001-65535, 1024-32767\n";

    #[test]
    fn the_narrowest_range_names_a_port() {
        let all = ports(LISTED);
        assert_eq!(all.len(), 6);
        assert_eq!(label_of(&all, "tcp", 514), Some("rsh_port_t"));
        assert_eq!(label_of(&all, "udp", 514), Some("syslogd_port_t"));
        assert_eq!(label_of(&all, "tcp", 6514), Some("syslog_tls_port_t"));
        assert_eq!(label_of(&all, "tcp", 25226), Some("unreserved_port_t"));
        assert_eq!(label_of(&all, "tcp", 40000), None);
        assert!(may_bind("rsh_port_t") && may_connect("syslogd_port_t") && !may_connect("unreserved_port_t"));
    }

    #[test]
    fn a_label_given_here_beats_that_of_the_policy() {
        // As Debian's semanage lists it after `semanage port -m -t syslogd_port_t -p tcp 6514`.
        let all = ports(b"syslog_tls_port_t              tcp      6514\nsyslog_tls_port_t              udp      6514\nsyslogd_port_t                 tcp      6514, 25226\n");
        let local = ports(b"SELinux Port Type              Proto    Port Number\n\nsyslogd_port_t                 tcp      25226, 6514\n");
        assert!(is_doubtful(&all) && !is_doubtful(&local));
        let known = with_local(all, &local);
        assert_eq!(label_of(&known, "tcp", 6514), Some("syslogd_port_t"));
        assert_eq!(label_of(&known, "udp", 6514), Some("syslog_tls_port_t"));
    }

    #[test]
    fn refusals_are_read_from_audit_lines() {
        let line = r#"type=AVC msg=audit(1700000000.123:456): avc:  denied  { name_connect } for  pid=977 comm=72733A6D61696E20513A526567 dest=25226 scontext=system_u:system_r:syslogd_t:s0 tcontext=system_u:object_r:unreserved_port_t:s0 tclass=tcp_socket permissive=0"#;
        let d = denial(line).unwrap();
        assert_eq!((d.permission.as_str(), d.who.as_str(), d.port), ("name_connect", "syslogd_t", Some(25226)));
        assert!(!d.permissive);
        let file = r#"audit: type=1400 audit(1.2:3): avc:  denied  { read open } for  pid=1 comm="rsyslogd" name="rsyslog.conf" dev="dm-0" ino=1 scontext=system_u:system_r:syslogd_t:s0 tcontext=unconfined_u:object_r:admin_home_t:s0 tclass=file permissive=1"#;
        let d = denial(file).unwrap();
        assert_eq!((d.what.as_str(), d.path.as_deref(), d.permissive), ("admin_home_t", Some("rsyslog.conf"), true));
        for other in ["", "avc: granted { x }", "avc: denied", "avc: denied { x } for pid=1", "avc: denied {"] {
            assert_eq!(denial(other), None, "{other}");
        }
    }

    #[test]
    fn mode_and_types() {
        assert_eq!((mode(b"1\n"), mode(b"0"), mode(b"")), (Some(Mode::Enforcing), Some(Mode::Permissive), None));
        assert_eq!(type_of("system_u:object_r:syslog_conf_t:s0\0"), "syslog_conf_t");
        assert_eq!(type_of("odd"), "odd");
    }
}
