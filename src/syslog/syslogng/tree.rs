//! Brackets put together: a statement is a row of words, strings and groups up to its semicolon.

use super::problem::{Problem, Topic};
use super::reader::{Pos, Reader, Tok, TokKind};
use crate::syslog::{Location, Text};

/// Brackets inside brackets that we follow.
const DEPTH: usize = 100;

/// A word, a string, a byte, or a group with what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub kind: NodeKind,
    /// Of a word or string what the daemon reads; empty for a group.
    pub text: Text,
    /// Of a group both brackets included, where they stand in one text.
    pub pos: Pos,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    Word,
    Str,
    Punct(u8),
    /// `(…)`
    Paren(Vec<Node>),
    /// `{…}`
    Brace(Vec<Node>),
    /// `[…]`
    Bracket(Vec<Node>),
}

impl Node {
    /// Is this the word, `_` and `-` being the same?
    pub fn is(&self, word: &str) -> bool {
        self.kind == NodeKind::Word && super::reader::normal(&self.text) == word.as_bytes()
    }
    pub fn is_punct(&self, byte: u8) -> bool {
        self.kind == NodeKind::Punct(byte)
    }
    /// A word or a string.
    pub fn name(&self) -> Option<&Text> {
        matches!(self.kind, NodeKind::Word | NodeKind::Str).then_some(&self.text)
    }
    pub fn paren(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Paren(inner) => Some(inner),
            _ => None,
        }
    }
    pub fn brace(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Brace(inner) => Some(inner),
            _ => None,
        }
    }
}

/// A definition whose content is read only where it is used: `block CONTEXT NAME(ARGS) { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDef {
    pub context: Text,
    pub name: Text,
    /// Argument names with their default texts.
    pub args: Vec<(Text, Vec<u8>)>,
    /// May the caller give arguments that are not named (`...`)?
    pub open: bool,
    pub content: Vec<u8>,
}

/// What stands between two semicolons at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    Nodes(Vec<Node>),
    Block(BlockDef, Pos),
}

/// Words that start a statement; one of them behind `}` means that a semicolon is missing.
const STARTERS: [&str; 10] = [
    "source",
    "destination",
    "filter",
    "parser",
    "rewrite",
    "template",
    "log",
    "options",
    "block",
    "template-function",
];

