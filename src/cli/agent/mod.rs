//! The agent's part of an install: which agent it is, whether it has to be brought up first, what its own files should
//! be, and whether it takes events at the end. `install` asks for each of these at one place.

pub mod args;
mod azure;
mod changes;
mod key;
mod onboard;
mod prove;
pub mod remove;
mod site;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};

use self::onboard::{Job, Source};
use crate::agent::oms::onboard::Onboarding;
use crate::agent::oms::paths::Workspace;
use crate::agent::oms::{self, WorkspaceId, bundle, preflight};
use crate::agent::proxy::Proxy;
use crate::agent::{AgentFacts, AgentKind, AgentTarget, Cloud, ama};
use crate::cli::args::{AgentChoice, InstallArgs};
use crate::cli::exit::{Exit, Failure, fail, hint, usage};
use crate::host::http::{Http, HttpError, Way};
use crate::host::{Host, Interrupt};
use crate::plan::{Change, Receipt};
use crate::ui::Ui;

/// What has been decided about the agent.
pub struct Setup {
    pub target: AgentTarget,
    /// Where the Azure Monitor Agent takes events, if it gets them.
    pub azure: Option<ama::Entry>,
    /// To be done before the plan: it makes the files that the plan changes.
    job: Option<Job>,
    /// The key was given, so nothing is asked.
    unattended: bool,
    /// The workspace whose input is ours to look after.
    place: Option<Workspace>,
    event_time: Option<oms::plugins::EventTime>,
    no_portal_sync: bool,
    mends: Vec<ama::Mend>,
    /// Why an event cannot be followed to the agent; `None`: it can.
    pub unproven: Option<String>,
    /// What waits in the queue to the other agent goes to this one.
    pub hand_over: bool,
    /// Leftovers of the other agent's rules go.
    leftovers: Vec<Change>,
    /// The Log Analytics agent goes when all is proven.
    purge_oms: bool,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
}

impl Setup {
    /// Decides, and refuses what cannot work before anything is touched. `dry`: nothing is asked, waited for or
    /// looked up on the network.
    ///
    /// # Errors
    /// Usage, or what stands in the way.
    pub fn decide(
        host: &Host,
        ui: &Ui,
        args: &InstallArgs,
        receipt: Option<&Receipt>,
        dry: bool,
    ) -> anyhow::Result<Setup> {
        if !dry {
            onboard::tidy(&host.root);
        }
        let agents = AgentFacts::gather(&host.root);
        let kind = choose(args, &agents, || oms_carries(host, &agents, receipt))?;
        let port = args.target.agent_port.unwrap_or_else(|| agents.port(kind));
        let mut setup = Setup {
            target: AgentTarget { kind, port },
            azure: None,
            job: None,
            unattended: false,
            place: None,
            event_time: args.onboarding.event_time,
            no_portal_sync: args.onboarding.no_portal_sync,
            mends: Vec::new(),
            unproven: None,
            hand_over: false,
            leftovers: Vec::new(),
            purge_oms: false,
            notes: Vec::new(),
        };
        match kind {
            AgentKind::Oms => setup.oms(host, ui, args, &agents, dry)?,
            AgentKind::Ama => setup.ama(host, ui, args, &agents, receipt, dry)?,
            AgentKind::None => {}
        }
        if kind == AgentKind::Oms && agents.ama.as_ref().is_some_and(|a| !a.asked) {
            setup.notes.push(format!(
                "the Azure Monitor Agent is here as well, but no data collection rule asks it for security events, so they stay with \
                 the Log Analytics agent; to move, {}",
                steps_of_migration()
            ));
        }
        if kind != AgentKind::Oms && (setup.event_time.is_some() || setup.no_portal_sync) {
            setup.notes.push(
                "--event-time and --no-portal-sync are for the Log Analytics agent; they change nothing here".into(),
            );
        }
        Ok(setup)
    }

