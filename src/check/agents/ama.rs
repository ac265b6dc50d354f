//! The Azure Monitor Agent as a whole: there, of a version that is fit for security events, with an identity.

use super::{bad_mount, broken_package, meant, process, the_ama};
use crate::agent::AgentKind;
use crate::agent::ama::paths;
use crate::agent::ama::standing::{self, Standing};
use crate::agent::ama::version::Version;
use crate::check::agent_facts::AmaState;
use crate::check::case::Case;
use crate::check::outcome::{Judged, NotJudged, Outcome};

pub fn installed(case: &Case<'_>) -> Judged {
    meant(case, AgentKind::Ama)?;
    let extension = |out: Outcome| {
        out.advise("install the extension AzureMonitorLinuxAgent: on an Azure VM from the portal or the command line, elsewhere after connecting the machine with Azure Arc")
            .command("az vm extension set --name AzureMonitorLinuxAgent --publisher Microsoft.Azure.Monitor --ids VM-ID --enable-auto-upgrade true")
    };
    let Some(ama) = &case.facts.agent_states.ama else {
        return Ok(extension(Outcome::fail("the Azure Monitor Agent is not installed").seen(paths::MDSD, "not there")));
    };
    if let Some((_, text)) = broken_package(&ama.packages) {
        return Ok(Outcome::fail(format!("the Azure Monitor Agent's {text}"))
            .seen("package manager", &text)
            .advise("let the package manager finish its work; if that fails, remove the extension and install it again")
            .command("sudo dpkg --configure -a"));
    }
    let runs = process(case, AgentKind::Ama);
    if !ama.own.program && runs.is_none() {
        let left =
            [(ama.own.conf, paths::CONF)].into_iter().filter(|(there, _)| *there).map(|(_, path)| (path, "left over"));
        let files = ama.own.files.iter().map(|f| (f.path.display().to_string(), "left over"));
        let listed = ama.packages.0.as_ref().ok().and_then(|p| p.first());
        return Ok(extension(
            Outcome::fail("the Azure Monitor Agent's program is gone, only what it left behind is there")
                .seen(paths::MDSD, "not there")
                .seen_all(left)
                .seen_all(files)
                .seen_all(listed.map(|p| ("package manager", format!("{} {} is installed", p.name, p.version)))),
        ));
    }
    if let Some((source, text)) = bad_mount(case, paths::HOME, true) {
        return Ok(Outcome::fail("the agent's programs may not be started from where they are")
            .seen(source, text)
            .advise("mount that file system without noexec"));
    }
    if let Some((source, text)) = bad_mount(case, "/var/opt/microsoft", false) {
        return Ok(Outcome::fail("the agent cannot write its cache")
            .seen(source, text)
            .advise("mount that file system writable"));
    }
    // Its extension keeps programs below /var (field-failures 1.25).
    if let Some((source, text)) = bad_mount(case, "/var/lib/waagent", true).filter(|_| !ama.azure.is_empty()) {
        return Ok(Outcome::warn("the agent's extension may not start programs below /var")
            .seen(source, text)
            .advise("mount that file system without noexec"));
    }
    let version = version_of(ama);
    Ok(match (version, ama.packages.0.as_ref().is_ok_and(|p| !p.is_empty())) {
        (Some((version, _)), true) => Outcome::pass(format!("the Azure Monitor Agent {version} is installed")),
        (version, _) => {
            let version = version.map(|(v, _)| format!(" {v}")).unwrap_or_default();
            Outcome::pass(format!("the Azure Monitor Agent{version} is there, though not as a package"))
                .seen_all(runs.map(|p| ("process", p.display())))
        }
    })
}

/// The package's version, else what was said; with its source.
pub fn version_of(ama: &AmaState) -> Option<(String, String)> {
    let package =
        ama.packages.0.as_ref().ok().and_then(|p| p.first()).map(|p| (p.version.clone(), "package manager".to_owned()));
    package.or_else(|| ama.said_version.clone())
}

/// As numbers.
pub fn number(ama: &AmaState) -> Option<Version> {
    Version::parse(&version_of(ama)?.0)
}

