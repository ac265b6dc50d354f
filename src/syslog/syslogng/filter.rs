//! Filter expressions: what `filter { … }`, `if (…)` and `condition(…)` say.

use serde::{Deserialize, Serialize};

use super::problem::{Problem, Topic};
use super::reader::{Reader, normal};
use super::tree::{Node, NodeKind};
use super::version::Version;
use crate::syslog::{Location, Text};

/// A filter expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// Facility numbers as bits.
    Facility(u32),
    /// Severity numbers as bits.
    Severity(u8),
    /// `filter(NAME)`
    Call {
        name: Text,
        at: Location,
    },
    Match {
        field: Field,
        pattern: Pattern,
    },
    Compare {
        left: Text,
        op: Compare,
        right: Text,
    },
    Netmask(Text),
    Tags(Vec<Text>),
    /// A function or form we cannot follow (in-list, throttle, plugins).
    Other(Text),
    /// A part that is missing.
    Broken,
}

/// What a pattern is held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    Program,
    Host,
    Message,
    /// Name of the source.
    Source,
    /// A value by name, without `$`.
    Value(Text),
    Template(Text),
    /// `match()` that says nothing: `PROGRAM[PID]: MESSAGE`.
    ProgramAndMessage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    pub text: Text,
    pub kind: PatternKind,
    /// `flags(…)`: `ignore-case`, `store-matches`, `prefix`, `substring`, `global` …
    pub flags: Vec<String>,
}

