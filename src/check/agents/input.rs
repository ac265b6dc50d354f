//! The Log Analytics agent's input for security events: parsed as fluentd parses it, its pattern tried on samples, its files
//! readable for the agent's own user (facts 1.11).

use super::{process, the_oms, workspaces};
use crate::agent::AgentKind;
use crate::agent::oms::{fluentd, paths};
use crate::check::agent_facts::{InputFile, OmsWorkspace, Source};
use crate::check::case::Case;
use crate::check::facts::decode_path;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::words;
use crate::host::{FileKind, root_glob};
use crate::platform::access::{self, Who};
use crate::report::{Fix, shell_quote};

const TAG: &str = "oms.security";

/// Inputs for security events, with their files.
pub fn security(workspace: &OmsWorkspace) -> impl Iterator<Item = (&InputFile, &Source)> {
    let is = |s: &&Source| s.tag == TAG || s.tag.starts_with("oms.security.");
    let files = workspace.main.iter().chain(&workspace.inputs);
    files.flat_map(move |f| f.sources.iter().filter(is).map(move |s| (f, s)))
}

pub fn config(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let all = workspaces(oms)?;
    let files = || all.iter().flat_map(|w| w.main.iter().chain(&w.inputs));
    let mend = |out: Outcome| out.advise("write the agent's input anew").command(case.install_command()).fixable();
    if let Some((file, line, what)) = files().find_map(|f| f.malformed.as_ref().map(|(l, w)| (f, *l, w))) {
        let out = Outcome::fail(format!("the agent cannot read {}: {what}", file.path))
            .seen(format!("{}:{line}", file.path), what)
            .seen(format!("{} begins with", file.path), &file.head);
        return Ok(if is_own(file) {
            mend(out)
        } else {
            out.advise("correct or remove that file, then restart the agent")
                .command(super::restart(AgentKind::Oms, None))
        });
    }
    let Some((workspace, (file, source))) = all.iter().find_map(|w| Some((w, security(w).next()?))) else {
        let folder =
            |f: &&InputFile| is_own(f) && f.walk.last().is_some_and(|s| s.path == f.path && s.kind == FileKind::Dir);
        if let Some(file) = files().find(folder) {
            let place = shell_quote(&file.path);
            return Ok(Outcome::fail("a folder lies where the agent's input for security events belongs")
                .seen(&file.path, "a folder")
                .advise("move it away, then have the file written")
                .command(format!("sudo mv {place} /root/"))
                .command(case.install_command()));
        }
        if let Some(why) = files().find_map(|f| f.unread.as_ref()) {
            return Err(NotJudged::Unknown(why.clone()));
        }
        return Ok(mend(no_input(all)));
    };
    let at = format!("{}:{}", file.path, source.line);
    if let Some(out) = not_included(workspace, file).or_else(|| wrong_socket(case, source, &at)) {
        return Ok(mend(out));
    }
    if let Some(out) = doubled(all, file, source, &at) {
        return Ok(out);
    }
    if !files()
        .flat_map(|f| &f.filters)
        .any(|(tag, kind)| kind == "filter_syslog_security" && fluentd::tag_matches(tag, &source.tag))
    {
        return Ok(mend(
            Outcome::fail("the filter that makes security events of lines is missing: they are uploaded as nothing")
                .seen(&file.path, "no <filter oms.security.**> of type filter_syslog_security"),
        ));
    }
    if let Some(out) = pattern(source, &at) {
        return Ok(mend(out));
    }
    let bind = source.bind.as_deref().unwrap_or("0.0.0.0");
    if !is_loopback(bind) {
        return Ok(mend(
            Outcome::warn(format!("the agent's input is open to the network: it listens on {bind}"))
                .seen(at, format!("bind {bind}")),
        ));
    }
    Ok(Outcome::pass(format!(
        "the agent takes CEF and ASA on {bind}:{} over TCP",
        source.port.as_deref().unwrap_or_default()
    ))
    .seen(at, "in order"))
}

/// The file that `install` writes; one of another input is somebody else's to mend.
fn is_own(file: &InputFile) -> bool {
    file.path.ends_with("/security_events.conf")
}

fn no_input(all: &[OmsWorkspace]) -> Outcome {
    let mut out = Outcome::fail("the agent has no input for security events");
    for workspace in all {
        let path = paths::Workspace::new(workspace.id.as_str()).security_events().to_string_lossy().into_owned();
        let text = match workspace.inputs.iter().find(|f| f.path == path) {
            None => "not there".to_owned(),
            Some(f) if f.size == 0 => "empty: its download failed".to_owned(),
            Some(f) if f.sources.is_empty() => "has no <source>".to_owned(),
            Some(f) => format!("has no <source> with tag {TAG}, only {}", words::list(&tags(f))),
        };
        out = out.seen(path, text);
    }
    out
}

fn tags(file: &InputFile) -> Vec<String> {
    file.sources.iter().map(|s| if s.tag.is_empty() { "one without a tag".into() } else { s.tag.clone() }).collect()
}

