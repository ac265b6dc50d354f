//! Reads a whole configuration the way the daemon's preprocessor does: one stream of tokens, with includes read in
//! place, `@define`d values put where backticks name them, and directives carried out as they come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lex::{self, Kind, Lexer, Token};
use super::problem::{Problem, Topic};
use super::version::Version;
use crate::syslog::{ConfigSource, Location, PathKind, SourceError, Text, glob};

/// Includes inside includes, and blocks inside blocks, that we follow. The daemon's own limit is 256.
const DEPTH: usize = 64;
const MAX_PROBLEMS: usize = 500;

/// What the reader must know beside the files.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Folders for relative includes, in order. The daemon's default: the main file's folder, then its data folder.
    pub include_path: Vec<PathBuf>,
    /// Version of the installed program, where known.
    pub program: Option<Version>,
    /// Modules of the installed program, where known: a file that `@requires` another one is skipped.
    pub modules: Option<Vec<String>>,
}

impl Setting {
    /// What distributions build with, for a main file anywhere.
    pub fn usual(main: &Path) -> Self {
        let own = main.parent().unwrap_or(Path::new("/")).to_owned();
        Setting { include_path: vec![own, "/usr/share/syslog-ng/include".into()], program: None, modules: None }
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

    // ---- directives ----

    /// Reads the rest of the line behind `@` and does what it says.
    fn pragma(&mut self, at: Pos) {
        let mut words: Vec<Tok> = Vec::new();
        let mut end = at;
        let mut closed = false;
        let floor = self.frames.len().saturating_sub(1);
        let text = at.text;
        while let Some(token) = self.frames.last_mut().filter(|f| f.text == text).and_then(|f| f.lexer.next()) {
            let pos = Pos { text, line: token.line, start: token.start, end: token.end };
            match token.kind {
                Kind::Newline => {
                    closed = true;
                    break;
                }
                Kind::Blank | Kind::Comment | Kind::Continuation | Kind::Hidden => continue,
                Kind::Str | Kind::RawStr => {
                    let tok = self.string(token.kind, pos);
                    words.push(tok);
                }
                Kind::Word => match self.word(pos) {
                    Some(tok) => words.push(tok),
                    None => {
                        while let Some(tok) = self.token_above(floor + 1) {
                            words.push(tok);
                        }
                    }
                },
                Kind::Punct(b) => words.push(Tok { kind: TokKind::Punct(b), value: Text(vec![b]), pos }),
                Kind::Pragma | Kind::Unterminated => {}
            }
            end = Pos { end: token.end, ..at };
        }
        let place = self.location(Pos { end: end.end.max(at.end), ..at });
        if !closed {
            let text = "a directive needs a line end behind it; the daemon does not start";
            self.report(Problem::error(Topic::Syntax, &place, text));
        }
        self.directive(&words, place);
    }

    fn directive(&mut self, words: &[Tok], at: Location) {
        let Some(first) = words.first() else {
            return self.report(Problem::error(Topic::Syntax, &at, "a lone '@'"));
        };
        let text_at = |i: usize| words.get(i).filter(|t| !matches!(t.kind, TokKind::Punct(_))).map(|t| t.value.clone());
        match normal(&first.value).as_slice() {
            b"version" => self.version(text_at(2).unwrap_or_default(), at),
            b"config-id" | b"line" => {}
            b"include" => match text_at(1) {
                Some(pattern) => self.include(pattern, at),
                None => self.report(Problem::error(Topic::Syntax, &at, "@include without a name")),
            },
            b"define" => match (text_at(1), text_at(2)) {
                (Some(name), Some(value)) => {
                    self.defines.insert(name.0.clone(), value.0.clone());
                    self.defined.push(Define { name, value, at });
                }
                _ => self.report(Problem::error(Topic::Syntax, &at, "@define needs a name and a value")),
            },
            b"module" => match text_at(1) {
                Some(name) => self.modules.push((name, at)),
                None => self.report(Problem::error(Topic::Syntax, &at, "@module without a name")),
            },
            b"requires" => self.requires(&text_at(1).unwrap_or_default(), text_at(2).is_some(), at),
            _ => {
                let text = format!("'@{}' is not a directive", first.value);
                self.report(Problem::error(Topic::Syntax, &at, text));
            }
        }
    }

    fn version(&mut self, text: Text, at: Location) {
        let shown = text.to_str_lossy().into_owned();
        let version = Version::parse(&shown);
        let current = shown == "current" && self.setting.program.is_none_or(Version::has_current);
        if version.is_none() && !current {
            let text = format!("@version: '{shown}' is no version this program knows");
            self.report(Problem::error(Topic::Version, &at, text));
        }
        if let Some(first) = self.versions.first() {
            let text = format!("@version stands already at {}; this one is ignored", first.at);
            self.report(Problem::warning(Topic::Version, &at, text));
        } else if self.begun {
            let text = "@version must be the first line of the main file";
            let lenient = self.setting.program.is_some_and(Version::may_lack_version);
            let problem = if lenient { Problem::warning } else { Problem::error };
            self.report(problem(Topic::Version, &at, text.to_owned()));
        }
        self.versions.push(VersionLine { text, version, at });
    }

    /// In an included file a missing module skips the rest of the file; in the main file, or with a reason given, it is
    /// an error.
    fn requires(&mut self, name: &Text, has_reason: bool, at: Location) {
        let Some(modules) = &self.setting.modules else { return };
        if modules.iter().any(|m| *name == m.as_str()) {
            return;
        }
        if has_reason || self.frames.iter().filter(|f| f.is_include).count() < 2 {
            let text = format!("module '{name}' is required here and not installed");
            return self.report(Problem::error(Topic::ModuleMissing, &at, text));
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.lexer.finish();
        }
    }

    // ---- includes ----

    /// Reads the files of an include next. A name that exists is a file or a folder; otherwise it is a shell pattern,
    /// looked for in every folder of the include path.
    pub fn include(&mut self, pattern: Text, at: Location) {
        use std::os::unix::ffi::OsStrExt;
        let name = Path::new(std::ffi::OsStr::from_bytes(pattern.as_bytes()));
        let places: Vec<PathBuf> = if name.is_absolute() {
            vec![name.to_owned()]
        } else {
            self.setting.include_path.iter().map(|dir| dir.join(name)).collect()
        };
        let existing = places.iter().find(|p| self.files.kind(p) != PathKind::Missing);
        let mut files = match existing {
            Some(place) if self.files.kind(place) == PathKind::Dir => self.folder(place),
            Some(place) => vec![place.clone()],
            None => places.iter().flat_map(|p| self.files.glob(p)).collect(),
        };
        files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        if files.is_empty() && existing.is_none() && !glob::is_pattern(pattern.as_bytes()) {
            let text = format!("{pattern} does not exist; the daemon does not start");
            self.report(Problem::error(Topic::Include, &at, text));
        } else if files.is_empty() {
            self.report(Problem::note(Topic::IncludeEmpty, &at, format!("{pattern} matches no file")));
        }
        self.includes.push(Include { pattern, places, files: files.clone(), at: at.clone() });
        self.read_files(files, at);
    }

    fn read_files(&mut self, mut files: Vec<PathBuf>, at: Location) {
        let open = |frames: &[Frame], texts: &[Source], path: &Path| {
            frames.iter().any(|f| f.is_include && texts.get(f.text as usize).is_some_and(|s| *s.path == *path))
        };
        if let Some(circle) = files.iter().find(|p| open(&self.frames, &self.texts, p)) {
            let text = format!("{} includes itself; the daemon does not start", circle.display());
            self.report(Problem::error(Topic::Include, &at, text));
            files.retain(|p| !open(&self.frames, &self.texts, p));
        }
        if self.frames.len() >= DEPTH {
            return self.report(Problem::error(Topic::Include, &at, "includes lie too deep in one another"));
        }
        let mut queue: Vec<(PathBuf, Option<Location>)> = files.into_iter().map(|p| (p, Some(at.clone()))).collect();
        queue.reverse();
        while let Some((path, by)) = queue.pop() {
            if self.open_file(&path, by) {
                if let Some(frame) = self.frames.last_mut() {
                    frame.queue = queue;
                }
                return;
            }
        }
    }

    /// Files of a folder that is included as such: no dot files, no folders, plain names only.
    fn folder(&self, dir: &Path) -> Vec<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let plain = |p: &PathBuf| {
            let name = p.file_name().map(|n| n.as_bytes()).unwrap_or_default();
            name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let found = self.files.glob(&dir.join("*")).into_iter();
        found.filter(plain).filter(|p| self.files.kind(p) == PathKind::File).collect()
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

/// Puts values in the place of `` `NAME` `` (two backticks stand for one), quoting them for the string they stand in.
/// Also gives the names nobody knows; nothing stands for those.
pub fn substitute(text: &[u8], lookup: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut out = Vec::with_capacity(text.len());
    let mut missing = Vec::new();
    let mut quote: Option<u8> = None;
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        if b == b'`' {
            let end = at + 1 + text[at + 1..].iter().take_while(|b| **b != b'`').count();
            let name = &text[at + 1..end.min(text.len())];
            match lookup(name) {
                _ if name.is_empty() => out.push(b'`'),
                Some(value) => put(&mut out, &value, quote),
                None => missing.push(name.to_vec()),
            }
            at = end + 1;
            continue;
        }
        match (quote, b) {
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(b'"'), b'\\') => {
                out.push(b);
                at += 1;
                if let Some(&escaped) = text.get(at) {
                    out.push(escaped);
                }
                at += 1;
                continue;
            }
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
        out.push(b);
        at += 1;
    }
    (out, missing)
}

/// A value inside a string: where the value is one string itself, its content is put in, quoted anew.
fn put(out: &mut Vec<u8>, value: &[u8], quote: Option<u8>) {
    let single = {
        let tokens = lex::tokens(value);
        match tokens.as_slice() {
            [t] if matches!(t.kind, Kind::Str | Kind::RawStr) => Some(lex::value(t.kind, value)),
            _ => None,
        }
    };
    match (quote, single) {
        (None, _) | (_, None) => out.extend_from_slice(value),
        (Some(b'"'), Some(content)) => {
            for b in content {
                match b {
                    b'"' | b'\\' => out.extend([b'\\', b]),
                    b'\n' => out.extend(*b"\\n"),
                    b'\r' => out.extend(*b"\\r"),
                    b => out.push(b),
                }
            }
        }
        (Some(_), Some(content)) => out.extend(content),
    }
}
