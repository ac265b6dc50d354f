//! `cefctl install`: look, decide, show, ask, check with the daemon's own validator, apply, prove. Whatever misses takes
//! everything back.

pub mod adopt;
mod changes;
mod daemon;
mod firewall;
mod migrate;
mod packages;
mod preflight;
mod proof;
pub mod queue_left;
mod remembered;
pub mod removal;
mod rsyslog;
mod said;
mod selinux;
mod sockets;
mod source;
mod staging;
mod syslog_ng;
mod tls;
mod validate;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow};

use super::agent::{Setup, listens};
use super::args::{Format, InstallArgs, LocalCopy, Protocol};
use super::exit::{Exit, Failure, fail, hint, usage};
use super::show;
use crate::agent::{AgentKind, AgentTarget};
use crate::check::facts::Facts;
use crate::check::gather::{self, Depth};
use crate::check::target::{COUNTED_PORT, TargetOptions};
use crate::host::proc_net::Transport;
use crate::host::{Host, Interrupt};
use crate::plan::{Change, Goal, Outcome, Plan, Receipt, Session, peek, plan_install};
use crate::platform::service_act::Services;
use crate::syslog::collector::{self, Collector, Intake, Refusal, Wish};
use crate::syslog::syslogng::repair::Damage;
use crate::ui::{AskError, Ui};
use daemon::Daemon;

pub use staging::sweep;

const RECEIPT: &str = "/var/lib/cefctl/receipt.json";

pub fn run(host: &Host, ui: &Ui, args: &InstallArgs) -> anyhow::Result<Exit> {
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
    drop(progress);
    sweep(host);
    let adopted = adopt(host, &mut session);
    let (args, kept) = &remembered::fill(host, args, session.receipt());
    let mut setup = Setup::decide(host, ui, args, session.receipt(), false)?;
    setup.notes.extend(adopted.into_iter().chain(kept.iter().cloned()));
    let brought = match packages::add(host, ui, args, &mut session)? {
        packages::Added::Declined => {
            ui.say("nothing was changed");
            return Ok(Exit::Problems);
        }
        packages::Added::Nothing => None,
        packages::Added::Brought(brought) => Some(brought),
    };
    let done = collector(host, ui, args, &interrupt, &mut session, &mut setup);
    match brought {
        Some(brought) if !matches!(done, Ok(Exit::Good)) => brought.take_back(ui, args, &mut session, done),
        _ => done,
    }
}

/// Recognises what an install without receipt has left; says so.
pub fn adopt(host: &Host, session: &mut Session<'_>) -> Option<String> {
    if !session.has_receipt() {
        session.adopt(adopt::found(host)?);
    }
    session.is_adopted().then(|| adopt::NOTE.to_owned())
}

