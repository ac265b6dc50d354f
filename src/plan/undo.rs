//! Taking one file step back. Looks at what is there instead of trusting what was noted, so that it does the right
//! thing whether the step was made, half made or not made, and however often it is called.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::block;
use super::build::{Put, put_of};
use super::change::Place;
use super::diff::visible;
use super::journal::UndoFile;
use super::state::{FileState, Saved};
use super::store::Store;
use crate::host::{Attrs, Root};

/// What taking back did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    Nothing,
    /// It is as it was before; in words.
    Back(String),
    /// Part of it stays, and why; in words.
    Kept(String),
}

/// Makes `path` as `put` says.
pub(super) fn place(root: &Root, path: &Path, put: &Put) -> Result<()> {
    match put {
        Put::File { content, attrs } => {
            root.write(path, content, attrs).with_context(|| format!("cannot write {}", shown(path)))?;
        }
        Put::Link { target, owner } => {
            root.symlink(path, target, *owner).with_context(|| format!("cannot make the link {}", shown(path)))?;
        }
        Put::Dir { mode, owner } if matches!(FileState::at(root, path)?, FileState::Dir { .. }) => {
            root.set_dir_attrs(path, *mode, *owner)
                .with_context(|| format!("cannot set mode and owner of {}", shown(path)))?;
        }
        Put::Dir { mode, owner } => {
            root.create_dir(path, *mode, Some(*owner))
                .with_context(|| format!("cannot make the folder {}", shown(path)))?;
        }
        Put::Nothing => {
            let tried = || format!("cannot remove {}", shown(path));
            match FileState::at(root, path)? {
                FileState::Absent => {}
                FileState::Dir { .. } => root.remove_dir(path).with_context(tried)?,
                _ => root.remove_file(path).with_context(tried)?,
            }
        }
    }
    Ok(())
}

/// Takes the step back. `done`: it is known to have been made, so that a state which is neither the one before nor
/// the one after is a later change by somebody else to what we wrote; otherwise it is a change in place of ours, and
/// not ours to touch.
pub(super) fn undo(root: &Root, store: &Store, step: &UndoFile, done: bool) -> Result<Undone> {
    let path = &step.path;
    let (now, content) = FileState::look(root, path)?;
    if now == step.before.state {
        return Ok(Undone::Nothing);
    }
    let made_dir = |s: &FileState| matches!(s, FileState::Dir { .. });
    if now.same_content(&step.after) || (made_dir(&now) && made_dir(&step.after)) {
        return put_back(root, store, path, &step.before);
    }
    if let (Some(id), Some(content)) = (&step.block, &content)
        && let Some(undone) = revert_block(root, path, id, content, &store.saved_content(&step.before)?)?
    {
        return Ok(undone);
    }
    if !done || !matches!(now, FileState::Absent | FileState::File { .. }) {
        return Ok(Undone::Kept(format!("{} was changed by somebody else and is left as it is", shown(path))));
    }
    let copy = match &content {
        Some(content) => Some(keep_copy(root, path, content)?),
        None => None,
    };
    put_back(root, store, path, &step.before)?;
    Ok(match copy {
        Some(copy) => {
            Undone::Kept(format!("{} had been changed since; that version is now {}", shown(path), shown(&copy)))
        }
        None => Undone::Back(format!("restored {}", shown(path))),
    })
}

fn put_back(root: &Root, store: &Store, path: &Path, saved: &Saved) -> Result<Undone> {
    let put = put_of(store, saved).with_context(|| format!("cannot put {} back", shown(path)))?;
    match place(root, path, &put) {
        Ok(()) if put == Put::Nothing => Ok(Undone::Back(format!("removed {}", shown(path)))),
        Ok(()) => Ok(Undone::Back(format!("restored {}", shown(path)))),
        Err(e) if is_not_empty(&e) => Ok(Undone::Kept(format!("{} is kept: it is not empty", shown(path)))),
        Err(e) => Err(e),
    }
}

/// Did removing a folder fail because somebody has put something into it?
pub(super) fn is_not_empty(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists))
}

/// In a file that has changed elsewhere, makes only our block what it was in `before`, or takes it out. `None`: our
/// block is not in it, or cannot be told apart.
fn revert_block(root: &Root, path: &Path, id: &str, content: &[u8], before: &[u8]) -> Result<Option<Undone>> {
    let Ok(Some(without)) = block::take(content, id) else { return Ok(None) };
    let (reverted, what) = match block::body(before, id) {
        Ok(Some(old)) => (block::put(content, id, &old, Place::Append)?, "put our old block back into"),
        _ => (without, "took our block out of"),
    };
    if reverted == content {
        return Ok(Some(Undone::Nothing));
    }
    root.write(path, &reverted, &Attrs::default()).with_context(|| format!("cannot write {}", shown(path)))?;
    Ok(Some(Undone::Back(format!("{what} {}", shown(path)))))
}

/// Keeps `content` beside `path` under a name that no include pattern matches, readable as before.
fn keep_copy(root: &Root, path: &Path, content: &[u8]) -> Result<PathBuf> {
    let copy = copy_path(root, path, content)?;
    let attrs = Attrs { mtime: None, ..root.attrs(path)? };
    root.write(&copy, content, &attrs).with_context(|| format!("cannot keep a copy of {}", shown(path)))?;
    Ok(copy)
}

/// A name for a copy of `path` that is free, or has that content already (a run that was killed has got that far).
pub(crate) fn copy_path(root: &Root, path: &Path, content: &[u8]) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default();
    let mut n = 0;
    loop {
        // The leading dot keeps it out of includes of whole folders.
        let mut copy = std::ffi::OsString::from(".");
        copy.push(name);
        copy.push(".cefctl-saved");
        if n > 0 {
            copy.push(format!("-{n}"));
        }
        let copy = path.with_file_name(copy);
        match FileState::look(root, &copy)? {
            (FileState::Absent, _) => return Ok(copy),
            (_, Some(there)) if there == content => return Ok(copy),
            _ => n += 1,
        }
    }
}

pub(super) fn shown(path: &Path) -> String {
    visible(path.as_os_str().as_encoded_bytes())
}
