//! The support bundle: what somebody else needs to see of this box, in one archive, without its secrets. [`items`] says
//! what is taken, [`scrub`] takes secrets out and [`mask`] names, [`archive`] packs it. What cannot be scrubbed is left out,
//! and the manifest says of everything what was done.
//!
//! The facts are in it as well, so that `troubleshoot --from` judges them on another machine as this one would.

pub mod archive;
pub mod items;
pub mod mask;
pub mod scrub;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::facts::{Bytes, Facts};
use crate::check::target::TargetOptions;
use crate::report::Report;
use mask::Mask;
use scrub::{Clean, Scrubber, Unsafe};

/// Version of the bundle's layout.
pub const SCHEMA: u32 = 1;

/// Something that may go into the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Path in the bundle, without its leading folder.
    pub name: String,
    /// Where it comes from: a path, or a command.
    pub source: String,
    pub content: Vec<u8>,
    /// Size at the source, where only the end was taken.
    pub whole: Option<u64>,
}

/// What was taken, and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub name: String,
    pub source: String,
    /// In the bundle.
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_bytes: Option<u64>,
    /// Kind of secret → how many were replaced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub scrubbed: BTreeMap<String, u64>,
}

/// What was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub source: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: u32,
    pub tool: crate::report::Tool,
    /// RFC 3339, UTC.
    pub created: String,
    /// Workspace ids, names and addresses are replaced by others.
    pub masked: bool,
    pub taken: Vec<Taken>,
    pub left_out: Vec<LeftOut>,
}

/// The facts as they are in the bundle, with what the box was measured against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    pub schema: u32,
    pub options: TargetOptions,
    pub facts: Facts,
}

/// A bundle that is complete but not yet packed.
pub struct Bundle {
    pub manifest: Manifest,
    pub files: Vec<(String, Vec<u8>)>,
}

/// Puts everything together: scrubs, masks, leaves out what cannot be made safe. No word of `forgotten` shows anywhere.
///
/// # Errors
/// Facts or report that are no JSON, which does not happen.
pub fn assemble(
    recorded: Recorded,
    report: &Report,
    gathered: items::Gathered,
    forgotten: &[Bytes],
    masked: bool,
) -> serde_json::Result<Bundle> {
    let mask = if masked { Mask::new(&recorded.facts, &gathered.items) } else { Mask::none() };
    let mut scrubber = Scrubber::default();
    // All secrets that stand beside their name are learned first: elsewhere they may stand alone.
    gathered.items.iter().for_each(|i| scrubber.learn(&i.content));
    forgotten.iter().for_each(|f| scrubber.learn_all(&f.0));
    scrub::learn_facts(&mut scrubber, &recorded.facts);

    let mut manifest = Manifest {
        schema: SCHEMA,
        tool: report.tool.clone(),
        created: report.started.clone(),
        masked,
        taken: Vec::new(),
        left_out: gathered.left_out,
    };
    let mut files = Vec::new();
    let mut keep = |item: Item, scrubbed: Result<Clean, Unsafe>, manifest: &mut Manifest| {
        let source = mask.text(&crate::report::clean(&item.source));
        match scrubbed {
            Ok(clean) => {
                let content = mask.apply(&clean.content);
                manifest.taken.push(Taken {
                    name: mask.text(&item.name),
                    source,
                    bytes: content.len() as u64,
                    whole_bytes: item.whole,
                    scrubbed: clean.counts,
                });
                files.push((mask.text(&item.name), content));
            }
            Err(why) => manifest.left_out.push(LeftOut { source, why: why.to_string() }),
        }
    };
    // Facts hold bytes as they are; they are scrubbed as bytes before they become JSON, and as text again afterwards.
    let mut recorded = recorded;
    scrub::facts(&scrubber, &mask, &mut recorded.facts);
    let item =
        |name: &str, source: &str| Item { name: name.into(), source: source.into(), content: Vec::new(), whole: None };
    // Scrubbed value by value; as text it would no longer be JSON.
    let values = [
        ("facts.json", "what the checks looked at", serde_json::to_value(&recorded)?),
        ("report.json", "troubleshoot", serde_json::to_value(report)?),
    ];
    for (name, source, value) in values {
        let content = serde_json::to_vec_pretty(&scrub::json(&scrubber, value))?;
        let checked = scrubber.check(&content).map(|()| Clean { content, counts: BTreeMap::new() });
        keep(item(name, source), checked, &mut manifest);
    }
    let text = crate::report::text::render(report, &crate::report::TextOptions::default());
    keep(item("report.txt", "troubleshoot"), scrubber.scrub(text.as_bytes()), &mut manifest);
    for mut one in gathered.items {
        let scrubbed = scrubber.scrub(&std::mem::take(&mut one.content));
        keep(one, scrubbed, &mut manifest);
    }
    let mut listed = serde_json::to_vec_pretty(&manifest)?;
    listed.push(b'\n');
    files.insert(0, ("manifest.json".into(), listed));
    Ok(Bundle { manifest, files })
}

/// Bytes of a fact, with what was done to them.
pub(crate) fn replace(bytes: &mut Bytes, by: impl FnOnce(&[u8]) -> Vec<u8>) {
    bytes.0 = by(&bytes.0);
}

#[cfg(test)]
mod tests;
