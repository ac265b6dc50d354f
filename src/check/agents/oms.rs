//! The Log Analytics agent as a whole: there, out of support, in how many workspaces, changed from the portal.

use super::{bad_mount, broken_package, process, the_oms, workspaces};
use crate::agent::AgentKind;
use crate::agent::ama::version::Version;
use crate::agent::oms::{RETIRED, paths};
use crate::check::case::Case;
use crate::check::outcome::{Judged, Outcome};
use crate::check::words;
use crate::report::{Fix, shell_quote};

/// First version with both fixes of the plugins (facts 1.1, 1.12).
const FIRST_GOOD: [u32; 3] = [1, 13, 33];

pub fn installed(case: &Case<'_>) -> Judged {
    super::meant(case, AgentKind::Oms)?;
    let install =
        "install the Azure Monitor Agent, its successor; only where that is impossible, the Log Analytics agent again";
    let Some(oms) = &case.facts.agent_states.oms else {
        return Ok(Outcome::fail("the Log Analytics agent is not installed")
            .seen(paths::OMSADMIN, "not there")
            .advise(install)
            .command(case.install_command()));
    };
    if let Some((package, text)) = broken_package(&oms.packages) {
        return Ok(Outcome::fail(format!("the Log Analytics agent's {text}"))
            .seen("package manager", &text)
            .advise("let the package manager finish its work, or remove the package and install it again")
            .command("sudo dpkg --configure -a")
            .command(format!("dpkg -s {}", shell_quote(&package.name))));
    }
    let listed = oms.packages.0.as_ref().map(|p| p.first());
    let version = match listed {
        Ok(Some(package)) => Some(package.version.clone()),
        _ => oms.noted_version.clone(),
    };
    let runs = process(case, AgentKind::Oms);
    if !oms.program && runs.is_none() {
        let left = oms
            .workspaces
            .iter()
            .map(|w| (paths::Workspace::new(w.id.as_str()).folder().to_string_lossy().into_owned(), "left over"));
        return Ok(Outcome::fail("the Log Analytics agent's program is gone, only what it left behind is there")
            .seen(paths::OMSADMIN, "not there")
            .seen_all(left)
            .seen_all(version.map(|v| ("package manager", format!("version {v} is installed"))))
            .advise(install)
            .command(case.install_command()));
    }
    if let Some((source, text)) = bad_mount(case, paths::HOME, true) {
        return Ok(Outcome::fail("the agent's programs may not be started from where they are")
            .seen(source, text)
            .advise("mount that file system without noexec"));
    }
    let old = version.as_deref().and_then(Version::parse).filter(|v| !v.is_at_least(&FIRST_GOOD));
    if let Some(old) = old {
        return Ok(Outcome::warn(format!(
            "the Log Analytics agent {old} is older than 1.13.33 and has known faults with security events"
        ))
        .seen("version", old.to_string())
        .advise("update it, or better: move to the Azure Monitor Agent"));
    }
    Ok(match (version, listed) {
        (Some(version), Ok(Some(_))) => Outcome::pass(format!("the Log Analytics agent {version} is installed")),
        (version, _) => {
            let version = version.map(|v| format!(" {v}")).unwrap_or_default();
            let out = Outcome::pass(format!("the Log Analytics agent{version} is there, though not as a package"));
            out.seen_all(runs.map(|p| ("process", p.display())))
        }
    })
}

pub fn retired(case: &Case<'_>) -> Judged {
    the_oms(case)?;
    Ok(Outcome::warn(RETIRED)
        .seen("retirement", "31 August 2024; uploads are taken away step by step since 1 February 2025")
        .advise("move this collector to the Azure Monitor Agent while this one still uploads: both must not run side by side for long")
        .command("cefctl install --agent ama --dry-run"))
}

pub fn multi_homing(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let all = workspaces(oms)?;
    let [only] = all else {
        let line = |w: &crate::check::agent_facts::OmsWorkspace| {
            let input = match super::input::security(w).next() {
                _ if w.admin.is_none() => "left over: omsadmin.conf is missing",
                Some(_) => "takes security events",
                None => "no input for security events",
            };
            (format!("workspace {}", w.id), input)
        };
        return Ok(Outcome::warn(format!(
            "the agent belongs to {}: {}",
            words::count(all.len(), "workspace"),
            ids(all)
        ))
        .seen_all(all.iter().map(line))
        .advise("the Log Analytics agent for Linux is made for one workspace; take the ones that are not meant away")
        .command(format!("sudo {} -l", paths::OMSADMIN))
        .command(format!("# for each that is not meant: sudo {} -x WORKSPACE", paths::OMSADMIN)));
    };
    Ok(Outcome::pass(format!("the agent belongs to one workspace, {}", only.id)))
}

fn ids(all: &[crate::check::agent_facts::OmsWorkspace]) -> String {
    words::list(&all.iter().map(|w| w.id.as_str()).collect::<Vec<_>>())
}

pub fn portal_sync(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let sync = &oms.sync;
    if sync.off {
        return Ok(Outcome::pass("the portal changes nothing on this box").seen(paths::SYNC_OFF, "there"));
    }
    if sync.seen.is_empty() {
        return Ok(Outcome::pass("nothing on this box takes its configuration from the portal"));
    }
    let rewritten = sync.rewritten.map(|t| {
        let ago = super::span(case.facts.taken - t);
        ("/etc/rsyslog.d/95-omsagent.conf", format!("last written {ago} ago"))
    });
    let crossed = crossed_ports(case);
    let text = match crossed.is_empty() {
        true => "the portal may rewrite this box's syslog forwarding every 15 minutes",
        false => "the portal has rewritten the syslog forwarding: its file sends to the port of security events",
    };
    let out = Outcome::warn(text)
        .seen(paths::SYNC_OFF, "not there")
        .seen_all(sync.seen.iter().map(|s| (s.as_str(), "the agent of the portal's configuration")))
        .seen_all(rewritten)
        .seen_all(crossed)
        .advise("switch the portal's configuration off on this box");
    let out = match &sync.helper {
        Some((python, script)) => out.command(format!("sudo su omsagent -c '{python} {script} --disable'")),
        None => out.command(format!("sudo touch {}", paths::SYNC_OFF)),
    };
    Ok(out.fix(Fix::NoPortalSync))
}

/// Statements in the file of the portal that send to the port of security events.
fn crossed_ports(case: &Case<'_>) -> Vec<(String, String)> {
    let Ok(config) = case.config() else { return Vec::new() };
    let theirs = |f: &crate::check::pipeline::Forward| f.at.file.ends_with("95-omsagent.conf");
    let crossed = |f: &crate::check::pipeline::Forward| theirs(f) && f.number == Some(case.target.agent_port);
    config.forwards().iter().filter(|f| crossed(f)).map(|f| (f.at.to_string(), f.describe())).collect()
}