    /// Has the agent to be brought up before the plan can be carried out?
    pub fn is_pending(&self) -> bool {
        self.job.is_some() || self.no_portal_sync || self.purge_oms
    }

    /// With workspace and key given nothing is asked (the documented one-liner).
    pub fn unattended(&self) -> bool {
        self.unattended
    }

    /// What comes before the plan, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let mut list = self.job.as_ref().map(Job::sentences).unwrap_or_default();
        if self.no_portal_sync {
            list.push("keep the portal from changing this box's syslog settings".into());
        }
        if self.purge_oms {
            list.push("remove the Log Analytics agent, as the very last step".into());
        }
        list
    }

    /// Brings the agent up.
    ///
    /// # Errors
    /// The cause and what to do; the box is as it was then.
    pub fn run(&mut self, host: &Host, ui: &Ui, interrupt: &Interrupt) -> anyhow::Result<()> {
        if let Some(job) = &self.job {
            job.run(host, ui, interrupt)?;
            self.place = Some(onboard::folder_of(&host.root, job.onboarding.workspace.as_str()));
        }
        if self.no_portal_sync {
            prove::sync_off(host).inspect_err(|_| self.undo(host, ui))?;
        }
        Ok(())
    }

    /// Takes the agent away again if this run has brought it.
    pub fn undo(&self, host: &Host, ui: &Ui) {
        if let Some(job) = &self.job
            && !matches!(job.source, Source::Installed)
            && let Some(what) = onboard::take_away(host, ui, None)
        {
            ui.say(&format!("the Log Analytics agent: {what}"));
        }
    }

    /// The same box with events going to the Log Analytics agent on `port` and to the Azure Monitor Agent on `new`: the
    /// bridge of a migration.
    pub fn bridge(host: &Host, port: u16, new: u16) -> Setup {
        let agents = AgentFacts::gather(&host.root);
        let first = agents.oms.iter().flat_map(|o| &o.workspaces).next();
        Setup {
            target: AgentTarget { kind: AgentKind::Oms, port },
            azure: Some(ama::Entry::Tcp(new)),
            job: None,
            unattended: false,
            place: first.map(Workspace::new),
            event_time: None,
            no_portal_sync: false,
            mends: Vec::new(),
            unproven: None,
            hand_over: false,
            leftovers: Vec::new(),
            purge_oms: false,
            notes: Vec::new(),
        }
    }

    /// Will the agent itself listen on its port?
    pub fn listens(&self) -> bool {
        match self.target.kind {
            AgentKind::Oms => self.place.is_some(),
            AgentKind::Ama => self.unproven.is_none(),
            AgentKind::None => false,
        }
    }

    /// What is left to do once everything is proven and cannot be taken back any more.
    ///
    /// # Errors
    /// The old agent does not go.
    pub fn finish(&self, host: &Host, ui: &Ui) -> anyhow::Result<()> {
        if !self.purge_oms || !onboard::is_installed(&host.root) {
            return Ok(());
        }
        let progress = ui.progress("removing the Log Analytics agent");
        remove::purge(host, None)
            .context("the events go to the Azure Monitor Agent now, but the Log Analytics agent is still there")?;
        drop(progress);
        ui.say("the Log Analytics agent is removed");
        Ok(())
    }

    /// The daemon's files of the agent that are put right: what everything else is decided on.
    pub fn mended(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        self.mends.iter().map(|m| (m.path.clone(), m.content.clone())).collect()
    }

    /// How the agent's own files shall be.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn changes(&mut self, host: &Host) -> anyhow::Result<Vec<Change>> {
        let mut wanted = Vec::new();
        if let Some(place) = &self.place {
            let (changes, notes) = changes::oms(host, place, self.target.port, self.event_time)?;
            wanted.extend(changes);
            self.notes.extend(notes.into_iter().filter(|n| !self.notes.contains(n)).collect::<Vec<_>>());
        }
        wanted.extend(self.mends.iter().map(azure::change));
        wanted.extend(self.leftovers.iter().cloned());
        Ok(wanted)
    }

    /// The agent itself takes events on its port.
    ///
    /// # Errors
    /// It does not, and what its log says.
    pub fn prove(&self, host: &Host, interrupt: &Interrupt) -> anyhow::Result<()> {
        match (self.target.kind, &self.place) {
            (AgentKind::Oms, Some(place)) => prove::listens(host, interrupt, self.target.port, Some(place)),
            (AgentKind::Ama, _) if self.unproven.is_none() => prove::listens(host, interrupt, self.target.port, None),
            _ => Ok(()),
        }
    }

    fn oms(&mut self, host: &Host, ui: &Ui, args: &InstallArgs, agents: &AgentFacts, dry: bool) -> anyhow::Result<()> {
        let given = &args.onboarding;
        let id = given.workspace.as_deref().map(WorkspaceId::parse).transpose();
        let id = id.map_err(|why| usage(why, "cefctl install WORKSPACE_ID --key-file FILE"))?;
        // also where it is not needed any more: who gives a wrong one shall hear of it
        key::for_dry_run(given)?;
        let served = agents.oms.as_ref().map(|o| o.workspaces.as_slice()).unwrap_or_default();
        let id = match (id, served) {
            (Some(id), _) => id,
            (None, []) => {
                let what =
                    if agents.oms.is_some() { "serves no workspace yet" } else { "is not installed on this box" };
                return Err(fail(
                    if agents.oms.is_some() { Exit::Problems } else { Exit::Usage },
                    format!("the Log Analytics agent {what}, and no workspace was given"),
                    "cefctl install WORKSPACE_ID --key-file FILE, or prepare the box without an agent: --agent none",
                ));
            }
            (None, [first, rest @ ..]) => {
                if !rest.is_empty() {
                    self.notes.push(format!("the agent serves several workspaces; the events go to {first}"));
                }
                self.place = Some(Workspace::new(first));
                return Ok(());
            }
        };
        if served.iter().any(|w| id.is(w)) && is_onboarded(host, id.as_str()) {
            self.place = Some(onboard::folder_of(&host.root, id.as_str()));
            return Ok(());
        }
        self.bring_up(host, ui, args, agents, id, dry)
    }

    fn bring_up(
        &mut self,
        host: &Host,
        ui: &Ui,
        args: &InstallArgs,
        agents: &AgentFacts,
        id: WorkspaceId,
        dry: bool,
    ) -> anyhow::Result<()> {
        let given = &args.onboarding;
        let (cloud, installed) = (given.cloud.unwrap_or_default(), agents.oms.is_some());
        let proxy = proxy(given)?;
        let sha256 = given.agent_sha256.as_deref().map(bundle::parse_sha256).transpose();
        let sha256 = sha256.map_err(|why| usage(format!("--agent-sha256: {why}"), "sha256sum FILE prints it"))?;
        let source = source(given, installed, sha256.is_some())?;
        let own_bundle = installed || given.agent_bundle.is_some() || given.agent_url.is_some();
        self.unattended = key::is_given(given);
        // before the key is asked for, and before the network is
        let http = if dry { None } else { http(proxy.as_ref(), &source)? };
        let site = site::look(host, agents, &id, cloud, http.as_ref(), own_bundle);
        judge(ui, preflight::judge(&site, &id))?;
        let key = if dry { key::for_dry_run(given)? } else { key::get(host, ui, given)? };
        self.notes.push(oms::RETIRED.to_owned());
        match key {
            Some(key) => {
                let onboarding = Onboarding { workspace: id, key, cloud, proxy };
                self.job = Some(Job { onboarding, source, sha256, http });
            }
            None => self.notes.push(format!(
                "the Log Analytics agent would be installed and registered with the workspace {id} ({}) first",
                cloud.suffix()
            )),
        }
        Ok(())
    }

    fn ama(
        &mut self,
        host: &Host,
        ui: &Ui,
        args: &InstallArgs,
        agents: &AgentFacts,
        receipt: Option<&Receipt>,
        dry: bool,
    ) -> anyhow::Result<()> {
        if agents.ama.is_none() {
            return Err(azure::missing(host));
        }
        let look = azure::look(host, ui, args, self.target.port, dry);
        if agents.oms.is_some()
            && (args.purge_oms && look.unproven.is_some() || look.takes_nothing && oms_carries(host, agents, receipt))
        {
            let why = look.unproven.as_deref().unwrap_or("no data collection rule asks for them");
            return Err(fail(
                Exit::Problems,
                format!("the Log Analytics agent stays until its successor carries the events: {why}"),
                steps_of_migration(),
            ));
        }
        self.azure = Some(look.entry);
        self.unproven = look.unproven;
        for finding in look.findings {
            match finding.mend {
                Some(mend) => self.mends.push(mend),
                None if self.unproven.is_none() && !finding.fatal => {
                    self.notes.push(format!("{}; {}", finding.what, finding.hint))
                }
                None => ui.warn(&format!("{}\n  {}", finding.what, finding.hint)),
            }
        }
        if self.unproven.is_none() {
            // the collector's own restart of the daemon does for these as well
            let mut leftovers = remove::leftover_changes(host);
            leftovers.retain(|c| !matches!(c, Change::Service(_)));
            self.leftovers = leftovers;
        }
        if agents.oms.is_none() {
            return Ok(());
        }
        self.purge_oms = args.purge_oms;
        self.notes.push(if args.purge_oms {
            "the Log Analytics agent is removed when the Azure Monitor Agent has been seen to take the events".into()
        } else {
            "the Log Analytics agent stays installed, but gets no more events; --purge-oms removes it".into()
        });
        Ok(())
    }
}

