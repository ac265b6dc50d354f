//! A plan in words: one sentence per step and the difference it makes to a file, for people and as JSON. Secret files
//! are named, their content is not shown.

use std::path::Path;

use serde::Serialize;

use super::build::{FileOp, Op, Plan, Put, ServiceOp, Step};
use super::change::Change;
use super::diff::{unified, visible};
use super::state::FileState;
use crate::platform::service_act::Action;
use crate::platform::setting::Setting;

/// One step in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Starts with a verb, ends without a full stop.
    pub sentence: String,
    /// `write-file`, `edit-block`, `take-block`, `remove-file`, `create-dir`, `remove-dir`, `restore`, `service`, `set`, `unset`.
    pub kind: &'static str,
    /// The real file that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<Setting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FileState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<FileState>,
    /// Unified diff; absent where bytes do not change or are secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Plan {
    pub fn describe(&self) -> Vec<Described> {
        self.steps.iter().map(Step::describe).collect()
    }

    /// `{"steps": […], "notes": […]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "steps": self.describe(), "notes": self.notes })
    }
}

impl Step {
    pub fn describe(&self) -> Described {
        let empty = Described {
            sentence: self.sentence(),
            kind: kind(&self.change),
            path: None,
            unit: None,
            action: None,
            setting: None,
            before: None,
            after: None,
            diff: None,
        };
        match &self.op {
            Op::Service(op) => Described { unit: Some(op.unit.clone()), action: Some(op.action), ..empty },
            Op::Setting(op) => Described { setting: Some(op.setting.clone()), ..empty },
            Op::File(op) => Described {
                path: Some(shown(&op.path)),
                // A hash of a short secret is the secret for whoever can try them all.
                before: Some(op.before.clone()).filter(|_| !self.is_secret()),
                after: Some(op.after.clone()).filter(|_| !self.is_secret()),
                diff: self.diff(op),
                ..empty
            },
        }
    }

    /// Is there content that must not be shown?
    pub(super) fn is_secret(&self) -> bool {
        match &self.change {
            Change::WriteFile(wish) => wish.secret,
            Change::RemoveFile { secret, .. } => *secret,
            // The content may hold what nobody is to see, since not even its reader could.
            Change::Access { .. } => true,
            Change::Restore { saved, .. } => saved.secret,
            _ => false,
        }
    }

    fn diff(&self, op: &FileOp) -> Option<String> {
        let old = matches!(op.before, FileState::File { .. }).then_some(op.old.as_slice());
        let new = match &op.put {
            Put::File { content, .. } => Some(content.as_slice()),
            _ => None,
        };
        if self.is_secret() || (old.is_none() && new.is_none()) {
            return None;
        }
        Some(unified(&op.path, old, new)).filter(|d| !d.is_empty())
    }

    /// What the step does, in one sentence.
    pub fn sentence(&self) -> String {
        match &self.op {
            Op::Service(op) => service_sentence(op),
            Op::Setting(op) if op.make => op.setting.sentence(),
            Op::Setting(op) => op.setting.undo_sentence(),
            Op::File(op) => self.file_sentence(op),
        }
    }

    fn file_sentence(&self, op: &FileOp) -> String {
        let path = shown(&op.path);
        match &self.change {
            Change::WriteFile(wish) if wish.for_user && wish.purpose.is_empty() => {
                format!("keep the present version as {path}")
            }
            Change::WriteFile(wish) => with_purpose(write_sentence(op, &path), &wish.purpose),
            Change::EditBlock(wish) => {
                let verb = if super::block::take(&op.old, &wish.id) == Ok(None) { "add a" } else { "update our" };
                let at = if verb == "add a" { "to" } else { "in" };
                with_purpose(format!("{verb} marked block {at} {path}"), &wish.purpose)
            }
            Change::TakeBlock { .. } => format!("take our marked block out of {path}"),
            Change::RemoveFile { .. } => format!("remove {path} (a backup is kept)"),
            Change::CreateDir { .. } => format!("create the folder {path}{}", mode_note(&op.after)),
            Change::Access { .. } => format!("set mode and owner of {path}{}", access_note(&op.after)),
            Change::RemoveDir { .. } => format!("remove the empty folder {path}"),
            Change::Restore { saved, .. } => match saved.state {
                FileState::Absent => format!("remove {path}"),
                _ => format!("restore {path} as it was before"),
            },
            Change::Service(_) | Change::Set(_) | Change::Unset(_) => String::new(),
        }
    }
}

fn write_sentence(op: &FileOp, path: &str) -> String {
    match &op.before {
        FileState::Absent => format!("create {path}{}", mode_note(&op.after)),
        before if before.same_content(&op.after) => format!("set mode and owner of {path}{}", mode_note(&op.after)),
        before if before.mode() != op.after.mode() => format!("change {path}{}", mode_note(&op.after)),
        _ => format!("change {path}"),
    }
}

fn mode_note(state: &FileState) -> String {
    state.mode().map(|mode| format!(" (mode {mode:04o})")).unwrap_or_default()
}

fn access_note(state: &FileState) -> String {
    match (state.mode(), state.owner()) {
        (Some(mode), Some((uid, gid))) => format!(" (mode {mode:04o}, owner {uid}:{gid})"),
        _ => String::new(),
    }
}

fn with_purpose(sentence: String, purpose: &str) -> String {
    if purpose.is_empty() { sentence } else { format!("{sentence}: {purpose}") }
}

fn service_sentence(op: &ServiceOp) -> String {
    let unit = &op.unit;
    match op.action {
        Action::Start => format!("start {unit}"),
        Action::Stop => format!("stop {unit}"),
        Action::Restart => format!("restart {unit}"),
        Action::Reload => format!("make {unit} read its configuration again"),
        Action::Enable => format!("make {unit} start at boot"),
        Action::Disable => format!("no longer start {unit} at boot"),
    }
}

fn kind(change: &Change) -> &'static str {
    match change {
        Change::WriteFile(_) => "write-file",
        Change::EditBlock(_) => "edit-block",
        Change::TakeBlock { .. } => "take-block",
        Change::RemoveFile { .. } => "remove-file",
        Change::CreateDir { .. } => "create-dir",
        Change::Access { .. } => "access",
        Change::RemoveDir { .. } => "remove-dir",
        Change::Restore { .. } => "restore",
        Change::Service(_) => "service",
        Change::Set(_) => "set",
        Change::Unset(_) => "unset",
    }
}

fn shown(path: &Path) -> String {
    visible(path.as_os_str().as_encoded_bytes())
}
