//! Includes, found and followed as the daemon does it: files last name first onto its stack, and one path it cannot look
//! at makes it forget all that come before it in the order of names.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{Frame, Include, IncludeKind, MAX_DEPTH, MAX_FILES, Stream, Tok};
use crate::syslog::rsyslog::ast::Object;
use crate::syslog::rsyslog::lines::Lines;
use crate::syslog::rsyslog::problem::{Problem, Topic};
use crate::syslog::{Location, PathKind, SourceError, Text};

impl Stream<'_> {
    /// `$IncludeConfig`: where something is not there the daemon reads nothing more at all.
    pub(super) fn include_directive(&mut self, tok: &Tok) {
        let complete = self.include_pattern(tok.text.clone(), tok.at.clone(), IncludeKind::Legacy, false);
        if !complete {
            let why = format!("$IncludeConfig {} is incomplete and the daemon ends its reading there", tok.text);
            self.stop(tok.at.clone(), why, true);
        }
    }

    pub fn include_object(&mut self, object: &Object) {
        let mode = object.get("mode");
        if let Some(mode) = mode.filter(|m| !["optional", "required", "abort-if-missing"].iter().any(|k| **m == *k)) {
            let text = format!("include(): unknown mode '{mode}'");
            self.problems.push(Problem::error(Topic::Setting, &object.at, text));
        }
        match (object.get("file"), object.get("text")) {
            (Some(file), None) => {
                let optional = mode.is_some_and(|m| *m == "optional");
                let complete = self.include_pattern(file.clone(), object.at.clone(), IncludeKind::Object, optional);
                if !complete && mode.is_some_and(|m| *m == "abort-if-missing") {
                    self.stop(object.at.clone(), format!("'{file}' is missing and the daemon does not start"), true);
                }
            }
            (None, Some(text)) => {
                self.includes.push(Include {
                    at: object.at.clone(),
                    kind: IncludeKind::Text,
                    pattern: Text::default(),
                    optional: false,
                    nested: self.braces > 0,
                    matched: Vec::new(),
                    lost: Vec::new(),
                });
                // Items of such a text are found at the include itself.
                let depth = self.stack.last().map_or(0, |f| f.depth) + 1;
                let lines = Lines::new(text.as_bytes());
                self.stack.push(Frame { file: object.at.file.clone(), lines, at: 0, depth, unread: None });
            }
            _ => {
                let text = "include() needs either 'file' or 'text'; it has no effect";
                self.problems.push(Problem::error(Topic::Include, &object.at, text));
            }
        }
    }

    /// Puts the files of a pattern on the stack; false where the daemon sees an error.
    fn include_pattern(&mut self, pattern: Text, at: Location, kind: IncludeKind, optional: bool) -> bool {
        let nested = self.braces > 0;
        let include = Include { at, kind, pattern, optional, nested, matched: vec![], lost: vec![] };
        let mut job = Job { include, files: vec![] };
        let path = PathBuf::from(std::ffi::OsString::from_vec(job.include.pattern.0.clone()));
        let complete = self.collect(&mut job, &path, 0);
        self.report_include(&job, complete);
        let depth = self.stack.last().map_or(0, |f| f.depth) + 1;
        // The last one found is the first one read.
        for (path, content) in &job.files {
            self.push(path, content, Some(job.include.at.clone()), depth);
        }
        let mut matched: Vec<_> = job.files.into_iter().map(|(p, _)| p).collect();
        matched.reverse();
        self.includes.push(Include { matched, ..job.include });
        complete
    }

    /// Finds the files of one pattern, last name first as the daemon does, down to the first it cannot look at.
    fn collect(&mut self, job: &mut Job, pattern: &Path, depth: usize) -> bool {
        if depth > 40 {
            return true;
        }
        let pattern = match self.source.kind(pattern) {
            // A folder stands for what begins with its name as written.
            PathKind::Dir => [pattern.as_os_str().as_bytes(), b"*"].concat(),
            _ => pattern.as_os_str().as_bytes().to_vec(),
        };
        let mut found = self.source.glob(Path::new(std::ffi::OsStr::from_bytes(&pattern)));
        if found.is_empty() && !crate::syslog::glob::is_pattern(&pattern) {
            found.push(PathBuf::from(std::ffi::OsString::from_vec(pattern)));
        }
        while let Some(path) = found.pop() {
            match self.source.kind(&path) {
                PathKind::Missing => {
                    if !job.include.optional || !found.is_empty() {
                        let lost = match found.is_empty() {
                            true => String::new(),
                            false => {
                                format!(", and with it what stands before it in the order of names: {}", names(&found))
                            }
                        };
                        let text = format!("'{}' is not there{lost}", path.display());
                        self.problems.push(Problem::error(Topic::Include, &job.include.at, text));
                    }
                    job.include.lost.append(&mut found);
                    return job.include.optional;
                }
                PathKind::File => self.collect_file(job, path),
                PathKind::Dir => {
                    let inside = [path.as_os_str().as_bytes(), b"/"].concat();
                    self.collect(job, Path::new(std::ffi::OsStr::from_bytes(&inside)), depth + 1);
                }
                PathKind::Other => {}
            }
        }
        true
    }

    fn collect_file(&mut self, job: &mut Job, path: PathBuf) {
        let on_stack = self.stack.iter().any(|f| *f.file == *path);
        let depth = self.stack.last().map_or(0, |f| f.depth);
        let limit = depth >= MAX_DEPTH || self.queued + job.files.len() >= MAX_FILES;
        let refused = match () {
            _ if on_stack => Some("includes itself; the inner include is ignored".to_owned()),
            _ if limit => Some("is one include too many; it is not followed here".to_owned()),
            _ => None,
        };
        let content = match refused {
            Some(why) => Err(why),
            None => self.source.read(&path).map_err(|e| match e {
                SourceError::Denied => {
                    "cannot be read (permission denied); the daemon leaves it out silently".to_owned()
                }
                e => format!("cannot be read ({e})"),
            }),
        };
        match content {
            Ok(content) => job.files.push((path, content)),
            Err(why) => {
                let text = format!("'{}' {why}", path.display());
                self.problems.push(Problem::error(Topic::Include, &job.include.at, text));
                job.include.lost.push(path);
            }
        }
    }

    fn report_include(&mut self, job: &Job, complete: bool) {
        if complete && job.files.is_empty() && job.include.lost.is_empty() {
            let text = format!("nothing matches '{}'", job.include.pattern);
            self.problems.push(Problem::note(Topic::IncludeEmpty, &job.include.at, text));
        }
    }
}

/// An include being worked on; files last first.
struct Job {
    include: Include,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}