pub fn version(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    let Some((said, source)) = version_of(ama) else {
        return Err("neither the package manager nor the agent nor its extension tells the version".to_owned().into());
    };
    let Some(version) = Version::parse(&said) else {
        return Err(format!("`{said}` is no version ({source})").into());
    };
    let os = case.facts.host.os.as_ref().ok();
    let (id, version_id) = os.map(|o| (o.id.as_str(), o.version_id.as_str())).unwrap_or_default();
    let update = |out: Outcome| {
        out.seen(source.as_str(), said.as_str())
            .advise("update the extension AzureMonitorLinuxAgent, and let it update by itself (--enable-auto-upgrade true)")
            .command("az vm extension set --name AzureMonitorLinuxAgent --publisher Microsoft.Azure.Monitor --ids VM-ID --enable-auto-upgrade true")
    };
    Ok(match standing::standing(&version, id, version_id) {
        Standing::Good => Outcome::pass(format!("version {version} takes security events")),
        Standing::Poor(why) => update(Outcome::warn(format!("version {version}: {why}"))),
        Standing::Bad(why) => update(Outcome::fail(format!("version {version}: {why}"))),
    })
}

pub fn identity(case: &Case<'_>) -> Judged {
    let ama = the_ama(case)?;
    if !ama.arc.is_empty() {
        return arc(case, ama);
    }
    if !ama.azure.is_empty() {
        return Ok(Outcome::pass("this is a virtual machine of Azure: the agent's identity is the machine's")
            .seen_all(ama.azure.iter().map(|p| (p.as_str(), "there"))));
    }
    let rules = ama.own.chunks().len();
    if rules > 0 {
        return Ok(Outcome::pass("the agent got its rules from the service, so it has an identity")
            .seen(paths::CHUNKS, crate::check::words::count(rules, "file")));
    }
    Ok(Outcome::warn("nothing shows that this machine is a virtual machine of Azure or connected by Azure Arc: the agent may have no identity")
        .seen("/var/lib/waagent", "not there")
        .seen(paths::ARC_CONF, "not there")
        .advise("connect it with Azure Arc")
        .command("sudo azcmagent connect --resource-group GROUP --tenant-id TENANT --location REGION --subscription-id SUBSCRIPTION"))
}

fn arc(case: &Case<'_>, ama: &AmaState) -> Judged {
    let seen = || ama.arc.iter().map(|p| (p.as_str(), "there"));
    if let Some(unit) = case.facts.unit(paths::ARC_UNIT).filter(|u| u.state.exists()) {
        if !unit.state.is_active() {
            return Ok(Outcome::fail("the agent of Azure Arc does not run: it hands out the tokens")
                .seen(paths::ARC_UNIT, format!("{:?}", unit.state.active).to_lowercase())
                .advise("start it")
                .command("sudo systemctl start himdsd")
                .command("sudo azcmagent show"));
        }
    } else if case.facts.units.is_ok() && case.facts.host.live {
        return Ok(Outcome::fail("the agent of Azure Arc, which hands out the tokens, is not installed as a service")
            .seen_all(seen())
            .seen(paths::ARC_UNIT, "no such unit")
            .advise("install the Connected Machine agent again and connect the machine")
            .command("sudo azcmagent show"));
    }
    if !ama.arc.iter().any(|p| p == paths::ARC_CONF) {
        let text = "the Connected Machine agent has no settings: this machine was not connected yet";
        return Ok(Outcome::warn(text)
            .seen(paths::ARC_CONF, "not there")
            .advise("look at its state, connect it if it is not")
            .command("sudo azcmagent show"));
    }
    match ama.in_arc_group {
        Some(false) => Ok(Outcome::fail(format!(
            "user {} is not in group {}: the agent may not read its tokens",
            paths::USER,
            paths::ARC_GROUP
        ))
        .seen("/etc/group", format!("{} is no member of {}", paths::USER, paths::ARC_GROUP))
        .advise("add the user to the group, then restart the agent")
        .command(format!("sudo usermod -aG {} {}", paths::ARC_GROUP, paths::USER))
        .command(super::restart(AgentKind::Ama, None))),
        Some(true) => Ok(Outcome::pass("connected by Azure Arc, and the agent may read its tokens").seen_all(seen())),
        None => Err(NotJudged::Unknown(format!(
            "there is no group {}, whose members may read the tokens of Azure Arc",
            paths::ARC_GROUP
        ))),
    }
}
