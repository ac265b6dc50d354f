//! Brings the Log Analytics agent up: gets the bundle, runs it without the key on any command line, has omsadmin finish
//! what it left, and believes only what is there afterwards. Whatever fails takes the agent away again if it was not
//! there before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};

use crate::agent::download::{self, Pace, Step, Wanted};
use crate::agent::oms::onboard::Onboarding;
use crate::agent::oms::paths::{self, OMSADMIN, ONBOARD_FILE, SERVICE_CONTROL, Workspace};
use crate::agent::oms::{admin, bundle, codes, log};
use crate::cli::exit::{Exit, Failure, fail, hint};
use crate::host::fault::hit;
use crate::host::http::Http;
use crate::host::memfile::MemFile;
use crate::host::{Attrs, Cmd, Host, Interrupt, Output, Root, RunError, Stars, handover};
use crate::platform::service_act::Services;
use crate::ui::Ui;

/// The bundle lies here while it is needed; only root may look.
pub const CACHE: &str = "/var/cache/cefctl";
/// How long the bundle may take: it installs five packages, on slow disks for minutes.
const BUNDLE_LIMIT: Duration = Duration::from_secs(1800);
const OMSADMIN_LIMIT: Duration = Duration::from_secs(300);
/// Last lines of a program that a message repeats.
const LAST_WORDS: usize = 5;

/// Where the bundle comes from.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    Url {
        url: String,
        version: &'static str,
    },
    /// The agent is installed; it has only to be onboarded.
    Installed,
}

/// Everything decided.
pub struct Job {
    pub onboarding: Onboarding,
    pub source: Source,
    pub sha256: Option<String>,
    /// `None`: the box cannot do TLS, and need not.
    pub http: Option<Http>,
}

impl Job {
    /// What will be done, as the plan's sentences say it.
    pub fn sentences(&self) -> Vec<String> {
        let id = &self.onboarding.workspace;
        let checked = if self.sha256.is_some() { " and check its SHA-256" } else { "" };
        let mut list = Vec::new();
        match &self.source {
            Source::File(file) => {
                list.push(format!("install the Log Analytics agent from {}{checked}", file.display()))
            }
            Source::Url { url, version } => {
                let version = if version.is_empty() { String::new() } else { format!(" {version}") };
                list.push(format!("download the Log Analytics agent{version} from {url}{checked}"));
                list.push("install it".to_owned());
            }
            Source::Installed => {}
        }
        let proxy = self.onboarding.proxy.as_ref().map(|p| format!(", through the proxy {p}")).unwrap_or_default();
        list.push(format!("register it with the workspace {id} ({}){proxy}", self.onboarding.cloud.suffix()));
        list
    }

    /// Does it.
    ///
    /// # Errors
    /// The cause and what to do; what this run has installed is removed again.
    pub fn run(&self, host: &Host, ui: &Ui, interrupt: &Interrupt) -> anyhow::Result<()> {
        let was_there = is_installed(&host.root);
        handover::usual_umask();
        let cache = Cache::make(&host.root)?;
        let result = self.fetch(host, ui, interrupt, &cache).and_then(|()| {
            hit("agent.run")?;
            self.install(host, ui, &cache)?;
            hit("agent.installed")?;
            self.check(host)?;
            match interrupt.is_set() {
                true => Err(anyhow!("interrupted")),
                false => Ok(()),
            }
        });
        result.map_err(|error| {
            let undone = if was_there { None } else { take_away(host, ui, Some(&cache.bundle)) };
            let state = undone.unwrap_or_else(|| "nothing was changed on this box".to_owned());
            let exit = if interrupt.is_set() { Exit::Interrupted } else { Exit::Problems };
            error.context(Failure { exit, message: format!("the Log Analytics agent could not be set up; {state}") })
        })
    }

