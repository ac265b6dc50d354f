//! One diagnosis: the facts, what they are measured against, and what is worked out from both once for all checks.

use std::cell::OnceCell;
use std::path::Path;

use super::facts::{DaemonFacts, Fact, Facts, FileState, OwnLine, decode_path, encode_path};
use super::flow::Flow;
use super::gather::own_lines::SYSTEMD;
use super::outcome::NotJudged;
use super::pipeline::{Config, Listener};
use super::target::{Daemon, Target};
use super::words;
use crate::agent::AgentFacts;
use crate::host::FileKind;
use crate::host::proc_process::Process;
use crate::report::{Fix, shell_quote};
use crate::syslog::syslogng::effective::ReadSetting;
use crate::syslog::syslogng::version::Program;
use crate::syslog::{SourceError, rsyslog as rs, syslogng as ng};

/// Ports whose events go the same way as those of the port that is asked about; more are not looked at.
const MOST_PORTS: usize = 16;

pub struct Case<'a> {
    pub facts: &'a Facts,
    pub target: &'a Target,
    configs: &'a Configs<'a>,
    flow: OnceCell<Result<Flow<'a>, NotJudged>>,
    rsyslog_problems: OnceCell<Vec<rs::Problem>>,
    syslog_ng_problems: OnceCell<Vec<ng::Problem>>,
}

/// What the configurations of both daemons amount to, as far as they could be read; each is read when first asked for.
pub struct Configs<'a> {
    facts: &'a Facts,
    rsyslog: OnceCell<rs::Effective>,
    syslog_ng: OnceCell<ng::Effective>,
}

/// Reads the configurations as they were recorded in the facts.
pub fn read_config(facts: &Facts) -> Configs<'_> {
    Configs { facts, rsyslog: OnceCell::new(), syslog_ng: OnceCell::new() }
}

/// How syslog-ng's configuration is read: as the installed program says, else as distributions build it.
pub fn read_setting(main_file: &str, about: &Fact<Program>) -> ReadSetting {
    let main = Path::new(main_file);
    about.as_ref().map_or_else(|_| ReadSetting::usual(main), |program| ReadSetting::of(main, program))
}

impl Configs<'_> {
    fn rsyslog(&self) -> &rs::Effective {
        let r = &self.facts.rsyslog;
        self.rsyslog.get_or_init(|| rs::Effective::load(Path::new(&r.main_file), &r.config))
    }

    fn syslog_ng(&self) -> &ng::Effective {
        let n = &self.facts.syslog_ng;
        self.syslog_ng.get_or_init(|| {
            let setting = read_setting(&n.main_file, &self.facts.syslog_ng_says.about);
            ng::Effective::load_with(Path::new(&n.main_file), &n.config, setting)
        })
    }

    pub fn of(&self, daemon: Daemon) -> Option<Config<'_>> {
        match daemon {
            Daemon::Rsyslog => Some(Config::Rsyslog(self.rsyslog())),
            Daemon::SyslogNg => Some(Config::SyslogNg(self.syslog_ng())),
            Daemon::None => None,
        }
    }
}

/// syslog-ng puts the time before its own lines: `[2026-11-24T14:26:53.689224] Error …`.
fn without_time(text: &str) -> &str {
    let rest = text.strip_prefix("[20").and_then(|t| t.split_once("] ")).map(|(_, rest)| rest);
    rest.unwrap_or(text)
}

impl<'a> Case<'a> {
    /// `configs` is what [`read_config`] gives for the same facts.
    pub fn new(facts: &'a Facts, target: &'a Target, configs: &'a Configs<'a>) -> Self {
        Case {
            facts,
            target,
            configs,
            flow: OnceCell::new(),
            rsyslog_problems: OnceCell::new(),
            syslog_ng_problems: OnceCell::new(),
        }
    }

