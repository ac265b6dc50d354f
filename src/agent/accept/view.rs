//! A verdict as plain data for output: names and text in place of enums and bytes.

use serde::Serialize;

use super::{Damage, Note, Reason, Repair, Stream, Verdict};

/// What became of a line. Bytes that are not UTF-8 show as U+FFFD; the line itself travels separately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum View {
    Accepted(RecordView),
    Damaged {
        damage: Vec<Damage>,
        #[serde(flatten)]
        record: RecordView,
    },
    Dropped {
        reason: Reason,
        /// What would be in the way next.
        #[serde(skip_serializing_if = "Option::is_none")]
        also: Option<Reason>,
        repair: Repair,
        text: &'static str,
    },
}

/// A record's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordView {
    pub stream: Stream,
    pub facility: Option<&'static str>,
    pub severity: &'static str,
    pub time: String,
    pub host: Option<String>,
    pub ident: String,
    pub notes: Vec<Note>,
}

impl View {
    pub fn of(verdict: &Verdict<'_>) -> Self {
        match verdict {
            Verdict::Accepted(record) => View::Accepted(RecordView::of(record)),
            Verdict::Damaged(record, damage) => {
                View::Damaged { damage: damage.clone(), record: RecordView::of(record) }
            }
            Verdict::Dropped(refusal) => View::Dropped {
                reason: refusal.reason,
                also: refusal.also,
                repair: refusal.reason.repair(),
                text: refusal.reason.text(),
            },
        }
    }
}

impl RecordView {
    fn of(record: &super::Record<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        RecordView {
            stream: record.stream,
            facility: record.facility,
            severity: record.severity,
            time: text(record.time),
            host: record.host.map(text),
            ident: text(record.ident),
            notes: record.notes.clone(),
        }
    }
}
