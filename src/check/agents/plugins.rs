//! Lines of the Log Analytics agent's plugins that decide what ends in the workspace (facts 1.12).

use super::the_oms;
use crate::agent::AgentKind;
use crate::agent::oms::paths;
use crate::agent::oms::plugins::{self, EventTime, Repair};
use crate::check::agent_facts::{OmsState, PluginFile};
use crate::check::case::Case;
use crate::check::facts::Bytes;
use crate::check::outcome::{Judged, NotJudged, Outcome};

/// Content of a plugin.
fn read<'a>(oms: &'a OmsState, file: &'a PluginFile, path: &str) -> Result<Result<&'a Bytes, Outcome>, NotJudged> {
    match file {
        Some(content) => Ok(Ok(content.as_ref()?)),
        None if !oms.plugin_folder => Err(NotJudged::Skip("the agent has no folder of plugins".into())),
        None => Ok(Err(upgrade(
            Outcome::warn("one of the agent's plugins is missing: security events cannot be taken apart")
                .seen(path, "not there"),
        ))),
    }
}

fn upgrade(out: Outcome) -> Outcome {
    out.advise(
        "install the agent's package again: it has all plugins in their present form, and an upgrade overwrites edits",
    )
    .command("sudo sh omsagent-1.19.0-0.universal.x64.sh --upgrade --force")
    .command(super::restart(AgentKind::Oms, None))
}

pub fn asa_ident(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let text = match read(oms, &oms.asa_plugin, paths::PLUGIN_ASA)? {
        Ok(text) => text,
        Err(missing) => return Ok(missing),
    };
    Ok(match plugins::asa(&text.0) {
        Repair::Good => Outcome::pass("ASA events keep the number of their message"),
        Repair::To { .. } => mend(Outcome::warn("ASA events lose the number of their message (an old plugin)").seen(paths::PLUGIN_ASA, "return '%ASA' if ident.include?('%ASA')"), case),
        Repair::Unknown(why) => upgrade(Outcome::warn("whether ASA events keep the number of their message is not known: the plugin is none of the known ones").seen(paths::PLUGIN_ASA, why)),
    })
}

pub fn host_field(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let text = match read(oms, &oms.filter_plugin, paths::PLUGIN_FILTER)? {
        Ok(text) => text,
        Err(missing) => return Ok(missing),
    };
    Ok(match plugins::filter(&text.0, None) {
        Repair::Good => Outcome::pass("the field Computer is the name in the event's header"),
        Repair::To { .. } => mend(
            Outcome::warn("the field Computer is this collector's name for every event (an old plugin)")
                .seen(paths::PLUGIN_FILTER, "no line 'Host' => record['host']"),
            case,
        ),
        Repair::Unknown(why) => upgrade(
            Outcome::warn("what the field Computer holds is not known: the plugin is none of the known ones")
                .seen(paths::PLUGIN_FILTER, why),
        ),
    })
}

fn mend(out: Outcome, case: &Case<'_>) -> Outcome {
    out.advise("`cefctl install` puts the line right; an upgrade of the agent does as well")
        .command(case.install_command())
        .fixable()
}

pub fn event_time(case: &Case<'_>) -> Judged {
    let oms = the_oms(case)?;
    let text = match read(oms, &oms.filter_plugin, paths::PLUGIN_FILTER)? {
        Ok(text) => text,
        Err(missing) => return Ok(missing),
    };
    Ok(match plugins::event_time(&text.0) {
        Some(EventTime::Collection) => Outcome::pass("TimeGenerated is when the agent took the event"),
        Some(EventTime::Creation) => {
            Outcome::pass("TimeGenerated is the time in the event's header, to the second and in this box's time zone where the header names none")
                .seen(paths::PLUGIN_FILTER, "Time.at(time).utc; an upgrade of the agent takes this back")
        }
        None => upgrade(Outcome::warn("where TimeGenerated comes from is not known: the plugin takes it from something else").seen(paths::PLUGIN_FILTER, "no line 'Timestamp' => … with Time.now.utc or Time.at(time).utc")),
    })
}
