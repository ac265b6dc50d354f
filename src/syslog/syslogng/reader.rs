//! Reads a whole configuration the way the daemon's preprocessor does: one stream of tokens, with includes read in
//! place, `@define`d values put where backticks name them, and directives carried out as they come.

mod directive;
mod substitute;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lex::{self, Kind, Lexer, Token};
use super::problem::{Problem, Topic};
use super::version::{Program, Version};
use crate::syslog::{ConfigSource, Location, PathKind, SourceError, Text};

pub use substitute::substitute;

/// Includes inside includes, and blocks inside blocks, that we follow. The daemon's own limit is 256.
const DEPTH: usize = 64;
const MAX_PROBLEMS: usize = 500;

/// What the reader must know beside the files.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Folders for relative includes, in order: the folder of the configuration the program was built with, whatever main
    /// file it is told to read (tried on 3.38), then its data folder.
    pub include_path: Vec<PathBuf>,
    /// Version of the installed program, where known.
    pub program: Option<Version>,
    /// Modules of the installed program, where known: a file that `@requires` another one is skipped.
    pub modules: Option<Vec<String>>,
}

impl Setting {
    /// What distributions build with, for a main file anywhere.
    pub fn usual(main: &Path) -> Self {
        let built_with = Path::new("/etc/syslog-ng");
        let mut include_path = vec![built_with.to_owned()];
        // Another main file may be that of a program built with another folder, which it does not tell.
        include_path.extend(main.parent().filter(|own| *own != built_with).map(Path::to_owned));
        include_path.push("/usr/share/syslog-ng/include".into());
        Setting { include_path, program: None, modules: None }
    }

    /// What the installed program says of itself.
    pub fn of(main: &Path, program: &Program) -> Self {
        let mut setting = Setting::usual(main);
        if !program.include_path.is_empty() {
            setting.include_path.pop();
            setting.include_path.extend(program.include_path.iter().map(PathBuf::from));
        }
        setting.program = Some(program.version);
        setting.modules = Some(program.modules.clone()).filter(|m| !m.is_empty());
        setting
    }
}

/// One file as the daemon reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRead {
    pub path: PathBuf,
    /// The `@include` that asks for it; none for the main file.
    pub by: Option<Location>,
    pub error: Option<String>,
}

/// One `@include`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Include {
    pub pattern: Text,
    /// What the pattern means with the include path applied: a file, a folder or a shell pattern each.
    pub places: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
    pub at: Location,
}

/// One `@define`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Define {
    pub name: Text,
    pub value: Text,
    pub at: Location,
}

/// One `@version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionLine {
    pub text: Text,
    /// `None` for `current` and for what is no version.
    pub version: Option<Version>,
    pub at: Location,
}

/// A place in one of the texts that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pos {
    pub text: u32,
    pub line: u32,
    pub start: usize,
    pub end: usize,
}

/// A token of the expanded stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tok {
    pub kind: TokKind,
    /// Words and strings as the daemon reads them.
    pub value: Text,
    pub pos: Pos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokKind {
    Word,
    /// A string in either kind of quotes.
    Str,
    Punct(u8),
}

/// A text being or having been read: a file, or one made from a block or a define.
struct Source {
    path: Arc<Path>,
    bytes: Arc<[u8]>,
    /// Where a made text was asked for.
    origin: Option<Pos>,
}

/// A text that is open, innermost last.
struct Frame {
    text: u32,
    lexer: Lexer,
    /// Files of the same include that follow.
    queue: Vec<(PathBuf, Option<Location>)>,
    is_include: bool,
}

/// The reader; [`Reader::token`] gives token after token.
pub struct Reader<'a> {
    files: &'a dyn ConfigSource,
    setting: Setting,
    texts: Vec<Source>,
    frames: Vec<Frame>,
    defines: BTreeMap<Vec<u8>, Vec<u8>>,
    pub read: Vec<FileRead>,
    pub includes: Vec<Include>,
    pub defined: Vec<Define>,
    pub versions: Vec<VersionLine>,
    /// `@module` names with their places.
    pub modules: Vec<(Text, Location)>,
    pub problems: Vec<Problem>,
    /// Has anything but directives been seen?
    begun: bool,
}

