//! Is the Log Analytics agent onboarded: configuration complete, certificate there and valid, to the workspace and cloud that
//! are meant, and no key left behind (facts 1.4, 1.6, 1.7)?

use super::{the_oms, workspaces};
use crate::agent::cloud::Cloud;
use crate::agent::oms::{admin, paths};
use crate::check::agent_facts::{Certificate, OmsState, OmsWorkspace};
use crate::check::case::Case;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::words;
use crate::report::{Fix, shell_quote};

/// A certificate that ends sooner than this is worth a word, in seconds.
const SOON: i64 = 14 * 86_400;

pub fn onboarded(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let again = |out: Outcome| out.advise("onboard it again with the workspace's id and key").command(onboard(case));
    let Ok(all) = workspaces(oms) else {
        let out = Outcome::fail("the agent is installed, but not onboarded to any workspace")
            .seen(paths::CONF, "no folder of a workspace")
            .seen_all(left_over(oms));
        return Ok(again(out));
    };
    if let Some(asked) = &case.target.workspace
        && !all.iter().any(|w| w.id.eq_ignore_ascii_case(asked.trim()))
    {
        let there: Vec<&str> = all.iter().map(|w| w.id.as_str()).collect();
        let out = Outcome::fail(format!("the agent belongs to {}, not to workspace {asked}", words::list(&there)))
            .seen_all(all.iter().map(|w| (admin_path(w), "this workspace")));
        return Ok(again(out));
    }
    // The workspace that was asked for, else each of them.
    let asked = |w: &&OmsWorkspace| case.target.workspace.as_ref().is_none_or(|a| w.id.eq_ignore_ascii_case(a.trim()));
    // What is left of one beside one to which the agent belongs is told by agent.multi-homing.
    let whole = all.iter().any(|w| w.admin.is_some());
    let counts = |w: &&OmsWorkspace| w.admin.is_some() || !whole || case.target.workspace.is_some();
    for workspace in all.iter().filter(asked).filter(counts) {
        if let Some(fault) = fault(case, workspace)? {
            return Ok(again(fault.seen_all(left_over(oms))));
        }
    }
    if oms.onboard_file {
        return Ok(Outcome::warn("the file with the workspace key that onboarding reads was left behind")
            .seen(paths::ONBOARD_FILE, "there; it holds the key in plain text")
            .advise("remove it: the agent is onboarded and does not need it")
            .command(format!("sudo rm {}", paths::ONBOARD_FILE))
            .fix(Fix::Remove(paths::ONBOARD_FILE.into())));
    }
    let ending = all.iter().flat_map(|w| &w.certificates).filter_map(|c| Some((c, c.not_after?)));
    if let Some((certificate, end)) =
        ending.min_by_key(|(_, end)| *end).filter(|(_, end)| end - case.facts.taken < SOON)
    {
        return Ok(Outcome::warn(format!("the agent's certificate ends in {}", super::span(end - case.facts.taken)))
            .seen(&certificate.path, date(end))
            .advise(
                "the agent renews it by itself while it runs and reaches the service; if it does not, onboard it again",
            )
            .command(onboard(case)));
    }
    let ids: Vec<&str> = all.iter().map(|w| w.id.as_str()).collect();
    Ok(Outcome::pass(format!("onboarded to workspace {}", words::list(&ids))))
}

fn onboard(case: &Case<'_>) -> String {
    let workspace = case.target.workspace.as_deref().unwrap_or("WORKSPACE");
    format!("sudo cefctl install --agent oms {} --key-file FILE", shell_quote(workspace))
}

fn admin_path(workspace: &OmsWorkspace) -> String {
    paths::Workspace::new(workspace.id.as_str()).omsadmin_conf().to_string_lossy().into_owned()
}

fn left_over(oms: &OmsState) -> Option<(&'static str, &'static str)> {
    oms.onboard_file
        .then_some((paths::ONBOARD_FILE, "left behind by an onboarding that did not succeed; it holds the key"))
}

fn fault(case: &Case<'_>, workspace: &OmsWorkspace) -> Result<Option<Outcome>, NotJudged> {
    let path = admin_path(workspace);
    let pairs = match &workspace.admin {
        None => {
            let text = format!("the agent was never fully onboarded to {}: omsadmin.conf is missing", workspace.id);
            return Ok(Some(Outcome::fail(text).seen(path, "not there")));
        }
        Some(pairs) => pairs.as_ref()?,
    };
    let missing = admin::missing(pairs);
    if !missing.is_empty() {
        let text = format!("omsadmin.conf of {} is incomplete: {} missing", workspace.id, words::list(&missing));
        let all = admin::KEYS.len();
        return Ok(Some(
            Outcome::fail(text).seen(&path, format!("{} of {all} entries are there", all - missing.len())),
        ));
    }
    let get = |key: &str| pairs.get(key).map(String::as_str).unwrap_or_default();
    if !get("WORKSPACE_ID").eq_ignore_ascii_case(&workspace.id) {
        let text = format!("omsadmin.conf in the folder of {} names workspace {}", workspace.id, get("WORKSPACE_ID"));
        return Ok(Some(Outcome::fail(text).seen(&path, format!("WORKSPACE_ID={}", get("WORKSPACE_ID")))));
    }
    if let Some(out) = wrong_cloud(case, &path, get("URL_TLD"), get("OMS_ENDPOINT")) {
        return Ok(Some(out));
    }
    Ok(workspace.certificates.iter().find_map(|c| bad_certificate(case, c)))
}

fn wrong_cloud(case: &Case<'_>, path: &str, suffix: &str, endpoint: &str) -> Option<Outcome> {
    let host = endpoint.strip_prefix("https://").unwrap_or(endpoint).split('/').next().unwrap_or_default();
    if !host.is_empty() && !host.ends_with(suffix) {
        return Some(
            Outcome::fail(format!("the agent's endpoint {host} does not belong to its cloud {suffix}"))
                .seen(path, format!("URL_TLD={suffix}"))
                .seen(path, format!("OMS_ENDPOINT={endpoint}")),
        );
    }
    let asked = case.target.asked_cloud.as_deref()?;
    let here = Cloud::of_suffix(suffix).map(Cloud::word);
    (here != Some(asked)).then(|| {
        let here = here.unwrap_or(suffix);
        Outcome::fail(format!("the agent was onboarded to the cloud {here}, not to {asked}"))
            .seen(path, format!("URL_TLD={suffix}"))
    })
}

fn bad_certificate(case: &Case<'_>, certificate: &Certificate) -> Option<Outcome> {
    let what = if certificate.path.ends_with(".key") { "certificate's key" } else { "certificate" };
    match () {
        _ if !certificate.exists => Some(
            Outcome::fail(format!("the agent's {what} is missing: the service does not know it"))
                .seen(&certificate.path, "not there"),
        ),
        _ if certificate.size == 0 => {
            Some(Outcome::fail(format!("the agent's {what} is empty")).seen(&certificate.path, "0 bytes"))
        }
        _ if certificate.not_after.is_some_and(|end| end <= case.facts.taken) => {
            let end = certificate.not_after.unwrap_or_default();
            Some(
                Outcome::fail("the agent's certificate has ended: the service refuses it")
                    .seen(&certificate.path, date(end)),
            )
        }
        () => None,
    }
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| format!("valid until {t}"))
}
