//! What a support bundle takes: configuration that is in force, the ends of logs, what the system says of sockets, rules,
//! units and packages, how queues stand. Every item has a limit in size and time; what would be too dangerous to take is
//! never read.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use regex::bytes::Regex;

use super::{Item, LeftOut};
use crate::check::facts::{Bytes, Facts, decode_path};
use crate::host::{Cmd, Exit, Host, RunError, facts};
use crate::report::clean_bytes;

/// What was found, and what was not taken.
#[derive(Debug, Default)]
pub struct Gathered {
    pub items: Vec<Item>,
    pub left_out: Vec<LeftOut>,
}

/// Whole files larger than this are left out: no configuration is.
const MOST_CONFIG: u64 = 1 << 20;
/// Bytes of all items together.
const MOST: usize = 48 << 20;
/// Files that one pattern may give.
const MOST_FILES: usize = 100;
/// How far back shared log files are searched for lines of the daemons.
const SEARCHED: u64 = 8 << 20;
const COMMAND_LIMIT: Duration = Duration::from_secs(5);

/// Small files, taken whole. Patterns as in a shell.
const FILES: &[&str] = &[
    "/etc/os-release",
    "/etc/rsyslog.conf",
    "/etc/syslog-ng/syslog-ng.conf",
    "/etc/default/rsyslog",
    "/etc/default/syslog-ng",
    "/etc/sysconfig/rsyslog",
    "/etc/sysconfig/syslog-ng",
    "/etc/logrotate.conf",
    "/etc/logrotate.d/rsyslog",
    "/etc/logrotate.d/syslog*",
    "/etc/logrotate.d/omsagent*",
    "/etc/logrotate.d/azuremonitoragent",
    "/etc/systemd/journald.conf",
    "/etc/systemd/journald.conf.d/*.conf",
    "/etc/systemd/system/rsyslog.service",
    "/etc/systemd/system/rsyslog.service.d/*.conf",
    "/etc/systemd/system/syslog-ng.service",
    "/etc/systemd/system/syslog-ng.service.d/*.conf",
    "/etc/selinux/config",
    "/etc/opt/microsoft/omsagent/*/conf/*.conf",
    "/etc/opt/microsoft/omsagent/*/conf/omsagent.d/*.conf",
    "/etc/opt/microsoft/omsagent/proxy.conf",
    "/etc/default/azuremonitoragent",
    "/etc/opt/microsoft/azuremonitoragent/config-cache/configchunks/*.json",
    "/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.port",
    "/etc/opt/microsoft/azuremonitoragent/config-cache/syslog.marker",
    "/var/opt/azcmagent/localconfig.json",
    "/var/lib/cefctl/receipt.json",
];

/// Logs of the agents: their ends.
const LOGS: &[&str] = &[
    "/var/opt/microsoft/omsagent/*/log/omsagent.log",
    "/var/opt/microsoft/omsconfig/omsconfig.log",
    "/var/opt/microsoft/azuremonitoragent/log/mdsd.err",
    "/var/opt/microsoft/azuremonitoragent/log/mdsd.warn",
    "/var/opt/microsoft/azuremonitoragent/log/mdsd.info",
    "/var/opt/microsoft/azuremonitoragent/log/mdsd.qos",
    "/var/log/azure/Microsoft.Azure.Monitor.AzureMonitorLinuxAgent/*.log",
    "/var/log/azure/Microsoft.EnterpriseCloud.Monitoring.OmsAgentForLinux/*.log",
];

/// Logs that everybody writes to: only lines of the daemons and of the security modules. The rest is nobody's business,
/// events of devices among it.
const SHARED_LOGS: &[&str] = &["/var/log/syslog", "/var/log/messages", "/var/log/audit/audit.log", "/var/log/kern.log"];

static OWN_LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?-u) (?:rsyslogd|syslog-ng|omsagent|mdsd|azuremonitor[a-z-]*|liblogging-stdlog)(?:\[\d+\])?: |type=(?:AVC|USER_AVC)\b|apparmor="DENIED""#,
    )
    .ok()
});

/// Folders whose files are listed, not taken: what waits in queues are events.
const LISTED: &[&str] = &[
    "/etc/rsyslog.d",
    "/etc/syslog-ng/conf.d",
    "/var/spool/rsyslog",
    "/var/lib/rsyslog",
    "/var/lib/syslog-ng",
    "/var/opt/microsoft/omsagent/*/state",
    "/var/opt/microsoft/azuremonitoragent/events",
    "/var/log",
];

