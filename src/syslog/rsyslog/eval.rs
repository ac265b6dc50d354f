//! RainerScript expressions on one event, by the daemon's rules (numbers and texts convert silently, `and`/`or` rank
//! equal, a text counts as true by its leading digits). What cannot be known — the environment, lookup tables, the time
//! of day — is [`Val::Unknown`] and stays so through every operator that needs it.

use std::collections::BTreeMap;

use super::Effective;
use super::ast::{Expr, Op};
use super::event::SampleEvent;
use super::filter::{PriFilter, PropFilter, PropOp, facility_code, severity_code};
use super::names;
use super::posix::{Pattern, Syntax};
use super::template;
use crate::syslog::Text;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    Text(Vec<u8>),
    Number(i64),
    /// A number that was stored in a variable; it compares with a text as text.
    Stored(i64),
    Unknown,
}

/// Yes, no, or not known.
pub type Maybe = Option<bool>;

impl Val {
    /// As a text; `None` where unknown.
    pub fn text(&self) -> Option<Vec<u8>> {
        match self {
            Val::Text(t) => Some(t.clone()),
            Val::Number(n) | Val::Stored(n) => Some(n.to_string().into_bytes()),
            Val::Unknown => None,
        }
    }

    /// As a number, and whether all of a text was one.
    fn number(&self) -> Option<(i64, bool)> {
        match self {
            Val::Text(t) => Some(leading_number(t)),
            Val::Number(n) | Val::Stored(n) => Some((*n, true)),
            Val::Unknown => None,
        }
    }

    /// For `and`, `or`, `not`.
    pub fn truth(&self) -> Maybe {
        self.number().map(|(n, _)| n != 0)
    }

    /// For `if`, which looks at the lowest eight bits of a number only.
    pub fn holds(&self) -> Maybe {
        self.number().map(|(n, _)| n as u8 != 0)
    }
}

/// Digits at the start, with a minus; true where nothing else is there. An empty text is 0.
fn leading_number(text: &[u8]) -> (i64, bool) {
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let n = digits[..len].iter().fold(0i64, |n, d| n.wrapping_mul(10).wrapping_add(i64::from(d - b'0')));
    (n.wrapping_mul(sign), len == digits.len())
}

