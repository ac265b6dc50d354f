//! Lines that begin with `@`: they are for the reader itself.

use std::path::{Path, PathBuf};

use super::*;
use crate::syslog::glob;

impl Reader<'_> {
    /// Reads the rest of the line behind `@` and does what it says.
    pub(super) fn pragma(&mut self, at: Pos) {
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