const COMMANDS: &[(&str, &[&str])] = &[
    ("date", &["date", "--iso-8601=seconds"]),
    ("uname", &["uname", "-a"]),
    ("sockets", &["ss", "-anptu"]),
    ("sockets-summary", &["ss", "-s"]),
    ("addresses", &["ip", "address"]),
    ("routes", &["ip", "route"]),
    ("nft", &["nft", "list", "ruleset"]),
    ("iptables", &["iptables-save"]),
    ("ip6tables", &["ip6tables-save"]),
    ("iptables-legacy", &["iptables-legacy-save"]),
    ("firewalld", &["firewall-cmd", "--list-all-zones"]),
    ("ufw", &["ufw", "status", "verbose"]),
    (
        "units",
        &[
            "systemctl",
            "list-units",
            "--all",
            "--no-pager",
            "--plain",
            "*syslog*",
            "azuremonitor*",
            "omsagent*",
            "himds*",
        ],
    ),
    ("unit-rsyslog", &["systemctl", "status", "--no-pager", "--full", "--lines=0", "rsyslog.service"]),
    ("unit-syslog-ng", &["systemctl", "status", "--no-pager", "--full", "--lines=0", "syslog-ng.service"]),
    ("unit-agent", &["systemctl", "status", "--no-pager", "--full", "--lines=0", "azuremonitoragent.service"]),
    ("journal-rsyslog", &["journalctl", "--no-pager", "-q", "-n", "500", "-u", "rsyslog.service"]),
    ("journal-syslog-ng", &["journalctl", "--no-pager", "-q", "-n", "500", "-u", "syslog-ng.service"]),
    ("journal-agent", &["journalctl", "--no-pager", "-q", "-n", "500", "-u", "azuremonitoragent.service"]),
    (
        "packages-deb",
        &[
            "dpkg-query",
            "-W",
            "*rsyslog*",
            "*syslog-ng*",
            "omsagent",
            "omsconfig",
            "azuremonitoragent",
            "nftables",
            "iptables",
            "ufw",
            "firewalld",
            "openssl",
            "systemd",
            "libc6",
        ],
    ),
    (
        "packages-rpm",
        &[
            "rpm",
            "-qa",
            "*rsyslog*",
            "*syslog-ng*",
            "omsagent",
            "azuremonitoragent",
            "nftables",
            "iptables*",
            "firewalld",
            "openssl*",
            "systemd",
            "glibc",
        ],
    ),
    ("disk", &["df", "-h"]),
    ("inodes", &["df", "-i"]),
    ("memory", &["free", "-m"]),
    // No arguments of commands: passwords stand there.
    ("processes", &["ps", "-eo", "pid,ppid,user,stat,pcpu,pmem,rss,lstart,comm"]),
    ("time", &["timedatectl", "status"]),
    ("selinux", &["sestatus"]),
    ("apparmor", &["aa-status"]),
];

static FORBIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i-u)(?:^|/)(?:g?shadow-?|sudoers(?:\.d)?|id_[a-z0-9]+|authorized_keys|\.?htpasswd|\.netrc|\.pgpass|krb5\.keytab|opasswd)(?:/|$)|/(?:certs|private|\.ssh|\.gnupg|\.aws|\.azure)/|\.(?:key|pem|p12|pfx|jks|kdbx|keytab|ppk|gpg|asc)$",
    )
    .ok()
});

/// Is it a file that no bundle holds, whatever its content: accounts, keys, rights?
pub fn is_forbidden(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    FORBIDDEN.as_ref().is_none_or(|f| f.is_match(path.as_os_str().as_bytes()))
}

/// Takes everything; `log_cap`: bytes of the end of each log.
pub fn gather(host: &Host, facts: &Facts, log_cap: u64) -> Gathered {
    let mut out = Gathered::default();
    let commands = thread::scope(|scope| {
        let running: Vec<_> =
            COMMANDS.iter().map(|(name, argv)| (*name, *argv, scope.spawn(|| run(host, argv)))).collect();
        let mut files: Vec<PathBuf> = Vec::new();
        for daemon in [&facts.rsyslog, &facts.syslog_ng] {
            let read = daemon.config.files.iter().filter(|(_, f)| f.content.is_ok());
            files.extend(read.map(|(path, _)| decode_path(path)));
        }
        files.extend(FILES.iter().flat_map(|p| matching(host, p)));
        files.sort();
        files.dedup();
        files.iter().for_each(|path| file(host, path, &mut out));
        for path in LOGS.iter().flat_map(|p| matching(host, p)) {
            log(host, &path, log_cap, &mut out);
        }
        for path in SHARED_LOGS.iter().flat_map(|p| matching(host, p)) {
            shared_log(host, &path, log_cap, &mut out);
        }
        out.push("queues.txt", "folders of configuration, queues and logs", listing(host, facts).into_bytes(), None);
        running
            .into_iter()
            .filter_map(|(name, argv, thread)| Some((name, argv, thread.join().ok()?)))
            .collect::<Vec<_>>()
    });
    for (name, argv, outcome) in commands {
        let source = argv.join(" ");
        match outcome {
            Ok(text) => out.push(&format!("commands/{name}.txt"), &source, text, None),
            Err(why) => out.leave(&source, why),
        }
    }
    out
}

impl Gathered {
    fn push(&mut self, name: &str, source: &str, content: Vec<u8>, whole: Option<u64>) {
        let used: usize = self.items.iter().map(|i| i.content.len()).sum();
        if used + content.len() > MOST {
            return self.leave(source, "the bundle would become too large");
        }
        self.items.push(Item { name: name.into(), source: source.into(), content, whole });
    }

    fn leave(&mut self, source: &str, why: impl Into<String>) {
        self.left_out.push(LeftOut { source: source.into(), why: why.into() });
    }

