//! What the data collection rules on the box tell the Azure Monitor Agent to collect, as JSON, not as words (facts 3.5).

use std::collections::BTreeSet;

use super::the_ama;
use crate::agent::ama::dcr::{Chunk, Unfit};
use crate::agent::ama::paths;
use crate::agent::ama::rules::{self as dcr, Rule, Stream};
use crate::check::agent_facts::AmaState;
use crate::check::case::Case;
use crate::check::outcome::{Judged, NotJudged, Outcome};
use crate::check::words;

const MAKE: &str = "in the portal: Microsoft Sentinel, Data connectors, Common Event Format via AMA: make a data collection rule and add this machine to it";

fn path(chunk: &Chunk) -> String {
    format!("{}/{}", paths::CHUNKS, chunk.name)
}

/// All files; none where the folder is missing.
///
/// # Errors
/// They cannot be read by us.
pub fn read(ama: &AmaState) -> Result<&[Chunk], NotJudged> {
    if let Some(files) = &ama.own.chunks {
        files.as_ref()?;
    }
    let unread = |c: &Chunk| match &c.rule {
        Err(Unfit::Unread(why)) => Some(NotJudged::Unknown(format!("{}: {why}", path(c)))),
        _ => None,
    };
    let all = ama.own.chunks();
    all.iter().find_map(unread).map_or(Ok(all), Err)
}

/// Rules that collect something, with their files.
fn rules(all: &[Chunk]) -> Vec<(&Chunk, &Rule)> {
    all.iter().filter_map(|r| Some((r, r.rule.as_ref().ok()?))).filter(|(_, rule)| !rule.is_settings()).collect()
}

pub fn present(case: &Case<'_>) -> Judged {
    let all = read(the_ama(case)?)?;
    let broken = all.iter().filter(|r| r.rule.is_err()).count();
    let rules = rules(all);
    if rules.is_empty() && broken == 0 {
        let text = match all.len() {
            0 => "no data collection rule has come to this machine: the agent collects nothing",
            _ => {
                "only the agent's own settings have come to this machine, no data collection rule: it collects nothing"
            }
        };
        let out = Outcome::fail(text)
            .seen(paths::CHUNKS, format!("{} with a rule", words::count(0, "file")))
            .seen_all(all.iter().map(|r| (path(r), "settings of the agent")))
            .advise(MAKE)
            .command(format!("sudo ls -l {}", paths::CHUNKS));
        return super::unless_cut_off(case, out);
    }
    Ok(Outcome::pass(format!("{} on this machine", words::count(rules.len() + broken, "data collection rule")))
        .seen_all(all.iter().map(|r| (path(r), says(&r.rule)))))
}

/// `CEF of local4 (Warning and worse)`
fn says(rule: &Result<Rule, Unfit>) -> String {
    let rule = match rule {
        Ok(rule) => rule,
        Err(why) => return why.to_string(),
    };
    let mut parts: Vec<String> = rule.syslog.iter().map(source).collect();
    if rule.is_settings() {
        parts.push("settings of the agent".into());
    } else if !rule.others.is_empty() {
        parts.push(format!("also {}", rule.others.iter().cloned().collect::<Vec<_>>().join(", ")));
    }
    if parts.is_empty() { "no data source".into() } else { parts.join("; ") }
}

fn source(source: &dcr::SyslogSource) -> String {
    let streams: BTreeSet<&str> = source.streams.iter().map(|s| Stream::of(s).word()).collect();
    let streams: Vec<&str> = streams.into_iter().collect();
    let streams = if streams.is_empty() { "no stream".to_owned() } else { words::list(&streams) };
    format!("{streams} of {} ({})", source.facilities.join(", "), source.levels_shown())
}

pub fn valid(case: &Case<'_>) -> Judged {
    let all = read(the_ama(case)?)?;
    let mut faults = Vec::new();
    for read in all {
        match &read.rule {
            Err(why) => faults.push((path(read), why.to_string())),
            Ok(rule) => faults.extend(rule.faults().into_iter().map(|f| (path(read), f))),
        }
    }
    let Some((file, first)) = faults.first().cloned() else {
        return Ok(Outcome::pass(format!("{} and complete", words::count(all.len(), "file"))));
    };
    let name = file.rsplit('/').next().unwrap_or(&file);
    // A whole one beside it collects security events all the same.
    let whole = |rule: &Rule| rule.faults().is_empty() && [Stream::Cef, Stream::Asa].iter().any(|s| rule.has(*s));
    let what = format!("rule {name} is not valid: {first}");
    let out = match rules(all).iter().any(|(_, rule)| whole(rule)) {
        true => Outcome::warn(format!("{what}; what it should collect is missing")),
        false => Outcome::fail(what),
    };
    Ok(out
        .seen_all(faults.iter().map(|(p, f)| (p, f)))
        .advise("correct the rule in the portal; a damaged file comes anew when the agent is restarted")
        .command(super::restart(crate::agent::AgentKind::Ama, None)))
}

