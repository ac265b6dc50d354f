//! The `$…` lines at the moment they take effect.

use super::objects::{tls, transport_of};
use super::*;

impl Builder {
    pub(super) fn directive(&mut self, directive: &Directive) {
        use legacy::Effect;
        match legacy::effect(&directive.name) {
            Effect::LoadModule => self.load(directive.value(), Vec::new(), true, directive.at.clone()),
            Effect::Listen(module) => self.legacy_listener(module, directive),
            Effect::ForListeners(module) => {
                if self.directive_known(module, directive) {
                    self.listening.set(directive, false);
                }
            }
            Effect::ForNextAction => self.waiting.set(directive, true),
            Effect::ForActions => self.waiting.set(directive, false),
            Effect::Template => self.legacy_template(directive),
            Effect::Ruleset => self.current = self.legacy_ruleset(directive),
            Effect::DefaultRuleset => self.legacy_default_ruleset(directive),
            Effect::MainQueue => {
                let param = Param {
                    name: directive.name.clone(),
                    value: Value::Text(directive.value()),
                    at: directive.at.clone(),
                };
                let queue = self.out.main_queue.clone();
                self.out.main_queue = queue.with_legacy("mainmsgqueue", &[param]);
            }
            Effect::OfRuleset => self.of_ruleset(directive),
            Effect::Reset => {
                self.waiting.reset();
                self.listening.reset();
            }
            Effect::OutChannel => self.out_channel(directive),
            Effect::Setting => self.setting(Setting {
                name: legacy::canonical(directive.name.as_bytes()),
                // the one directive that is a list
                value: match directive.name.to_lower().is("allowedsender") {
                    true => directive.rest.clone(),
                    false => directive.value(),
                },
                legacy: true,
                in_force: true,
                at: directive.at.clone(),
            }),
        }
    }

    /// A module's directives are known only once it is loaded.
    pub(super) fn directive_known(&mut self, module: &str, directive: &Directive) -> bool {
        let known = self.loaded(&Text::from(module));
        if !known {
            let text = format!("'${}' before module '{module}' is loaded; it has no effect", directive.name);
            self.problem(Problem::error(Topic::ModuleMissing, &directive.at, text));
        }
        known
    }

    pub(super) fn legacy_listener(&mut self, module: &'static str, directive: &Directive) {
        if !self.directive_known(module, directive) {
            return;
        }
        let at = directive.at.clone();
        let names = match module {
            "imudp" => ["udpserveraddress", "inputudpserverbindruleset", "", ""],
            "imtcp" => ["", "inputtcpserverbindruleset", "inputtcpserverinputname", "inputtcp"],
            "imptcp" => {
                ["inputptcpserverlistenip", "inputptcpserverbindruleset", "inputptcpserverinputname", "inputptcp"]
            }
            _ => ["", "inputrelpserverbindruleset", "", "inputrelp"],
        };
        let [address, ruleset, name, prefix] = names;
        let get = |name: &str| self.listening.get(name).filter(|v| !v.is_empty()).cloned();
        let setting = |what: &str| get(&format!("{prefix}{what}"));
        let value = directive.value();
        let default_port = if module == "imtcp" { "10514" } else { "514" };
        let framing = setting("serversupportoctetcountedframing").and_then(|v| v.switch());
        let listener = Listener {
            module: Text::from(module),
            transport: transport_of(module).unwrap_or(Transport::Other),
            port: if value.is_empty() { Text::from(default_port) } else { value },
            address: get(address).filter(|a| *a != "*"),
            ruleset: get(ruleset),
            name: get(name),
            tls: tls(setting("serverstreamdrivermode").as_ref(), None, setting("serverstreamdriverauthmode").as_ref()),
            max_sessions: setting("maxsessions").and_then(|v| v.number()),
            receive_buffer: None,
            rate_limit: None,
            octet_counted: framing.unwrap_or(true),
            params: self.listening.params(if prefix.is_empty() { "udpserver" } else { prefix }, &at),
            legacy: true,
            at,
        };
        self.out.listeners.push(listener);
    }

    pub(super) fn legacy_template(&mut self, directive: &Directive) {
        let rest = directive.rest.as_bytes();
        let Some(comma) = rest.iter().position(|b| *b == b',') else {
            return self.problem(Problem::error(Topic::Setting, &directive.at, "$template without a format"));
        };
        let name = Text::from(rest[..comma].trim_ascii_start());
        let body = rest[comma + 1..].trim_ascii_start();
        let (kind, format) = match body.first() {
            Some(b'"') => ("string", Some(legacy_format(&body[1..]))),
            Some(b'=') => ("plugin", None),
            _ => {
                let text = format!("template '{name}': the format must stand in quotes; it does not exist");
                return self.problem(Problem::error(Topic::Setting, &directive.at, text));
            }
        };
        let at = directive.at.clone();
        self.add_template(Template { name, kind: Text::from(kind), format, parts: Vec::new(), legacy: true, at });
    }

    /// `$outchannel name,file,max-size,command`
    pub(super) fn out_channel(&mut self, directive: &Directive) {
        let mut parts = directive.rest.as_bytes().split(|b| *b == b',').map(|p| Text::from(p.trim_ascii()));
        if let (Some(name), Some(file)) = (parts.next(), parts.next()) {
            self.channels.insert(name, file);
        }
    }

    pub(super) fn legacy_default_ruleset(&mut self, directive: &Directive) {
        let name = directive.value();
        if self.rulesets.contains_key(&name) {
            self.out.default_ruleset = name;
        } else {
            let text = format!("ruleset '{name}' does not exist before this place; the default ruleset stays");
            self.problem(Problem::error(Topic::RulesetMissing, &directive.at, text));
        }
    }

    pub(super) fn of_ruleset(&mut self, directive: &Directive) {
        let current = &mut self.out.rulesets[self.current];
        if directive.name.is("rulesetparser") {
            current.parsers.push(directive.value());
        } else if directive.value().switch() == Some(true) {
            current.queue = Some(self.out.main_queue.clone());
        }
    }
}

/// The format of a `$template` up to its closing quote; a backslash keeps the byte behind it.
fn legacy_format(text: &[u8]) -> Text {
    let mut end = 0;
    while let Some(b) = text.get(end) {
        match b {
            b'"' => break,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    Text::from(&text[..end.min(text.len())])
}
