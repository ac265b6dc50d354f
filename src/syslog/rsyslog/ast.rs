//! What a configuration says, statement by statement, in the order the daemon reads it.

use serde::{Deserialize, Serialize};

pub use super::lex::ObjectKind;
use crate::syslog::{Location, Text};

/// One thing at the outermost level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// `module(…)`, `input(…)`, `global(…)` …
    Object(Object),
    Template(TemplateObject),
    Ruleset(RulesetObject),
    /// `$RuleSet name`: what follows belongs to that ruleset.
    LegacyRuleset(Directive),
    /// A statement of the current ruleset, or a chain joined by `&`.
    Stmts(Vec<Stmt>),
    /// `!prog`, `+host`: refused by daemons since version 7.
    Bsd {
        text: Text,
        at: Location,
    },
}

/// An object's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub kind: ObjectKind,
    pub params: Vec<Param>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// As written.
    pub name: Text,
    pub value: Value,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Text(Text),
    List(Vec<Text>),
}

impl Value {
    /// The text, or the first of a list.
    pub fn text(&self) -> Option<&Text> {
        self.all().first()
    }
    pub fn all(&self) -> &[Text] {
        match self {
            Value::Text(t) => std::slice::from_ref(t),
            Value::List(l) => l,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(t) => write!(f, "{t}"),
            Value::List(l) => f.write_str(&l.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(", ")),
        }
    }
}

impl Object {
    /// The parameter of that name; of several the daemon takes the last one (and complains).
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().rev().find(|p| p.name.is(name))
    }
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.param(name)?.value.text()
    }
    /// `config.enabled="off"`: the daemon leaves the object out.
    pub fn disabled(&self) -> bool {
        self.get("config.enabled").is_some_and(|v| v.switch() == Some(false))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateObject {
    pub object: Object,
    /// `property(…)` and `constant(…)` of a list template.
    pub parts: Vec<Object>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulesetObject {
    pub object: Object,
    pub body: Vec<Stmt>,
}

/// `$Name value`, to the end of its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// Without the dollar sign, as written.
    pub name: Text,
    /// Everything behind the name, leading blanks dropped; a comment may follow the value.
    pub rest: Text,
    pub at: Location,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stmt {
    pub at: Location,
    pub kind: StmtKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StmtKind {
    /// `action(…)`
    Action(Object),
    /// An action in the old form.
    LegacyAction(Text),
    Stop,
    Continue,
    Call(Text),
    CallIndirect(Expr),
    /// `if … then … else if … then … else …`: the first branch whose condition holds.
    If {
        branches: Vec<Branch>,
        otherwise: Vec<Stmt>,
    },
    Foreach {
        var: Text,
        list: Expr,
        body: Vec<Stmt>,
    },
    /// `set` (or `reset`) of a variable, name without the dollar sign.
    Set {
        var: Text,
        value: Expr,
    },
    Unset(Text),
    /// `mail.info …`
    Pri {
        filter: Text,
        body: Vec<Stmt>,
    },
    /// `:msg, contains, "x" …`
    Prop {
        filter: Text,
        body: Vec<Stmt>,
    },
    ReloadLookupTable,
    /// A `$…` line: it takes effect where it stands, whatever block it is in.
    Directive(Directive),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    pub cond: Expr,
    pub body: Vec<Stmt>,
    pub at: Location,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// Escapes resolved.
    Text(Text),
    /// The output of backticks, which the machine alone knows (`echo $VARIABLE`).
    Unknown(Text),
    Number(i64),
    /// Without the dollar sign: `msg`, `!json!path`, `.local`, `/global`, `$now`.
    Var(Text),
    List(Vec<Text>),
    Call {
        name: Text,
        args: Vec<Expr>,
    },
    Exists(Text),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// Operators of one rank, worked from left to right. `and` and `or` are of one rank.
    Chain {
        first: Box<Expr>,
        rest: Vec<(Op, Expr)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    And,
    Or,
    Eq,
    Ne,
    Le,
    Ge,
    Lt,
    Gt,
    Contains,
    ContainsI,
    StartsWith,
    StartsWithI,
    EndsWith,
    Concat,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}
