//! Judgements on what the security modules keep from the daemon.

use super::case::Case;
use super::facts::{AppArmorFacts, Fact, FileLabel};
use super::outcome::{Judged, Outcome};
use super::words;
use crate::host::proc_net::{Socket, Transport};
use crate::platform::apparmor::{self, Access};
use crate::platform::os_release::OsRelease;
use crate::platform::selinux::{self, Denial, Mode, Ports};
use crate::platform::selinux_policy::{Use, may_use};
use crate::platform::setting::Setting;
use crate::report::{Fix, Status, shell_quote};

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
    let ports = facts.ports.as_ref();
    let refused: Vec<&Denial> =
        facts.denials.iter().flatten().filter(|d| !d.permissive && !is_past(case, d, ports.ok())).collect();
    let seen = refused.iter().rev().take(10).map(|d| ("audit", d.line.clone()));
    let mut wrong = Vec::new();
    for (transport, port, use_) in wanted(case) {
        let word = transport.word();
        let label = ports.ok().map(|p| selinux::label_of(p, word, port).unwrap_or(NO_LABEL));
        let refusal = refused.iter().find(|d| of_port(d, use_, word, port));
        let may = label.map(|l| may_use(facts.rights.as_ref(), use_, word, l));
        // Where the kernel was asked its answer is newer than any refusal.
        if may == Some(false) || refusal.is_some() && facts.rights.is_none() {
            let label = label.or(refusal.map(|d| d.what.as_str())).unwrap_or(NO_LABEL);
            wrong.push(Wrong { use_, word, port, label: label.to_owned() });
        }
    }
    if let Some(first) = wrong.first() {
        let out = Outcome::fail(format!("SELinux: {}", first.text()))
            .seen_all(wrong.iter().map(|w| ("SELinux, enforcing", w.text())))
            .seen_all(seen)
            .advise("give the port the label of syslog; turning SELinux off is never needed");
        let missing = ports.is_err_and(|why| why.contains("not installed"));
        let out = if missing { out.command(install_semanage(case)) } else { out };
        let free = wrong.iter().any(|w| selinux::may_relabel(&w.label));
        let out = wrong.iter().map(Wrong::command).fold(out, Outcome::command);
        return Ok(out.fixable_if(ports.is_ok() && free));
    }
    if let Some(out) =
        refused.iter().map(|d| translated(case, d, &facts.files)).max_by_key(|o| o.status == Status::Fail)
    {
        return Ok(out.seen_all(seen));
    }
    match ports {
        Err(why) => Err(format!("SELinux is enforcing, but the labels of ports are not known: {why}").into()),
        Ok(_) => {
            facts.denials.as_ref()?;
            Ok(Outcome::pass("SELinux is enforcing and lets the daemon use its ports"))
        }
    }
}

/// What the kernel takes a port for that no rule of the policy names.
const NO_LABEL: &str = "port_t";

/// A port that the daemon needs and may not use.
struct Wrong {
    use_: Use,
    word: &'static str,
    port: u16,
    label: String,
}

impl Wrong {
    fn text(&self) -> String {
        format!("the daemon may not {} {} port {}, which has {}", self.use_.words(), self.word, self.port, self.label)
    }
    fn command(&self) -> String {
        label_port(self.word, self.port, &self.label)
    }
}

fn label_port(protocol: &str, port: u16, label: &str) -> String {
    format!("sudo {}", selinux::label_command(protocol, port, label))
}

fn of_port(denial: &Denial, use_: Use, protocol: &str, port: u16) -> bool {
    denial.port == Some(port)
        && denial.permission == use_.permission()
        && denial.class.split('_').next() == Some(protocol)
}

/// The port or the file has got another label since, or is in the daemon's use: what works now is not refused.
fn is_past(case: &Case<'_>, denial: &Denial, ports: Option<&Vec<Ports>>) -> bool {
    let Some(port) = denial.port.filter(|_| denial.permission.starts_with("name_")) else { return denial.is_past() };
    let transport = if denial.class.starts_with("udp") { Transport::Udp } else { Transport::Tcp };
    let label = ports.and_then(|ports| selinux::label_of(ports, transport.word(), port));
    label.is_some_and(|l| l != denial.what) || in_use(case, &denial.permission, transport, port)
}

fn in_use(case: &Case<'_>, permission: &str, transport: Transport, port: u16) -> bool {
    let (Ok(net), Some(pid)) = (&case.facts.net, case.daemon_pid()) else { return false };
    let of_daemon = |s: &Socket| s.owners.contains(&pid);
    match permission == Use::Connect.permission() {
        true => net.connections_to(port).any(of_daemon),
        false => net.open(transport, port).any(of_daemon),
    }
}

