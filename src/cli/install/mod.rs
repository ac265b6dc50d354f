//! `cefctl install`: look, decide, show, ask, check with the daemon's own validator, apply, prove. Whatever misses takes
//! everything back.

mod changes;
mod preflight;
mod proof;
mod source;
mod validate;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::args::{AgentChoice, DaemonChoice, Format, InstallArgs, LocalCopy, Protocol};
use super::exit::{Exit, Failure, fail, hint, usage};
use super::show;
use crate::agent::{AgentKind, AgentTarget};
use crate::check::facts::Facts;
use crate::check::gather;
use crate::check::target::TargetOptions;
use crate::host::proc_net::Transport;
use crate::host::{Host, Interrupt};
use crate::plan::{Goal, Plan, Receipt, Session, peek, plan_install};
use crate::syslog::rsyslog::Effective;
use crate::syslog::rsyslog::collector::{self, Collector, Found, Wish};
use crate::syslog::rsyslog::effective;
use crate::syslog::rsyslog::validate as validator;
use crate::ui::{AskError, Ui};
use source::Without;

/// Written by the scripts this tool replaces; two forwards would double every event.
const REPLACED: &str = "/etc/rsyslog.d/security-config-omsagent.conf";
/// Where queues spill if the configuration names no work directory: what the distributions use (facts 5.11).
const WORK_DIRECTORIES: [&str; 2] = ["/var/spool/rsyslog", "/var/lib/rsyslog"];
const RECEIPT: &str = "/var/lib/cefctl/receipt.json";

pub fn run(host: &Host, ui: &Ui, args: &InstallArgs) -> anyhow::Result<Exit> {
    if args.target.daemon == DaemonChoice::SyslogNg {
        return Err(usage("syslog-ng cannot be configured by this version yet", "use rsyslog: --daemon rsyslog"));
    }
    if args.dry_run {
        return dry_run(host, ui, args);
    }
    if !host.root.is_live() {
        return Err(usage(
            "changes are made on the running machine only",
            "add --dry-run to see the plan for those files",
        ));
    }
    if crate::host::facts::euid() != 0 {
        return Err(usage("installing needs root", "run it with sudo, or add --dry-run to see what it would do"));
    }
    let interrupt = Interrupt::install().context("watching for Ctrl-C")?;
    let progress = ui.progress("looking at this machine");
    let mut session = {
        let mut observer = show::observe(ui, &progress, args.output);
        Session::begin(host, &interrupt, &mut observer).map_err(show::not_begun)?
    };
    let proposal = propose(host, args, session.receipt())?;
    let plan = session.plan_install(proposal.changes.clone())?;
    if plan.is_empty() {
        drop(progress);
        return nothing(ui, args, &plan, &proposal);
    }
    progress.now("having rsyslog check the new configuration");
    validate::validate(host, &proposal, &plan)?;
    drop(progress);
    if args.output == Format::Text {
        ui.result(&show::plan_text(ui, &plan, &proposal.collector.notes, !args.yes || ui.verbose()))?;
    }
    if !consent(ui, args.yes)? {
        ui.say("nothing was changed");
        return Ok(Exit::Problems);
    }
    let progress = ui.progress("applying");
    let expected = proof::Expected {
        unit: "rsyslog.service".to_owned(),
        port: proposal.port,
        transports: proposal.transports.clone(),
        agent_port: proposal.wish.agent.port,
        ipv6: proposal.facts.host.ipv6,
    };
    let mut proven = None;
    let outcome = session.apply(
        &plan,
        &Goal::Install { options: proposal.options() },
        &mut show::observe(ui, &progress, args.output),
        &mut || {
            proven = Some(proof::prove(host, &interrupt, &expected)?);
            Ok(())
        },
    );
    drop(progress);
    let sentence = proven.as_ref().map(|p| p.sentence.as_str());
    if args.output == Format::Json {
        ui.result(&show::json(&plan, &proposal.collector.notes, true, Some(&outcome), sentence))?;
    } else if let (crate::plan::Outcome::Done { steps, .. }, Some(sentence)) = (&outcome, sentence) {
        ui.result(&format!("done: {steps} steps; {sentence}\n"))?;
        ui.say(&next_steps(&proposal));
    }
    show::finish(outcome)
}