/// The daemon that is there becomes the collector.
fn collector(
    host: &Host,
    ui: &Ui,
    args: &InstallArgs,
    interrupt: &Interrupt,
    session: &mut Session<'_>,
    setup: &mut Setup,
) -> anyhow::Result<Exit> {
    let progress = ui.progress("looking at this machine");
    let old = migrate::from(host, session.receipt(), setup);
    // nothing can be had of an old agent that is dead but what waits for it
    setup.hand_over = old.is_some_and(|port| !listens(host, port));
    let mut proposal = propose(host, args, setup, session.receipt())?;
    let mut plan = session.plan_install(proposal.changes.clone())?;
    if plan.is_empty() && !setup.is_pending() && !session.is_adopted() {
        drop(progress);
        return nothing(ui, args, &plan, &proposal);
    }
    progress.now(&format!("having {} check the new configuration", proposal.daemon.name()));
    validate::validate(host, &proposal, &plan)?;
    drop(progress);
    if args.output == Format::Text {
        ui.result(&show::before_plan(ui, &setup.sentences()))?;
        let diffs = !(args.yes || setup.unattended()) || ui.verbose();
        ui.result(&show::plan_text(ui, &plan, &proposal.notes, diffs))?;
    }
    if !consent(ui, args.yes || setup.unattended())? {
        ui.say("nothing was changed");
        return Ok(Exit::Problems);
    }
    if setup.is_pending() {
        // only now are there files of the agent to plan with
        setup.run(host, ui, interrupt)?;
        let planned = propose(host, args, setup, session.receipt())
            .and_then(|proposal| Ok((session.plan_install(proposal.changes.clone())?, proposal)));
        (plan, proposal) = planned.inspect_err(|_| setup.undo(host, ui))?;
    }
    if let Some(port) = old.filter(|_| !setup.hand_over) {
        let emptied = migrate::bridge(host, ui, args, session, interrupt, (port, setup.target.port))?;
        if !emptied {
            setup.hand_over = true;
            proposal = propose(host, args, setup, session.receipt())?;
        }
        plan = session.plan_install(proposal.changes.clone())?;
    }
    let progress = ui.progress("applying");
    let folder = &proposal.collector.work_directory;
    let collected =
        session.receipt().is_some_and(has_collected) || queue_left::from_before(host, proposal.daemon, folder);
    let expected = proof::Expected { collected, ..proposal.expected(setup) };
    let mut proof = proof::Proof::prepare(host, interrupt, expected);
    let mut proven = None;
    let outcome = session.apply(
        &plan,
        &Goal::Install { options: proposal.options() },
        &mut show::observe(ui, &progress, args.output),
        &mut || {
            setup.prove(host, interrupt)?;
            proven = Some(proof.prove()?);
            Ok(())
        },
    );
    drop(progress);
    if !matches!(outcome, Outcome::Done { .. } | Outcome::NothingToDo) {
        setup.undo(host, ui);
    }
    let sentence = proven.as_ref().map(|p| p.sentence.as_str());
    if args.output == Format::Json {
        ui.result(&show::json(&plan, &proposal.notes, true, Some(&outcome), sentence))?;
    } else if let (Outcome::Done { steps, .. }, Some(sentence)) = (&outcome, sentence) {
        let did = if *steps == 0 { "the receipt is written anew".to_owned() } else { format!("{steps} steps") };
        ui.result(&format!("done: {did}; {sentence}\n"))?;
        ui.say(&next_steps(&proposal));
    }
    let exit = show::finish(outcome)?;
    if proposal.wish.hand_over && old.is_some() {
        setup.hand_over = false;
        migrate::hand_over(host, ui, args, session, interrupt, setup)?;
    }
    setup.finish(host, ui)?;
    Ok(exit)
}

/// An earlier install made a collector, not only room for one.
fn has_collected(receipt: &Receipt) -> bool {
    receipt.options["daemon"].is_string()
}

/// What to do now, in a few lines.
fn next_steps(proposal: &Proposal) -> String {
    let wish = &proposal.wish;
    let words: Vec<&str> = wish.transports.iter().map(|t| t.word()).collect();
    let plain = (!words.is_empty()).then(|| format!("port {} ({})", wish.port, words.join(", ")));
    let tls = wish.tls.as_ref().map(|t| format!("port {} (tls)", t.port));
    let ports: Vec<String> = plain.into_iter().chain(tls).collect();
    let agent = match wish.agent.kind {
        AgentKind::None => format!(
            "\nNo agent is set up here: events wait until something listens on 127.0.0.1:{}. Once an agent is installed, run \
             `cefctl install` again.",
            wish.agent.port
        ),
        _ => String::new(),
    };
    format!(
        "Devices may send to {}. `cefctl troubleshoot` checks the whole way, `cefctl uninstall` takes it back.{agent}",
        ports.join(" and to ")
    )
}

/// What was decided for one daemon.
pub struct Decided {
    pub collector: Collector,
    /// The file of the older scripts that goes, if it is there.
    pub replaced: PathBuf,
    /// Damage of the older scripts that is undone.
    pub mended: Option<Mended>,
    /// The daemon cannot take this by a reload.
    pub restart: bool,
    /// User and group that the daemon changes to, where its configuration says so.
    pub runs_as: Option<(u32, u32)>,
}

pub struct Mended {
    pub file: PathBuf,
    pub damage: Damage,
}

/// Everything an install has decided before it changes anything.
pub struct Proposal {
    pub daemon: Daemon,
    pub facts: Facts,
    pub wish: Wish,
    pub collector: Collector,
    pub changes: Vec<Change>,
    /// What a user may want to know, one sentence each.
    pub notes: Vec<String>,
    /// The certificate (DER) that a TLS listener of ours shows.
    certificate: Option<Vec<u8>>,
    /// The files of `--tls-cert` and `--tls-key`.
    pair: Option<(PathBuf, PathBuf)>,
}