impl Pattern {
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatternKind {
    Pcre,
    Posix,
    String,
    Glob,
}

impl PatternKind {
    /// The kind where none is named: POSIX in configurations before 3.6, as long as the program still has it.
    pub fn usual(language: Option<Version>, program: Option<Version>) -> Self {
        let old = language.is_some_and(|v| v < Version::new(3, 6, 0));
        let gone = program.is_some_and(|v| v >= Version::new(3, 14, 0));
        if old && !gone { PatternKind::Posix } else { PatternKind::Pcre }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    pub order: Order,
    /// As numbers where both sides are (`<`, `==`), not as text (`lt`, `eq`).
    pub numeric: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    GreaterEqual,
    Greater,
}

const OPERATORS: [(&str, Order, bool); 14] = [
    ("lt", Order::Less, false),
    ("le", Order::LessEqual, false),
    ("eq", Order::Equal, false),
    ("ne", Order::NotEqual, false),
    ("ge", Order::GreaterEqual, false),
    ("gt", Order::Greater, false),
    ("<", Order::Less, true),
    ("<=", Order::LessEqual, true),
    ("==", Order::Equal, true),
    ("===", Order::Equal, true),
    ("!=", Order::NotEqual, true),
    ("!==", Order::NotEqual, true),
    (">=", Order::GreaterEqual, true),
    (">", Order::Greater, true),
];

pub(super) const FACILITIES: [(&str, u8); 25] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("megasafe", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("security", 13),
    ("console", 14),
    ("solaris-cron", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

const SEVERITIES: [(&str, u8); 14] = [
    ("emerg", 0),
    ("emergency", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("critical", 2),
    ("err", 3),
    ("error", 3),
    ("warning", 4),
    ("warn", 4),
    ("notice", 5),
    ("info", 6),
    ("informational", 6),
    ("debug", 7),
];

/// Parses filter expressions; what is wrong goes to the reader's problems.
pub struct Filters<'r, 'a> {
    pub reader: &'r mut Reader<'a>,
    pub usual: PatternKind,
}

impl Filters<'_, '_> {
    /// A whole expression. Semicolons between parts mean `and`.
    pub fn expression(&mut self, nodes: &[Node]) -> Expr {
        let parts: Vec<&[Node]> = nodes.split(|n| n.is_punct(b';')).filter(|p| !p.is_empty()).collect();
        if parts.is_empty() {
            let at = self.reader.span(nodes);
            self.reader.report(Problem::error(Topic::Syntax, &at, "an empty filter"));
            return Expr::Broken;
        }
        many(parts.into_iter().map(|p| self.alternatives(p)).collect(), Expr::And)
    }

    fn alternatives(&mut self, nodes: &[Node]) -> Expr {
        many(nodes.split(|n| n.is("or")).map(|p| self.all_of(p)).collect(), Expr::Or)
    }

    fn all_of(&mut self, nodes: &[Node]) -> Expr {
        many(nodes.split(|n| n.is("and")).map(|p| self.term(p)).collect(), Expr::And)
    }

    fn term(&mut self, nodes: &[Node]) -> Expr {
        let negations = nodes.iter().take_while(|n| n.is("not")).count();
        let expr = self.simple(&nodes[negations..], nodes);
        if negations % 2 == 1 { Expr::Not(Box::new(expr)) } else { expr }
    }

    fn simple(&mut self, nodes: &[Node], whole: &[Node]) -> Expr {
        match nodes {
            [group] if group.paren().is_some() => self.expression(group.paren().unwrap_or_default()),
            [name, args] if name.kind == NodeKind::Word && args.paren().is_some() => {
                self.function(name, args.paren().unwrap_or_default())
            }
            [left, op, right] if left.name().is_some() && right.name().is_some() => self.compare(left, op, right),
            [] => self.broken(whole, "a part of the filter is missing"),
            [first, ..] => Expr::Other(first.text.clone()),
        }
    }

    fn broken(&mut self, nodes: &[Node], text: &str) -> Expr {
        let at = self.reader.span(nodes);
        self.reader.report(Problem::error(Topic::Syntax, &at, text));
        Expr::Broken
    }

    fn compare(&self, left: &Node, op: &Node, right: &Node) -> Expr {
        let Some((_, order, numeric)) = OPERATORS.into_iter().find(|(word, ..)| op.is(word)) else {
            return Expr::Other(op.text.clone());
        };
        Expr::Compare { left: left.text.clone(), op: Compare { order, numeric }, right: right.text.clone() }
    }

    fn function(&mut self, name: &Node, args: &[Node]) -> Expr {
        let first = args.first().and_then(Node::name).cloned();
        match (normal(&name.text).as_slice(), first) {
            (b"facility", _) => Expr::Facility(self.bits(args, &FACILITIES, "facility")),
            (b"level" | b"priority" | b"severity", _) => Expr::Severity(self.bits(args, &SEVERITIES, "severity") as u8),
            (b"filter", Some(called)) => Expr::Call { name: called, at: self.reader.location(name.pos) },
            (b"program", Some(text)) => self.pattern(Field::Program, text, &args[1..]),
            (b"host", Some(text)) => self.pattern(Field::Host, text, &args[1..]),
            (b"message", Some(text)) => self.pattern(Field::Message, text, &args[1..]),
            (b"source", Some(text)) => self.pattern(Field::Source, text, &args[1..]),
            (b"match", Some(text)) => self.pattern(Field::ProgramAndMessage, text, &args[1..]),
            (b"netmask" | b"netmask6", Some(mask)) => Expr::Netmask(mask),
            (b"tags", Some(_)) => Expr::Tags(args.iter().filter_map(Node::name).cloned().collect()),
            _ => Expr::Other(name.text.clone()),
        }
    }

    /// `match("…" value("MESSAGE") type(string) flags(substring))`
    fn pattern(&mut self, mut field: Field, text: Text, rest: &[Node]) -> Expr {
        let usual = if field == Field::Source { PatternKind::String } else { self.usual };
        let mut pattern = Pattern { text, kind: usual, flags: Vec::new() };
        for (name, args) in options(rest) {
            let first = args.first().and_then(Node::name);
            match (normal(&name.text).as_slice(), first) {
                (b"value", Some(value)) => {
                    field = Field::Value(Text::from(value.as_bytes().strip_prefix(b"$").unwrap_or(value.as_bytes())));
                }
                (b"template", Some(template)) => field = Field::Template(template.clone()),
                (b"type", Some(kind)) => pattern.kind = self.kind(kind, name),
                (b"flags", _) => pattern.flags = flags(args),
                _ => {}
            }
        }
        Expr::Match { field, pattern }
    }

    /// The kind of pattern that `type(…)` names.
    pub fn kind(&mut self, kind: &Text, at: &Node) -> PatternKind {
        match kind.to_lower().as_bytes() {
            b"pcre" => PatternKind::Pcre,
            b"posix" => PatternKind::usual(Some(Version::new(3, 0, 0)), self.reader.program()),
            b"string" => PatternKind::String,
            b"glob" => PatternKind::Glob,
            _ => {
                let at = self.reader.location(at.pos);
                let text = format!("'{kind}' is no type of pattern");
                self.reader.report(Problem::error(Topic::Syntax, &at, text));
                self.usual
            }
        }
    }

    /// Names, ranges (`crit..emerg`) and numbers.
    fn bits(&mut self, nodes: &[Node], known: &[(&str, u8)], what: &str) -> u32 {
        let mut bits = 0;
        let words: Vec<&Node> = nodes.iter().filter(|n| !n.is_punct(b'.')).collect();
        let number = |node: &Node| {
            let text = node.text.to_str_lossy().to_ascii_lowercase();
            known.iter().find(|(name, _)| *name == text).map(|(_, n)| *n).or_else(|| text.parse().ok())
        };
        let mut i = 0;
        while let Some(node) = words.get(i) {
            let range = nodes.iter().position(|n| std::ptr::eq(n, *node)).is_some_and(|p| {
                nodes.get(p + 1).is_some_and(|n| n.is_punct(b'.')) && nodes.get(p + 2).is_some_and(|n| n.is_punct(b'.'))
            });
            let last = if range { words.get(i + 1).unwrap_or(node) } else { node };
            match (number(node), number(last)) {
                (Some(a), Some(b)) if a.max(b) < 32 => {
                    bits |= (a.min(b)..=a.max(b)).fold(0u32, |bits, n| bits | 1 << n);
                }
                _ => {
                    let at = self.reader.location(node.pos);
                    let text = format!("'{}' is no {what}", node.text);
                    self.reader.report(Problem::error(Topic::Syntax, &at, text));
                }
            }
            i += if range { 2 } else { 1 };
        }
        bits
    }
}

fn many(mut parts: Vec<Expr>, joined: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            joined(parts)
        }
        (_, None) => Expr::Broken,
    }
}

/// `name(args)` pairs in a row of nodes; anything between them is passed over.
pub fn options(nodes: &[Node]) -> impl Iterator<Item = (&Node, &[Node])> {
    nodes.windows(2).filter_map(|pair| match pair {
        [name, group] if name.kind == NodeKind::Word => group.paren().map(|args| (name, args)),
        _ => None,
    })
}

/// Flags by name, in lower case and with `-`.
pub fn flags(nodes: &[Node]) -> Vec<String> {
    let names = nodes.iter().filter_map(Node::name);
    names.map(|n| String::from_utf8_lossy(&normal(n)).to_ascii_lowercase()).collect()
}

impl Expr {
    /// Calls `visit` for this expression and every one inside it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        visit(self);
        match self {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|p| p.walk(visit)),
            Expr::Not(inner) => inner.walk(visit),
            _ => {}
        }
    }
}
