//! `module(…)`, `global(…)`, `input(…)`, `template(…)`, `ruleset(…)`.

use super::*;

impl Builder {
    pub(super) fn object(&mut self, object: Object) {
        self.double_params(&object);
        match object.kind {
            ObjectKind::Module => self.module(object),
            ObjectKind::Global => self.global(object),
            ObjectKind::Input => self.input(object),
            ObjectKind::MainQueue => self.out.main_queue = Queue::main().with(&object.params),
            _ => self.out.objects.push(object),
        }
    }

    /// Of a parameter written twice the daemon takes the last one and calls the other unknown.
    pub(super) fn double_params(&mut self, object: &Object) {
        let mut seen = BTreeSet::new();
        for param in object.params.iter().rev() {
            if !seen.insert(param.name.to_lower()) {
                let text = format!("parameter '{}' stands twice in one {}()", param.name, object.kind.word());
                self.problem(Problem::error(Topic::Setting, &param.at, text));
            }
        }
    }

    pub(super) fn module(&mut self, object: Object) {
        match object.get("load").cloned() {
            Some(name) => self.load(name, object.params, false, object.at),
            None => self.problem(Problem::error(Topic::Setting, &object.at, "module() without 'load'")),
        }
    }

    pub(super) fn load(&mut self, name: Text, params: Vec<Param>, legacy: bool, at: Location) {
        let file = name.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
        let name = Text::from(file.strip_suffix(b".so").unwrap_or(file));
        if let Some(first) = self.out.modules.iter().find(|m| m.name == name) {
            let text = format!("module '{name}' is loaded already at {}; this line has no effect", first.at);
            // What is lost are the parameters, if there are any; loading twice as such is harmless.
            let lost = params.iter().any(|p| !p.name.is("load"));
            let problem = if lost { Problem::warning } else { Problem::note };
            return self.problem(problem(Topic::ModuleTwice, &at, text));
        }
        self.out.modules.push(Module { name, params, legacy, at });
    }

    pub(super) fn global(&mut self, object: Object) {
        for param in object.params {
            let Some(value) = param.value.text().cloned() else { continue };
            self.setting(Setting { name: param.name.to_lower(), value, legacy: false, in_force: true, at: param.at });
        }
    }

    pub(super) fn setting(&mut self, mut new: Setting) {
        if let Some(old) = self.in_force.get(&new.name).and_then(|i| self.out.settings.get_mut(*i)) {
            match (old.legacy, new.legacy) {
                (true, _) => old.in_force = false,
                (false, true) => new.in_force = false,
                (false, false) => {
                    new.in_force = false;
                    let text =
                        format!("global parameter '{}' is set already at {}; this one is ignored", new.name, old.at);
                    let problem = Problem::warning(Topic::Setting, &new.at, text);
                    self.problem(problem);
                }
            }
        }
        if new.in_force {
            self.in_force.insert(new.name.clone(), self.out.settings.len());
        }
        self.out.settings.push(new);
    }

    pub(super) fn input(&mut self, object: Object) {
        let Some(module) = object.get("type").map(Text::to_lower) else {
            return self.problem(Problem::error(Topic::Setting, &object.at, "input() without 'type'"));
        };
        if !self.loaded(&module) {
            let text = format!("input of module '{module}', which is not loaded before this place; it has no effect");
            return self.problem(Problem::error(Topic::ModuleMissing, &object.at, text));
        }
        let Some(transport) = transport_of(&module.to_str_lossy()) else {
            return self.out.inputs.push(object);
        };
        let ports = object.param("port").map(|p| p.value.all().to_vec()).unwrap_or_default();
        if ports.is_empty() && module.is("imptcp") && object.get("path").is_some() {
            // A local socket instead of a port.
            return self.out.inputs.push(object);
        }
        if ports.is_empty() {
            return self.problem(Problem::error(Topic::Setting, &object.at, "input() without 'port' has no effect"));
        }
        for port in ports {
            let listener = self.listener(&module, transport, port, &object);
            self.out.listeners.push(listener);
        }
    }

    pub(super) fn listener(&self, module: &Text, transport: Transport, port: Text, object: &Object) -> Listener {
        let of_module = self.out.modules.iter().find(|m| m.name == *module);
        let in_module = |name: &str| {
            of_module.and_then(|m| m.params.iter().rev().find(|p| p.name.is(name))).and_then(|p| p.value.text())
        };
        let own = |name: &str| object.get(name);
        let either = |name: &str| own(name).or_else(|| in_module(name));
        let framing = either("supportoctetcountedframing").or_else(|| in_module("octetcountedframing"));
        let name = own("name").or_else(|| own("inputname")).cloned();
        let rate = either("ratelimit.interval").and_then(Text::number).filter(|n| *n > 0);
        Listener {
            module: module.clone(),
            transport,
            port,
            address: own("address").filter(|a| !a.is_empty()).cloned(),
            ruleset: own("ruleset").cloned(),
            name,
            tls: tls(
                either("streamdriver.mode").or_else(|| own("tls")),
                either("streamdriver.name").or_else(|| own("tls.tlslib")),
                either("streamdriver.authmode").or_else(|| own("tls.authmode")),
            ),
            max_sessions: either("maxsessions").and_then(Text::number),
            receive_buffer: own("rcvbufsize").and_then(size),
            rate_limit: rate.map(|interval| RateLimit {
                interval,
                burst: either("ratelimit.burst").and_then(Text::number).unwrap_or(10_000),
            }),
            octet_counted: framing.and_then(Text::switch).unwrap_or(true),
            params: object.params.clone(),
            legacy: false,
            at: object.at.clone(),
        }
    }