/// Does the Log Analytics agent have the events now: because an install gave them to it, or, where none was, because it
/// takes connections?
fn oms_carries(host: &Host, agents: &AgentFacts, receipt: Option<&Receipt>) -> bool {
    match receipt.and_then(|r| r.options["agent"].as_str()) {
        Some("oms") => true,
        Some("ama") => false,
        _ => host.root.is_live() && listens(host, agents.port(AgentKind::Oms)),
    }
}

/// Does anybody take connections at an agent's port?
pub fn listens(host: &Host, port: u16) -> bool {
    host.net.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_secs(1)).is_ok()
}

fn steps_of_migration() -> String {
    crate::agent::ama::steps::rule(&[ama::Stream::Cef, ama::Stream::Asa])
}

/// Which agent, by what was given and what is installed.
fn choose(args: &InstallArgs, agents: &AgentFacts, oms_carries: impl FnOnce() -> bool) -> anyhow::Result<AgentKind> {
    let given = &args.onboarding;
    let credentials = given.workspace.is_some();
    match args.target.agent {
        AgentChoice::None if credentials => Err(usage(
            "--agent none sets no agent up, but a workspace was given",
            "leave the workspace out, or --agent none",
        )),
        AgentChoice::Ama if given.key.is_some() || given.key_file.is_some() => Err(usage(
            "the Azure Monitor Agent takes no workspace key: Azure tells it where events go",
            "cefctl install --agent ama",
        )),
        AgentChoice::None => Ok(AgentKind::None),
        AgentChoice::Ama => Ok(AgentKind::Ama),
        AgentChoice::Oms => Ok(AgentKind::Oms),
        AgentChoice::Auto => Ok(match agents.meant(oms_carries) {
            AgentKind::None if credentials => AgentKind::Oms,
            meant => meant,
        }),
    }
}

