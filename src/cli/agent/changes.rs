//! The agent's own files as changes of the plan: its input for security events and its plugins. Every file is wished for
//! as it shall be, also where it is so already, so that a later install does not take it back.

use std::path::Path;

use crate::agent::detect::security_input;
use crate::agent::oms::input;
use crate::agent::oms::paths::{self, Workspace};
use crate::agent::oms::plugins::{self, EventTime, Repair};
use crate::host::{FileKind, Host};
use crate::plan::{Change, ServiceChange, When, WriteFile};
use crate::platform::service_act::{Action, Services};

/// What is wished of the agent of one workspace, and what could not be.
pub fn oms(
    host: &Host,
    place: &Workspace,
    port: u16,
    time: Option<EventTime>,
) -> anyhow::Result<(Vec<Change>, Vec<String>)> {
    let (mut changes, mut notes) = (Vec::new(), Vec::new());
    let owner = owner(host, place);
    let inputs = place.inputs();
    if !matches!(host.root.stat(&inputs)?, Some(m) if m.kind == FileKind::Dir) {
        changes.push(Change::CreateDir { path: inputs, mode: 0o755, owner });
    }
    let file = place.security_events();
    let there = host.root.read_opt(&file)?;
    let faults = there.as_ref().map(|text| input::faults(text, &security_input(file.clone(), text), port));
    let content = match (there, &faults) {
        (Some(text), Some(faults)) if faults.is_empty() => text,
        _ => input::render(port, env!("CARGO_PKG_VERSION")).into_bytes(),
    };
    let why = faults.filter(|f| !f.is_empty()).map(|f| format!(" ({})", f.join("; "))).unwrap_or_default();
    let mut wish =
        WriteFile::new(&file, content).mode(0o644).purpose(format!("the agent's input for CEF and ASA{why}"));
    wish.owner = owner;
    changes.push(wish.into());
    for (plugin, judge) in [
        (paths::PLUGIN_ASA, &plugins::asa as &dyn Fn(&[u8]) -> Repair),
        (paths::PLUGIN_FILTER, &|text: &[u8]| plugins::filter(text, time)),
    ] {
        let Some(text) = host.root.read_opt(Path::new(plugin))? else { continue };
        match judge(&text) {
            Repair::Good => changes.push(WriteFile::new(plugin, text).into()),
            Repair::To { content, why } => changes.push(WriteFile::new(plugin, content).purpose(why.join(", ")).into()),
            Repair::Unknown(why) => {
                notes.push(format!("{plugin} is left as it is: {why}"));
                changes.push(WriteFile::new(plugin, text).into());
            }
        }
    }
    let files: Vec<_> = changes.iter().filter_map(Change::path).map(Path::to_owned).collect();
    let unit = place.unit();
    if Services::detect(host).state(&unit)?.exists() {
        changes.push(ServiceChange::new(&unit, Action::Enable).into());
        changes.push(ServiceChange::new(&unit, Action::Restart).when(When::Changed(files)).into());
        changes.push(ServiceChange::new(&unit, Action::Start).into());
    } else {
        notes.push(format!("{unit} is not there: start the agent with {} start {}", paths::SERVICE_CONTROL, place.id));
    }
    Ok((changes, notes))
}

/// User and group of the agent; where there are none by name, those of its folder.
fn owner(host: &Host, place: &Workspace) -> Option<(u32, u32)> {
    let id = |file: &str, name: &str| -> Option<u32> {
        let text = host.root.read_opt(Path::new(file)).ok()??;
        String::from_utf8_lossy(&text).lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
    };
    let named = id("/etc/passwd", paths::USER).zip(id("/etc/group", paths::GROUP));
    named.or_else(|| host.root.stat(&place.folder()).ok().flatten().map(|m| (m.uid, m.gid)))
}
