//! RainerScript expressions on one event, by the daemon's rules (numbers and texts convert silently, `and`/`or` rank
//! equal, a text counts as true by its leading digits). What cannot be known — the environment, lookup tables, the time
//! of day — is [`Val::Unknown`] and stays so through every operator that needs it.

use std::collections::BTreeMap;

use super::Effective;
use super::anybody;
use super::ast::{Expr, Op};
use super::event::SampleEvent;
use super::filter::{PriFilter, PropFilter, PropOp};
use super::names;
use super::posix::{Pattern, Syntax};
use crate::syslog::Text;

mod functions;
mod value;

pub use value::{Maybe, Val};

use value::{and, arithmetic, bisect, compare, flag, or, order};

/// The event and the variables while a ruleset runs.
#[derive(Debug, Clone)]
pub struct Env<'a> {
    pub config: &'a Effective,
    pub event: &'a SampleEvent,
    /// By lower-case path with its sign: `.x`, `!a!b`, `/g`.
    pub vars: BTreeMap<Vec<u8>, Val>,
    /// A module may have rewritten the text of the event.
    pub msg_changed: bool,
    /// A module may have set any `$!` variable.
    pub json_changed: bool,
}

impl<'a> Env<'a> {
    pub fn new(config: &'a Effective, event: &'a SampleEvent) -> Self {
        Env { config, event, vars: BTreeMap::new(), msg_changed: false, json_changed: false }
    }

    pub fn set(&mut self, name: &Text, value: Val) {
        let value = match value {
            Val::Number(n) => Val::Stored(n),
            other => other,
        };
        self.unset(name);
        self.vars.insert(name.0.to_ascii_lowercase(), value);
    }

    pub fn unset(&mut self, name: &Text) {
        let path = name.0.to_ascii_lowercase();
        self.vars.retain(|k, _| !(k.starts_with(&path) && matches!(k.get(path.len()), None | Some(b'!'))));
    }

    /// Is a variable there? Also true for a path on the way to one.
    fn exists(&self, name: &Text) -> Maybe {
        let path = name.0.to_ascii_lowercase();
        let below = |k: &Vec<u8>| k.starts_with(&path) && matches!(k.get(path.len()), None | Some(b'!'));
        if self.vars.keys().any(below) {
            return Some(true);
        }
        self.absent(&path).then_some(false)
    }

    /// Surely not set?
    fn absent(&self, path: &[u8]) -> bool {
        // Global variables outlive the event; below an unknown value anything may be.
        let known = match path.first() {
            Some(b'/') => false,
            Some(b'!') => !self.json_changed,
            _ => true,
        };
        let parent = |k: &Vec<u8>| path.starts_with(k) && path.get(k.len()) == Some(&b'!');
        known && !self.vars.iter().any(|(k, v)| parent(k) && *v == Val::Unknown)
    }

    fn var(&self, name: &Text) -> Val {
        let path = name.0.to_ascii_lowercase();
        if let Some(value) = self.vars.get(&path) {
            return value.clone();
        }
        let children = self.vars.keys().any(|k| k.starts_with(&path) && k.get(path.len()) == Some(&b'!'));
        if self.absent(&path) && !children { Val::Text(Vec::new()) } else { Val::Unknown }
    }

    /// A property or variable by the name behind the dollar sign.
    pub fn value(&self, name: &Text) -> Val {
        let bytes = name.as_bytes();
        if names::is_variable(bytes) && !names::is_property(&[b"$", bytes].concat()) {
            return self.var(name);
        }
        if !names::is_property(bytes) {
            return Val::Text(b"**INVALID PROPERTY NAME**".to_vec());
        }
        let lower = bytes.to_ascii_lowercase();
        let of_text = !matches!(lower.as_slice(), b"pri" | b"fromhost" | b"fromhost-ip" | b"inputname" | b"hostname");
        if self.msg_changed && of_text {
            return Val::Unknown;
        }
        self.event.property(&name.to_str_lossy()).map_or(Val::Unknown, Val::Text)
    }

    pub fn eval(&self, expr: &Expr) -> Val {
        self.eval_as(expr, true)
    }

    /// `optimised`: the daemon rewrites comparisons when it loads its configuration (sorts lists, turns names of
    /// severities into numbers), but not inside the parameters of a function.
    fn eval_as(&self, expr: &Expr, optimised: bool) -> Val {
        match expr {
            Expr::Text(t) => Val::Text(t.0.clone()),
            Expr::Unknown(_) => Val::Unknown,
            Expr::Number(n) => Val::Number(*n),
            Expr::Var(name) => self.value(name),
            Expr::List(items) => Val::Text(items.first().map(|t| t.0.clone()).unwrap_or_default()),
            Expr::Call { name, args } => self.call(&name.to_str_lossy(), args),
            Expr::Exists(name) => flag(self.exists(name)),
            Expr::Not(inner) => flag(self.eval_as(inner, optimised).truth().map(|b| !b)),
            Expr::Negate(inner) => {
                self.eval_as(inner, false).number().map_or(Val::Unknown, |(n, _)| Val::Number(n.wrapping_neg()))
            }
            Expr::Chain { first, rest } => self.chain(first, rest, optimised),
        }
    }

    fn chain(&self, first: &Expr, rest: &[(Op, Expr)], optimised: bool) -> Val {
        let Some(((op, right), others)) = rest.split_first() else { return self.eval_as(first, optimised) };
        let start = match op {
            Op::Eq | Op::Ne if optimised => self.rewritten(first, *op == Op::Eq, right),
            _ => None,
        };
        let start = start
            .or_else(|| self.of_anybody(first, *op, right, optimised))
            .unwrap_or_else(|| self.binary(self.eval_as(first, optimised), *op, right, optimised));
        others.iter().fold(start, |left, (op, right)| self.binary(left, *op, right, optimised))
    }

