//! Judgements on what the security modules keep from the daemon.

use super::case::Case;
use super::outcome::{Judged, Outcome};
use super::words;
use crate::host::proc_net::Transport;
use crate::platform::apparmor::{self, Access};
use crate::platform::selinux::{self, Denial, Mode};
use crate::platform::setting::Setting;
use crate::report::{Fix, shell_quote};

const UNUSED: &str = "SELinux is not in use";

pub fn selinux(case: &Case<'_>) -> Judged {
    let Some(facts) = case.facts.security.selinux.as_ref()? else { return Ok(Outcome::pass(UNUSED)) };
    if facts.mode == Mode::Permissive {
        return Ok(Outcome::pass("SELinux is permissive: it refuses nothing"));
    }
    let domain = facts.domain.as_deref().map(selinux::type_of);
    if let Some(free) = domain.filter(|d| d.starts_with("unconfined")) {
        return Ok(Outcome::pass(format!("SELinux is enforcing, but the daemon runs unconfined ({free})")));
    }
    let refused: Vec<&Denial> = facts.denials.iter().flatten().filter(|d| !d.permissive).collect();
    let mut wrong = Vec::new();
    let mut commands = Vec::new();
    let ports = facts.ports.as_ref();
    for (transport, port, use_) in wanted(case) {
        let word = transport.word();
        let label = ports.ok().map(|p| selinux::label_of(p, word, port).unwrap_or("no label of its own"));
        let may = if use_ == "connect to" { selinux::may_connect } else { selinux::may_bind };
        let denied = refused.iter().any(|d| d.port == Some(port) && d.permission.starts_with("name_"));
        if denied || label.is_some_and(|l| !may(l)) {
            let has = label.map(|l| format!(", which has {l}")).unwrap_or_default();
            wrong.push(format!("the daemon may not {use_} {word} port {port}{has}"));
            commands.push(format!("sudo semanage port -a -t {} -p {word} {port}", selinux::SYSLOG_PORT));
        }
    }
    let seen = refused.iter().take(10).map(|d| ("audit", d.line.clone()));
    if let Some(first) = wrong.first() {
        let out = Outcome::fail(format!("SELinux: {first}"))
            .seen_all(wrong.iter().map(|w| ("SELinux, enforcing", w.clone())))
            .seen_all(seen)
            .advise("give the port the label of syslog; turning SELinux off is never needed")
            .fixable();
        let out = if ports.is_err() { out.command("sudo dnf install policycoreutils-python-utils") } else { out };
        return Ok(commands.into_iter().fold(out, Outcome::command));
    }
    if let Some(first) = refused.first() {
        return Ok(translated(first, refused.len()).seen_all(seen));
    }
    match ports {
        Err(why) => Err(format!("SELinux is enforcing, but the labels of ports are not known: {why}").into()),
        Ok(_) => {
            facts.denials.as_ref()?;
            Ok(Outcome::pass("SELinux is enforcing and lets the daemon use its ports"))
        }
    }
}

/// Ports that the daemon needs, and what for.
fn wanted(case: &Case<'_>) -> Vec<(Transport, u16, &'static str)> {
    let t = case.target;
    let mut all = vec![(Transport::Tcp, t.agent_port, "connect to")];
    all.extend(t.doors().iter().map(|d| (d.transport, d.port, "listen on")));
    all
}

/// A refusal in words.
fn translated(denial: &Denial, count: usize) -> Outcome {
    let what = denial.path.clone().unwrap_or_else(|| denial.what.clone());
    let more = if count > 1 { format!(" ({} refusals)", count) } else { String::new() };
    let text = format!("SELinux refuses the daemon {} on {what} ({}){more}", denial.permission, denial.what);
    match denial.class.as_str() {
        "file" | "dir" | "lnk_file" => Outcome::fail(text)
            .advise("give the file the label that the policy has for its place")
            .command(format!("sudo restorecon -Rv {}", shell_quote(&what))),
        _ => Outcome::warn(text)
            .advise("look at what was refused; `ausearch -m AVC -ts recent` shows the lines")
            .command("sudo ausearch -m AVC -ts recent"),
    }
}

