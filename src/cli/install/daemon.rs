//! Which syslog daemon of the box becomes the collector, and what differs between the two for those who drive them. The
//! languages themselves are behind [`super::rsyslog`] and [`super::syslog_ng`].

use super::preflight::refusal;
use crate::check::facts::{DaemonFacts, Facts};
use crate::cli::args::DaemonChoice;
use crate::host::proc_net::Transport;
use crate::plan::Receipt;
use crate::syslog::collector::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    Rsyslog,
    SyslogNg,
}

impl Daemon {
    pub const ALL: [Daemon; 2] = [Daemon::Rsyslog, Daemon::SyslogNg];

    /// As people, packages and `--daemon` call it.
    pub fn name(self) -> &'static str {
        match self {
            Daemon::Rsyslog => "rsyslog",
            Daemon::SyslogNg => "syslog-ng",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Daemon::Rsyslog => "rsyslog.service",
            Daemon::SyslogNg => "syslog-ng.service",
        }
    }

    /// Where its own words are found.
    pub fn where_it_speaks(self) -> &'static str {
        match self {
            Daemon::Rsyslog => "journalctl -u rsyslog -n 50, or grep rsyslogd /var/log/syslog",
            Daemon::SyslogNg => "journalctl -u syslog-ng -n 50, or grep 'syslog-ng\\[' /var/log/syslog",
        }
    }

    pub fn facts(self, facts: &Facts) -> &DaemonFacts {
        match self {
            Daemon::Rsyslog => &facts.rsyslog,
            Daemon::SyslogNg => &facts.syslog_ng,
        }
    }

    fn is_installed(self, facts: &Facts) -> bool {
        self.facts(facts).program.is_some()
    }

    fn runs(self, facts: &Facts) -> bool {
        self.is_installed(facts)
            && (self.facts(facts).pid.is_some() || facts.unit(self.unit()).is_some_and(|u| u.state.is_active()))
    }
}

/// The daemon to configure: the one that was asked for, else the one that runs. Of two that run, the one an earlier
/// install has set up.
///
/// # Errors
/// None is installed; both run and nobody said which is meant.
pub fn choose(facts: &Facts, choice: DaemonChoice, receipt: Option<&Receipt>, port: u16) -> Result<Daemon, Refusal> {
    match choice {
        DaemonChoice::Rsyslog => return Ok(Daemon::Rsyslog),
        DaemonChoice::SyslogNg => return Ok(Daemon::SyslogNg),
        DaemonChoice::Auto => {}
    }
    let those = |is: &dyn Fn(Daemon) -> bool| Daemon::ALL.into_iter().filter(|d| is(*d)).collect::<Vec<_>>();
    match (those(&|d| d.runs(facts)).as_slice(), those(&|d| d.is_installed(facts)).as_slice()) {
        ([one], _) | ([], [one]) => Ok(*one),
        ([], []) => Err(refusal("no syslog daemon is installed on this box", install_hint(facts, Daemon::Rsyslog))),
        ([], _) => Err(refusal(
            "rsyslog and syslog-ng are installed, and neither runs",
            "say which one shall be the collector, and it is started: --daemon rsyslog or --daemon syslog-ng",
        )),
        _ => match receipt.and_then(|r| r.options["daemon"].as_str()) {
            Some(name) if name == Daemon::SyslogNg.name() => Ok(Daemon::SyslogNg),
            Some(name) if name == Daemon::Rsyslog.name() => Ok(Daemon::Rsyslog),
            _ => Err(refusal(
                format!("both rsyslog and syslog-ng run here; {}", who_has(facts, port)),
                "say which one shall be the collector: --daemon rsyslog or --daemon syslog-ng (better still, stop and \
                 disable the other)",
            )),
        },
    }
}

/// Which of the daemons has the port devices send to.
fn who_has(facts: &Facts, port: u16) -> String {
    let Ok(net) = &facts.net else { return format!("who has port {port} could not be seen") };
    let owner = |t: Transport| {
        let has = |d: &Daemon| d.facts(facts).pid.is_some_and(|p| net.open(t, port).any(|s| s.owners.contains(&p)));
        Daemon::ALL
            .into_iter()
            .find(has)
            .map(|d| format!("{} port {port} belongs to {}", t.word().to_uppercase(), d.name()))
    };
    let owned: Vec<String> = [Transport::Udp, Transport::Tcp].into_iter().filter_map(owner).collect();
    if owned.is_empty() { format!("neither has port {port}") } else { owned.join(", ") }
}

/// How the daemon gets here.
pub fn install_hint(facts: &Facts, daemon: Daemon) -> String {
    let name = daemon.name();
    let by_hand = facts.host.os.as_ref().ok().and_then(|os| os.install_command(name));
    let by_hand = by_hand.map(|command| format!(", or by hand: {command}")).unwrap_or_default();
    format!("--install-packages installs the distribution's {name} first{by_hand}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{add_socket, healthy};

    fn chosen(facts: &Facts, choice: DaemonChoice) -> Result<Daemon, String> {
        choose(facts, choice, None, 514).map_err(|r| format!("{} ({})", r.what, r.hint))
    }

    /// A box on which syslog-ng runs too.
    fn both() -> Facts {
        let mut facts = healthy();
        facts.syslog_ng.program = Some("/usr/sbin/syslog-ng".into());
        facts.syslog_ng.pid = Some(77);
        facts
    }

    #[test]
    fn the_one_that_runs() {
        assert_eq!(chosen(&healthy(), DaemonChoice::Auto), Ok(Daemon::Rsyslog));
        assert_eq!(chosen(&healthy(), DaemonChoice::SyslogNg), Ok(Daemon::SyslogNg));
        let mut other = both();
        other.rsyslog.pid = None;
        other.units = Ok(Default::default());
        assert_eq!(chosen(&other, DaemonChoice::Auto), Ok(Daemon::SyslogNg));
        other.syslog_ng.pid = None;
        assert!(chosen(&other, DaemonChoice::Auto).unwrap_err().contains("neither runs"));
        other.rsyslog.program = None;
        assert_eq!(chosen(&other, DaemonChoice::Auto), Ok(Daemon::SyslogNg));
        assert!(chosen(&Facts::default(), DaemonChoice::Auto).unwrap_err().contains("--install-packages"));
    }

    #[test]
    fn of_two_that_run_the_user_chooses() {
        let mut facts = both();
        let why = chosen(&facts, DaemonChoice::Auto).unwrap_err();
        assert!(why.contains("UDP port 514 belongs to rsyslog") && why.contains("--daemon syslog-ng"), "{why}");
        facts.net.as_mut().unwrap().sockets.clear();
        assert!(chosen(&facts, DaemonChoice::Auto).unwrap_err().contains("neither has port 514"));
        add_socket(&mut facts, Transport::Tcp, "[::]:514", 77);
        assert!(chosen(&facts, DaemonChoice::Auto).unwrap_err().contains("TCP port 514 belongs to syslog-ng"));
        let mut receipt = Receipt::new("then");
        receipt.options = serde_json::json!({ "daemon": "syslog-ng" });
        assert_eq!(choose(&facts, DaemonChoice::Auto, Some(&receipt), 514), Ok(Daemon::SyslogNg));
    }
}