    fn fetch(&self, host: &Host, ui: &Ui, interrupt: &Interrupt, cache: &Cache<'_>) -> anyhow::Result<()> {
        match &self.source {
            Source::Installed => Ok(()),
            Source::File(file) => {
                let bytes = host.read_input(file).with_context(|| format!("cannot read {}", file.display()))?;
                if !bundle::looks_right(&bytes) {
                    return Err(anyhow!(hint("the bundle's name is omsagent-VERSION.universal.x64.sh"))
                        .context(format!("{} is no installation bundle", file.display())));
                }
                let got: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
                match &self.sha256 {
                    Some(wanted) if *wanted != got => {
                        let error = download::DownloadError::WrongSum { wanted: wanted.clone(), got };
                        return Err(anyhow!(hint(error.hint())).context(format!("{}: {error}", file.display())));
                    }
                    _ => {}
                }
                host.root
                    .write(&cache.bundle, &bytes, &Attrs::mode(0o600))
                    .with_context(|| format!("cannot copy it to {}", cache.bundle.display()))?;
                Ok(())
            }
            Source::Url { url, .. } => {
                let Some(http) = &self.http else { return Err(anyhow!("this box cannot do TLS")) };
                let wanted = Wanted {
                    url: url.clone(),
                    into: cache.bundle.clone(),
                    max: bundle::MAX_SIZE,
                    sha256: self.sha256.clone(),
                    looks_right: bundle::looks_right,
                };
                let progress = ui.progress("downloading the Log Analytics agent");
                let start = host.clock.monotonic();
                let got = download::download(host, http, interrupt, &wanted, Pace::default(), &mut |step| match step {
                    Step::Bytes { have, total, per_second } => progress.now(&how_far(have, total, per_second)),
                    Step::Again { why, after } => {
                        ui.say(&format!("the download stopped ({why}); trying again in {} s", after.as_secs()));
                    }
                })
                .map_err(|e| anyhow!(hint(e.hint())).context(format!("cannot download {url}: {e}")))?;
                drop(progress);
                let took = (host.clock.monotonic() - start).as_secs_f64();
                ui.say(&format!("downloaded {:.1} MB in {took:.1} s, SHA-256 {}", megabytes(got.size), got.sha256));
                Ok(())
            }
        }
    }

    /// Runs the bundle, then omsadmin if the bundle has left its file.
    fn install(&self, host: &Host, ui: &Ui, cache: &Cache<'_>) -> anyhow::Result<()> {
        let stars = self.stars();
        let file = OnboardFile::put(&host.root, &self.onboarding)?;
        if !matches!(self.source, Source::Installed) {
            let progress = ui.progress("installing the Log Analytics agent (this takes minutes)");
            let cmd = Cmd::new([Path::new("/bin/sh"), &cache.bundle, Path::new("--upgrade")]).limit(BUNDLE_LIMIT);
            let output = host.runner.run(&cmd).map_err(|e| not_run(&e, "the agent's bundle"))?;
            drop(progress);
            said(ui, &stars, &output);
            let words = String::from_utf8_lossy(&output.stdout).into_owned();
            let code = match output.exit {
                crate::host::Exit::Code(0) => codes::said_by_bundle(&words).unwrap_or(0),
                crate::host::Exit::Code(code) => code,
                crate::host::Exit::Signal(signal) => return Err(anyhow!("the bundle was ended by signal {signal}")),
            };
            if code != 0 {
                return Err(failed("the agent's bundle", code, codes::bundle(code), &stars.hide(&last_words(&output))));
            }
        }
        if !file.is_there() {
            return Ok(());
        }
        if !is_installed(&host.root) {
            return Err(anyhow!(hint("is it the bundle of the Log Analytics agent?"))
                .context("the bundle ended without an error, but has installed no agent"));
        }
        let progress = ui.progress("registering with the workspace");
        let cmd = Cmd::new([OMSADMIN]).limit(OMSADMIN_LIMIT);
        let output = host.runner.run(&cmd).map_err(|e| not_run(&e, "omsadmin"))?;
        drop(progress);
        said(ui, &stars, &output);
        match output.exit {
            crate::host::Exit::Code(0) => Ok(()),
            crate::host::Exit::Code(code) => {
                Err(failed("omsadmin", code, codes::omsadmin(code), &stars.hide(&last_words(&output))))
            }
            crate::host::Exit::Signal(signal) => Err(anyhow!("omsadmin was ended by signal {signal}")),
        }
    }

