//! Walks the statements in the daemon's order and puts together what they amount to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::action;
use super::legacy::{self, Waiting};
use super::*;
use crate::syslog::rsyslog::ast::*;
use crate::syslog::rsyslog::names;
use crate::syslog::rsyslog::parse::Program;
use crate::syslog::rsyslog::problem::Topic;
use crate::syslog::rsyslog::template;

/// Modules that are part of the daemon.
const BUILTIN: [&str; 6] = ["omfile", "ompipe", "omshell", "omdiscard", "omfwd", "omusrmsg"];

/// Templates that are there without being defined.
const BUILTIN_TEMPLATES: [&str; 16] = [
    "RSYSLOG_DebugFormat",
    "RSYSLOG_SyslogProtocol23Format",
    "RSYSLOG_SyslogRFC5424Format",
    "RSYSLOG_FileFormat",
    "RSYSLOG_TraditionalFileFormat",
    " WallFmt",
    "RSYSLOG_ForwardFormat",
    "RSYSLOG_TraditionalForwardFormat",
    " StdUsrMsgFmt",
    " StdDBFmt",
    "RSYSLOG_SysklogdFileFormat",
    " StdPgSQLFmt",
    " StdJSONFmt",
    " FullJSONFmt",
    " StdClickHouseFmt",
    "RSYSLOG_omudpspoofDfltSourceTpl",
];

pub(super) fn build(main: &Path, program: Program) -> Effective {
    let mut builder = Builder {
        out: Effective {
            main: main.to_owned(),
            files: program.files,
            includes: program.includes,
            stopped: program.stopped,
            modules: Vec::new(),
            settings: Vec::new(),
            listeners: Vec::new(),
            inputs: Vec::new(),
            templates: Vec::new(),
            rulesets: vec![Ruleset::empty(Text::from(DEFAULT_RULESET), None)],
            default_ruleset: Text::from(DEFAULT_RULESET),
            main_queue: Queue::main(),
            actions: Vec::new(),
            objects: Vec::new(),
            problems: program.problems,
        },
        waiting: Waiting::default(),
        listening: Waiting::default(),
        current: 0,
        chains: BTreeMap::new(),
        channels: BTreeMap::new(),
        templates: BTreeMap::new(),
        rulesets: BTreeMap::from([(Text::from(DEFAULT_RULESET), 0)]),
        in_force: BTreeMap::new(),
    };
    for item in program.items {
        builder.item(item);
    }
    builder.out
}

impl Ruleset {
    fn empty(name: Text, at: Option<Location>) -> Ruleset {
        let legacy = at.is_some();
        Ruleset { name, at, queue: None, steps: Vec::new(), parsers: Vec::new(), legacy }
    }
}

struct Builder {
    out: Effective,
    /// Directives for actions.
    waiting: Waiting,
    /// Directives for listeners.
    listening: Waiting,
    /// Index of the ruleset that statements go to.
    current: usize,
    /// Per ruleset: how many of its steps stay when another statement follows.
    chains: BTreeMap<usize, usize>,
    /// Files of `$outchannel` by name.
    channels: BTreeMap<Text, Text>,
    /// Places in the lists of `out`, since files may be long.
    templates: BTreeMap<Text, usize>,
    rulesets: BTreeMap<Text, usize>,
    in_force: BTreeMap<Text, usize>,
}