    fn push_file(&mut self, path: &Path, content: Vec<u8>, whole: Option<u64>) {
        let text = text_of(path);
        self.push(&format!("files/{}", text.trim_start_matches('/')), &text, content, whole);
    }
}

fn text_of(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    clean_bytes(path.as_os_str().as_bytes())
}

fn matching(host: &Host, pattern: &str) -> Vec<PathBuf> {
    let mut found = host.root.glob(Path::new(pattern)).unwrap_or_default();
    found.truncate(MOST_FILES);
    found
}

/// Where a path really leads decides, too: a link to a key is the key.
fn is_open(host: &Host, path: &Path, out: &mut Gathered) -> bool {
    let real = host.root.resolve(path).unwrap_or_else(|_| path.to_owned());
    let forbidden = is_forbidden(path) || is_forbidden(&real);
    if forbidden {
        out.leave(&text_of(path), "files of this kind are never taken");
    }
    !forbidden
}

fn file(host: &Host, path: &Path, out: &mut Gathered) {
    if !is_open(host, path, out) {
        return;
    }
    match host.root.read_capped(path, MOST_CONFIG) {
        Ok(content) => out.push_file(path, content, None),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => out.leave(&text_of(path), e.to_string()),
    }
}

fn log(host: &Host, path: &Path, cap: u64, out: &mut Gathered) {
    if !is_open(host, path, out) {
        return;
    }
    let size = host.root.resolve(path).and_then(|p| host.root.stat(&p)).ok().flatten().map_or(0, |m| m.size);
    match facts::tail(&host.root, path, cap) {
        Ok(content) => out.push_file(path, content, Some(size).filter(|s| *s > cap)),
        Err(e) => out.leave(&text_of(path), e.to_string()),
    }
}

fn shared_log(host: &Host, path: &Path, cap: u64, out: &mut Gathered) {
    if !is_open(host, path, out) {
        return;
    }
    let Some(own) = OWN_LINE.as_ref() else { return };
    match facts::tail(&host.root, path, SEARCHED) {
        Ok(text) => {
            let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(|line| own.is_match(line)).collect();
            let mut size = 0;
            let last = lines.iter().rev().take_while(|l| {
                size += l.len() as u64 + 1;
                size <= cap
            });
            let skip = lines.len() - last.count();
            let content =
                lines.get(skip..).unwrap_or_default().iter().flat_map(|l| [*l, b"\n"]).collect::<Vec<_>>().concat();
            out.push_file(path, content, None);
        }
        Err(e) => out.leave(&text_of(path), e.to_string()),
    }
}

/// Names, sizes and times of the files in the folders of interest.
fn listing(host: &Host, facts: &Facts) -> String {
    let mut text = String::new();
    let spools = [&facts.rsyslog, &facts.syslog_ng].into_iter().flat_map(|d| &d.spools).map(|s| decode_path(&s.path));
    let mut folders: Vec<PathBuf> = LISTED.iter().flat_map(|p| matching(host, p)).chain(spools).collect();
    folders.sort();
    folders.dedup();
    for folder in folders {
        let Ok(names) = host.root.list(&folder) else { continue };
        let _ = writeln!(text, "{}: {} entries", text_of(&folder), names.len());
        for name in names.iter().take(300) {
            let path = folder.join(name);
            let Ok(Some(m)) = host.root.stat(&path) else { continue };
            let _ = writeln!(
                text,
                "  {:?} {:04o} {}:{} {:>12} {} {}",
                m.kind,
                m.mode,
                m.uid,
                m.gid,
                m.size,
                m.mtime,
                text_of(Path::new(name))
            );
        }
    }
    text
}

/// What a command says, both streams and its exit.
fn run(host: &Host, argv: &[&str]) -> Result<Vec<u8>, String> {
    let out = match host.runner.run(&Cmd::new(argv).limit(COMMAND_LIMIT)) {
        Ok(out) => out,
        Err(RunError::NotFound(_)) => return Err("no such program".into()),
        Err(e) => return Err(e.to_string()),
    };
    let exit = match out.exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    };
    let head = format!("$ {}   ({exit})\n", argv.join(" "));
    Ok([head.as_bytes(), &out.stdout, &out.stderr].concat())
}

/// Takes forbidden files out of the facts, where a configuration includes one; says so. Gives back what they hold: the
/// daemon quotes in its complaints what it could not read.
pub fn forget_forbidden(host: &Host, facts: &mut Facts, out: &mut Gathered) -> Vec<Bytes> {
    let mut forgotten = Vec::new();
    for daemon in [&mut facts.rsyslog, &mut facts.syslog_ng] {
        for (path, file) in &mut daemon.config.files {
            let path = decode_path(path);
            if file.content.is_ok() && !is_open(host, &path, out) {
                // What it is to the daemon is in the daemon's own words; an unread file would make all else unknown.
                let instead = Ok(Bytes(b"# left out of the bundle\n".to_vec()));
                forgotten.extend(std::mem::replace(&mut file.content, instead));
            }
        }
    }
    forgotten
}