/// How `semanage` is got on this distribution.
fn install_semanage(case: &Case<'_>) -> String {
    let os = case.facts.host.os.as_ref().ok();
    let package = os.map_or(selinux::SEMANAGE_PACKAGE, OsRelease::semanage_package);
    let command = os.and_then(|os| os.install_command(package));
    command.map_or_else(|| format!("# install the package {package}"), |command| format!("sudo {command}"))
}

/// Ports that the daemon needs, and what for.
fn wanted(case: &Case<'_>) -> Vec<(Transport, u16, Use)> {
    let t = case.target;
    let mut all = vec![(Transport::Tcp, t.agent_port, Use::Connect)];
    all.extend(t.doors().iter().map(|d| (d.transport, d.port, Use::Listen)));
    all
}

/// A refusal in words. `judged`: files whose labels `host.selinux-labels` sees to.
fn translated(case: &Case<'_>, denial: &Denial, judged: &Fact<Vec<FileLabel>>) -> Outcome {
    let (permission, label) = (&denial.permission, &denial.what);
    if let Some(port) = denial.port.filter(|_| permission.starts_with("name_")) {
        let protocol = denial.class.split('_').next().unwrap_or_default();
        return Outcome::warn(format!("SELinux refuses the daemon {permission} on {protocol} port {port} ({label})"))
            .advise("if the daemon shall use that port give it the label of syslog")
            .command(label_port(protocol, port, label));
    }
    let what = denial.path.as_deref().unwrap_or(label);
    let text = format!("SELinux refuses the daemon {permission} on {what} ({label})");
    let reads = ["read", "open", "getattr", "search", "map", "lock"].contains(&permission.as_str());
    let writes = ["write", "append", "create", "add_name", "remove_name", "unlink", "rename", "setattr"]
        .contains(&permission.as_str());
    let other = || {
        Outcome::warn(text.clone())
            .advise("look at what was refused; `ausearch -m AVC -ts recent` shows the lines")
            .command("sudo ausearch -m AVC -ts recent")
    };
    if !denial.is_of_file() || !(reads || writes) {
        return other();
    }
    let Some(path) = denial.file() else {
        return Outcome::fail(text)
            .advise(format!(
                "move {what} to a folder that the policy lets the daemon use, or give the folder such a label"
            ))
            .command("sudo ausearch -m AVC -ts recent");
    };
    let quoted = shell_quote(path);
    let out = Outcome::fail(text);
    match (&denial.now, &denial.wants) {
        (Some(now), Some(wants)) if now != wants => {
            let out = out
                .advise("give the file the label that the policy has for its place, then restart the daemon")
                .command(format!("sudo restorecon -Rv {quoted}"))
                .command(format!("sudo systemctl restart {}", case.unit_name()));
            if judged.iter().flatten().any(|f| f.path == path) {
                return out;
            }
            out.fix(Fix::Set(Setting::FileLabel { path: path.to_owned(), had: now.clone() })).fix(case.restart())
        }
        // The label is the policy's own for that place: `restorecon` changes nothing.
        (Some(_), _) => {
            let (type_, folder) = match (writes, denial.class.as_str()) {
                (true, "dir") => ("var_log_t", "(/.*)?"),
                (true, _) => ("var_log_t", ""),
                (false, "dir") => ("syslog_conf_t", "(/.*)?"),
                (false, _) => ("syslog_conf_t", ""),
            };
            out.advise(
                "the policy does not let the daemon use files of that place: move the file to where it does (below /etc/rsyslog.d or /etc/syslog-ng to read, /var/log or /var/spool/rsyslog to \
                 write), or give its place a label for good"
            )
            .command(format!("sudo semanage fcontext -a -t {type_} {}", shell_quote(&format!("{path}{folder}"))))
            .command(format!("sudo restorecon -Rv {quoted}"))
            .command(format!("sudo systemctl restart {}", case.unit_name()))
        }
        (None, _) => out
            .advise("give the file the label that the policy has for its place")
            .command(format!("sudo restorecon -Rv {quoted}")),
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
    let profile = facts.profile.as_deref().unwrap_or_default();
    // What the profile allows by now is no fault any more. rsyslog asks for a larger buffer and goes on without it.
    let past = |d: &apparmor::Denial| match (&d.other, d.access()) {
        (Some(other), _) => other == "capability net_admin",
        (None, Some(access)) => apparmor::allows(profile, &d.path, access),
        (None, None) => false,
    };
    let mut denials: Vec<&apparmor::Denial> = Vec::new();
    for denial in facts.denials.iter().flatten().filter(|d| !past(d)) {
        if !denials.iter().any(|d| d.rule() == denial.rule()) {
            denials.push(denial);
        }
    }
    let seen = denials.iter().take(10).map(|d| ("kernel log", d.line.clone()));
    let daemon = case.daemon();
    if facts.profile.is_ok() {
        let spools = daemon.spools.iter().map(|s| (format!("{}/x", s.real.trim_end_matches('/')), Access::Write));
        let read = daemon.config.files.iter().filter(|(_, f)| f.content.is_ok());
        let files = read.map(|(path, _)| (path.clone(), Access::Read));
        let outside: Vec<(String, Access)> =
            spools.chain(files).filter(|(path, access)| !apparmor::allows(profile, path, *access)).collect();
        if let Some((path, access)) = outside.first() {
            let path = path.strip_suffix("/x").unwrap_or(path);
            let mut rules: Vec<String> = Vec::new();
            for (path, access) in &outside {
                match access {
                    Access::Write => {
                        let folder = path.strip_suffix("/x").unwrap_or(path);
                        rules.extend([format!("{folder}/ r,"), format!("{folder}/** rwk,")]);
                    }
                    Access::Read => rules.push(format!("{path} r,")),
                }
            }
            let text = format!("the profile {name} does not let the daemon {access} {path}");
            return Ok(with_rules(case, facts, Outcome::fail(text), &rules).seen_all(seen));
        }
    }
    let t = case.target;
    let doors = t.doors();
    let mut kinds: Vec<(&str, &str)> = vec![("inet", "stream")]; // to the agent
    for door in &doors {
        let kind = if door.transport == Transport::Udp { "dgram" } else { "stream" };
        kinds.extend([("inet", kind), ("inet6", kind)]);
    }
    if let Some((family, kind)) = kinds.into_iter().find(|(f, k)| apparmor::forbids_network(profile, f, k)) {
        let (local, file) = profile_files(facts, daemon.program.as_deref());
        return Ok(Outcome::fail(format!("the profile {name} forbids the daemon network {family} {kind}"))
            .seen_all(seen)
            .advise(format!("take the line with deny network out of {local} or {file}, then load the profile again"))
            .command(format!("grep -n 'deny.*network' {} {}", shell_quote(&local), shell_quote(&file)))
            .command(format!("sudo apparmor_parser -r {}", shell_quote(&file)))
            .command(format!("sudo systemctl restart {}", case.unit_name())));
    }
    let is_network = |d: &&&apparmor::Denial| d.other.as_ref().is_some_and(|o| o.starts_with("network"));
    if let Some(first) = denials.iter().find(is_network).or(denials.first()) {
        let needed = daemon.config.files.contains_key(&first.path)
            || daemon.spools.iter().any(|s| !first.path.is_empty() && first.path.starts_with(&s.real));
        let text = format!("the profile {name} has refused the daemon {}", first.what());
        let out = if needed || is_network(&first) { Outcome::fail(text) } else { Outcome::warn(text) };
        let rules: Vec<String> = denials.iter().map(|d| d.rule()).collect();
        return Ok(with_rules(case, facts, out, &rules).seen_all(seen));
    }
    facts.profile.as_ref()?;
    facts.denials.as_ref()?;
    Ok(Outcome::pass(format!("the profile {name} lets the daemon use its folders and files")))
}

/// What to write where, so that the profile has the rules and the daemon goes by them.
fn with_rules(case: &Case<'_>, facts: &AppArmorFacts, out: Outcome, rules: &[String]) -> Outcome {
    let program = case.daemon().program.as_deref();
    let (local, file) = profile_files(facts, program);
    let out = out.seen_all(rules.iter().map(|r| ("missing in the profile", r.clone()))).advise(format!(
        "add the missing lines to {local}, load the profile again and restart the daemon; or move the file or folder to where \
         the profile lets it be. A line with deny in the profile beats them and has to go"
    ));
    let out = rules.iter().fold(out, |out, rule| {
        out.command(format!("echo {} | sudo tee -a {}", shell_quote(rule), shell_quote(&local)))
    });
    out.command(format!("sudo apparmor_parser -r {}", shell_quote(&file)))
        .command(format!("sudo systemctl restart {}", case.unit_name()))
}

/// Where additions of this box belong, as the profile itself includes it, and the profile's file.
fn profile_files(facts: &AppArmorFacts, program: Option<&str>) -> (String, String) {
    let usual = local_name(&facts.confinement.profile, program);
    let file = facts.file.clone().unwrap_or_else(|| format!("/etc/apparmor.d/{usual}"));
    let included = apparmor::includes(facts.profile.as_deref().unwrap_or_default());
    let local = included.into_iter().find(|path| path.starts_with("/etc/apparmor.d/local/"));
    (local.unwrap_or_else(|| format!("/etc/apparmor.d/local/{usual}")), file)
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