impl Proposal {
    /// What the receipt remembers of the command line.
    fn options(&self) -> serde_json::Value {
        let tls = self.wish.tls.as_ref();
        let protocols = self.wish.transports.iter().map(|t| t.word()).chain(tls.map(|_| "tls"));
        let mut options = serde_json::json!({
            "daemon": self.daemon.name(),
            "agent": self.wish.agent.kind,
            "agent_port": self.wish.agent.port,
            "port": self.wish.port,
            "protocols": protocols.collect::<Vec<_>>(),
            "local_copy": self.wish.local_copy.word(),
            "rewrite_ids": self.wish.rewrite_ids,
            "octet_counting": self.wish.octet_counting,
            "queue_disk": self.wish.queue_disk,
            "counted_port": self.wish.counted_port,
        });
        if let Some(tls) = tls {
            options["tls_port"] = tls.port.into();
        }
        if let Some((certificate, key)) = &self.pair {
            options["tls_cert"] = certificate.to_string_lossy().into();
            options["tls_key"] = key.to_string_lossy().into();
        }
        options
    }

    fn expected(&self, setup: &Setup) -> proof::Expected {
        let ipv6 = self.facts.host.ipv6;
        let door = |i: &Intake| Intake { v6: i.v6 && ipv6, ..i.clone() };
        proof::Expected {
            daemon: self.daemon,
            doors: self.collector.intakes.iter().map(door).collect(),
            certificate: self.certificate.clone(),
            agent_port: self.wish.agent.port,
            agent_listens: setup.listens(),
            unproven: setup.unproven.clone(),
            collected: false,
        }
    }
}

/// Listeners on an address that the box does not have: rsyslog and syslog-ng can open these, but nothing can be sent there.
fn mark_absent(collector: &mut Collector, here: &BTreeSet<IpAddr>) {
    let lost = |ip: &IpAddr| !here.is_empty() && !ip.is_loopback() && !here.contains(ip);
    for intake in &mut collector.intakes {
        let Some(ip) = intake.address.filter(lost) else { continue };
        intake.absent = true;
        let note =
            format!("this box does not have the address {ip} now: nothing arrives there, and no test event is sent");
        if !collector.notes.contains(&note) {
            collector.notes.push(note);
        }
    }
}

fn propose(host: &Host, args: &InstallArgs, setup: &mut Setup, receipt: Option<&Receipt>) -> anyhow::Result<Proposal> {
    let options = TargetOptions { port: args.target.port, ..TargetOptions::default() };
    let facts = gather::gather(host, &options, Depth::Change, None);
    let mut wish = wish(args, setup.target);
    wish.azure = setup.azure;
    let daemon = daemon::choose(&facts, args.target.daemon, receipt, wish.port).map_err(refused)?;
    wish.tls = tls::wish(args, daemon);
    let served = wish.agent.kind == AgentKind::Ama && receipt.is_some();
    wish.hand_over = setup.hand_over || served && migrate::waits(host, &facts, daemon);
    if host.root.is_live() {
        preflight::installed(&facts, daemon).map_err(refused)?;
        preflight::may_run(&facts, daemon).map_err(refused)?;
        refuse_all(preflight::in_the_way(&facts, daemon, &wish))?;
    }
    let mut decided = match daemon {
        Daemon::Rsyslog => rsyslog::decide(host, &facts, &wish, receipt, setup.mended())?,
        Daemon::SyslogNg => syslog_ng::decide(host, &facts, &wish, receipt, args.repair, setup.mended())?,
    };
    if host.root.is_live() {
        mark_absent(&mut decided.collector, &host.net.local_addresses());
    }
    let mut changes = setup.changes(host)?;
    // Before the daemon comes up with a configuration that needs them.
    let ports = ports(&wish);
    let (labels, more) =
        selinux::changes(host, daemon.facts(&facts).pid, wish.agent.port, &ports, receipt).map_err(refused)?;
    changes.extend(labels);
    let own = decided.collector.intakes.iter().any(|i| i.tls && i.reused.is_none());
    let pair = match wish.tls.as_ref().filter(|_| own) {
        Some(tls) => tls::decide(host, &facts, daemon, tls, args.tls_cert.is_some()).map_err(refused)?,
        None => tls::Decided::default(),
    };
    changes.extend(pair.changes);
    changes.extend(changes::changes(host, &facts, daemon, &decided, receipt));
    let mut notes: Vec<String> = setup.notes.iter().chain(&decided.collector.notes).cloned().collect();
    notes.extend(pair.notes);
    notes.extend(more);
    // With the port of its own that senders go to which count octets.
    let mut doors = ports.clone();
    doors.extend(decided.collector.counted.map(|port| (Transport::Tcp, port)));
    doors.sort_unstable();
    doors.dedup();
    let opening = firewall::Wish { sources: args.open_firewall.as_deref().unwrap_or_default(), ports: &doors };
    if host.root.is_live() && Services::detect(host).is_unmanaged(daemon.unit()) {
        notes.push(format!(
            "no service manager looks after {0} here: nobody restarts it when it ends, and whoever starts this container or \
             box has to start it",
            daemon.name()
        ));
    }
    let (openings, more) = firewall::changes(host, &opening, receipt);
    changes.extend(openings);
    notes.extend(more);
    Ok(Proposal {
        daemon,
        facts,
        pair: wish.tls.as_ref().filter(|_| args.tls_cert.is_some()).map(|t| (t.certificate.clone(), t.key.clone())),
        wish,
        collector: decided.collector,
        changes,
        notes,
        certificate: pair.shown,
    })
}

