//! A configuration on one page, for people and for tests: what is read, who listens, which rules follow each other, and
//! what is wrong, each with its place.

use std::fmt::Write as _;

use super::ast::{Expr, Op};
use super::effective::{Action, ActionKind, Effective, Listener, Step, StepKind, Transport};
use super::lint;
use crate::syslog::Text;

impl Effective {
    /// The page. Lines end in a line feed.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        self.sources(&mut out);
        self.parts(&mut out);
        for ruleset in self.rulesets.iter().filter(|r| !r.steps.is_empty()) {
            let place = ruleset.at.as_ref().map_or(String::new(), |at| format!(" ({at})"));
            let queue = if ruleset.queue.is_some() { ", own queue" } else { "" };
            let _ = writeln!(out, "ruleset {}{place}{queue}", ruleset.name);
            self.write_steps(&ruleset.steps, 1, &mut out);
        }
        for problem in lint::lint(self) {
            let _ = writeln!(out, "{:?} {problem}", problem.severity);
        }
        out
    }

    fn sources(&self, out: &mut String) {
        for file in &self.files {
            let from = file.included_at.as_ref().map_or(String::new(), |at| format!(" (from {at})"));
            let _ = writeln!(out, "file {}{from}", file.path.display());
        }
        if let Some(stopped) = &self.stopped {
            let _ = writeln!(out, "reading stops at {}: {}", stopped.at, stopped.why);
        }
    }

    fn parts(&self, out: &mut String) {
        for module in &self.modules {
            let _ = writeln!(out, "module {} ({})", module.name, module.at);
        }
        for setting in self.settings.iter().filter(|s| s.in_force) {
            let _ = writeln!(out, "set {} = {} ({})", setting.name, setting.value, setting.at);
        }
        for listener in &self.listeners {
            let _ = writeln!(out, "listen {} ({})", self.listener_line(listener), listener.at);
        }
        for template in &self.templates {
            let _ = writeln!(out, "template {} ({})", template.name, template.at);
        }
    }

    fn listener_line(&self, listener: &Listener) -> String {
        let address = listener.address.as_ref().map_or("*".to_owned(), Text::to_string);
        let tls = if listener.tls.is_some() { " TLS" } else { "" };
        let transport = transport_word(listener.transport);
        format!("{transport} {address}:{}{tls} → {}", listener.port, self.ruleset_of(listener))
    }

    fn write_steps(&self, steps: &[Step], depth: usize, out: &mut String) {
        let pad = "  ".repeat(depth);
        for step in steps {
            let line = self.step_line(step);
            let _ = writeln!(out, "{pad}{line}  [{}]", step.at);
            match &step.kind {
                StepKind::If { branches, otherwise } => {
                    for (i, (cond, body)) in branches.iter().enumerate() {
                        if i > 0 {
                            let _ = writeln!(out, "{pad}else if {}", expr(cond));
                        }
                        self.write_steps(body, depth + 1, out);
                    }
                    if !otherwise.is_empty() {
                        let _ = writeln!(out, "{pad}else");
                        self.write_steps(otherwise, depth + 1, out);
                    }
                }
                StepKind::Pri { body, .. } | StepKind::Prop { body, .. } | StepKind::Foreach { body, .. } => {
                    self.write_steps(body, depth + 1, out)
                }
                _ => {}
            }
        }
    }

    fn step_line(&self, step: &Step) -> String {
        match &step.kind {
            StepKind::Action(id) => self.actions.get(*id).map_or(String::new(), action_line),
            StepKind::Stop => "stop".to_owned(),
            StepKind::Call(name) => format!("call {name}"),
            StepKind::CallIndirect(name) => format!("call_indirect {}", expr(name)),
            StepKind::If { branches, .. } => format!("if {}", branches.first().map_or(String::new(), |(c, _)| expr(c))),
            StepKind::Foreach { var, list, .. } => format!("foreach ${var} in {}", expr(list)),
            StepKind::Set { var, value } => format!("set ${var} = {}", expr(value)),
            StepKind::Unset(var) => format!("unset ${var}"),
            StepKind::Pri { filter, .. } => filter.text.to_string(),
            StepKind::Prop { filter, .. } => filter.text.to_string(),
        }
    }
}

/// An action in one line: what it does, with which queue.
pub fn action_line(action: &Action) -> String {
    let what = match &action.kind {
        ActionKind::Forward(f) => format!("forward {} {}:{}", transport_word(f.transport), f.target, f.port),
        ActionKind::File(path) => format!("file {path}"),
        ActionKind::DynaFile(template) => format!("file named by {template}"),
        ActionKind::Users(users) => {
            format!("terminals of {}", users.iter().map(Text::to_string).collect::<Vec<_>>().join(", "))
        }
        ActionKind::Pipe(path) => format!("pipe {path}"),
        ActionKind::Program(path) => format!("program {path}"),
        ActionKind::Other => format!("action {}", action.module),
    };
    let template = action.template.as_ref().map_or(String::new(), |t| format!(" as {t}"));
    let queue = if action.queue.on_disk() { ", queue on disk" } else { "" };
    let retries = if action.resume_retries < 0 { ", endless retries" } else { "" };
    let off = if action.enabled { "" } else { ", switched off" };
    format!("{what}{template}{queue}{retries}{off}")
}

fn transport_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Relp => "relp",
        Transport::Other => "other",
    }
}

/// An expression as it might be written.
pub fn expr(e: &Expr) -> String {
    let list = |items: &[Expr]| items.iter().map(expr).collect::<Vec<_>>().join(", ");
    match e {
        Expr::Text(t) => format!("{:?}", t.to_str_lossy()),
        Expr::Unknown(t) => format!("`{t}`"),
        Expr::Number(n) => n.to_string(),
        Expr::Var(v) => format!("${v}"),
        Expr::List(items) => format!("[{}]", items.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(", ")),
        Expr::Call { name, args } => format!("{name}({})", list(args)),
        Expr::Exists(v) => format!("exists(${v})"),
        Expr::Not(inner) => format!("not {}", bracketed(inner)),
        Expr::Negate(inner) => format!("-{}", bracketed(inner)),
        Expr::Chain { first, rest } => {
            rest.iter().fold(bracketed(first), |out, (op, e)| format!("{out} {} {}", op_word(*op), bracketed(e)))
        }
    }
}

fn bracketed(e: &Expr) -> String {
    if matches!(e, Expr::Chain { .. }) { format!("({})", expr(e)) } else { expr(e) }
}

fn op_word(op: Op) -> &'static str {
    match op {
        Op::And => "and",
        Op::Or => "or",
        Op::Eq => "==",
        Op::Ne => "!=",
        Op::Le => "<=",
        Op::Ge => ">=",
        Op::Lt => "<",
        Op::Gt => ">",
        Op::Contains => "contains",
        Op::ContainsI => "contains_i",
        Op::StartsWith => "startswith",
        Op::StartsWithI => "startswith_i",
        Op::EndsWith => "endswith",
        Op::Concat => "&",
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::Mod => "%",
    }
}