    /// Comparisons of what differs between devices with something known.
    fn of_anybody(&self, left: &Expr, op: Op, right: &Expr, optimised: bool) -> Option<Val> {
        let Expr::Var(name) = left else { return None };
        let name = name.to_str_lossy();
        if !self.event.of_anybody || !anybody::varies(&name) || matches!(op, Op::And | Op::Or) {
            return None;
        }
        let with = anybody::literals(right)?;
        let with: Vec<&[u8]> = with.iter().map(Text::as_bytes).collect();
        let test = |value: &[u8]| self.binary(Val::Text(value.to_vec()), op, right, optimised).truth();
        Some(flag(self.event.tested(&name, &with, &test)))
    }

    /// Comparisons that the daemon replaces by something else.
    fn rewritten(&self, left: &Expr, equal: bool, right: &Expr) -> Option<Val> {
        match (left, right) {
            // A list on the left changes sides.
            (Expr::List(_), Expr::List(_)) => None,
            (Expr::List(_), _) => Some(self.equality(&self.eval(right), equal, left, true)),
            // Old names count too: `$syslogseverity-text == "warn"`.
            (Expr::Var(name), Expr::Text(value)) => {
                let same = self.event.is_called(name.as_bytes(), value.as_bytes())?;
                Some(flag(same.map(|same| same == equal)))
            }
            _ => None,
        }
    }

    fn binary(&self, left: Val, op: Op, right: &Expr, optimised: bool) -> Val {
        let value = || self.eval_as(right, optimised);
        match op {
            Op::And => match left.truth() {
                Some(false) => flag(Some(false)),
                left => flag(and(left, value().truth())),
            },
            Op::Or => match left.truth() {
                Some(true) => flag(Some(true)),
                left => flag(or(left, value().truth())),
            },
            Op::Concat => match (left.text(), value().text()) {
                (Some(l), Some(r)) => Val::Text([l, r].concat()),
                _ => Val::Unknown,
            },
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod => arithmetic(&left, op, &value()),
            Op::Eq | Op::Ne => self.equality(&left, op == Op::Eq, right, optimised),
            Op::Le | Op::Ge | Op::Lt | Op::Gt => flag(order(&left, &value()).map(|o| match op {
                Op::Le => o.is_le(),
                Op::Ge => o.is_ge(),
                Op::Lt => o.is_lt(),
                _ => o.is_gt(),
            })),
            _ => self.text_test(&left, op, right, optimised),
        }
    }

    fn equality(&self, left: &Val, equal: bool, right: &Expr, optimised: bool) -> Val {
        let Expr::List(items) = right else { return compare(left, equal, &self.eval_as(right, optimised)) };
        let mut items: Vec<&[u8]> = items.iter().map(Text::as_bytes).collect();
        if optimised {
            items.sort();
        }
        match left {
            Val::Unknown => Val::Unknown,
            // A number meets the first element only.
            Val::Number(_) => compare(left, equal, &Val::Text(items.first().copied().unwrap_or_default().to_vec())),
            // As does a stored number with `!=`.
            Val::Stored(_) if !equal => {
                compare(left, equal, &Val::Text(items.first().copied().unwrap_or_default().to_vec()))
            }
            _ => flag(left.text().map(|text| bisect(&items, &text) == equal)),
        }
    }

    /// `contains`, `startswith` and their like; with a list any element will do.
    fn text_test(&self, left: &Val, op: Op, right: &Expr, optimised: bool) -> Val {
        let Some(text) = left.text() else { return Val::Unknown };
        let needles = match right {
            Expr::List(items) => items.iter().map(|t| Some(t.0.clone())).collect(),
            other => vec![self.eval_as(other, optimised).text()],
        };
        let test = |needle: Vec<u8>| match op {
            Op::Contains => contains(&text, &needle),
            Op::ContainsI => contains(&text.to_ascii_lowercase(), &needle.to_ascii_lowercase()),
            Op::StartsWith => text.starts_with(&needle),
            // A text shorter than what it should start with matches as well if it agrees as far as it goes.
            Op::StartsWithI => text.iter().zip(&needle).all(|(a, b)| a.eq_ignore_ascii_case(b)),
            _ => text.ends_with(&needle),
        };
        flag(needles.into_iter().map(|n| n.map(test)).fold(Some(false), or))
    }

    // ---- old filters ----

    pub fn pri(&self, filter: &PriFilter) -> Maybe {
        self.event.passes(filter)
    }

    pub fn prop(&self, filter: &PropFilter) -> Maybe {
        let name = filter.property.to_str_lossy();
        match self.event.of_anybody && anybody::varies(&name) {
            true => self.event.tested(&name, &[filter.value.as_bytes()], &|text| holds(filter, text)),
            false => holds(filter, &self.value(&filter.property).text()?),
        }
    }
}

/// Does a property of this value pass the filter?
fn holds(filter: &PropFilter, text: &[u8]) -> Maybe {
    let value = filter.value.as_bytes();
    let regex = |syntax| Some(Pattern::new(value, syntax, false)?.is_match(text));
    let hit = match filter.op {
        PropOp::Contains => contains(text, value),
        PropOp::IsEqual => text == value,
        PropOp::IsEmpty => text.is_empty(),
        PropOp::StartsWith => text.starts_with(value),
        PropOp::Regex => regex(Syntax::Basic)?,
        PropOp::EreRegex => regex(Syntax::Extended)?,
    };
    Some(hit != filter.negated)
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || text.windows(needle.len()).any(|w| w == needle)
}