/// Files in `omsagent.d` count because `omsagent.conf` takes them in.
fn not_included(workspace: &OmsWorkspace, file: &InputFile) -> Option<Outcome> {
    let main = workspace.main.as_ref().filter(|m| m.unread.is_none() && m.path != file.path)?;
    let folder = main.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let takes = |pattern: &String| {
        let whole = if pattern.starts_with('/') { pattern.clone() } else { format!("{folder}/{pattern}") };
        let (a, b): (Vec<&str>, Vec<&str>) = (whole.split('/').collect(), file.path.split('/').collect());
        a.len() == b.len() && a.iter().zip(&b).all(|(p, n)| p == n || root_glob::matches(p.as_ref(), n.as_ref()))
    };
    (!main.includes.iter().any(takes)).then(|| {
        let found = if main.includes.is_empty() {
            "no @include".into()
        } else {
            format!("@include {}", main.includes.join(", "))
        };
        Outcome::fail(format!("{} is not part of the agent's configuration: nothing takes it in", file.path))
            .seen(&main.path, found)
    })
}

fn wrong_socket(case: &Case<'_>, source: &Source, at: &str) -> Option<Outcome> {
    let number = source.port.as_deref().map(|p| p.parse::<u16>().ok().filter(|n| *n != 0));
    let number = match number {
        None => return Some(Outcome::fail("the agent's input names no port").seen(at, "no `port` line")),
        Some(None) => {
            let text = source.port.as_deref().unwrap_or_default();
            return Some(
                Outcome::fail(format!("the agent's input names `{text}`, which is no port"))
                    .seen(at, format!("port {text}")),
            );
        }
        Some(Some(number)) => number,
    };
    if source.kind != "syslog" {
        let text = if source.kind.is_empty() { "no type".into() } else { format!("type {}", source.kind) };
        return Some(Outcome::fail("the agent's input is not of type syslog").seen(at, text));
    }
    if source.protocol.as_deref() != Some("tcp") {
        let text = source
            .protocol
            .as_ref()
            .map_or_else(|| "no `protocol_type` line, which means udp".into(), |p| format!("protocol_type {p}"));
        return Some(
            Outcome::fail("the agent takes security events over UDP, the daemon sends them over TCP").seen(at, text),
        );
    }
    let bind = source.bind.as_deref().unwrap_or("0.0.0.0");
    if !is_loopback(bind) && !matches!(bind, "0.0.0.0" | "::") {
        return Some(
            Outcome::fail(format!("the agent listens on {bind}, the daemon sends to 127.0.0.1"))
                .seen(at, format!("bind {bind}")),
        );
    }
    let asked = case.target.agent_port_from == "--agent-port";
    (asked && number != case.target.agent_port).then(|| {
        Outcome::fail(format!("the agent takes security events on port {number}, not on {}", case.target.agent_port))
            .seen(at, format!("port {number}"))
    })
}

fn is_loopback(bind: &str) -> bool {
    bind == "localhost" || bind.starts_with("127.")
}

/// Another input on the same port: the agent starts neither or only one of them.
fn doubled(all: &[OmsWorkspace], file: &InputFile, source: &Source, at: &str) -> Option<Outcome> {
    let files = all.iter().flat_map(|w| w.main.iter().chain(&w.inputs));
    let mut same = files.flat_map(|f| f.sources.iter().map(move |s| (f, s))).filter(|(f, s)| {
        let itself = f.path == file.path && s.line == source.line;
        let tcp = s.protocol.as_deref() == Some("tcp") || s.kind == "tcp";
        !itself && s.port == source.port && tcp
    });
    let (other, twin) = same.next()?;
    let port = source.port.as_deref().unwrap_or_default();
    Some(
        Outcome::fail(format!("two inputs of the agent want port {port}: the second one fails with EADDRINUSE"))
            .seen(at, format!("port {port}"))
            .seen(format!("{}:{}", other.path, twin.line), format!("port {port}"))
            .advise("keep one of them, then restart the agent")
            .command(super::restart(AgentKind::Oms, None))
            .fixable_if(other.path == file.path && is_own(file)),
    )
}

/// What the text behind `<PRI>` may look like, by kind.
const SAMPLES: [(&str, &str); 5] = [
    ("CEF", "Aug  1 10:00:00 fw1 CEF:0|V|P|1|100|N|5|src=192.0.2.1"),
    ("CEF", "Aug  1 10:00:00 fw1 CEF: 0|V|P|1|100|N|5|src=192.0.2.1"),
    ("CEF with an ISO time", "2026-08-01T10:00:00.123456+00:00 fw1 CEF:0|V|P|1|100|N|5|src=192.0.2.1"),
    ("ASA", "Aug  1 10:00:00 fw1 %ASA-6-302013: Built outbound"),
    ("ASA with a year", "Aug  1 2026 10:00:00 fw1 : %ASA-6-302013: Built outbound"),
];