impl Reader<'_> {
    /// The next statement; `None` at the end.
    pub fn statement(&mut self) -> Option<Statement> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            let Some(tok) = self.token() else {
                return self.last_statement(nodes);
            };
            let starts = tok.kind == TokKind::Word && STARTERS.iter().any(|w| tok_is(&tok, w));
            if starts && nodes.last().is_some_and(|n| n.brace().is_some()) {
                let at = self.location(tok.pos);
                self.report(Problem::error(Topic::Syntax, &at, "the statement before has no semicolon behind it"));
                self.put_back(&tok);
                return Some(Statement::Nodes(nodes));
            }
            match tok.kind {
                TokKind::Punct(b';') if nodes.is_empty() => {}
                TokKind::Punct(b';') => return Some(Statement::Nodes(nodes)),
                TokKind::Word if nodes.is_empty() && tok_is(&tok, "block") => {
                    if let Some(def) = self.block_definition(tok.pos) {
                        return Some(Statement::Block(def, tok.pos));
                    }
                }
                _ => {
                    let node = self.node(tok, 0, 0);
                    let raw = nodes.is_empty() && node.is("python");
                    nodes.push(node);
                    if raw {
                        self.skip_braces();
                    }
                }
            }
        }
    }

    fn last_statement(&mut self, nodes: Vec<Node>) -> Option<Statement> {
        let last = nodes.last()?;
        let at = self.location(last.pos);
        self.report(Problem::error(Topic::Syntax, &at, "the last statement has no semicolon behind it"));
        Some(Statement::Nodes(nodes))
    }

    /// Nodes of the texts opened above `floor`, to their end.
    pub fn nodes_above(&mut self, floor: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        while let Some(tok) = self.token_above(floor) {
            nodes.push(self.node(tok, floor, 0));
        }
        nodes
    }

    /// One node from its first token on.
    fn node(&mut self, tok: Tok, floor: usize, depth: usize) -> Node {
        let close = match tok.kind {
            TokKind::Word => return Node { kind: NodeKind::Word, text: tok.value, pos: tok.pos },
            TokKind::Str => return Node { kind: NodeKind::Str, text: tok.value, pos: tok.pos },
            TokKind::Punct(b'(') => b')',
            TokKind::Punct(b'{') => b'}',
            TokKind::Punct(b'[') => b']',
            TokKind::Punct(b) => return Node { kind: NodeKind::Punct(b), text: tok.value, pos: tok.pos },
        };
        let (inner, end) = self.group(&tok, close, floor, depth);
        let pos = match end {
            Some(end) if end.text == tok.pos.text => Pos { end: end.end, ..tok.pos },
            _ => tok.pos,
        };
        let kind = match close {
            b')' => NodeKind::Paren(inner),
            b'}' => NodeKind::Brace(inner),
            _ => NodeKind::Bracket(inner),
        };
        Node { kind, text: Text::default(), pos }
    }

    fn group(&mut self, open: &Tok, close: u8, floor: usize, depth: usize) -> (Vec<Node>, Option<Pos>) {
        let mut inner = Vec::new();
        while let Some(tok) = self.token_above(floor) {
            match tok.kind {
                TokKind::Punct(b) if b == close => return (inner, Some(tok.pos)),
                TokKind::Punct(b @ (b')' | b'}' | b']')) => {
                    let at = self.location(tok.pos);
                    let text = format!("'{}' where '{}' was expected", b as char, close as char);
                    self.report(Problem::error(Topic::Syntax, &at, text));
                    if b == b'}' {
                        // Most likely the inner bracket was forgotten: let the outer group end here.
                        self.put_back(&tok);
                        return (inner, None);
                    }
                }
                TokKind::Punct(b'(' | b'{' | b'[') if depth >= DEPTH => {
                    let at = self.location(tok.pos);
                    self.report(Problem::error(Topic::Syntax, &at, "brackets lie too deep in one another"));
                    while self.token_above(floor).is_some() {}
                    return (inner, None);
                }
                _ => {
                    let node = self.node(tok, floor, depth + 1);
                    inner.push(node);
                }
            }
        }
        let at = self.location(open.pos);
        let text = format!("'{}' is never closed", open.value);
        self.report(Problem::error(Topic::Syntax, &at, text));
        (inner, None)
    }

    /// `block CONTEXT NAME(ARG(DEFAULT) … [...]) { CONTENT };` from behind the first word on.
    fn block_definition(&mut self, start: Pos) -> Option<BlockDef> {
        let mut head = Vec::new();
        while let Some(tok) = self.token() {
            if tok.kind == TokKind::Punct(b'{') {
                return self.block_from(head, tok.pos, start);
            }
            if tok.kind == TokKind::Punct(b';') {
                break;
            }
            head.push(self.node(tok, 0, 0));
        }
        let at = self.location(start);
        self.report(Problem::error(Topic::Syntax, &at, "a block without content in braces"));
        None
    }

    fn block_from(&mut self, head: Vec<Node>, open: Pos, start: Pos) -> Option<BlockDef> {
        let head_end = head.last().map_or(start.end, |n| n.pos.end);
        let one_line = !self.raw(Pos { start: head_end, end: open.start, ..open }).contains(&b'\n');
        let content = self.raw_braces(open, one_line);
        let (Some(context), Some(name), Some(args)) = (
            head.first().and_then(Node::name).cloned(),
            head.get(1).and_then(Node::name).cloned(),
            head.get(2).and_then(Node::paren),
        ) else {
            let at = self.location(start);
            self.report(Problem::error(Topic::Syntax, &at, "a block needs a context, a name and ( )"));
            return None;
        };
        let mut def = BlockDef { context, name, args: Vec::new(), open: false, content };
        let mut rest = args.iter().peekable();
        while let Some(node) = rest.next() {
            let default = rest.next_if(|n| n.paren().is_some());
            match (node.name(), default) {
                (Some(arg), Some(default)) => {
                    let arg = arg.clone();
                    let text = self.inside(default);
                    def.args.push((arg, text));
                }
                _ if node.is_punct(b'.') => def.open = true,
                _ => {}
            }
        }
        Some(def)
    }

    /// The text between the brackets of a group, with references resolved. An empty string means nothing.
    pub fn inside(&mut self, group: &Node) -> Vec<u8> {
        let raw = self.raw(group.pos);
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default().to_vec();
        match inner.trim_ascii() {
            b"\"\"" | b"''" => Vec::new(),
            _ => self.resolved(inner, group.pos),
        }
    }

    /// Place of a node or group of nodes in its file.
    pub fn span(&self, nodes: &[Node]) -> Location {
        match (nodes.first(), nodes.last()) {
            (Some(first), Some(last)) => self.location(first.pos).to(&self.location(last.pos)),
            _ => Location { file: std::path::Path::new("").into(), line: 0, start: 0, end: 0 },
        }
    }
}

fn tok_is(tok: &Tok, word: &str) -> bool {
    super::reader::normal(&tok.value) == word.as_bytes()
}