/// Why the decision on a configuration was refused, with what to do.
pub fn refused(refusal: Refusal) -> anyhow::Error {
    fail(Exit::Problems, refusal.what, refusal.hint)
}

/// The transports without TLS.
fn protocols(args: &InstallArgs) -> Vec<Transport> {
    let mut list = args.target.protocol.clone().unwrap_or_else(|| vec![Protocol::Udp, Protocol::Tcp]);
    list.sort();
    list.dedup();
    list.into_iter().filter_map(Protocol::plain).collect()
}

/// Every port that devices send to.
fn ports(wish: &Wish) -> Vec<(Transport, u16)> {
    let plain = wish.transports.iter().map(|t| (*t, wish.port));
    plain.chain(wish.tls.iter().map(|t| (Transport::Tcp, t.port))).collect()
}

fn wish(args: &InstallArgs, agent: AgentTarget) -> Wish {
    Wish {
        port: args.target.port.unwrap_or(514),
        transports: protocols(args),
        tls: None,
        agent,
        azure: None,
        local_copy: match args.local_copy.unwrap_or_default() {
            LocalCopy::Auto => collector::LocalCopy::Auto,
            LocalCopy::Keep => collector::LocalCopy::Keep,
            LocalCopy::Drop => collector::LocalCopy::Drop,
        },
        rewrite_ids: args.rewrite_ids,
        octet_counting: !args.no_octet_counting,
        queue_disk: args.queue_disk.unwrap_or(remembered::QUEUE_DISK),
        counted_port: args.counted_port.unwrap_or(COUNTED_PORT),
        hand_over: false,
        receipt: PathBuf::from(RECEIPT),
    }
}

/// All reasons at once, so that nobody has to run it three times to learn three things.
fn refuse_all(refusals: Vec<Refusal>) -> anyhow::Result<()> {
    let Some((first, rest)) = refusals.split_first() else { return Ok(()) };
    let mut error = anyhow::Error::msg(hint(&first.hint));
    let mut message = first.what.clone();
    for refusal in rest {
        message.push_str(&format!("\nalso: {}", refusal.what));
        error = error.context(hint(&refusal.hint));
    }
    Err(error.context(Failure { exit: Exit::Problems, message }))
}

/// A plan, and what was decided on the way to it.
pub struct Planned {
    pub plan: Plan,
    /// What a user may want to know of the decision, one sentence each.
    pub notes: Vec<String>,
    /// What would be done before the plan.
    before: Vec<String>,
}

/// The plan for a machine. Changes nothing.
///
/// # Errors
/// Why nothing can be planned, with what to do.
pub fn plan_only(host: &Host, ui: &Ui, args: &InstallArgs) -> anyhow::Result<Planned> {
    let receipt = peek(host)?.or_else(|| adopt::found(host));
    let (args, kept) = &remembered::fill(host, args, receipt.as_ref());
    let mut setup = Setup::decide(host, ui, args, receipt.as_ref(), true)?;
    setup.notes.extend(kept.iter().cloned());
    let proposal = propose(host, args, &mut setup, receipt.as_ref())?;
    let plan = plan_install(host, receipt.as_ref(), proposal.changes.clone())?;
    Ok(Planned { plan, notes: proposal.notes, before: setup.sentences() })
}

fn dry_run(host: &Host, ui: &Ui, args: &InstallArgs) -> anyhow::Result<Exit> {
    if let Some(sentence) = packages::wanted(host, args)? {
        return packages::dry_run(ui, args, &sentence);
    }
    let progress = ui.progress("looking at this machine");
    let Planned { plan, notes, before } = plan_only(host, ui, args)?;
    drop(progress);
    match args.output {
        Format::Json => ui.result(&show::json(&plan, &notes, false, None, None))?,
        Format::Text => {
            ui.result(&show::before_plan(ui, &before))?;
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
            ui.result(&show::json(plan, &proposal.notes, false, Some(&outcome), None))?;
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