impl<'a> Reader<'a> {
    pub fn new(main: &Path, files: &'a dyn ConfigSource, setting: Setting) -> Self {
        let mut reader = Reader {
            files,
            texts: Vec::new(),
            frames: Vec::new(),
            defines: predefined(&setting),
            setting,
            read: Vec::new(),
            includes: Vec::new(),
            defined: Vec::new(),
            versions: Vec::new(),
            modules: Vec::new(),
            problems: Vec::new(),
            begun: false,
        };
        reader.open_file(main, None);
        reader
    }

    /// The version the configuration is written for; the program's own where it does not say.
    pub fn language(&self) -> Option<Version> {
        self.versions.first().and_then(|v| v.version).or(self.setting.program)
    }

    pub fn program(&self) -> Option<Version> {
        self.setting.program
    }

    /// File and line of a place; for a made text, of where it was asked for.
    pub fn location(&self, mut pos: Pos) -> Location {
        while let Some(origin) = self.source(pos.text).and_then(|s| s.origin) {
            pos = origin;
        }
        let file = self.source(pos.text).map_or_else(|| Path::new("").into(), |s| s.path.clone());
        Location { file, line: pos.line, start: pos.start, end: pos.end }
    }

    /// The bytes of a place as they stand there.
    pub fn raw(&self, pos: Pos) -> &[u8] {
        self.source(pos.text).and_then(|s| s.bytes.get(pos.start..pos.end)).unwrap_or_default()
    }

    /// Keeps a problem; of very many the first ones.
    pub fn report(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn source(&self, text: u32) -> Option<&Source> {
        self.texts.get(text as usize)
    }

    /// How deep in includes and made texts the reader is.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    // ---- texts ----

    fn add_text(&mut self, path: Arc<Path>, bytes: Arc<[u8]>, origin: Option<Pos>) -> u32 {
        self.texts.push(Source { path, bytes, origin });
        (self.texts.len() - 1) as u32
    }

    fn push(&mut self, text: u32, is_include: bool, queue: Vec<(PathBuf, Option<Location>)>) {
        if let Some(bytes) = self.source(text).map(|s| s.bytes.clone()) {
            self.frames.push(Frame { text, lexer: Lexer::new(bytes), queue, is_include });
        }
    }

    /// Opens a text made from a block or a define. `false` where it lies too deep.
    pub fn open_made(&mut self, bytes: Vec<u8>, origin: Pos) -> bool {
        if self.frames.len() >= DEPTH {
            let at = self.location(origin);
            self.report(Problem::error(Topic::Syntax, &at, "definitions lie too deep in one another"));
            return false;
        }
        let path = self.location(origin).file;
        let text = self.add_text(path, bytes.into(), Some(origin));
        self.push(text, false, Vec::new());
        true
    }

    fn open_file(&mut self, path: &Path, by: Option<Location>) -> bool {
        let (bytes, error) = match self.files.read(path) {
            Ok(bytes) => (Some(bytes), None),
            Err(e) => (None, Some(e)),
        };
        if let Some(e) = &error {
            let at = by.clone().unwrap_or(Location { file: path.into(), line: 1, start: 0, end: 0 });
            let what = match e {
                SourceError::NotFound => "does not exist".to_owned(),
                other => format!("cannot be read: {other}"),
            };
            let text = format!("{} {what}; the daemon does not start", path.display());
            self.report(Problem::error(Topic::Include, &at, text));
        }
        self.read.push(FileRead { path: path.to_owned(), by, error: error.map(|e| e.to_string()) });
        let Some(bytes) = bytes else { return false };
        let text = self.add_text(path.into(), bytes.into(), None);
        self.check_backticks(text);
        self.push(text, true, Vec::new());
        true
    }

    /// A backtick without its fellow in the same line, be it in a comment, stops the daemon.
    fn check_backticks(&mut self, text: u32) {
        let Some(bytes) = self.source(text).map(|s| s.bytes.clone()) else { return };
        if !bytes.contains(&b'`') {
            return;
        }
        let mut start = 0;
        for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
            if line.iter().filter(|b| **b == b'`').count() % 2 == 1 {
                let at = self.location(Pos { text, line: i as u32 + 1, start, end: start + line.len() });
                self.report(Problem::error(Topic::Syntax, &at, "a backtick without a second one in the same line"));
            }
            start += line.len() + 1;
        }
    }