/// Refuses with every reason at once; what is only a warning is said.
fn judge(ui: &Ui, findings: Vec<preflight::Finding>) -> anyhow::Result<()> {
    let (refused, warned): (Vec<_>, Vec<_>) = findings.into_iter().partition(|f| f.refuse);
    let Some((first, rest)) = refused.split_first() else {
        for finding in warned {
            ui.warn(&format!("{}\n  {}", finding.what, finding.hint));
        }
        return Ok(());
    };
    let mut error = anyhow::Error::msg(hint(&first.hint));
    let mut message = first.what.clone();
    for other in rest {
        message.push_str(&format!("\nalso: {}", other.what));
        error = error.context(hint(&other.hint));
    }
    Err(error.context(Failure { exit: Exit::Problems, message }))
}

fn proxy(given: &args::AgentArgs) -> anyhow::Result<Option<Proxy>> {
    let Some(text) = given.proxy_text() else { return Ok(None) };
    let wrong = |why: String| usage(why, "[http://][user:password@]host[:port]");
    let text = std::str::from_utf8(text.expose()).map_err(|_| wrong("the proxy is no text".into()))?;
    Proxy::parse(text).map(Some).map_err(wrong)
}

fn source(given: &args::AgentArgs, installed: bool, pinned: bool) -> anyhow::Result<Source> {
    if installed {
        return Ok(Source::Installed);
    }
    if let Some(file) = &given.agent_bundle {
        return Ok(Source::File(PathBuf::from(file)));
    }
    if let Some(url) = &given.agent_url {
        let place = url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        if place.is_some_and(|p| p.contains('@')) {
            return Err(usage(
                "--agent-url holds a login, which would show in the list of processes",
                "download the file yourself and give it with --agent-bundle FILE",
            ));
        }
        let plain = url.starts_with("http://");
        if plain && !pinned {
            return Err(usage(
                "--agent-url is not encrypted, so the file could be changed on the way",
                "give its SHA-256 with --agent-sha256, or use https://",
            ));
        }
        if !plain && !url.starts_with("https://") {
            return Err(usage("--agent-url is no https:// address", "--agent-url https://HOST/FILE"));
        }
        return Ok(Source::Url { url: url.clone(), version: "" });
    }
    let arch = crate::host::facts::identity().arch;
    Ok(match bundle::published(&arch) {
        Some(bundle) => Source::Url { url: bundle.url, version: bundle.version },
        // refused by the preflight, with a better word
        None => Source::Url { url: String::new(), version: "" },
    })
}