    pub(super) fn loaded(&self, module: &Text) -> bool {
        self.out.modules.iter().any(|m| m.name == *module)
    }

    // ---- templates and rulesets ----

    pub(super) fn template(&mut self, template: TemplateObject) {
        let object = template.object;
        self.double_params(&object);
        if object.disabled() {
            return;
        }
        let Some(name) = object.get("name").cloned() else {
            return self.problem(Problem::error(Topic::Setting, &object.at, "template() without 'name'"));
        };
        let kind = object.get("type").cloned().unwrap_or_else(|| Text::from("string"));
        let complete = match kind.as_bytes() {
            b"string" => object.get("string").is_some(),
            b"list" => !template.parts.is_empty(),
            b"subtree" => object.get("subtree").is_some(),
            b"plugin" => object.get("plugin").is_some(),
            _ => false,
        };
        if !complete {
            let text = format!("template '{name}' of type '{kind}' is incomplete; it does not exist");
            return self.problem(Problem::error(Topic::Setting, &object.at, text));
        }
        let format = object.get("string").cloned();
        let shown = format.as_ref().map_or(&b""[..], Text::as_bytes);
        if let Some(unknown) = template::unknown_property(shown, &template.parts) {
            let text = format!("template '{name}' names '{unknown}', which is no property; it does not exist");
            return self.problem(Problem::error(Topic::Setting, &object.at, text));
        }
        self.add_template(Template { name, kind, format, parts: template.parts, legacy: false, at: object.at });
    }

    pub(super) fn add_template(&mut self, template: Template) {
        match self.templates.get(&template.name).and_then(|i| self.out.templates.get(*i)) {
            Some(first) => {
                let text =
                    format!("template '{}' exists already from {}; the first one counts", template.name, first.at);
                let problem = Problem::warning(Topic::NameTwice, &template.at, text);
                self.problem(problem);
            }
            None => drop(self.templates.insert(template.name.clone(), self.out.templates.len())),
        }
        self.out.templates.push(template);
    }

    pub(super) fn ruleset(&mut self, ruleset: RulesetObject) {
        let object = ruleset.object;
        let name = object.get("name").cloned().unwrap_or_default();
        let mut steps = Vec::new();
        for stmt in ruleset.body {
            self.step(stmt, &name, &mut steps);
        }
        if object.disabled() {
            return;
        }
        self.double_params(&object);
        if object.get("name").is_none() {
            return self.problem(Problem::error(Topic::Setting, &object.at, "ruleset() without 'name'"));
        }
        if let Some(first) = self.rulesets.get(&name).and_then(|i| self.out.rulesets.get(*i)) {
            let place = first.at.as_ref().map_or("the daemon itself".to_owned(), Location::to_string);
            let text = format!("ruleset '{name}' exists already from {place}; this one is ignored");
            return self.problem(Problem::error(Topic::NameTwice, &object.at, text));
        }
        let has_queue = object.params.iter().any(|p| p.name.to_lower().as_bytes().starts_with(b"queue."));
        self.rulesets.insert(name.clone(), self.out.rulesets.len());
        self.out.rulesets.push(Ruleset {
            name,
            at: Some(object.at.clone()),
            queue: has_queue.then(|| Queue::main().with(&object.params)),
            steps,
            parsers: object.param("parser").map(|p| p.value.all().to_vec()).unwrap_or_default(),
            legacy: false,
        });
    }

    pub(super) fn legacy_ruleset(&mut self, directive: &Directive) -> usize {
        let name = directive.value();
        if let Some(i) = self.rulesets.get(&name) {
            return *i;
        }
        self.rulesets.insert(name.clone(), self.out.rulesets.len());
        self.out.rulesets.push(Ruleset::empty(name, Some(directive.at.clone())));
        self.out.rulesets.len() - 1
    }
}

pub(super) fn tls(mode: Option<&Text>, driver: Option<&Text>, auth: Option<&Text>) -> Option<Tls> {
    let on = mode.is_some_and(|m| m.number().map_or(m.switch() == Some(true), |n| n > 0));
    on.then(|| Tls { driver: driver.cloned().unwrap_or_default(), auth_mode: auth.cloned().unwrap_or_default() })
}

pub(super) fn transport_of(module: &str) -> Option<Transport> {
    Some(match module {
        "imudp" => Transport::Udp,
        "imtcp" | "imptcp" => Transport::Tcp,
        "imrelp" => Transport::Relp,
        "imdtls" | "imgssapi" | "imhttp" => Transport::Other,
        _ => return None,
    })
}