/// What to do now, in a line or two.
fn next_steps(proposal: &Proposal) -> String {
    let words: Vec<&str> = proposal.transports.iter().map(|t| t.word()).collect();
    format!(
        "Devices may send to port {} ({}). `cefctl troubleshoot` checks the whole way, `cefctl uninstall` takes it back.",
        proposal.port,
        words.join(", ")
    )
}

/// Everything an install has decided before it changes anything.
pub struct Proposal {
    pub facts: Facts,
    pub wish: Wish,
    pub port: u16,
    pub transports: Vec<Transport>,
    pub collector: Collector,
    pub changes: Vec<crate::plan::Change>,
    /// The main configuration file.
    pub main: PathBuf,
}

impl Proposal {
    /// What the receipt remembers of the command line.
    fn options(&self) -> serde_json::Value {
        let protocols: Vec<&str> = self.transports.iter().map(|t| t.word()).collect();
        serde_json::json!({
            "daemon": "rsyslog",
            "agent": self.wish.agent.kind,
            "agent_port": self.wish.agent.port,
            "port": self.port,
            "protocols": protocols,
        })
    }
}

fn propose(host: &Host, args: &InstallArgs, receipt: Option<&Receipt>) -> anyhow::Result<Proposal> {
    let facts = gather::gather(host, &TargetOptions { port: args.target.port, ..TargetOptions::default() });
    let wish = wish(args, &facts)?;
    let port = wish.port;
    let transports: Vec<Transport> = protocols(args);
    if host.root.is_live() {
        refuse(preflight::refusals(&facts, port, &transports))?;
    }
    let main = PathBuf::from(&facts.rsyslog.main_file);
    let replaced = [PathBuf::from(REPLACED)];
    let source = Without::new(&host.root, receipt, &replaced);
    let config = Effective::load(&main, &source);
    validate::refuse_broken(&facts, &config)?;
    let found = Found {
        config: &config,
        source: &source,
        version: daemon_version(&facts),
        work_directory: work_directory(host),
        imptcp: has_module(host, "imptcp.so"),
    };
    let collector = collector::decide(&found, &wish)
        .map_err(|r| anyhow::Error::msg(hint(&r.hint)).context(Failure { exit: Exit::Problems, message: r.what }))?;
    let changes = changes::changes(host, &facts, &collector, receipt);
    Ok(Proposal { facts, wish, port, transports, collector, changes, main })
}

/// Nothing is taken for granted of a daemon whose version is not known.
fn daemon_version(facts: &Facts) -> (u32, u32, u32) {
    let version = facts.rsyslog.version.as_deref().and_then(|v| validator::version(v.as_bytes()));
    version.map(validator::Version::parts).unwrap_or_default()
}

/// Is a module of rsyslog installed, in any of the places where distributions keep them?
fn has_module(host: &Host, file: &str) -> bool {
    ["/usr/lib/rsyslog", "/usr/lib64/rsyslog", "/usr/lib/*/rsyslog"]
        .iter()
        .any(|folder| host.root.glob(&Path::new(folder).join(file)).is_ok_and(|found| !found.is_empty()))
}

fn protocols(args: &InstallArgs) -> Vec<Transport> {
    let mut list = args.target.protocol.clone().unwrap_or_else(|| vec![Protocol::Udp, Protocol::Tcp]);
    list.sort();
    list.dedup();
    list.iter()
        .map(|p| match p {
            Protocol::Udp => Transport::Udp,
            Protocol::Tcp => Transport::Tcp,
        })
        .collect()
}

