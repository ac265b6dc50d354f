//! docs/fault-matrix.md from the table, and the test that both are the same.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};

use super::{Area, On, Verdict};

const HEAD: &str = "\
# Fault matrix

What goes wrong on collectors in the field, done for real to booted hosts with the distribution's daemon, one fault at a
time. The tests `hosts -- matrix::` break a working collector, let `cefctl troubleshoot` look, run `--fix` where the
check promises it, and hold this table to what they saw. *Cause named* is the root cause of the report, or the warning
where nothing fails. An empty last column: a person has to mend it, with the commands of the remedy.

Made by `CEFCTL_UPDATE_DOCS=1 ./tests/run hosts -- matrix::is_what`.
";

fn render(areas: &[Area]) -> String {
    let mut out = String::from(HEAD);
    let mut totals = (0, 0, 0);
    for area in areas {
        let _ = write!(out, "\n## {}\n\n", area.name.replace('_', " "));
        if !area.side.word().is_empty() {
            let _ = write!(out, "Events go to: {}.\n\n", area.side.word());
        }
        out += "| fault | met in the field | daemon | cause named | box is | `--fix` |\n|---|---|---|---|---|---|\n";
        for f in &area.faults {
            let daemon = match f.on {
                On::Both => "both",
                On::Rsyslog => "rsyslog",
                On::SyslogNg => "syslog-ng",
            };
            let verdict = if f.verdict == Verdict::Broken { "broken" } else { "degraded" };
            let fixed = if f.fixed { "healthy" } else { "" };
            let _ = writeln!(out, "| {} | {} | {daemon} | `{}` | {verdict} | {fixed} |", f.name, f.from, f.check);
            let runs = if f.on == On::Both { 2 } else { 1 };
            totals = (totals.0 + 1, totals.1 + runs, totals.2 + usize::from(f.fixed));
        }
    }
    let _ = write!(out, "\n{} faults in {} runs, {} of them mended by `--fix`.\n", totals.0, totals.1, totals.2);
    out
}

pub fn matches(areas: &[Area]) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fault-matrix.md");
    let text = render(areas);
    if std::env::var_os("CEFCTL_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text)?;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(kept == text, "docs/fault-matrix.md is not what the table says: run with CEFCTL_UPDATE_DOCS=1");
    let daemons = ["rsyslog", "syslog-ng"];
    let mut names: Vec<(&str, &str, &str)> = areas
        .iter()
        .flat_map(|a| a.faults.iter().map(|f| (a.name, f)))
        .flat_map(|(area, f)| daemons.iter().filter(|d| f.on.has(d)).map(move |d| (area, f.name, *d)))
        .collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
    ensure!(twice.is_empty(), "in the table twice: {twice:?}");
    Ok(())
}