pub fn labels(case: &Case<'_>) -> Judged {
    let Some(facts) = case.facts.security.selinux.as_ref()? else { return Ok(Outcome::pass(UNUSED)) };
    let files = facts.files.as_ref()?;
    let wrong: Vec<_> = files.iter().filter(|f| f.wants.as_ref().is_some_and(|w| *w != f.has)).collect();
    let Some(first) = wrong.first() else {
        return Ok(Outcome::pass(format!("{} labelled as the policy wants", words::count(files.len(), "file"))));
    };
    let wants = first.wants.clone().unwrap_or_default();
    let text = format!("{} is labelled {}, and the policy wants {wants}", first.path, first.has);
    let out = match facts.mode {
        Mode::Enforcing => Outcome::fail(text),
        Mode::Permissive => Outcome::warn(text),
    };
    let paths: Vec<String> = wrong.iter().map(|f| shell_quote(&f.path).to_string()).collect();
    Ok(out
        .seen_all(
            wrong
                .iter()
                .map(|f| (f.path.clone(), format!("{}, wanted {}", f.has, f.wants.as_deref().unwrap_or_default()))),
        )
        .advise("restore the labels and restart the daemon")
        .command(format!("sudo restorecon -v {}", paths.join(" ")))
        .command(format!("sudo systemctl restart {}", case.unit_name()))
        .fix_all(wrong.iter().map(|f| Fix::Set(Setting::FileLabel { path: f.path.clone(), had: f.has.clone() })))
        .fix(case.restart()))
}

pub fn apparmor(case: &Case<'_>) -> Judged {
    let Some(facts) = case.facts.security.apparmor.as_ref()? else {
        return Ok(Outcome::pass("AppArmor does not confine the daemon"));
    };
    let name = &facts.confinement.profile;
    if !facts.confinement.enforced {
        return Ok(Outcome::pass(format!("the profile {name} only complains: it refuses nothing")));
    }
    let denials = facts.denials.as_deref().unwrap_or_default();
    let seen = denials.iter().take(10).map(|d| ("kernel log", d.line.clone()));
    if let Ok(profile) = &facts.profile {
        let daemon = case.daemon();
        let spools = daemon.spools.iter().map(|s| (format!("{}/x", s.real.trim_end_matches('/')), Access::Write));
        let read = daemon.config.files.iter().filter(|(_, f)| f.content.is_ok());
        let files = read.map(|(path, _)| (path.clone(), Access::Read));
        let outside: Vec<(String, Access)> =
            spools.chain(files).filter(|(path, access)| !apparmor::allows(profile, path, *access)).collect();
        if let Some((path, access)) = outside.first() {
            let path = path.strip_suffix("/x").unwrap_or(path);
            let rules = outside.iter().map(|(p, a)| match a {
                Access::Write => format!("{}/** rwk,", p.strip_suffix("/x").unwrap_or(p)),
                Access::Read => format!("{p} r,"),
            });
            let local = format!("/etc/apparmor.d/local/{}", local_name(name, daemon.program.as_deref()));
            return Ok(Outcome::fail(format!("the profile {name} does not let the daemon {access} {path}"))
                .seen_all(rules.map(|r| ("missing in the profile", r)))
                .seen_all(seen)
                .advise(format!("add the missing lines to {local} and load the profile again, or move the folder"))
                .command("sudo systemctl reload apparmor"));
        }
    }
    if let Some(first) = denials.first() {
        return Ok(Outcome::warn(format!("the profile {name} has refused the daemon {}", first.path))
            .seen_all(seen)
            .advise("add what was refused to the profile's file in /etc/apparmor.d/local, or move the file"));
    }
    facts.profile.as_ref()?;
    facts.denials.as_ref()?;
    Ok(Outcome::pass(format!("the profile {name} lets the daemon use its folders and files")))
}

fn local_name(profile: &str, program: Option<&str>) -> String {
    match profile.starts_with('/') {
        true => profile.trim_start_matches('/').replace('/', "."),
        false => program.unwrap_or(profile).trim_start_matches('/').replace('/', "."),
    }
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
