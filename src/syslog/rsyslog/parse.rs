//! Reads a whole configuration, includes followed in place, into [`Item`]s. It follows the daemon's grammar, and the
//! daemon's ways with errors: a byte that means nothing is reported and skipped; at the first *syntax* error the daemon
//! stops reading — the rest of that file, of all files behind it and of the main file has no effect — and runs with what
//! it has. The same happens, without a syntax error, behind a `$IncludeConfig` of something that is not there.

use std::path::Path;

use super::ast::*;
use super::lex::{Kind, Word};
use super::problem::{Problem, Topic};
use super::stream::{Stream, Tok};
use crate::syslog::{ConfigSource, Location, Text};

pub use super::stream::{FileRead, Include, IncludeKind, Stopped};

mod expr;
pub(super) mod text;

use text::unquote;

/// Deepest nesting of brackets and blocks that is followed; the daemon's own limit lies far above what anybody writes.
const DEPTH: usize = 200;

/// Everything the daemon reads, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub items: Vec<Item>,
    /// Files in the order of reading.
    pub files: Vec<FileRead>,
    pub includes: Vec<Include>,
    pub problems: Vec<Problem>,
    /// Where the daemon stopped reading before the end, and why.
    pub stopped: Option<Stopped>,
}

/// Reads the configuration that starts at `main`.
pub fn read(main: &Path, source: &dyn ConfigSource) -> Program {
    let mut parser = Parser { stream: Stream::new(source), items: Vec::new(), depth: 0 };
    parser.stream.open_main(main);
    if let Err(Halt) = parser.items() {
        parser.take_directives();
    }
    let Parser { stream, items, .. } = parser;
    Program {
        items,
        files: stream.files,
        includes: stream.includes,
        problems: stream.problems.into_list(),
        stopped: stream.stopped,
    }
}

/// Reading ends here; the reason stands in `stream.stopped`.
struct Halt;
type Parsed<T> = Result<T, Halt>;

struct Parser<'s> {
    stream: Stream<'s>,
    items: Vec<Item>,
    depth: usize,
}

