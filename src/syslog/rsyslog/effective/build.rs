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

mod directives;
mod objects;

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
}