    // ---- tokens ----

    /// The next token that is no blank, comment, comma or directive.
    pub fn token(&mut self) -> Option<Tok> {
        self.token_above(0)
    }

    /// As [`Reader::token`], but ends where the texts opened above `floor` end.
    pub fn token_above(&mut self, floor: usize) -> Option<Tok> {
        loop {
            let (text, token) = self.raw_token(floor)?;
            let pos = Pos { text, line: token.line, start: token.start, end: token.end };
            match token.kind {
                Kind::Blank | Kind::Newline | Kind::Continuation | Kind::Comment | Kind::Punct(b',') => {}
                Kind::Hidden => {
                    let at = self.location(pos);
                    let text = "a NUL byte: the daemon does not see the rest of this line, nor its end";
                    self.report(Problem::error(Topic::Syntax, &at, text));
                }
                Kind::Unterminated => {
                    let at = self.location(pos);
                    self.report(Problem::error(Topic::Syntax, &at, "a string that is never closed"));
                }
                Kind::Pragma => self.pragma(pos),
                Kind::Word => {
                    if let Some(tok) = self.word(pos) {
                        self.begun = true;
                        return Some(tok);
                    }
                }
                Kind::Str | Kind::RawStr => {
                    self.begun = true;
                    return Some(self.string(token.kind, pos));
                }
                Kind::Punct(b) => {
                    self.begun = true;
                    return Some(Tok { kind: TokKind::Punct(b), value: Text(vec![b]), pos });
                }
            }
        }
    }

