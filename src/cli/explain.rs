//! `cefctl explain`: what a check looks at, why it matters, how to mend it; the text of docs/checks.md.

use super::args::ExplainArgs;
use super::exit::{Exit, usage};
use crate::check::catalogue;
use crate::ui::{Tone, Ui, wrap};

pub fn run(ui: &Ui, args: &ExplainArgs) -> anyhow::Result<Exit> {
    match &args.id {
        None => ui.result(&list(ui))?,
        Some(id) => {
            let text =
                catalogue::explain(id).map_err(|e| usage(e, "`cefctl explain` without an id lists all checks"))?;
            let width = ui.width().min(100);
            let lines: Vec<String> = text.lines().map(|l| wrap(l, width, indent(l))).collect();
            ui.result(&format!("{}\n", lines.join("\n")))?;
        }
    }
    Ok(Exit::Good)
}

/// Lines that follow a list item or a command stand under its text.
fn indent(line: &str) -> usize {
    let blanks = line.len() - line.trim_start().len();
    if line.trim_start().starts_with("- ") { blanks + 2 } else { blanks }
}

fn list(ui: &Ui) -> String {
    let mut text = String::new();
    let mut group = "";
    for check in catalogue::all() {
        if check.group() != group {
            group = check.group();
            text.push_str(&format!("{}\n", ui.paint(Tone::Strong, group)));
        }
        text.push_str(&format!("  {:<20} {}\n", check.id, check.title));
    }
    text
}