impl Builder {
    fn problem(&mut self, problem: Problem) {
        self.out.problems.push(problem);
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Object(object) if object.disabled() => {}
            Item::Object(object) => self.object(object),
            Item::Template(template) => self.template(template),
            Item::Ruleset(ruleset) => self.ruleset(ruleset),
            Item::LegacyRuleset(directive) => self.current = self.legacy_ruleset(&directive),
            Item::Stmts(stmts) => self.top_statements(stmts),
            Item::Bsd { .. } => {}
        }
    }

    // ---- objects ----

    fn object(&mut self, object: Object) {
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
    fn double_params(&mut self, object: &Object) {
        let mut seen = BTreeSet::new();
        for param in object.params.iter().rev() {
            if !seen.insert(param.name.to_lower()) {
                let text = format!("parameter '{}' stands twice in one {}()", param.name, object.kind.word());
                self.problem(Problem::error(Topic::Setting, &param.at, text));
            }
        }
    }

    fn module(&mut self, object: Object) {
        match object.get("load").cloned() {
            Some(name) => self.load(name, object.params, false, object.at),
            None => self.problem(Problem::error(Topic::Setting, &object.at, "module() without 'load'")),
        }
    }

    fn load(&mut self, name: Text, params: Vec<Param>, legacy: bool, at: Location) {
        let file = name.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
        let name = Text::from(file.strip_suffix(b".so").unwrap_or(file));
        if let Some(first) = self.out.modules.iter().find(|m| m.name == name) {
            let text = format!("module '{name}' is loaded already at {}; this line has no effect", first.at);
            return self.problem(Problem::warning(Topic::ModuleTwice, &at, text));
        }
        self.out.modules.push(Module { name, params, legacy, at });
    }

    fn global(&mut self, object: Object) {
        for param in object.params {
            let Some(value) = param.value.text().cloned() else { continue };
            self.setting(Setting { name: param.name.to_lower(), value, legacy: false, in_force: true, at: param.at });
        }
    }

    fn setting(&mut self, mut new: Setting) {
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

    fn input(&mut self, object: Object) {
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
        if ports.is_empty() {
            return self.problem(Problem::error(Topic::Setting, &object.at, "input() without 'port' has no effect"));
        }
        for port in ports {
            let listener = self.listener(&module, transport, port, &object);
            self.out.listeners.push(listener);
        }
    }

    fn listener(&self, module: &Text, transport: Transport, port: Text, object: &Object) -> Listener {
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

    fn loaded(&self, module: &Text) -> bool {
        self.out.modules.iter().any(|m| m.name == *module)
    }

    // ---- templates and rulesets ----

    fn template(&mut self, template: TemplateObject) {
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

    fn add_template(&mut self, template: Template) {
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

    fn ruleset(&mut self, ruleset: RulesetObject) {
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

    fn legacy_ruleset(&mut self, directive: &Directive) -> usize {
        let name = directive.value();
        if let Some(i) = self.rulesets.get(&name) {
            return *i;
        }
        self.rulesets.insert(name.clone(), self.out.rulesets.len());
        self.out.rulesets.push(Ruleset::empty(name, Some(directive.at.clone())));
        self.out.rulesets.len() - 1
    }

    // ---- statements ----

    /// Statements outside any block go to the current ruleset. Of a chain without a filter (`action(…) & stop`) the
    /// daemon forgets all but the first as soon as another statement follows.
    fn top_statements(&mut self, stmts: Vec<Stmt>) {
        let ruleset = self.out.rulesets[self.current].name.clone();
        let mut first_ends = None;
        let mut steps = Vec::new();
        for stmt in stmts {
            let is_statement = !matches!(stmt.kind, StmtKind::Directive(_));
            self.step(stmt, &ruleset, &mut steps);
            if is_statement {
                first_ends.get_or_insert(steps.len());
            }
        }
        let Some(first_ends) = first_ends else { return };
        if let Some(keep) = self.chains.get(&self.current) {
            let lost = self.out.rulesets[self.current].steps.split_off(*keep);
            self.lost(&lost);
        }
        let all = &mut self.out.rulesets[self.current].steps;
        self.chains.insert(self.current, all.len() + first_ends);
        all.extend(steps);
    }

    fn lost(&mut self, steps: &[Step]) {
        let Some(first) = steps.first() else { return };
        let text = "the daemon forgets what '&' joins to an action without a filter when another statement follows";
        self.problem(Problem::error(Topic::Statement, &first.at, text));
        for step in steps {
            if let StepKind::Action(id) = step.kind {
                self.out.actions[id].enabled = false;
            }
        }
    }

    fn steps(&mut self, stmts: Vec<Stmt>, ruleset: &Text) -> Vec<Step> {
        let mut steps = Vec::new();
        for stmt in stmts {
            self.step(stmt, ruleset, &mut steps);
        }
        steps
    }

    fn step(&mut self, stmt: Stmt, ruleset: &Text, into: &mut Vec<Step>) {
        let at = stmt.at;
        let kind = match stmt.kind {
            StmtKind::Directive(directive) => return self.directive(&directive),
            StmtKind::Action(object) => match self.action(object, ruleset) {
                Some(id) => StepKind::Action(id),
                None => return,
            },
            StmtKind::LegacyAction(line) => match self.legacy_action(&line, &at, ruleset) {
                Some(kind) => kind,
                None => return,
            },
            StmtKind::Stop => StepKind::Stop,
            StmtKind::Continue | StmtKind::ReloadLookupTable => return,
            StmtKind::Call(name) => StepKind::Call(name),
            StmtKind::CallIndirect(name) => {
                self.check_expr(&name, &at);
                StepKind::CallIndirect(name)
            }
            StmtKind::If { branches, otherwise } => {
                branches.iter().for_each(|b| self.check_expr(&b.cond, &b.at));
                StepKind::If {
                    branches: branches.into_iter().map(|b| (b.cond, self.steps(b.body, ruleset))).collect(),
                    otherwise: self.steps(otherwise, ruleset),
                }
            }
            StmtKind::Foreach { var, list, body } => StepKind::Foreach { var, list, body: self.steps(body, ruleset) },
            StmtKind::Set { var, value } => {
                self.check_expr(&value, &at);
                if !names::is_variable(var.as_bytes()) {
                    let text = format!("'${var}' cannot be set; the statement has no effect");
                    return self.problem(Problem::error(Topic::Statement, &at, text));
                }
                StepKind::Set { var, value }
            }
            StmtKind::Unset(var) => StepKind::Unset(var),
            StmtKind::Pri { filter, body } => {
                let (filter, complaint) = PriFilter::parse(&filter);
                if let Some(why) = complaint {
                    let text = format!("filter '{}': {why}; the rest of it has no effect", filter.text);
                    self.problem(Problem::error(Topic::Statement, &at, text));
                }
                StepKind::Pri { filter, body: self.steps(body, ruleset) }
            }
            StmtKind::Prop { filter, body } => {
                let body = self.steps(body, ruleset);
                let decoded =
                    PropFilter::parse(&filter).and_then(|f| match names::is_property(f.property.as_bytes()) {
                        true => Ok(f),
                        false => Err(format!("unknown property '{}'", f.property)),
                    });
                match decoded {
                    Ok(filter) => StepKind::Prop { filter, body },
                    Err(why) => {
                        let text = format!("filter '{filter}': {why}; the statement has no effect");
                        return self.problem(Problem::error(Topic::Statement, &at, text));
                    }
                }
            }
        };
        into.push(Step { at, kind });
    }

    /// Names in an expression that the daemon does not know.
    fn check_expr(&mut self, expr: &Expr, at: &Location) {
        match expr {
            Expr::Var(name) if !names::is_variable(name.as_bytes()) && !names::is_property(name.as_bytes()) => {
                let text = format!("'${name}' is no property; it has no useful value");
                self.problem(Problem::error(Topic::Statement, at, text));
            }
            Expr::Call { name, args } => {
                args.iter().for_each(|a| self.check_expr(a, at));
                match names::function(name.as_bytes()) {
                    None => {
                        let text = format!("there is no function '{name}'; many versions of the daemon crash on that");
                        self.problem(Problem::error(Topic::Function, at, text));
                    }
                    Some(f) if !f.params.contains(&args.len()) => {
                        let text = format!("function '{name}' does not take {} parameters", args.len());
                        self.problem(Problem::error(Topic::Function, at, text));
                    }
                    Some(_) => {}
                }
            }
            Expr::Not(inner) | Expr::Negate(inner) => self.check_expr(inner, at),
            Expr::Chain { first, rest } => {
                self.check_expr(first, at);
                rest.iter().for_each(|(_, e)| self.check_expr(e, at));
            }
            _ => {}
        }
    }

    fn action(&mut self, object: Object, ruleset: &Text) -> Option<ActionId> {
        self.double_params(&object);
        let Some(module) = object.get("type").map(Text::to_lower) else {
            self.problem(Problem::error(Topic::Statement, &object.at, "action() without 'type' has no effect"));
            return None;
        };
        let module = Text::from(module.as_bytes().strip_prefix(b"builtin:").unwrap_or(module.as_bytes()));
        let kind = match action::kind_of(&module.to_str_lossy(), &object) {
            Ok(kind) => kind,
            Err(why) => {
                self.problem(Problem::error(Topic::Statement, &object.at, format!("{why}; the action has no effect")));
                return None;
            }
        };
        let number = |name: &str, default| object.get(name).and_then(Text::number).unwrap_or(default);
        let known = self.module_known(&module, &object.at);
        let template = object.get("template").cloned().or_else(|| self.default_template(&module));
        let enabled = known && self.template_known(template.as_ref(), &kind, &object.at) && !object.disabled();
        self.waiting.used();
        Some(self.add_action(Action {
            id: 0,
            ruleset: ruleset.clone(),
            module,
            name: object.get("name").cloned(),
            kind,
            template,
            queue: Queue::direct().with(&object.params),
            resume_retries: number("action.resumeretrycount", 0),
            resume_interval: number("action.resumeinterval", 30),
            only_when_previous_suspended:
                object.get("action.execonlywhenpreviousissuspended").and_then(Text::switch).unwrap_or(false),
            enabled,
            legacy: false,
            at: object.at.clone(),
            params: object.params,
        }))
    }

    fn legacy_action(&mut self, line: &Text, at: &Location, ruleset: &Text) -> Option<StepKind> {
        let decoded = match action::decode_legacy(line, &self.waiting, &self.channels) {
            Ok(Some(decoded)) => decoded,
            Ok(None) => {
                let text = "'~' still works but is obsolete; 'stop' does the same";
                self.problem(Problem::note(Topic::Obsolete, at, text));
                return Some(StepKind::Stop);
            }
            Err(why) => {
                self.problem(Problem::error(Topic::Statement, at, format!("{why}; the action has no effect")));
                return None;
            }
        };
        let module = Text::from(decoded.module);
        let template = decoded.template.or_else(|| self.default_template(&module));
        let known = self.module_known(&module, at);
        let enabled = known && self.template_known(template.as_ref(), &decoded.kind, at);
        let params = self.waiting.params("action", at);
        let number = |name: &str, default| self.waiting.get(name).and_then(Text::number).unwrap_or(default);
        let switch = |name: &str| self.waiting.get(name).and_then(Text::switch).unwrap_or(false);
        let action = Action {
            id: 0,
            ruleset: ruleset.clone(),
            module,
            name: self.waiting.get("actionname").cloned(),
            kind: decoded.kind,
            template,
            queue: Queue { enqueue_timeout: 50, ..Queue::direct() }.with_legacy("actionqueue", &params),
            resume_retries: number("actionresumeretrycount", 0),
            resume_interval: number("actionresumeinterval", 30),
            only_when_previous_suspended: switch("actionexeconlywhenpreviousissuspended"),
            enabled,
            params,
            legacy: true,
            at: at.clone(),
        };
        // An action the daemon refuses leaves the waiting directives for the next one.
        if enabled {
            self.waiting.used();
        }
        Some(StepKind::Action(self.add_action(action)))
    }

    fn add_action(&mut self, mut action: Action) -> ActionId {
        action.id = self.out.actions.len();
        self.out.actions.push(action);
        self.out.actions.len() - 1
    }

    fn module_known(&mut self, module: &Text, at: &Location) -> bool {
        let known = BUILTIN.iter().any(|b| module.is(b)) || self.loaded(module);
        if !known {
            let text = format!("action of module '{module}', which is not loaded before this place; it has no effect");
            self.problem(Problem::error(Topic::ModuleMissing, at, text));
        }
        known
    }

    /// The template a module uses where an action names none: set by `$Action…DefaultTemplate` or with the module.
    fn default_template(&self, module: &Text) -> Option<Text> {
        let directive = match module.as_bytes() {
            b"omfile" => "actionfiledefaulttemplate",
            b"omfwd" => "actionforwarddefaulttemplate",
            _ => return None,
        };
        let of_module = || {
            let name = Text::from([b"builtin:", module.as_bytes()].concat());
            let params = &self.out.modules.iter().find(|m| m.name == name)?.params;
            params.iter().find(|p| p.name.is("template"))?.value.text().cloned()
        };
        self.waiting.get(directive).cloned().or_else(of_module)
    }

    fn template_known(&mut self, template: Option<&Text>, kind: &ActionKind, at: &Location) -> bool {
        let of_file = match kind {
            ActionKind::DynaFile(template) => Some(template),
            _ => None,
        };
        let mut known = true;
        for name in template.into_iter().chain(of_file) {
            let there = BUILTIN_TEMPLATES.iter().any(|b| *name == *b) || self.templates.contains_key(name);
            if !there {
                let text = format!("template '{name}' is not defined before this place; the action has no effect");
                self.problem(Problem::error(Topic::TemplateMissing, at, text));
                known = false;
            }
        }
        known
    }

    // ---- directives ----

    fn directive(&mut self, directive: &Directive) {
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
                value: directive.value(),
                legacy: true,
                in_force: true,
                at: directive.at.clone(),
            }),
        }
    }

    /// A module's directives are known only once it is loaded.
    fn directive_known(&mut self, module: &str, directive: &Directive) -> bool {
        let known = self.loaded(&Text::from(module));
        if !known {
            let text = format!("'${}' before module '{module}' is loaded; it has no effect", directive.name);
            self.problem(Problem::error(Topic::ModuleMissing, &directive.at, text));
        }
        known
    }

    fn legacy_listener(&mut self, module: &'static str, directive: &Directive) {
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

    fn legacy_template(&mut self, directive: &Directive) {
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
    fn out_channel(&mut self, directive: &Directive) {
        let mut parts = directive.rest.as_bytes().split(|b| *b == b',').map(|p| Text::from(p.trim_ascii()));
        if let (Some(name), Some(file)) = (parts.next(), parts.next()) {
            self.channels.insert(name, file);
        }
    }

    fn legacy_default_ruleset(&mut self, directive: &Directive) {
        let name = directive.value();
        if self.rulesets.contains_key(&name) {
            self.out.default_ruleset = name;
        } else {
            let text = format!("ruleset '{name}' does not exist before this place; the default ruleset stays");
            self.problem(Problem::error(Topic::RulesetMissing, &directive.at, text));
        }
    }

    fn of_ruleset(&mut self, directive: &Directive) {
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

fn tls(mode: Option<&Text>, driver: Option<&Text>, auth: Option<&Text>) -> Option<Tls> {
    let on = mode.is_some_and(|m| m.number().map_or(m.switch() == Some(true), |n| n > 0));
    on.then(|| Tls { driver: driver.cloned().unwrap_or_default(), auth_mode: auth.cloned().unwrap_or_default() })
}

fn transport_of(module: &str) -> Option<Transport> {
    Some(match module {
        "imudp" => Transport::Udp,
        "imtcp" | "imptcp" => Transport::Tcp,
        "imrelp" => Transport::Relp,
        "imdtls" | "imgssapi" | "imhttp" => Transport::Other,
        _ => return None,
    })
}