    /// The next token as the file has it, closing texts that end.
    fn raw_token(&mut self, floor: usize) -> Option<(u32, Token)> {
        while self.frames.len() > floor {
            let frame = self.frames.last_mut()?;
            if let Some(token) = frame.lexer.next() {
                return Some((frame.text, token));
            }
            let mut queue = self.frames.pop().map(|f| f.queue).unwrap_or_default();
            while let Some((path, by)) = queue.pop() {
                if self.open_file(&path, by) {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.queue = std::mem::take(&mut queue);
                    }
                    break;
                }
            }
        }
        None
    }

    /// Makes `tok` the next token again. Only for the last one read.
    pub fn put_back(&mut self, tok: &Tok) {
        let token = Token { kind: Kind::Punct(0), start: tok.pos.start, end: tok.pos.end, line: tok.pos.line };
        if let Some(frame) = self.frames.last_mut().filter(|f| f.text == tok.pos.text) {
            frame.lexer.skip_to(&token);
        }
    }

    /// The text up to the brace that closes the one at `open`, as it stands in the file: nothing in it is resolved or
    /// carried out. With `one_line` (the brace stands in the line of the head) the rest of that line has had its
    /// backticks resolved all the same: the daemon does that to whole lines before it knows that they are content.
    pub fn raw_braces(&mut self, open: Pos, one_line: bool) -> Vec<u8> {
        let mut depth = 1;
        let mut end = open.end;
        while let Some(token) = self.frames.last_mut().filter(|f| f.text == open.text).and_then(|f| f.lexer.next()) {
            match token.kind {
                Kind::Punct(b'{') => depth += 1,
                Kind::Punct(b'}') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return self.content(open, end, one_line);
            }
            end = token.end;
        }
        let at = self.location(open);
        self.report(Problem::error(Topic::Syntax, &at, "a block that is never closed"));
        self.content(open, end, one_line)
    }

    fn content(&mut self, open: Pos, end: usize, one_line: bool) -> Vec<u8> {
        let raw = self.raw(Pos { start: open.end, end, ..open }).to_vec();
        let line = raw.iter().position(|b| *b == b'\n').unwrap_or(raw.len());
        if !one_line || !raw[..line].contains(&b'`') {
            return raw;
        }
        let mut made = self.substitute(&raw[..line], open);
        made.extend_from_slice(&raw[line..]);
        made
    }

    /// Skips `{ … }` if it comes next: text in another language.
    pub fn skip_braces(&mut self) {
        if let Some(tok) = self.token() {
            match tok.kind {
                TokKind::Punct(b'{') => drop(self.raw_braces(tok.pos, false)),
                _ => self.put_back(&tok),
            }
        }
    }

    /// A word, with its references resolved: what comes out may be several tokens, so it is read as a text of its own.
    fn word(&mut self, pos: Pos) -> Option<Tok> {
        let raw = self.raw(pos);
        if raw.contains(&b'`') && self.source(pos.text).is_some_and(|s| s.origin.is_none()) {
            let raw = lex::value(Kind::Word, raw);
            let made = self.substitute(&raw, pos);
            self.open_made(made, pos);
            return None;
        }
        Some(Tok { kind: TokKind::Word, value: Text(lex::value(Kind::Word, raw)), pos })
    }

    fn string(&mut self, kind: Kind, pos: Pos) -> Tok {
        let raw = self.raw(pos);
        let value = if raw.contains(&b'`') && self.source(pos.text).is_some_and(|s| s.origin.is_none()) {
            let raw = raw.to_vec();
            lex::value(kind, &self.substitute(&raw, pos))
        } else {
            lex::value(kind, raw)
        };
        Tok { kind: TokKind::Str, value: Text(value), pos }
    }

    /// A piece of text with its references resolved, unless it comes out of a text in which that is done.
    pub fn resolved(&mut self, text: Vec<u8>, pos: Pos) -> Vec<u8> {
        let made = self.source(pos.text).is_none_or(|s| s.origin.is_some());
        if made || !text.contains(&b'`') { text } else { self.substitute(&text, pos) }
    }

    /// Puts defined values in the place of backtick references.
    fn substitute(&mut self, text: &[u8], pos: Pos) -> Vec<u8> {
        let (made, missing) = substitute(text, &|name| self.defines.get(name).cloned());
        for name in missing {
            let at = self.location(pos);
            let name = String::from_utf8_lossy(&name).into_owned();
            let text = format!("'{name}' is not defined; unless the environment has it, nothing stands here");
            self.report(Problem::warning(Topic::Define, &at, text));
        }
        made
    }

    /// A value by name, as a backtick reference in a block sees it.
    pub fn define(&self, name: &[u8]) -> Option<&Vec<u8>> {
        self.defines.get(name)
    }
}

/// A name with `_` and `-` made one, as the daemon compares keywords.
pub fn normal(name: &Text) -> Vec<u8> {
    name.as_bytes().iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect()
}

/// Values that are there without `@define`.
fn predefined(setting: &Setting) -> BTreeMap<Vec<u8>, Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let path: Vec<&[u8]> = setting.include_path.iter().map(|p| p.as_os_str().as_bytes()).collect();
    let own = path.first().copied().unwrap_or(b"/etc/syslog-ng").to_vec();
    let data = path.last().copied().unwrap_or(b"/usr/share/syslog-ng/include").to_vec();
    let mut defines = BTreeMap::new();
    for (name, value) in [
        ("include-path", path.join(&b':')),
        ("syslog-ng-sysconfdir", own),
        ("scl-root", [&data[..], b"/scl"].concat()),
        ("syslog-ng-include", data),
        ("syslog-ng-root", b"/usr".to_vec()),
        ("syslog-ng-data", b"/usr/share/syslog-ng".to_vec()),
        ("autoload-compiled-modules", b"1".to_vec()),
        ("module-path", b"/usr/lib/syslog-ng".to_vec()),
        ("module-install-dir", b"/usr/lib/syslog-ng".to_vec()),
    ] {
        defines.insert(name.as_bytes().to_vec(), value);
    }
    defines
}