    /// Files, certificates and unit; the listener is proven later, with its input in place.
    fn check(&self, host: &Host) -> anyhow::Result<()> {
        let (id, cloud) = (&self.onboarding.workspace, self.onboarding.cloud);
        let place = folder_of(&host.root, id.as_str());
        let services = Services::detect(host);
        if !services.state(&place.unit())?.exists() {
            // omsadmin makes the service itself; where it did not, its own tool can
            let _ = host.runner.run(&Cmd::new([SERVICE_CONTROL, "enable", &place.id]).limit(Duration::from_secs(60)));
        }
        let seen = admin::Seen {
            conf: host.root.read_opt(&place.omsadmin_conf())?.map(|t| admin::OmsAdmin::parse(&t)),
            missing_certificates: place
                .certificates()
                .iter()
                .filter(|p| !matches!(host.root.resolve(p).and_then(|p| host.root.stat(&p)), Ok(Some(m)) if m.size > 0))
                .map(|p| p.display().to_string())
                .collect(),
            unit: services.state(&place.unit())?.exists(),
        };
        let misses = admin::misses(&seen, id, cloud);
        if misses.is_empty() {
            return Ok(());
        }
        let text = crate::host::facts::tail(&host.root, &place.log(), 256 << 10).unwrap_or_default();
        let mut error = anyhow!(hint(format!("the agent's own words: {}", place.log().display())));
        for known in log::explain(&text) {
            error =
                error.context(hint(known.hint)).context(format!("its log says: {} ({})", known.meaning, known.line));
        }
        Err(error.context(format!("the agent's programs ended without an error, but {}", misses.join("; "))))
    }

    fn stars(&self) -> Stars {
        let mut stars = Stars::default();
        stars.add(self.onboarding.key.secret());
        if let Some(proxy) = &self.onboarding.proxy {
            stars.add(&proxy.with_credentials());
            proxy.password.iter().for_each(|p| stars.add(p));
        }
        stars
    }
}

/// The folder of a workspace under the name that the agent gave it.
pub fn folder_of(root: &Root, id: &str) -> Workspace {
    let names = root.list(Path::new(paths::CONF)).unwrap_or_default();
    let found = names.iter().filter_map(|n| n.to_str()).find(|n| n.eq_ignore_ascii_case(id));
    Workspace::new(found.unwrap_or(id))
}

pub fn is_installed(root: &Root) -> bool {
    matches!(root.stat(Path::new(OMSADMIN)), Ok(Some(_)))
}

/// Removes an agent that was not there before this run; what to say about it, `None` if nothing was there.
pub fn take_away(host: &Host, ui: &Ui, bundle: Option<&Path>) -> Option<String> {
    if !matches!(host.root.stat(Path::new(paths::HOME)), Ok(Some(_))) {
        return None;
    }
    let progress = ui.progress("removing the agent again");
    let result = super::remove::purge(host, bundle);
    drop(progress);
    Some(match result {
        Ok(()) => "what was installed of it was removed again".to_owned(),
        Err(e) => format!("what was installed of it could not be removed ({e:#}): run `cefctl uninstall --agent`"),
    })
}

fn how_far(have: u64, total: Option<u64>, per_second: f64) -> String {
    let of = total.map(|t| format!(" of {:.1}", megabytes(t))).unwrap_or_default();
    format!("downloading the Log Analytics agent: {:.1}{of} MB, {:.1} MB/s", megabytes(have), per_second / 1e6)
}

