//! The tokens of a whole configuration, one after the other across files: keeps the stack of files being read, follows
//! includes the way the daemon does, and collects the `$…` lines, which take effect at the moment they are read.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lex::{self, Kind, State};
use super::lines::Lines;
use super::parse::text::unescape;
use super::problem::{Problem, Topic};
use crate::syslog::{ConfigSource, Location, Text};

mod include;

/// Includes within includes. The daemon refuses a name that it is reading already; other circles (links, `..`) it
/// follows until it runs out of something.
const MAX_DEPTH: usize = 50;
/// Files read in all.
const MAX_FILES: usize = 5_000;
/// Start of what the daemon writes behind joined lines.
const MARK_WORD: &[u8] = b"PreprocFileLineNumber";
/// Problems kept in all.
const MAX_PROBLEMS: usize = 500;

/// One file the daemon reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRead {
    pub path: PathBuf,
    /// Bytes.
    pub size: usize,
    /// The include that asked for it; none for the main file.
    pub included_at: Option<Location>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncludeKind {
    /// `$IncludeConfig`
    Legacy,
    /// `include(file=…)`
    Object,
    /// `include(text=…)`
    Text,
}

/// One include.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Include {
    pub at: Location,
    pub kind: IncludeKind,
    /// As written.
    pub pattern: Text,
    /// `mode="optional"`
    pub optional: bool,
    /// Stands within braces: what it reads can be statements only.
    pub nested: bool,
    /// Files the daemon reads for it, in its order.
    pub matched: Vec<PathBuf>,
    /// Files that match and are left out all the same, because a dangling link stands behind them in the order of names
    /// or because they cannot be read.
    pub lost: Vec<PathBuf>,
}

/// Where reading ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    pub at: Location,
    pub why: String,
    /// Did the daemon stop (or only we)?
    pub daemon: bool,
}

/// A token with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tok {
    pub kind: Kind,
    /// As the grammar sees it (lines joined).
    pub text: Text,
    pub at: Location,
}

/// Problems, capped.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(problem);
        } else {
            self.more += 1;
        }
    }
    pub fn into_list(mut self) -> Vec<Problem> {
        if let (Some(last), 1..) = (self.list.last_mut(), self.more) {
            last.text.push_str(&format!(" (and {} more problems)", self.more));
        }
        self.list
    }
}

struct Frame {
    file: Arc<Path>,
    lines: Lines,
    at: usize,
    /// Includes around it.
    depth: usize,
    /// Its entry in the list of files, until its first byte is read.
    unread: Option<FileRead>,
}

pub(super) struct Stream<'s> {
    source: &'s dyn ConfigSource,
    stack: Vec<Frame>,
    state: State,
    ahead: Option<Tok>,
    ended: bool,
    last: Option<Location>,
    /// Files put on the stack in all.
    queued: usize,
    /// Open braces around what is read now, as the parser counts them.
    pub braces: usize,
    pub directives: Vec<Tok>,
    pub files: Vec<FileRead>,
    pub includes: Vec<Include>,
    pub problems: Problems,
    pub stopped: Option<Stopped>,
}

impl<'s> Stream<'s> {
    pub fn new(source: &'s dyn ConfigSource) -> Self {
        Stream {
            source,
            stack: Vec::new(),
            state: State::default(),
            ahead: None,
            ended: false,
            last: None,
            queued: 0,
            braces: 0,
            directives: Vec::new(),
            files: Vec::new(),
            includes: Vec::new(),
            problems: Problems::default(),
            stopped: None,
        }
    }

    pub fn open_main(&mut self, main: &Path) {
        match self.source.read(main) {
            Ok(content) => self.push(main, &content, None, 0),
            Err(e) => {
                let at = Location { file: main.into(), line: 1, start: 0, end: 0 };
                self.stop(at, format!("the main file cannot be read: {e}"), true);
            }
        }
    }

    /// A place for what is missing at the very end.
    pub fn end(&self) -> Location {
        self.last.clone().unwrap_or_else(|| Location { file: Path::new("").into(), line: 1, start: 0, end: 0 })
    }

    pub fn peek(&mut self) -> Option<&Tok> {
        if self.ahead.is_none() {
            self.ahead = self.read();
        }
        self.ahead.as_ref()
    }

    pub fn take(&mut self) -> Option<Tok> {
        self.peek();
        let tok = self.ahead.take();
        if let Some(tok) = &tok {
            self.last = Some(tok.at.clone());
        }
        tok
    }