impl Parser<'_> {
    // ---- outermost level ----

    fn items(&mut self) -> Parsed<()> {
        loop {
            let next = self.kind();
            self.take_directives();
            let Some(kind) = next else { return Ok(()) };
            match kind {
                Kind::Begin(ObjectKind::Template) => self.template()?,
                Kind::Begin(ObjectKind::Ruleset) => self.ruleset()?,
                Kind::Begin(ObjectKind::Action | ObjectKind::Include) => self.top_statement()?,
                Kind::Begin(ObjectKind::Property | ObjectKind::Constant) => return self.syntax_error(),
                Kind::Begin(kind) => {
                    let object = self.object(kind)?;
                    self.items.push(Item::Object(object));
                }
                Kind::LegacyRuleset => {
                    let tok = self.bump()?;
                    self.items.push(Item::LegacyRuleset(directive(&tok)));
                }
                Kind::BsdTag | Kind::BsdHost => {
                    let tok = self.bump()?;
                    let text = format!("BSD-style blocks are not supported any more: '{}' has no effect", tok.text);
                    self.stream.problems.push(Problem::error(Topic::Unsupported, &tok.at, text));
                    self.items.push(Item::Bsd { text: tok.text, at: tok.at });
                }
                _ => self.top_statement()?,
            }
        }
    }

    fn top_statement(&mut self) -> Parsed<()> {
        let mut stmts = Vec::new();
        let result = self.statement(&mut stmts);
        // What was complete before a syntax error counts.
        if result.is_ok() {
            // `$RuleSet` with a tab behind it is a plain directive: it takes effect when it is read, and it is read
            // before the statement in front of it is complete.
            let ahead = std::mem::take(&mut self.stream.directives);
            let (early, late): (Vec<_>, Vec<_>) = ahead.into_iter().partition(|t| directive(t).name.is("ruleset"));
            self.items.extend(early.iter().map(|t| Item::Stmts(vec![directive_stmt(t)])));
            self.items.push(Item::Stmts(stmts));
            self.stream.directives = late;
        }
        result
    }

    /// `$…` lines that were read on the way to the next token.
    fn take_directives(&mut self) {
        let found = std::mem::take(&mut self.stream.directives);
        self.items.extend(found.iter().map(|t| Item::Stmts(vec![directive_stmt(t)])));
    }

    fn template(&mut self) -> Parsed<()> {
        let object = self.object(ObjectKind::Template)?;
        let mut parts = Vec::new();
        if self.punct(b'{') {
            self.bump()?;
            while !self.punct(b'}') {
                match self.kind() {
                    Some(Kind::Begin(kind @ (ObjectKind::Property | ObjectKind::Constant))) => {
                        parts.push(self.object(kind)?)
                    }
                    _ => return self.syntax_error(),
                }
            }
            self.bump()?;
        }
        self.items.push(Item::Template(TemplateObject { object, parts }));
        Ok(())
    }

    fn ruleset(&mut self) -> Parsed<()> {
        let object = self.object(ObjectKind::Ruleset)?;
        self.expect_punct(b'{')?;
        self.stream.braces += 1;
        let mut body = Vec::new();
        if !self.punct(b'}') {
            self.script(&mut body)?;
        }
        self.drain(&mut body);
        self.expect_punct(b'}')?;
        self.stream.braces -= 1;
        self.items.push(Item::Ruleset(RulesetObject { object, body }));
        Ok(())
    }

    // ---- objects ----

    fn object(&mut self, kind: ObjectKind) -> Parsed<Object> {
        let begin = self.bump()?;
        let mut params = Vec::new();
        loop {
            match self.kind() {
                Some(Kind::Name) => params.push(self.param()?),
                Some(Kind::EndObject) => {
                    let end = self.bump()?;
                    return Ok(Object { kind, params, at: begin.at.to(&end.at) });
                }
                _ => return self.syntax_error(),
            }
        }
    }

    fn param(&mut self) -> Parsed<Param> {
        let name = self.bump()?;
        self.expect_punct(b'=')?;
        let value = match self.kind() {
            Some(Kind::Str) => Value::Text(unquote(&self.bump()?.text)),
            Some(Kind::Backtick) => {
                let tok = self.bump()?;
                Value::Text(self.stream.backticks(&tok).unwrap_or_else(|raw| raw))
            }
            Some(Kind::Punct) if self.punct(b'[') => Value::List(self.list()?),
            _ => return self.syntax_error(),
        };
        Ok(Param { name: name.text, value, at: name.at })
    }

    /// `["a", "b"]`
    fn list(&mut self) -> Parsed<Vec<Text>> {
        self.expect_punct(b'[')?;
        let mut out = Vec::new();
        loop {
            match self.kind() {
                Some(Kind::Str) => out.push(unquote(&self.bump()?.text)),
                Some(Kind::Backtick) => {
                    let tok = self.bump()?;
                    out.push(self.stream.backticks(&tok).unwrap_or_else(|raw| raw));
                }
                _ => return self.syntax_error(),
            }
            if self.punct(b',') {
                self.bump()?;
            } else {
                self.expect_punct(b']')?;
                return Ok(out);
            }
        }
    }

    // ---- statements ----

    /// One or more statements; the caller looks at what ends them.
    fn script(&mut self, into: &mut Vec<Stmt>) -> Parsed<()> {
        loop {
            self.statement(into)?;
            if self.kind().is_none() || self.punct(b'}') {
                return Ok(());
            }
        }
    }

    /// A statement or `{ … }`.
    fn block(&mut self) -> Parsed<Vec<Stmt>> {
        let mut body = Vec::new();
        self.deeper(|p| {
            if !p.punct(b'{') {
                return p.statement(&mut body);
            }
            p.bump()?;
            p.stream.braces += 1;
            p.script(&mut body)?;
            p.drain(&mut body);
            p.expect_punct(b'}')?;
            p.stream.braces -= 1;
            Ok(())
        })?;
        Ok(body)
    }

    fn drain(&mut self, into: &mut Vec<Stmt>) {
        let found = std::mem::take(&mut self.stream.directives);
        into.extend(found.iter().map(directive_stmt));
    }

    fn statement(&mut self, into: &mut Vec<Stmt>) -> Parsed<()> {
        let kind = self.kind();
        self.drain(into);
        let Some(kind) = kind else { return self.syntax_error() };
        let start = self.here();
        let stmt = match kind {
            Kind::Word(Word::If) => self.if_statement()?,
            Kind::Word(Word::Foreach) => self.foreach()?,
            Kind::Word(Word::Set | Word::Reset) => {
                self.bump()?;
                let var = self.variable()?;
                self.expect_punct(b'=')?;
                let value = self.expr(0)?;
                self.expect_punct(b';')?;
                StmtKind::Set { var, value }
            }
            Kind::Word(Word::Unset) => {
                self.bump()?;
                let var = self.variable()?;
                self.expect_punct(b';')?;
                StmtKind::Unset(var)
            }
            Kind::Word(Word::ReloadLookupTable) => {
                self.bump()?;
                self.arguments()?;
                StmtKind::ReloadLookupTable
            }
            Kind::PriFilter => {
                let filter = Text::from(self.bump()?.text.0.trim_ascii());
                StmtKind::Pri { filter, body: self.block()? }
            }
            Kind::PropFilter => {
                let filter = Text::from(self.bump()?.text.0.trim_ascii());
                StmtKind::Prop { filter, body: self.block()? }
            }
            Kind::Begin(ObjectKind::Include) => return self.include(),
            Kind::Begin(ObjectKind::Action) | Kind::LegacyAction | Kind::Word(_) => return self.actions(into),
            _ => return self.syntax_error(),
        };
        into.push(Stmt { at: start, kind: stmt });
        Ok(())
    }

    /// `action & action & …`
    fn actions(&mut self, into: &mut Vec<Stmt>) -> Parsed<()> {
        loop {
            let start = self.here();
            let Some(kind) = self.kind() else { return self.syntax_error() };
            let (kind, at) = match kind {
                Kind::Begin(ObjectKind::Action) => {
                    let object = self.object(ObjectKind::Action)?;
                    let at = object.at.clone();
                    (StmtKind::Action(object), at)
                }
                Kind::LegacyAction => (StmtKind::LegacyAction(self.bump()?.text), start),
                Kind::Word(Word::Stop) => self.bump().map(|t| (StmtKind::Stop, t.at))?,
                Kind::Word(Word::Continue) => self.bump().map(|t| (StmtKind::Continue, t.at))?,
                Kind::Word(Word::Call) => {
                    self.bump()?;
                    match self.kind() {
                        Some(Kind::Name) => (StmtKind::Call(self.bump()?.text), start),
                        _ => return self.syntax_error(),
                    }
                }
                Kind::Word(Word::CallIndirect) => {
                    self.bump()?;
                    let name = self.expr(0)?;
                    self.expect_punct(b';')?;
                    (StmtKind::CallIndirect(name), start)
                }
                _ => return self.syntax_error(),
            };
            into.push(Stmt { at, kind });
            if !self.punct(b'&') {
                return Ok(());
            }
            self.drain(into);
            self.bump()?;
        }
    }

    fn if_statement(&mut self) -> Parsed<StmtKind> {
        let mut branches = Vec::new();
        loop {
            let at = self.bump()?.at;
            let cond = self.expr(0)?;
            self.expect_word(Word::Then)?;
            branches.push(Branch { cond, body: self.block()?, at });
            if self.kind() != Some(Kind::Word(Word::Else)) {
                return Ok(StmtKind::If { branches, otherwise: Vec::new() });
            }
            self.bump()?;
            if self.kind() != Some(Kind::Word(Word::If)) {
                return Ok(StmtKind::If { branches, otherwise: self.block()? });
            }
        }
    }

    fn foreach(&mut self) -> Parsed<StmtKind> {
        self.bump()?;
        self.expect_punct(b'(')?;
        let var = self.variable()?;
        self.expect_word(Word::In)?;
        let list = self.expr(0)?;
        self.expect_punct(b')')?;
        self.expect_word(Word::Do)?;
        Ok(StmtKind::Foreach { var, list, body: self.block()? })
    }

    fn include(&mut self) -> Parsed<()> {
        let object = self.object(ObjectKind::Include)?;
        if object.params.is_empty() {
            let text = "include() needs 'file' or 'text'; it has no effect";
            self.stream.problems.push(Problem::error(Topic::Include, &object.at, text));
        } else if !object.disabled() {
            self.stream.include_object(&object);
        }
        Ok(())
    }

    // ---- tokens ----

    fn kind(&mut self) -> Option<Kind> {
        self.stream.peek().map(|t| t.kind)
    }

    fn here(&mut self) -> Location {
        match self.stream.peek() {
            Some(tok) => tok.at.clone(),
            None => self.stream.end(),
        }
    }

    fn punct(&mut self, byte: u8) -> bool {
        self.stream.peek().is_some_and(|t| t.kind == Kind::Punct && t.text.as_bytes() == [byte])
    }

    fn bump(&mut self) -> Parsed<Tok> {
        match self.stream.take() {
            Some(tok) => Ok(tok),
            None => self.syntax_error(),
        }
    }

    fn expect_punct(&mut self, byte: u8) -> Parsed<()> {
        if self.punct(byte) { self.bump().map(drop) } else { self.syntax_error() }
    }

    fn expect_word(&mut self, word: Word) -> Parsed<()> {
        if self.kind() == Some(Kind::Word(word)) { self.bump().map(drop) } else { self.syntax_error() }
    }

    fn syntax_error<T>(&mut self) -> Parsed<T> {
        let token = self.stream.peek().cloned();
        self.stream.stop_at_syntax_error(token);
        Err(Halt)
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH {
            let at = self.here();
            self.stream.stop(at, format!("more than {DEPTH} levels of nesting"), false);
            return Err(Halt);
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }
}

fn directive_stmt(tok: &Tok) -> Stmt {
    Stmt { at: tok.at.clone(), kind: StmtKind::Directive(directive(tok)) }
}

/// Splits `$Name rest`.
fn directive(tok: &Tok) -> Directive {
    let line = tok.text.as_bytes().strip_prefix(b"$").unwrap_or(tok.text.as_bytes());
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    Directive { name: Text::from(&line[..end]), rest: Text::from(line[end..].trim_ascii()), at: tok.at.clone() }
}