/// The way out; a box that cannot do TLS can still install from a file.
fn http(proxy: Option<&Proxy>, source: &Source) -> anyhow::Result<Option<Http>> {
    let way = Way {
        proxy: proxy.map(Proxy::address),
        login: proxy.and_then(|p| Some((p.user.clone()?, p.password.clone().unwrap_or_default()))),
        roots: None,
    };
    match Http::new(&way) {
        Ok(http) => Ok(Some(http)),
        Err(HttpError::Processor | HttpError::NoRoots) if !matches!(source, Source::Url { .. }) => Ok(None),
        Err(e) => {
            let error = crate::agent::download::DownloadError::Http(e);
            Err(anyhow!(hint(error.hint()))
                .context(Failure { exit: Exit::Problems, message: format!("the agent cannot be downloaded: {error}") }))
        }
    }
}

/// Is what onboarding makes there?
fn is_onboarded(host: &Host, id: &str) -> bool {
    let place = onboard::folder_of(&host.root, id);
    let there = |p: &std::path::Path| matches!(host.root.resolve(p).and_then(|p| host.root.stat(&p)), Ok(Some(m)) if m.size > 0);
    there(&place.omsadmin_conf()) && place.certificates().iter().all(|c| there(c))
}

/// The cloud of a workspace that the agent serves already.
pub fn cloud_of(host: &Host, id: &str) -> Option<Cloud> {
    let text = host.root.read_opt(&onboard::folder_of(&host.root, id).omsadmin_conf()).ok()??;
    oms::admin::OmsAdmin::parse(&text).cloud()
}

/// Reads a file that the user named, without repeating the name where it may be a key.
fn read_named(host: &Host, file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.to_string_lossy();
    let shown = if shown.ends_with("==") { "the key file".to_owned() } else { shown.into_owned() };
    host.read_input(file).with_context(|| format!("cannot read {shown}"))
}
