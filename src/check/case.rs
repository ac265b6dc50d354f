//! One diagnosis: the facts, what they are measured against, and what is worked out from both once for all checks.

use std::cell::OnceCell;
use std::path::Path;

use super::facts::{Fact, Facts, OwnLine, decode_path, encode_path};
use super::flow::Flow;
use super::outcome::NotJudged;
use super::target::{Daemon, Target};
use super::words;
use crate::agent::AgentFacts;
use crate::report::shell_quote;
use crate::syslog::SourceError;
use crate::syslog::rsyslog::lint::lint;
use crate::syslog::rsyslog::{Effective, Problem, Severity};
use crate::syslog::syslogng::effective::ReadSetting;
use crate::syslog::syslogng::version::Program;

pub struct Case<'a> {
    pub facts: &'a Facts,
    pub target: &'a Target,
    /// What rsyslog's configuration amounts to, as far as it could be read. See [`Case::rsyslog`].
    config: &'a Effective,
    flow: OnceCell<Result<Flow<'a>, NotJudged>>,
    problems: OnceCell<Vec<Problem>>,
}

/// Reads rsyslog's configuration as it was recorded in the facts.
pub fn read_config(facts: &Facts) -> Effective {
    Effective::load(Path::new(&facts.rsyslog.main_file), &facts.rsyslog.config)
}

/// How syslog-ng's configuration is read: as the installed program says, else as distributions build it.
pub fn read_setting(main_file: &str, about: &Fact<Program>) -> ReadSetting {
    let main = Path::new(main_file);
    about.as_ref().map_or_else(|_| ReadSetting::usual(main), |program| ReadSetting::of(main, program))
}

impl<'a> Case<'a> {
    /// `config` is what [`read_config`] gives for the same facts.
    pub fn new(facts: &'a Facts, target: &'a Target, config: &'a Effective) -> Self {
        Case { facts, target, config, flow: OnceCell::new(), problems: OnceCell::new() }
    }

    /// The ways of the sample events, worked out when first asked for.
    pub fn flow(&self) -> Result<&Flow<'a>, NotJudged> {
        let flow = self.flow.get_or_init(|| Ok(Flow::new(self.rsyslog()?, self.target)));
        flow.as_ref().map_err(Clone::clone)
    }

    /// What is wrong with the configuration as it was read: only what asks for something that does not happen.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        let all = self.problems.get_or_init(|| lint(self.config));
        all.iter().filter(|p| p.severity == Severity::Error)
    }

    /// The configuration as it was read, complete or not; for the checks that judge the reading itself.
    pub fn config_as_read(&self) -> Result<&'a Effective, NotJudged> {
        match self.target.daemon {
            Daemon::Rsyslog => {}
            Daemon::SyslogNg => {
                let why = "the daemon is syslog-ng, whose configuration this version does not read yet";
                return Err(NotJudged::Unknown(why.into()));
            }
            Daemon::None => return Err(NotJudged::Blocked("daemon.present", "there is no daemon to configure".into())),
        }
        match self.unread().next() {
            Some((path, why)) => Err(NotJudged::Unknown(format!("{path} could not be read: {why}"))),
            None => Ok(self.config),
        }
    }

    /// The whole configuration, for the checks that build on it.
    pub fn rsyslog(&self) -> Result<&'a Effective, NotJudged> {
        let config = self.config_as_read()?;
        match &config.stopped {
            Some(stopped) if stopped.daemon => {
                let why = format!("the configuration is read only up to {}", stopped.at);
                Err(NotJudged::Blocked("daemon.config", why))
            }
            Some(stopped) => Err(NotJudged::Unknown(format!("{}: {}", stopped.at, stopped.why))),
            None => Ok(config),
        }
    }

    /// Files that are there but could not be read by us; without them nothing can be said.
    fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        let missing = SourceError::NotFound.to_string();
        let files = &self.facts.rsyslog.config.files;
        files.iter().filter_map(move |(path, file)| match &file.content {
            Err(why) if *why != missing && file.kind == Some(crate::host::FileKind::File) => {
                Some((path.as_str(), why.as_str()))
            }
            _ => None,
        })
    }

    /// Process of the daemon that is judged.
    pub fn daemon_pid(&self) -> Option<u32> {
        match self.target.daemon {
            Daemon::Rsyslog => self.facts.rsyslog.pid,
            Daemon::SyslogNg => {
                let unit = self.facts.unit("syslog-ng.service").and_then(|u| u.state.main_pid);
                let named = || self.facts.processes.values().find(|p| p.comm == "syslog-ng").map(|p| p.pid);
                unit.or_else(named)
            }
            Daemon::None => None,
        }
    }

    /// What the daemon said about itself since it was started.
    pub fn own_lines(&self) -> impl Iterator<Item = &OwnLine> {
        self.facts.rsyslog.own_lines.as_deref().unwrap_or_default().iter()
    }

    /// The last few of these lines, as evidence.
    pub fn last_lines(&self, count: usize) -> impl Iterator<Item = (&str, &str)> {
        let skip = self.own_lines().count().saturating_sub(count);
        self.own_lines().skip(skip).map(|l| (l.source.as_str(), l.text.as_str()))
    }

    /// Files of the configuration that were changed after the daemon was started: what they say now is not in force.
    pub fn changed_since_start(&self) -> Vec<&str> {
        let soon = self.facts.taken + 60;
        let files = self.facts.rsyslog.config.files.iter();
        let read = files.filter(|(_, f)| f.content.is_ok() && f.mtime.is_some_and(|t| t <= soon));
        read.map(|(path, _)| path.as_str()).filter(|p| self.is_younger_than_daemon(&decode_path(p))).collect()
    }

    /// Was the file written after the daemon was started, so that the daemon does not know it yet?
    pub fn is_younger_than_daemon(&self, file: &Path) -> bool {
        let started = self.facts.unit(&format!("{}.service", self.unit_name())).and_then(|u| u.since);
        let written = self.facts.rsyslog.config.files.get(&encode_path(file)).and_then(|f| f.mtime);
        // A second for the rounding of both.
        started.zip(written).is_some_and(|(started, written)| written > started + 1)
    }

    /// `3 files read`
    pub fn files_read(&self) -> String {
        format!("{} read", words::count(self.config.files.len(), "file"))
    }

    /// Name of the daemon's unit.
    pub fn unit_name(&self) -> &'static str {
        match self.target.daemon {
            Daemon::SyslogNg => "syslog-ng",
            Daemon::Rsyslog | Daemon::None => "rsyslog",
        }
    }

    /// The `install` command that brings this box to what it is measured against.
    pub fn install_command(&self) -> String {
        let t = self.target;
        let mut command = format!("sudo cefctl install --agent {} --yes", super::target::agent_word(t.agent));
        if !t.promised.is_empty() {
            let protocols: Vec<&str> = t.promised.iter().map(|p| p.word()).collect();
            command.push_str(&format!(" --protocol {}", protocols.join(",")));
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