    pub fn stop(&mut self, at: Location, why: String, daemon: bool) {
        let text = format!("{why}; nothing behind this place has any effect, in this file or in any other");
        self.problems.push(Problem::error(Topic::Syntax, &at, text));
        self.stopped.get_or_insert(Stopped { at, why, daemon });
        self.ended = true;
        self.ahead = None;
    }

    pub fn stop_at_syntax_error(&mut self, token: Option<Tok>) {
        if self.stopped.is_some() {
            return;
        }
        let (at, why) = match token {
            Some(tok) if tok.text.as_bytes().starts_with(MARK_WORD) => {
                let why = "syntax error: a line joined to the one before it by a backslash must end its expression or \
                           object (the daemon writes a line mark behind it)";
                (tok.at, why.to_owned())
            }
            Some(tok) => (tok.at, format!("syntax error on '{}'", short(&tok.text))),
            None => (self.end(), "syntax error: the configuration ends in the middle of a statement".to_owned()),
        };
        self.stop(at, why, true);
    }

    /// The next token that matters to the grammar.
    fn read(&mut self) -> Option<Tok> {
        while !self.ended {
            let frame = self.stack.last_mut()?;
            self.files.extend(frame.unread.take());
            let Some((kind, end)) = lex::next(&frame.lines.text, frame.at, &mut self.state) else {
                self.stack.pop();
                continue;
            };
            let range = frame.at..end;
            frame.at = end;
            if kind.is_trivia() {
                continue;
            }
            let span = frame.lines.file_span(range.clone());
            let line = frame.lines.line(first_byte(&frame.lines.text, range.clone()));
            let at = Location { file: frame.file.clone(), line, start: span.start, end: span.end };
            let tok = Tok { kind, text: Text::from(&frame.lines.text[range]), at };
            match kind {
                Kind::Bad => self.bad_bytes(&tok),
                Kind::BadDollar => {
                    let text = format!("'$' in double quotes must be written '\\$': {} is left out", short(&tok.text));
                    self.problems.push(Problem::error(Topic::Character, &tok.at, text));
                }
                Kind::Directive => self.directives.push(tok),
                Kind::IncludeDirective => {}
                Kind::IncludePath => self.include_directive(&tok),
                _ => return Some(tok),
            }
        }
        None
    }

    /// Bytes without meaning, one report for a run of them.
    fn bad_bytes(&mut self, tok: &Tok) {
        let last = self.problems.list.last_mut().filter(|p| p.topic == Topic::Character);
        if let Some(at) = last.and_then(|p| p.at.as_mut()).filter(|at| at.file == tok.at.file && at.end == tok.at.start)
        {
            at.end = tok.at.end;
            return;
        }
        let text = format!("invalid character '{}'; the daemon skips it", tok.text);
        self.problems.push(Problem::error(Topic::Character, &tok.at, text));
    }

    fn push(&mut self, path: &Path, content: &[u8], included_at: Option<Location>, depth: usize) {
        let unread = Some(FileRead { path: path.to_owned(), size: content.len(), included_at });
        self.queued += 1;
        self.stack.push(Frame { file: path.into(), lines: Lines::new(content), at: 0, depth, unread });
    }

    /// The text of a backtick expression where it can be known: `cat FILE`, `echo` without variables.
    pub fn backticks(&mut self, tok: &Tok) -> Result<Text, Text> {
        let inner = tok.text.as_bytes();
        let inner = unescape(inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default());
        if let Some(path) = inner.strip_prefix(b"cat ") {
            return match self.source.read(Path::new(std::ffi::OsStr::from_bytes(path))) {
                Ok(content) => Ok(Text(content)),
                Err(e) => {
                    let text = format!("{} cannot be read: {e}", short(&tok.text));
                    self.problems.push(Problem::error(Topic::Setting, &tok.at, text));
                    Err(Text(inner))
                }
            };
        }
        match inner.strip_prefix(b"echo ") {
            Some(text) if !text.contains(&b'$') => Ok(Text::from(text)),
            Some(_) => Err(Text(inner)),
            None => {
                let text =
                    format!("{} is neither `echo …` nor `cat …`; the daemon takes it as empty", short(&tok.text));
                self.problems.push(Problem::error(Topic::Setting, &tok.at, text));
                Ok(Text::default())
            }
        }
    }
}

/// The line an item is on is that of its first visible byte.
fn first_byte(text: &[u8], range: std::ops::Range<usize>) -> usize {
    let lead = text[range.clone()].iter().take_while(|b| b.is_ascii_whitespace()).count();
    range.start + if lead < range.len() { lead } else { 0 }
}

/// A token for a message.
fn short(text: &Text) -> String {
    let text = text.to_str_lossy();
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}
