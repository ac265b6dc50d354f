//! Judgements on what the security modules keep from the daemon.

use super::case::Case;
use super::facts::{Fact, FileLabel};
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
        let use_ = if self.use_ == Use::Connect { "connect to" } else { "listen on" };
        format!("the daemon may not {use_} {} port {}, which has {}", self.word, self.port, self.label)
    }
    fn command(&self) -> String {
        label_port(self.word, self.port, &self.label)
    }
}

/// A port that the policy itself gives a label cannot be added once more, only changed (semanage-port(8)).
fn label_port(protocol: &str, port: u16, label: &str) -> String {
    let how = if selinux::is_free(label) { "-a" } else { "-m" };
    format!("sudo semanage port {how} -t {} -p {protocol} {port}", selinux::SYSLOG_PORT)
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
            out.advise(format!(
                "{label} is the policy's label for that place, and the daemon may not use it: move the file to where the \
                 policy lets the daemon be (below /etc/rsyslog.d or /etc/syslog-ng to read, /var/log or /var/spool/rsyslog to \
                 write), or give its place a label for good"
            ))
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