pub fn stream(case: &Case<'_>) -> Judged {
    let all = read(the_ama(case)?)?;
    let rules = rules(all);
    let broken = all.iter().any(|r| r.rule.is_err());
    let evidence = || rules.iter().map(|(r, _)| (path(r), says(&r.rule)));
    let has = |stream: Stream| rules.iter().any(|(_, rule)| rule.has(stream));
    let there: Vec<&str> = [Stream::Cef, Stream::Asa].into_iter().filter(|s| has(*s)).map(Stream::word).collect();
    if !there.is_empty() {
        return Ok(Outcome::pass(format!(
            "{} collected",
            if there.len() == 1 { format!("{} is", there[0]) } else { "CEF, ASA and FTD are".into() }
        ))
        .seen_all(evidence()));
    }
    if broken {
        return Err(NotJudged::Blocked("ama.dcr-valid", "a rule cannot be read".into()));
    }
    let text = match (has(Stream::Syslog), rules.is_empty()) {
        (_, true) => return Err(NotJudged::Blocked("ama.dcr-present", "there is no rule".into())),
        (true, _) => "no rule collects security events: they end as plain text in the table Syslog",
        (false, _) => "no rule collects security events: the agent throws them away",
    };
    Ok(Outcome::fail(text)
        .seen_all(evidence())
        .seen("wanted", "stream SECURITY_CEF_BLOB (CEF) or SECURITY_CISCO_ASA_BLOB (ASA, FTD)")
        .advise(MAKE))
}

pub fn duplicate(case: &Case<'_>) -> Judged {
    let all = read(the_ama(case)?)?;
    let rules = rules(all);
    if rules.is_empty() {
        return Err(NotJudged::Skip("there is no rule that can be read".into()));
    }
    let only: Vec<&Rule> = rules.iter().map(|(_, rule)| *rule).collect();
    let place = |at: usize| rules.get(at).map(|(r, _)| path(r)).unwrap_or_default();
    let twice = dcr::stored_twice(&only);
    let Some((_, _, names)) = twice.first() else {
        return Ok(sent_twice(&dcr::sent_twice(&only), place));
    };
    let seen = twice.iter().flat_map(|(a, b, names)| {
        let names = words::list(names);
        [(place(*a), format!("{names}: security events")), (place(*b), format!("{names}: Syslog"))]
    });
    let all_names = if names.iter().any(|n| n == "*") { "every facility".to_owned() } else { words::list(names) };
    Ok(Outcome::warn(format!("events of {all_names} are collected as security events and as Syslog: each is stored and billed twice"))
        .seen_all(seen)
        .advise("take the facility out of the Syslog rule, or give that rule (the Syslog one) the transformation `source | where ProcessName !contains \"CEF\"`"))
}

/// Two rules that send the same events to the same place.
fn sent_twice(twice: &[(usize, usize, Stream, Vec<String>)], place: impl Fn(usize) -> String) -> Outcome {
    let Some((_, _, stream, names)) = twice.first() else {
        return Outcome::pass("no facility is collected twice");
    };
    let names = if names.iter().any(|n| n == "*") { "every facility".to_owned() } else { words::list(names) };
    let seen = twice.iter().flat_map(|(a, b, stream, names)| {
        let text = format!("{} of {}", stream.word(), words::list(names));
        [(place(*a), text.clone()), (place(*b), text)]
    });
    Outcome::warn(format!(
        "two rules collect {} of {names} for the same workspace: each event is stored and billed twice",
        stream.word()
    ))
    .seen_all(seen)
    .advise("take the facility, or this machine, out of one of them")
}

pub fn multi_homing(case: &Case<'_>) -> Judged {
    let all = read(the_ama(case)?)?;
    let rules = rules(all);
    if rules.is_empty() {
        return Err(NotJudged::Skip("there is no rule that can be read".into()));
    }
    for stream in [Stream::Cef, Stream::Asa, Stream::Syslog] {
        let of = |rule: &Rule| rule.receivers(stream);
        let receivers: BTreeSet<String> = rules.iter().flat_map(|(_, r)| of(r)).collect();
        if receivers.len() > 1 {
            let names: Vec<&String> = receivers.iter().collect();
            let seen = rules
                .iter()
                .filter(|(_, r)| !of(r).is_empty())
                .map(|(read, r)| (path(read), of(r).into_iter().collect::<Vec<_>>().join(", ")));
            return Ok(Outcome::warn(format!(
                "{} goes to {} workspaces: {}",
                stream.word(),
                receivers.len(),
                words::list(&names)
            ))
            .seen_all(seen)
            .advise("if that is not meant, remove this machine from the rule that is not; each copy is billed"));
        }
    }
    let wanted = case.target.workspace.as_deref().map(str::trim);
    let security =
        || [Stream::Cef, Stream::Asa].into_iter().flat_map(|s| rules.iter().flat_map(move |(_, r)| r.receivers(s)));
    if let Some(wanted) = wanted
        && security().next().is_some()
        && !security().any(|r| r.eq_ignore_ascii_case(wanted))
    {
        let there: BTreeSet<String> = security().collect();
        return Ok(Outcome::warn(format!(
            "security events go to {}, not to workspace {wanted}",
            words::list(&there.iter().collect::<Vec<_>>())
        ))
        .seen_all(rules.iter().map(|(read, rule)| {
            (path(read), rule.channels.iter().map(dcr::Channel::receiver).collect::<Vec<_>>().join(", "))
        }))
        .advise("change the destination of the rule, or name the right workspace"));
    }
    Ok(Outcome::pass("each stream goes to one workspace"))
}

/// Does any rule want syslog, so that the agent puts its file into the daemon's configuration?
pub fn wants_syslog(ama: &AmaState) -> Result<bool, NotJudged> {
    read(ama)?;
    ama.own.wants_syslog().ok_or_else(|| NotJudged::Blocked("ama.dcr-valid", "a rule cannot be read".into()))
}