#[allow(clippy::cast_precision_loss)] // for people
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn last_words(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n")
}

fn said(ui: &Ui, stars: &Stars, output: &Output) {
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        ui.detail(&stars.hide(&crate::ui::text::visible(line)));
    }
}

fn not_run(error: &RunError, what: &str) -> anyhow::Error {
    match error {
        RunError::Timeout(_, limit) => anyhow!("{what} did not end within {} minutes", limit.as_secs() / 60),
        other => anyhow!("{what} could not be run: {other}"),
    }
}

fn failed(what: &str, code: i32, meaning: codes::Meaning, words: &str) -> anyhow::Error {
    let mut message = format!("{what} ended with code {code}: {}", meaning.cause);
    if !words.is_empty() {
        message.push_str(&format!("\n  its last words: {}", crate::ui::text::visible(words).replace('\n', "\n    ")));
    }
    anyhow!(hint(meaning.remedy)).context(message)
}

/// `/etc/omsagent-onboard.conf` while it is needed: a link to a file that is only in memory. Nothing of the key is ever
/// on a disk, and it is gone with this process, however that ends; the dangling link is removed by the next run.
struct OnboardFile<'a> {
    root: &'a Root,
    _file: MemFile,
}

impl<'a> OnboardFile<'a> {
    fn put(root: &'a Root, onboarding: &Onboarding) -> anyhow::Result<Self> {
        let file = MemFile::new(&onboarding.file(), false).context("cannot keep the key in memory")?;
        let link = Path::new(ONBOARD_FILE);
        root.symlink(link, &file.path(), (0, 0)).with_context(|| format!("cannot make {ONBOARD_FILE}"))?;
        Ok(OnboardFile { root, _file: file })
    }

    /// omsadmin removes it when it has done all.
    fn is_there(&self) -> bool {
        !matches!(self.root.stat(Path::new(ONBOARD_FILE)), Ok(None))
    }
}

impl Drop for OnboardFile<'_> {
    fn drop(&mut self) {
        let _ = self.root.remove_file(Path::new(ONBOARD_FILE));
    }
}

/// The folder for the bundle, gone at the end.
struct Cache<'a> {
    root: &'a Root,
    bundle: PathBuf,
}

impl<'a> Cache<'a> {
    fn make(root: &'a Root) -> anyhow::Result<Self> {
        tidy(root);
        let there = |p: &str| matches!(root.stat(Path::new(p)), Ok(Some(_)));
        for (dir, mode) in [("/var/cache", 0o755), (CACHE, 0o700)] {
            if !there(dir) {
                root.create_dir(Path::new(dir), mode, None).with_context(|| format!("cannot make the folder {dir}"))?;
            }
        }
        match root.stat(Path::new(CACHE))? {
            Some(m) if m.kind == crate::host::FileKind::Dir && m.mode & 0o022 == 0 && m.uid == 0 => {}
            _ => {
                return Err(fail(
                    Exit::Problems,
                    format!("{CACHE} is no folder that only root may write to"),
                    format!("look at what it is (ls -ld {CACHE}) and move it away"),
                ));
            }
        }
        Ok(Cache { root, bundle: Path::new(CACHE).join("omsagent.sh") })
    }
}

impl Drop for Cache<'_> {
    fn drop(&mut self) {
        tidy(self.root);
    }
}

/// Removes what a killed run has left: the bundle, and the link to a key that is gone.
pub fn tidy(root: &Root) {
    let _ = root.remove_file(&Path::new(CACHE).join("omsagent.sh"));
    let _ = root.remove_temps(Path::new(CACHE));
    let _ = root.remove_dir(Path::new(CACHE));
    if let Ok(Some(meta)) = root.stat(Path::new(ONBOARD_FILE))
        && meta.target.is_some_and(|t| t.starts_with("/proc"))
    {
        let _ = root.remove_file(Path::new(ONBOARD_FILE));
    }
}