fn flag(value: Maybe) -> Val {
    value.map_or(Val::Unknown, |b| Val::Number(i64::from(b)))
}

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
        let start = start.unwrap_or_else(|| self.binary(self.eval_as(first, optimised), *op, right, optimised));
        others.iter().fold(start, |left, (op, right)| self.binary(left, *op, right, optimised))
    }

    /// Comparisons that the daemon replaces by something else.
    fn rewritten(&self, left: &Expr, equal: bool, right: &Expr) -> Option<Val> {
        match (left, right) {
            // A list on the left changes sides.
            (Expr::List(_), Expr::List(_)) => None,
            (Expr::List(_), _) => Some(self.equality(&self.eval(right), equal, left, true)),
            // Old names count too: `$syslogseverity-text == "warn"`.
            (Expr::Var(name), Expr::Text(value)) => {
                let value = value.as_bytes();
                let same = match name.as_bytes() {
                    b"syslogseverity-text" => severity_code(&value.to_ascii_lowercase())? == self.event.severity,
                    b"syslogfacility-text" => facility_code(value)? == usize::from(self.event.facility),
                    _ => return None,
                };
                Some(flag(Some(same == equal)))
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

    // ---- functions ----

    fn call(&self, name: &str, args: &[Expr]) -> Val {
        let known = names::function(name.as_bytes()).is_some_and(|f| f.params.contains(&args.len()));
        if !known {
            return Val::Unknown;
        }
        let text = |i: usize| args.get(i).and_then(|a| self.eval_as(a, false).text());
        let number = |i: usize| args.get(i).and_then(|a| self.eval_as(a, false).number()).map(|(n, _)| n);
        let as_text = |value: Option<Vec<u8>>| value.map_or(Val::Unknown, Val::Text);
        let as_number = |value: Option<i64>| value.map_or(Val::Unknown, Val::Number);
        match name {
            "strlen" => as_number(text(0).map(|t| t.len() as i64)),
            "tolower" => as_text(text(0).map(|t| t.to_ascii_lowercase())),
            "toupper" => as_text(text(0).map(|t| t.to_ascii_uppercase())),
            "cstr" => as_text(text(0)),
            "cnum" => as_number(number(0)),
            "ltrim" => as_text(text(0).map(|t| trim(&t, true, false))),
            "rtrim" => as_text(text(0).map(|t| trim(&t, false, true))),
            "replace" => as_text(zip3(text(0), text(1), text(2)).map(|(t, f, r)| replace(&t, &f, &r))),
            "wrap" => as_text(self.wrap(args)),
            "substring" => as_text(zip3(text(0), number(1), number(2)).map(|(t, s, l)| substring(&t, s, l))),
            "field" => as_text(self.field(args)),
            "re_match" | "re_match_i" => flag(self.re_match(args, name == "re_match_i")),
            "re_extract" | "re_extract_i" => self.re_extract(args, name == "re_extract_i"),
            "prifilt" => match args.first() {
                Some(Expr::Text(t)) => flag(Some(self.pri(&PriFilter::parse(t).0))),
                _ => Val::Unknown,
            },
            "exec_template" => match args.first() {
                Some(Expr::Text(t)) => as_text(template::render(self, t)),
                _ => Val::Unknown,
            },
            "int2hex" => match args.first().and_then(|a| self.eval_as(a, false).number()) {
                Some((n, true)) => Val::Text(format!("{n:x}").into_bytes()),
                Some((_, false)) => Val::Text(b"NAN".to_vec()),
                None => Val::Unknown,
            },
            "num2ipv4" => as_text(args.first().and_then(|a| self.eval_as(a, false).number()).map(|(n, whole)| {
                let ip = u32::try_from(n).ok().filter(|_| whole);
                ip.map_or("-1".to_owned(), |n| std::net::Ipv4Addr::from(n).to_string()).into_bytes()
            })),
            "ip42num" | "ipv42num" => as_number(text(0).map(|t| {
                let ip = std::str::from_utf8(&t).ok().and_then(|t| t.trim().parse::<std::net::Ipv4Addr>().ok());
                ip.map_or(-1, |ip| i64::from(u32::from(ip)))
            })),
            _ => Val::Unknown,
        }
    }

    fn wrap(&self, args: &[Expr]) -> Option<Vec<u8>> {
        let mut text = self.eval_as(args.first()?, false).text()?;
        let around = self.eval_as(args.get(1)?, false).text()?;
        if let Some(escaped) = args.get(2) {
            text = replace(&text, &around, &self.eval_as(escaped, false).text()?);
        }
        Some([around.as_slice(), &text, &around].concat())
    }

    fn field(&self, args: &[Expr]) -> Option<Vec<u8>> {
        let text = self.eval_as(args.first()?, false).text()?;
        let delimiter = match self.eval_as(args.get(1)?, false) {
            Val::Text(t) => t,
            Val::Unknown => return None,
            other => vec![other.number()?.0 as u8],
        };
        let wanted = self.eval_as(args.get(2)?, false).number()?.0;
        let found = usize::try_from(wanted - 1).ok().and_then(|i| split(&text, &delimiter).nth(i));
        Some(found.unwrap_or(b"***FIELD NOT FOUND***").to_vec())
    }

    fn pattern(&self, args: &[Expr], ignore_case: bool) -> Option<Pattern> {
        match args.get(1)? {
            Expr::Text(t) => Pattern::new(t.as_bytes(), Syntax::Extended, ignore_case),
            _ => None,
        }
    }

    fn re_match(&self, args: &[Expr], ignore_case: bool) -> Maybe {
        let text = self.eval_as(args.first()?, false).text()?;
        Some(self.pattern(args, ignore_case)?.is_match(&text))
    }

    /// `re_extract(text, pattern, match, group, default)`
    fn re_extract(&self, args: &[Expr], ignore_case: bool) -> Val {
        let otherwise =
            || args.get(4).map_or(Val::Unknown, |d| self.eval_as(d, false).text().map_or(Val::Unknown, Val::Text));
        let number = |i: usize| args.get(i).and_then(|a| self.eval_as(a, false).number()).map(|(n, _)| n);
        let text = args.first().and_then(|a| self.eval_as(a, false).text());
        let (Some(text), Some(nth), Some(group)) = (text, number(2), number(3)) else { return Val::Unknown };
        let Some(pattern) = self.pattern(args, ignore_case) else { return Val::Unknown };
        let Ok(group) = usize::try_from(group) else { return Val::Unknown };
        let mut rest = &text[..];
        for _ in 0..nth.clamp(0, 1000) {
            let Some(end) = pattern.captures(rest).and_then(|c| c.first()?.clone()) else { return otherwise() };
            rest = &rest[end.end..];
        }
        match pattern.captures(rest).and_then(|c| c.get(group).cloned().flatten()) {
            Some(range) if group < 50 => Val::Text(rest[range].to_vec()),
            _ => otherwise(),
        }
    }

    // ---- old filters ----

    pub fn pri(&self, filter: &PriFilter) -> bool {
        filter.passes(self.event.facility, self.event.severity)
    }

    pub fn prop(&self, filter: &PropFilter) -> Maybe {
        let text = self.value(&filter.property).text()?;
        let value = filter.value.as_bytes();
        let regex = |syntax| Some(Pattern::new(value, syntax, false)?.is_match(&text));
        let hit = match filter.op {
            PropOp::Contains => contains(&text, value),
            PropOp::IsEqual => text == value,
            PropOp::IsEmpty => text.is_empty(),
            PropOp::StartsWith => text.starts_with(value),
            PropOp::Regex => regex(Syntax::Basic)?,
            PropOp::EreRegex => regex(Syntax::Extended)?,
        };
        Some(hit != filter.negated)
    }
}

fn and(a: Maybe, b: Maybe) -> Maybe {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(a: Maybe, b: Maybe) -> Maybe {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

fn arithmetic(left: &Val, op: Op, right: &Val) -> Val {
    let (Some((l, _)), Some((r, _))) = (left.number(), right.number()) else { return Val::Unknown };
    Val::Number(match op {
        Op::Add => l.wrapping_add(r),
        Op::Sub => l.wrapping_sub(r),
        Op::Mul => l.wrapping_mul(r),
        // Dividing by zero gives zero.
        Op::Div => l.checked_div(r).unwrap_or(0),
        _ => l.checked_rem(r).unwrap_or(0),
    })
}

/// As numbers where both are numbers through and through, else as texts.
fn order(left: &Val, right: &Val) -> Option<std::cmp::Ordering> {
    match (left.number()?, right.number()?) {
        // The daemon looks at the low 32 bits of the difference.
        ((l, true), (r, true)) => Some((l.wrapping_sub(r) as i32).cmp(&0)),
        _ => Some(left.text()?.cmp(&right.text()?)),
    }
}

/// `==` and `!=`. Of two texts `!=` gives not 1 but how they differ.
fn compare(left: &Val, equal: bool, right: &Val) -> Val {
    let texts = |l: &[u8], r: &[u8]| match (difference(l, r), equal) {
        (0, _) => Val::Number(i64::from(equal)),
        (_, true) => Val::Number(0),
        (n, false) => Val::Number(n),
    };
    let numbers = |l: i64, r: i64| Val::Number(i64::from((l == r) == equal));
    match (left, right) {
        (Val::Unknown, _) | (_, Val::Unknown) => Val::Unknown,
        (Val::Text(l), Val::Text(r)) => texts(l, r),
        (Val::Stored(l), Val::Text(r)) => texts(l.to_string().as_bytes(), r),
        (Val::Number(l), Val::Text(r)) => match leading_number(r) {
            (n, true) => numbers(*l, n),
            _ => texts(r, l.to_string().as_bytes()),
        },
        (Val::Text(l), Val::Number(r)) => match leading_number(l) {
            (n, true) => numbers(n, *r),
            _ => texts(l, r.to_string().as_bytes()),
        },
        (Val::Text(l), Val::Stored(r)) if !leading_number(l).1 => texts(l, r.to_string().as_bytes()),
        // The daemon takes a stored number on the right for something else: not to be relied on.
        (_, Val::Stored(_)) => Val::Unknown,
        (Val::Number(l) | Val::Stored(l), Val::Number(r)) => numbers(*l, *r),
    }
}

/// First difference of two texts, as the daemon's library counts it.
fn difference(left: &[u8], right: &[u8]) -> i64 {
    match left.iter().zip(right).find(|(l, r)| l != r) {
        Some((l, r)) => i64::from(*l) - i64::from(*r),
        None => left.len().cmp(&right.len()) as i64,
    }
}

/// Is the text in the list, as a binary search sees it? (Lists in parameters of functions are not sorted.)
fn bisect(items: &[&[u8]], text: &[u8]) -> bool {
    let (mut low, mut high) = (0, items.len());
    while low < high {
        let middle = (low + high) / 2;
        match text.cmp(items[middle]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => high = middle,
            std::cmp::Ordering::Greater => low = middle + 1,
        }
    }
    false
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || text.windows(needle.len()).any(|w| w == needle)
}

fn trim(text: &[u8], left: bool, right: bool) -> Vec<u8> {
    let start = if left { text.iter().take_while(|b| **b == b' ').count() } else { 0 };
    let cut = if right { text[start..].iter().rev().take_while(|b| **b == b' ').count() } else { 0 };
    text[start..text.len() - cut].to_vec()
}

fn replace(text: &[u8], find: &[u8], with: &[u8]) -> Vec<u8> {
    if find.is_empty() {
        return text.to_vec();
    }
    split(text, find).collect::<Vec<_>>().join(with)
}

/// Pieces between delimiters.
fn split<'a>(text: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = if delimiter.is_empty() { None } else { text.windows(delimiter.len()).position(|w| w == delimiter) };
        rest = at.map(|at| &text[at + delimiter.len()..]);
        Some(&text[..at.unwrap_or(text.len())])
    })
}

/// A negative length counts from the end.
fn substring(text: &[u8], start: i64, len: i64) -> Vec<u8> {
    let total = text.len() as i64;
    let start = start.clamp(0, total);
    let len = if len < 0 { (total + len).max(0) } else { len };
    let end = start.saturating_add(len).min(total);
    text[start as usize..end as usize].to_vec()
}

fn zip3<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}
