//! The `$Directive` lines. Most set something global; some wait for the next action or the next listener and are then
//! used up, others stay in place for all that follow.

use std::collections::BTreeMap;

use crate::syslog::rsyslog::ast::{Directive, Param, Value};
use crate::syslog::{Location, Text};

/// Names that `global()` gives to what a directive sets.
const ALIASES: [(&str, &str); 12] = [
    ("privdroptouser", "privdrop.user.name"),
    ("privdroptouserid", "privdrop.user.id"),
    ("privdroptogroup", "privdrop.group.name"),
    ("privdroptogroupid", "privdrop.group.id"),
    ("escapecontrolcharactersonreceive", "parser.escapecontrolcharactersonreceive"),
    ("escapecontrolcharactertab", "parser.escapecontrolcharactertab"),
    ("escape8bitcharactersonreceive", "parser.escape8bitcharactersonreceive"),
    ("controlcharacterescapeprefix", "parser.controlcharacterescapeprefix"),
    ("droptrailinglfonreception", "parser.droptrailinglfonreception"),
    ("spacelfonreceive", "parser.spacelfonreceive"),
    ("defaultnetstreamdrivermode", "defaultnetstreamdrivermode"),
    ("actionreportsuspension", "action.reportsuspension"),
];

/// One name for what both dialects can set.
pub(super) fn canonical(name: &[u8]) -> Text {
    let lower = name.to_ascii_lowercase();
    match ALIASES.iter().find(|(legacy, _)| legacy.as_bytes() == lower) {
        Some((_, global)) => Text::from(*global),
        None => Text(lower),
    }
}

/// What a directive does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    LoadModule,
    /// Opens a listener of this module.
    Listen(&'static str),
    /// Holds for the listeners that follow.
    ForListeners(&'static str),
    /// Holds for the next action only.
    ForNextAction,
    /// Holds for all actions that follow.
    ForActions,
    Template,
    OutChannel,
    Ruleset,
    DefaultRuleset,
    MainQueue,
    /// Belongs to the current ruleset.
    OfRuleset,
    /// Back to the defaults.
    Reset,
    Setting,
}

pub(super) fn effect(name: &Text) -> Effect {
    let name = name.to_lower();
    let name = name.to_str_lossy();
    match &*name {
        "modload" => Effect::LoadModule,
        "udpserverrun" => Effect::Listen("imudp"),
        "inputtcpserverrun" => Effect::Listen("imtcp"),
        "inputptcpserverrun" => Effect::Listen("imptcp"),
        "inputrelpserverrun" => Effect::Listen("imrelp"),
        "inputgssserverrun" => Effect::Listen("imgssapi"),
        "udpserveraddress" | "udpserverbinddevice" | "inputudpserverbindruleset" => Effect::ForListeners("imudp"),
        "template" => Effect::Template,
        "outchannel" => Effect::OutChannel,
        "ruleset" => Effect::Ruleset,
        "defaultruleset" => Effect::DefaultRuleset,
        "rulesetcreatemainqueue" | "rulesetparser" => Effect::OfRuleset,
        "resetconfigvariables" => Effect::Reset,
        "actionresumeretrycount" | "actionname" => Effect::ForNextAction,
        n if n.starts_with("inputtcp") => Effect::ForListeners("imtcp"),
        n if n.starts_with("inputptcp") => Effect::ForListeners("imptcp"),
        n if n.starts_with("inputrelp") => Effect::ForListeners("imrelp"),
        n if n.starts_with("mainmsgqueue") => Effect::MainQueue,
        n if n.starts_with("actionqueue") || n.starts_with("actionexeconlyeverynthtime") => Effect::ForNextAction,
        n if n.starts_with("actionreportsuspension") => Effect::Setting,
        n if n.starts_with("action") || n.starts_with("omfile") => Effect::ForActions,
        "filecreatemode" | "dircreatemode" | "fileowner" | "filegroup" | "dirowner" | "dirgroup" | "createdirs"
        | "dynafilecachesize" | "failonchownfailure" => Effect::ForActions,
        _ => Effect::Setting,
    }
}

impl Directive {
    /// The value: the first word behind the name.
    pub fn value(&self) -> Text {
        let rest = self.rest.as_bytes();
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        Text::from(&rest[..end])
    }
}

/// Directives that wait for what they act on.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// By lower-case name.
    once: BTreeMap<Text, Value>,
    lasting: BTreeMap<Text, Value>,
}

impl Waiting {
    pub fn set(&mut self, directive: &Directive, once: bool) {
        let slot = if once { &mut self.once } else { &mut self.lasting };
        slot.insert(directive.name.to_lower(), Value::Text(directive.value()));
    }
    pub fn get(&self, name: &str) -> Option<&Text> {
        let name = Text::from(name);
        self.once.get(&name).or_else(|| self.lasting.get(&name))?.text()
    }
    /// What an action used up.
    pub fn used(&mut self) {
        self.once.clear();
    }
    pub fn reset(&mut self) {
        *self = Waiting::default();
    }
    /// All that is set, as parameters of something at `at`.
    pub fn params(&self, prefix: &str, at: &Location) -> Vec<Param> {
        let both = self.lasting.iter().chain(&self.once);
        let mine = both.filter(|(n, _)| n.as_bytes().starts_with(prefix.as_bytes()));
        mine.map(|(n, v)| Param { name: n.clone(), value: v.clone(), at: at.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(canonical(b"PrivDropToUser"), "privdrop.user.name");
        assert_eq!(canonical(b"workDirectory"), "workdirectory");
        assert_eq!(effect(&Text::from("ActionQueueFileName")), Effect::ForNextAction);
        assert_eq!(effect(&Text::from("ActionResumeInterval")), Effect::ForActions);
        assert_eq!(effect(&Text::from("InputTCPServerBindRuleset")), Effect::ForListeners("imtcp"));
    }
}