/// Tries the pattern, whatever generation it is of, on events of each kind.
fn pattern(source: &Source, at: &str) -> Option<Outcome> {
    let Some(format) = source.format.as_deref() else {
        return Some(
            Outcome::fail("the agent's input has no pattern: it takes nothing for a security event")
                .seen(at, "no `format` line"),
        );
    };
    let body = format.strip_prefix('/').and_then(|f| f.rsplit_once('/')).map(|(body, _)| body);
    let shown: String = format.chars().take(100).collect();
    let Some(body) = body else {
        return Some(
            Outcome::fail(format!(
                "the agent's input has the format `{shown}` instead of the pattern for security events"
            ))
            .seen(at, format!("format {shown}")),
        );
    };
    let regex = match fancy_regex::Regex::new(body) {
        Ok(regex) => regex,
        Err(e) => {
            let why = e.to_string();
            return Some(
                Outcome::warn("the pattern of the agent's input cannot be judged")
                    .seen(at, format!("format {shown}"))
                    .seen("pattern", why),
            );
        }
    };
    let fits = |sample: &str| {
        let Ok(Some(found)) = regex.captures(sample) else { return false };
        let group = |name: &str| found.name(name).map_or("", |m| m.as_str());
        let cef = !sample.contains("CEF") || (group("ident").contains("CEF") && group("message").starts_with("0|"));
        let asa = !sample.contains("%ASA") || group("ident").starts_with("%ASA-6-302013");
        !group("time").is_empty() && cef && asa
    };
    let mut lost: Vec<&str> = SAMPLES.iter().filter(|(_, text)| !fits(text)).map(|(kind, _)| *kind).collect();
    lost.dedup();
    if lost.is_empty() {
        return None;
    }
    let text = format!(
        "the pattern of the agent's input does not take {}: it is an older or a damaged one",
        words::list(&lost)
    );
    let whole = lost.iter().any(|k| matches!(*k, "CEF" | "ASA"));
    let out = if whole { Outcome::fail(text) } else { Outcome::warn(text) };
    let tried = SAMPLES
        .iter()
        .filter(|(kind, _)| lost.contains(kind))
        .map(|(kind, line)| (format!("{kind}, not taken"), *line));
    Some(out.seen(at, format!("format {shown}")).seen_all(tried))
}

pub fn permissions(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let all = workspaces(oms)?;
    let as_process = process(case, AgentKind::Oms).map(|p| Who {
        uid: p.uid,
        gid: p.gid,
        groups: p.groups.clone(),
        capabilities: p.cap_effective,
    });
    let Some(who) = as_process.or_else(|| oms.user.clone()) else {
        return Err(format!("the agent does not run, and there is no user {} to judge for", paths::USER).into());
    };
    let mut judged = 0;
    for workspace in all {
        let inputs = workspace.main.iter().chain(&workspace.inputs).map(|f| (f.path.as_str(), &f.walk));
        let keys = workspace.certificates.iter().filter(|c| c.exists).map(|c| (c.path.as_str(), &c.walk));
        for (path, walk) in inputs.chain(keys) {
            if walk.is_empty() {
                continue;
            }
            judged += 1;
            if let Err(denied) = access::may(&who, walk, access::READ) {
                let place = walk.iter().find(|s| s.path == denied.path);
                let access = place.map(|s| access_for(&who, s, denied.path == path));
                let restart = crate::check::agent::unit(case).map(Fix::Restart);
                return Ok(unreadable(&who, path, &denied).fix_all(access).fix_all(restart));
            }
        }
    }
    match judged {
        0 => Err(NotJudged::Blocked("agent.input-config", "there is no file to judge".into())),
        n => Ok(Outcome::pass(format!("the agent (user {}) may read its {}", who.uid, words::count(n, "file")))),
    }
}

/// A file becomes the agent's own; a folder stays whose it is and lets others pass.
fn access_for(who: &Who, step: &access::Step, file: bool) -> Fix {
    let path = decode_path(&step.path);
    match file {
        true => Fix::Access { path, mode: step.mode | 0o400, owner: Some((who.uid, who.gid)) },
        // Folders of the agent's own are listed by it, too.
        false if step.path.starts_with(paths::CONF) => {
            Fix::Access { path, mode: step.mode | 0o500, owner: Some((who.uid, who.gid)) }
        }
        false => Fix::Access { path, mode: step.mode | 0o001, owner: None },
    }
}

fn unreadable(who: &Who, path: &str, denied: &access::Denied) -> Outcome {
    let quoted = shell_quote(&denied.path);
    let out = Outcome::fail(format!("the agent may not read {path}"))
        .seen(&denied.path, &denied.why)
        .seen("the agent runs as", format!("user {}, group {}, groups {:?}", who.uid, who.gid, who.groups))
        .advise("give the file or folder to the agent, then restart it");
    let out = if denied.path == path {
        out.command(format!("sudo chown {}:{} {quoted}", paths::USER, paths::GROUP))
            .command(format!("sudo chmod u+r {quoted}"))
    } else {
        out.command(format!("sudo chmod o+x {quoted}"))
    };
    out.command(super::restart(AgentKind::Oms, None))
}