    /// The ways of the sample events, worked out when first asked for.
    pub fn flow(&self) -> Result<&Flow<'a>, NotJudged> {
        let flow = self.flow.get_or_init(|| Ok(Flow::new(self.config()?, self.target, |f| self.is_own(f))));
        flow.as_ref().map_err(Clone::clone)
    }

    /// What the configuration tells the daemon to listen on.
    pub fn listeners(&self) -> Result<&[Listener], NotJudged> {
        Ok(&self.flow()?.listeners)
    }

    /// Ports that devices send to: the one that is asked about, that of TLS, and others whose events go the same way (where senders
    /// go that count octets, with a daemon that takes one framing a port). The one asked about comes first.
    pub fn ports(&self) -> Vec<u16> {
        let mut ports = vec![self.target.port];
        ports.extend(self.target.tls);
        let listeners = self.listeners().unwrap_or_default();
        let leads: Vec<&str> = listeners
            .iter()
            .filter(|l| l.used && l.number == Some(self.target.port))
            .map(|l| l.leads_to.as_str())
            .collect();
        let same = |l: &&Listener| l.used && !l.asked.is_loopback() && leads.contains(&l.leads_to.as_str());
        ports.extend(listeners.iter().filter(same).filter_map(|l| l.number).take(MOST_PORTS));
        let mut seen = std::collections::BTreeSet::new();
        ports.retain(|port| seen.insert(*port));
        ports
    }

    /// Did `install` write it?
    pub fn is_own(&self, file: &Path) -> bool {
        let name = encode_path(file);
        let receipt = self.facts.receipt.as_ref().ok().and_then(Option::as_ref);
        receipt.is_some_and(|r| r.files.iter().any(|f| f.path == name))
    }

    /// Restarts the daemon.
    pub fn restart(&self) -> Fix {
        Fix::Restart(format!("{}.service", self.unit_name()))
    }

    /// Files that `install` wrote and that somebody has changed since: writing them anew undoes that.
    pub fn changed_files(&self) -> impl Iterator<Item = &str> {
        let receipt = self.facts.receipt.as_ref().ok().and_then(Option::as_ref);
        let files = receipt.map(|r| r.files.as_slice()).unwrap_or_default();
        files.iter().filter(|f| f.state == FileState::Changed).map(|f| f.path.as_str())
    }

    /// Is it one of them?
    pub fn is_changed(&self, file: &Path) -> bool {
        let name = encode_path(file);
        self.changed_files().any(|f| f == name)
    }

    /// What is wrong with rsyslog's configuration as it was read: only what asks for something that does not happen.
    pub fn rsyslog_errors(&self) -> impl Iterator<Item = &rs::Problem> {
        let all = self.rsyslog_problems.get_or_init(|| rs::lint::lint(self.configs.rsyslog()));
        all.iter().filter(|p| p.severity == rs::Severity::Error)
    }

    /// What is wrong or doubtful with syslog-ng's configuration as it was read, errors first.
    pub fn syslog_ng_problems(&self) -> &[ng::Problem] {
        self.syslog_ng_problems.get_or_init(|| ng::lint::lint(self.configs.syslog_ng()))
    }

    /// The configuration as it was read, complete or not; for the checks that judge the reading itself.
    pub fn config_as_read(&self) -> Result<Config<'a>, NotJudged> {
        let Some(config) = self.configs.of(self.target.daemon) else {
            return Err(NotJudged::Blocked("daemon.present", "there is no daemon to configure".into()));
        };
        match self.unread().next() {
            Some((path, why)) => Err(NotJudged::Unknown(format!("{path} could not be read: {why}"))),
            None => Ok(config),
        }
    }

    /// The whole configuration, for the checks that build on it.
    pub fn config(&self) -> Result<Config<'a>, NotJudged> {
        let config = self.config_as_read()?;
        match config {
            Config::Rsyslog(c) => match &c.stopped {
                Some(stopped) if stopped.daemon => {
                    let why = format!("the configuration is read only up to {}", stopped.at);
                    Err(NotJudged::Blocked("daemon.config", why))
                }
                Some(stopped) => Err(NotJudged::Unknown(format!("{}: {}", stopped.at, stopped.why))),
                None => Ok(config),
            },
            Config::SyslogNg(_) => match super::config_ng::unreadable(self) {
                Some(why) => Err(NotJudged::Blocked("daemon.config", why)),
                None => Ok(config),
            },
        }
    }

    /// Files that are there but could not be read by us; without them nothing can be said.
    fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        let missing = SourceError::NotFound.to_string();
        let files = &self.daemon().config.files;
        files.iter().filter_map(move |(path, file)| match &file.content {
            Err(why) if *why != missing && file.kind == Some(FileKind::File) => Some((path.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// Facts of the daemon that is judged.
    pub fn daemon(&self) -> &'a DaemonFacts {
        match self.target.daemon {
            Daemon::SyslogNg => &self.facts.syslog_ng,
            Daemon::Rsyslog | Daemon::None => &self.facts.rsyslog,
        }
    }

    /// Process of the daemon that is judged.
    pub fn daemon_pid(&self) -> Option<u32> {
        self.daemon().pid
    }

    /// The same, as far as it could be looked at.
    pub fn process(&self) -> Option<&'a Process> {
        self.daemon_pid().and_then(|pid| self.facts.process(pid))
    }

    /// What the daemon said about itself since it was started.
    pub fn own_lines(&self) -> impl Iterator<Item = &OwnLine> {
        self.daemon().own_lines.as_deref().unwrap_or_default().iter()
    }

    /// The last few of these lines, as evidence: of the daemon itself where it said something, each once, else of the
    /// service manager, which tells that it ended but not why.
    pub fn last_lines(&self, count: usize) -> Vec<(&str, &str)> {
        let by = |systemd: bool| {
            let mut last: Vec<(&str, &str)> = Vec::new();
            for line in self.own_lines().filter(|l| (l.source == SYSTEMD) == systemd) {
                let text = without_time(&line.text);
                last.retain(|(_, seen)| *seen != text);
                last.push((line.source.as_str(), text));
            }
            last.split_off(last.len().saturating_sub(count))
        };
        let own = by(false);
        if own.is_empty() { by(true) } else { own }
    }

    /// Files of the configuration that were changed after the daemon was started: what they say now is not in force.
    pub fn changed_since_start(&self) -> Vec<&'a str> {
        let soon = self.facts.taken + 60;
        let files = self.daemon().config.files.iter();
        let read = files.filter(|(_, f)| f.content.is_ok() && f.mtime.is_some_and(|t| t <= soon));
        read.map(|(path, _)| path.as_str()).filter(|p| self.is_younger_than_daemon(&decode_path(p))).collect()
    }

    /// Was the file written after the daemon was started, so that the daemon does not know it yet? Of a daemon that can
    /// reload only the daemon itself knows that.
    pub fn is_younger_than_daemon(&self, file: &Path) -> bool {
        let loaded = self.facts.syslog_ng_says.loaded.as_ref();
        if self.target.daemon == Daemon::SyslogNg && loaded.is_ok_and(|l| l.same) {
            return false;
        }
        let started = self.facts.unit(&format!("{}.service", self.unit_name())).and_then(|u| u.since);
        let written = self.daemon().config.files.get(&encode_path(file)).and_then(|f| f.mtime);
        // A second for the rounding of both.
        started.zip(written).is_some_and(|(started, written)| written > started + 1)
    }

    /// `3 files read`
    pub fn files_read(&self) -> String {
        let count = self.configs.of(self.target.daemon).map_or(0, Config::files_read);
        format!("{} read", words::count(count, "file"))
    }

    /// Name of the daemon's unit.
    pub fn unit_name(&self) -> &'static str {
        match self.target.daemon {
            Daemon::SyslogNg => "syslog-ng",
            Daemon::Rsyslog | Daemon::None => "rsyslog",
        }
    }

    /// Somebody's drop-ins of the daemon's unit, as evidence.
    pub fn unit_changes(&self) -> Vec<(String, &'static str)> {
        let unit = self.facts.unit(&format!("{}.service", self.unit_name()));
        let drop_ins = unit.map(|u| u.state.drop_ins.as_slice()).unwrap_or_default();
        drop_ins.iter().map(|d| (d.to_string_lossy().into_owned(), "changes the unit")).collect()
    }

    /// The command that has the daemon check its configuration.
    pub fn check_command(&self) -> &'static str {
        match self.target.daemon {
            Daemon::SyslogNg => "sudo syslog-ng --syntax-only",
            Daemon::Rsyslog | Daemon::None => "sudo rsyslogd -N1",
        }
    }

    /// The command after which the daemon does what its files say: syslog-ng goes on with what it has where they are
    /// wrong, and its connections stay.
    pub fn load_command(&self) -> String {
        let says = &self.facts.syslog_ng_says;
        match self.target.daemon {
            Daemon::SyslogNg if says.stats.is_ok() => "sudo syslog-ng-ctl reload".into(),
            _ => format!("sudo systemctl restart {}", self.unit_name()),
        }
    }

    /// The `install` command that brings this box to what it is measured against.
    pub fn install_command(&self) -> String {
        let t = self.target;
        let mut command = format!("sudo cefctl install --agent {} --yes", super::target::agent_word(t.agent));
        if t.promises() {
            let protocols: Vec<&str> = t.doors().iter().map(|d| d.word()).collect();
            command.push_str(&format!(" --protocol {}", protocols.join(",")));
        }
        if let Some(port) = t.tls.filter(|p| *p != super::target::TLS_PORT) {
            command.push_str(&format!(" --tls-port {port}"));
        }
        let receipt = self.facts.receipt.as_ref().ok().and_then(Option::as_ref);
        if let Some((certificate, key)) = receipt.and_then(|r| r.tls_pair.as_ref()).filter(|_| t.tls.is_some()) {
            let (certificate, key) = (shell_quote(certificate), shell_quote(key));
            command.push_str(&format!(" --tls-cert {certificate} --tls-key {key}"));
        }
        if t.port != super::target::SYSLOG_PORT {
            command.push_str(&format!(" --port {}", t.port));
        }
        if t.agent_port != AgentFacts::default().port(t.agent) {
            command.push_str(&format!(" --agent-port {}", t.agent_port));
        }
        if let Some(workspace) = &t.workspace {
            command.push_str(&format!(" {}", shell_quote(workspace)));
        }
        command
    }
}
