//! The journal of a run: what is about to be changed and how to take it back, on the disk before the change is made.
//! One JSON object a line. A run that was killed is taken back (or, if it had committed, finished) from it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::encode;
use super::receipt::{Receipt, Record};
use super::state::{FileState, Saved, ServiceState};
use super::store::JOURNAL;
use crate::host::fault::hit;
use crate::host::{Attrs, Root};
use crate::platform::service_act::Action;
use crate::platform::setting::Setting;

/// Version of the format.
const SCHEMA: u32 = 1;

/// First line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub schema: u32,
    pub version: String,
    /// Names this run's backups.
    pub run: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// What the run is for: `install`, `uninstall`.
    pub goal: String,
    /// Every service of the plan, as it was before the first change.
    pub services: Vec<ServiceState>,
    /// Folders made for our state folder.
    #[serde(default)]
    pub made_dirs: Vec<PathBuf>,
}

/// How to take one step back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    File(Box<UndoFile>),
    Service { unit: String, action: Action },
    Setting(Box<UndoSetting>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoSetting {
    pub setting: Setting,
    /// The step makes it, else takes it back.
    pub made: bool,
    /// What the step means for the receipt.
    pub record: Record,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoFile {
    /// The real file, links followed.
    #[serde(with = "encode::path")]
    pub path: PathBuf,
    pub before: Saved,
    pub after: FileState,
    /// The step put in or took out a marked block of this name, and only that is taken back if the rest has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// What the step means for the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line {
    Run(Header),
    /// Step `n` is about to be done.
    Begin {
        n: usize,
        #[serde(flatten)]
        undo: Box<Undo>,
    },
    Done {
        n: usize,
    },
    /// Step `n` will not be done: somebody else got there first.
    Skip {
        n: usize,
    },
    /// Everything is done and proven; only our own folder is still to be put in order.
    Commit {
        receipt: Option<Box<Receipt>>,
    },
    /// From here on everything is taken back, whatever was said before.
    Back,
}

/// A step that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub undo: Undo,
    pub done: bool,
    pub skipped: bool,
}

/// What a journal says.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub header: Header,
    pub begun: Vec<Begun>,
    /// The receipt to be left (`None` in it: no receipt), if the run had committed.
    pub committed: Option<Option<Receipt>>,
}

/// A journal being written.
#[derive(Debug)]
pub struct Journal {
    root: Root,
    len: u64,
    pub story: Story,
}

impl Journal {
    /// Starts a journal; there must be none.
    pub fn create(root: &Root, header: Header) -> Result<Self> {
        let line = encode_line(&Line::Run(header.clone()))?;
        root.write(Path::new(JOURNAL), &line, &Attrs::mode(0o600))
            .with_context(|| format!("cannot write {JOURNAL}"))?;
        let story = Story { header, begun: Vec::new(), committed: None };
        Ok(Journal { root: root.clone(), len: line.len() as u64, story })
    }

    /// The header of a new run.
    pub fn header(goal: &str, now: &str, services: Vec<ServiceState>, made_dirs: Vec<PathBuf>) -> Header {
        Header {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: uuid::Uuid::new_v4().simple().to_string(),
            started: now.to_owned(),
            goal: goal.to_owned(),
            services,
            made_dirs,
        }
    }

    /// Notes a step that is about to be done, on the disk; returns its number.
    pub fn begin(&mut self, undo: Undo) -> Result<usize> {
        let n = self.story.begun.len();
        hit("plan.journal")?;
        self.append(&Line::Begin { n, undo: Box::new(undo.clone()) }, true)?;
        self.story.begun.push(Begun { undo, done: false, skipped: false });
        Ok(n)
    }

    /// Notes that step `n` is done. Not forced to the disk: taking back looks at what is there.
    pub fn done(&mut self, n: usize) -> Result<()> {
        self.append(&Line::Done { n }, false)?;
        if let Some(begun) = self.story.begun.get_mut(n) {
            begun.done = true;
        }
        Ok(())
    }

    /// Notes that step `n` was not done.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        if let Some(begun) = self.story.begun.get_mut(n) {
            begun.skipped = true;
        }
        self.append(&Line::Skip { n }, false)
    }

    /// The point of no return.
    pub fn commit(&mut self, receipt: Option<&Receipt>) -> Result<()> {
        hit("plan.commit")?;
        self.append(&Line::Commit { receipt: receipt.cloned().map(Box::new) }, true)
    }

    /// Notes that everything is to be taken back. A commit that may have reached the disk although writing it failed
    /// is void from here on.
    pub fn back(&mut self) -> Result<()> {
        self.append(&Line::Back, true)
    }

    fn append(&mut self, line: &Line, sync: bool) -> Result<()> {
        let bytes = encode_line(line)?;
        let appended = self.root.append(Path::new(JOURNAL), self.len, &bytes, sync);
        self.len = appended.with_context(|| format!("cannot write {JOURNAL}"))?;
        Ok(())
    }

    /// Reads the journal that a run left; `None` if there is none.
    pub fn load(root: &Root) -> Result<Option<Self>> {
        let path = Path::new(JOURNAL);
        let Some(bytes) = root.read_opt(path).with_context(|| format!("cannot read {JOURNAL}"))? else {
            return Ok(None);
        };
        // What has no newline at its end was being written when the run died; the change it announces was not begun.
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let text = bytes.get(..whole).unwrap_or_default();
        let story = read_story(text).with_context(|| {
            format!(
                "{JOURNAL} of an unfinished run cannot be understood, so it cannot be taken back\n\
                 hint: compare the files it names with a backup of the machine, then remove it"
            )
        })?;
        Ok(Some(Journal { root: root.clone(), len: whole as u64, story }))
    }
}

