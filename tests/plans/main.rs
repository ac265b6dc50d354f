//! The whole plan of `install` on every distribution's layout (fixtures/hosts), and on the same with what people and
//! earlier tools add to them. Read a changed snapshot as the administrator of that box would: is this all that is
//! needed, is nothing of theirs touched, is every line one their version knows?
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod layout;
mod scenario;
mod syslog_ng;

use cefctl::cli::args::{Cli, Command};
use cefctl::cli::install::{Planned, plan_only};
use cefctl::host::Host;
use cefctl::ui::{ColorChoice, Ui};
use clap::Parser;

use layout::{LAYOUTS, Layout};

/// One that says nothing.
fn ui() -> Ui {
    Ui::new(ColorChoice::Never, true, 0)
}

/// The plan as text: notes, steps, diffs. Of our own rule only the frame, which is the same everywhere.
fn plan(layout: &Layout, changes: &[scenario::File], options: &[&str]) -> String {
    let (host, _folder) = layout.host(changes);
    plan_of(&host, options, in_short)
}

fn plan_of(host: &Host, options: &[&str], in_short: fn(&str) -> String) -> String {
    let words = [&["cefctl", "install", "--dry-run"], options].concat();
    let Command::Install(args) = Cli::try_parse_from(words).unwrap().command else { panic!("not an install") };
    match plan_only(host, &ui(), &args) {
        Ok(Planned { plan, notes, .. }) => {
            let mut text = String::new();
            for note in notes.iter().chain(&plan.notes) {
                text += &format!("note: {note}\n");
            }
            for (n, step) in plan.describe().iter().enumerate() {
                text += &format!("{}. {}\n", n + 1, step.sentence);
                text += &step.diff.as_deref().map(in_short).unwrap_or_default();
            }
            text
        }
        Err(error) => format!("{}\n", error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

/// A diff with the inside of our rule and its templates left out; they have tests of their own where they are made.
fn in_short(diff: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in diff.lines() {
        if line.starts_with("+template(name=\"cefctl_") {
            continue;
        }
        if inside && line == "+}" {
            inside = false;
        } else if inside {
            continue;
        }
        out += &format!("   {line}\n");
        if line.starts_with("+ruleset(name=\"cefctl_events\")") {
            out += "   …\n";
            inside = true;
        }
    }
    out
}

fn snapshot(name: &str, layout: &str, text: &str) {
    let tool = format!("cefctl {}", env!("CARGO_PKG_VERSION"));
    let text = text.replace(&tool, "cefctl VERSION");
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
        insta::assert_snapshot!(format!("{name}@{layout}"), text);
    });
}

#[test]
fn every_layout_has_a_version() {
    let folders = std::fs::read_dir(layout::fixtures()).unwrap().map(|e| e.unwrap().path());
    let mut names: Vec<_> = folders
        .filter(|p| p.join("etc/rsyslog.conf").exists())
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, LAYOUTS.each_ref().map(|l| l.name));
}

#[test]
fn as_shipped() {
    for layout in &LAYOUTS {
        snapshot("as_shipped", layout.name, &plan(layout, &[], &["--agent", "none"]));
    }
}

#[test]
fn with_what_others_added() {
    for scenario in &scenario::SCENARIOS {
        for layout in LAYOUTS.iter().filter(|l| scenario.layouts.contains(&l.name)) {
            let files = (scenario.files)(layout);
            snapshot(scenario.name, layout.name, &plan(layout, &files, scenario.options));
        }
    }
}