fn wish(args: &InstallArgs, facts: &Facts) -> anyhow::Result<Wish> {
    let agents = &facts.agents;
    let kind = match args.target.agent {
        AgentChoice::Auto => agents.installed(),
        AgentChoice::Oms => AgentKind::Oms,
        AgentChoice::Ama => AgentKind::Ama,
        AgentChoice::None => AgentKind::None,
    };
    let missing = match kind {
        AgentKind::Oms => agents.oms.is_none(),
        AgentKind::Ama => agents.ama.is_none(),
        AgentKind::None => false,
    };
    if missing {
        return Err(fail(
            Exit::Problems,
            format!("the {kind} is not installed on this box, and this version cannot install it yet"),
            "install the agent first, or prepare the box with --agent none",
        ));
    }
    Ok(Wish {
        port: args.target.port.unwrap_or(514),
        transports: protocols(args)
            .iter()
            .map(|t| match t {
                Transport::Udp => effective::Transport::Udp,
                Transport::Tcp => effective::Transport::Tcp,
            })
            .collect(),
        agent: AgentTarget { kind, port: args.target.agent_port.unwrap_or_else(|| agents.port(kind)) },
        local_copy: match args.local_copy {
            LocalCopy::Auto => collector::LocalCopy::Auto,
            LocalCopy::Keep => collector::LocalCopy::Keep,
            LocalCopy::Drop => collector::LocalCopy::Drop,
        },
        rewrite_ids: args.rewrite_ids,
        octet_counting: !args.no_octet_counting,
        queue_disk: args.queue_disk,
        receipt: PathBuf::from(RECEIPT),
    })
}

/// The folder a distribution has for rsyslog's queues, or the usual one if there is none yet.
fn work_directory(host: &Host) -> PathBuf {
    let there = |p: &str| matches!(host.root.stat(Path::new(p)), Ok(Some(_)));
    let found = WORK_DIRECTORIES.into_iter().find(|p| there(p));
    PathBuf::from(found.unwrap_or(WORK_DIRECTORIES[0]))
}

/// All reasons at once, so that nobody has to run it three times to learn three things.
fn refuse(refusals: Vec<preflight::Refusal>) -> anyhow::Result<()> {
    let Some((first, rest)) = refusals.split_first() else { return Ok(()) };
    let mut error = anyhow::Error::msg(hint(&first.hint));
    let mut message = first.what.clone();
    for refusal in rest {
        message.push_str(&format!("\nalso: {}", refusal.what));
        error = error.context(hint(&refusal.hint));
    }
    Err(error.context(Failure { exit: Exit::Problems, message }))
}

/// The plan for a machine and what was decided on the way, one sentence each. Changes nothing.
///
/// # Errors
/// Why nothing can be planned, with what to do.
pub fn plan_only(host: &Host, args: &InstallArgs) -> anyhow::Result<(Plan, Vec<String>)> {
    let receipt = peek(host)?;
    let proposal = propose(host, args, receipt.as_ref())?;
    let plan = plan_install(host, receipt.as_ref(), proposal.changes.clone())?;
    Ok((plan, proposal.collector.notes))
}

fn dry_run(host: &Host, ui: &Ui, args: &InstallArgs) -> anyhow::Result<Exit> {
    let progress = ui.progress("looking at this machine");
    let (plan, notes) = plan_only(host, args)?;
    drop(progress);
    match args.output {
        Format::Json => ui.result(&show::json(&plan, &notes, false, None, None))?,
        Format::Text => {
            ui.result(&show::plan_text(ui, &plan, &notes, true))?;
            ui.say("this was a dry run: nothing was changed");
        }
    }
    Ok(Exit::Good)
}

fn nothing(ui: &Ui, args: &InstallArgs, plan: &Plan, proposal: &Proposal) -> anyhow::Result<Exit> {
    match args.output {
        Format::Json => {
            let outcome = crate::plan::Outcome::NothingToDo;
            ui.result(&show::json(plan, &proposal.collector.notes, false, Some(&outcome), None))?;
        }
        Format::Text => ui.result("nothing to do: this box is set up as asked\n")?,
    }
    Ok(Exit::Good)
}

/// May we go on?
pub fn consent(ui: &Ui, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    match ui.confirm("Apply these changes?") {
        Ok(answer) => Ok(answer),
        Err(AskError::NotATerminal { .. }) => Err(usage(
            "there is no terminal to ask for consent on",
            "add --yes to apply, or --dry-run to see the plan only",
        )),
        Err(AskError::Failed(why)) => Err(anyhow!(why).context("no answer")),
    }
}