fn encode_line(line: &Line) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line).context("cannot write the journal as JSON")?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read_story(text: &[u8]) -> Result<Story> {
    let mut lines = text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(serde_json::from_slice::<Line>);
    let header = match lines.next() {
        Some(Ok(Line::Run(header))) if header.schema <= SCHEMA => header,
        Some(Ok(Line::Run(header))) => bail!("it is of a later version of cefctl ({})", header.version),
        Some(Err(e)) => return Err(e.into()),
        _ => bail!("it does not begin with a run"),
    };
    let mut story = Story { header, begun: Vec::new(), committed: None };
    for line in lines {
        match line? {
            Line::Run(_) => bail!("two runs in one journal"),
            Line::Begin { n, undo } if n == story.begun.len() => {
                story.begun.push(Begun { undo: *undo, done: false, skipped: false });
            }
            Line::Begin { n, .. } => bail!("step {n} out of turn"),
            Line::Done { n } => step(&mut story, n)?.done = true,
            Line::Skip { n } => step(&mut story, n)?.skipped = true,
            Line::Commit { receipt } => story.committed = Some(receipt.map(|r| *r)),
            Line::Back => story.committed = None,
        }
    }
    Ok(story)
}

fn step(story: &mut Story, n: usize) -> Result<&mut Begun> {
    story.begun.get_mut(n).ok_or_else(|| anyhow!("step {n} was never begun"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fault;
    use crate::plan::store::Store;

    fn started() -> (tempfile::TempDir, Root, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        Store::new(&root).prepare(&mut Vec::new()).unwrap();
        let journal = Journal::create(&root, Journal::header("install", "now", vec![], vec![])).unwrap();
        (dir, root, journal)
    }

    fn undo(path: &str) -> Undo {
        let (before, after) = (Saved::absent(), FileState::of_file(b"x", 0o644, (0, 0)));
        Undo::File(Box::new(UndoFile { path: path.into(), before, after, block: None, record: None }))
    }

    #[test]
    fn tells_what_was_written() {
        let (_dir, root, mut journal) = started();
        journal.begin(undo("/a")).unwrap();
        journal.done(0).unwrap();
        journal.begin(undo("/b")).unwrap();
        journal.begin(Undo::Service { unit: "x".into(), action: Action::Restart }).unwrap();
        journal.skip(1).unwrap();
        assert_eq!(Journal::load(&root).unwrap().unwrap().story, journal.story);
        journal.commit(Some(&Receipt::new("now"))).unwrap();
        let story = Journal::load(&root).unwrap().unwrap().story;
        assert_eq!(story.committed, Some(Some(Receipt::new("now"))));
        journal.back().unwrap();
        assert_eq!(Journal::load(&root).unwrap().unwrap().story.committed, None);
    }

    #[test]
    fn a_torn_last_line_is_a_step_not_begun() {
        let (_dir, root, mut journal) = started();
        journal.begin(undo("/a")).unwrap();
        let bytes = root.read(Path::new(JOURNAL)).unwrap();
        for cut in 1..40 {
            let torn = [&bytes[..], &bytes[..cut]].concat();
            root.write(Path::new(JOURNAL), &torn, &Attrs::default()).unwrap();
            let mut again = Journal::load(&root).unwrap().unwrap();
            assert_eq!(again.story.begun.len(), 1, "cut at {cut}");
            // Going on writes over the torn part.
            again.back().unwrap();
            assert!(Journal::load(&root).unwrap().is_some());
        }
    }

    #[test]
    fn a_failed_write_leaves_a_readable_journal() {
        let (_dir, root, mut journal) = started();
        for fault in ["root.append.data=shortwrite", "root.append.sync=error", "plan.journal=error"] {
            assert!(fault::with(fault, || journal.begin(undo("/a"))).0.is_err());
            assert_eq!(Journal::load(&root).unwrap().unwrap().story.begun, []);
        }
        journal.begin(undo("/a")).unwrap();
        assert_eq!(Journal::load(&root).unwrap().unwrap().story.begun.len(), 1);
    }

    #[test]
    fn rubbish_and_later_versions_are_refused_with_a_hint() {
        let (_dir, root, journal) = started();
        let header = root.read(Path::new(JOURNAL)).unwrap();
        drop(journal);
        let later = String::from_utf8(header.clone()).unwrap().replace("\"schema\":1", "\"schema\":2");
        let cases: [&[u8]; 6] = [
            b"\n",
            b"\xff\xfe\n",
            b"{}\n",
            later.as_bytes(),
            &[&header[..], &header[..]].concat(),
            &[&header[..], b"{\"line\":\"done\",\"n\":3}\n"].concat(),
        ];
        for case in cases {
            root.write(Path::new(JOURNAL), case, &Attrs::default()).unwrap();
            let error = format!("{:#}", Journal::load(&root).unwrap_err());
            assert!(error.contains("hint:"), "{error}");
        }
    }
}
