//! The documentation against the program: what a page shows must exist, what the program has must be on a page, and
//! pages made by the program must be the ones it makes now.
#![allow(clippy::disallowed_methods)] // a test reads files itself

use std::path::{Path, PathBuf};
use std::process::Command;

use cefctl::cli::args::Cli;
use cefctl::cli::exit::Exit;
use clap::{CommandFactory, Parser};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and everything in docs/, with the text.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/").map(|e| e.expect("an entry of docs/").path());
    let pages = docs.chain([root().join("README.md")]).filter(|p| p.extension().is_some_and(|e| e == "md"));
    pages.map(|p| (p.clone(), std::fs::read_to_string(&p).expect("a page in UTF-8"))).collect()
}

/// Text outside and inside of fenced blocks.
fn split_fences(text: &str) -> (String, String) {
    let (mut prose, mut code, mut fenced) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let part = if fenced { &mut code } else { &mut prose };
        part.push_str(line);
        part.push('\n');
    }
    (prose, code)
}

/// The anchor that a heading gets on the usual hosts of such pages.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| if c == ' ' { Some('-') } else { (c.is_alphanumeric() || "-_".contains(c)).then_some(c) })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let mut broken = Vec::new();
    for (page, text) in pages() {
        let (prose, _) = split_fences(&text);
        for target in link.captures_iter(&prose).map(|c| c[1].to_owned()).filter(|t| !t.contains("://")) {
            let (file, part) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            let there = std::fs::read_to_string(&path).ok();
            let found = match &there {
                Some(text) => part.is_empty() || text.lines().any(|l| l.starts_with('#') && anchor(l) == part),
                None => path.is_dir(),
            };
            if !found {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links to nowhere:\n{}", broken.join("\n"));
}

/// Everything a page tells the reader to type is taken by the command line as it is now.
#[test]
fn commands_on_pages_exist() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (page, text) in pages().into_iter().filter(|(p, _)| !p.ends_with("cli.md")) {
        let (prose, code) = split_fences(&text);
        let inline = prose.split('`').skip(1).step_by(2).map(str::to_owned);
        for line in code.lines().map(str::to_owned).chain(inline) {
            let typed = line.split(" #").next().unwrap_or_default().replace('\'', "");
            // What the shell does with it is not the command's.
            let words = typed.split_whitespace().take_while(|w| !w.starts_with(['>', '<', '|', '&', ';']));
            let words: Vec<&str> = words.skip_while(|w| *w == "sudo").collect();
            let placeholder = words.iter().any(|w| w.len() > 1 && w.chars().all(|c| c.is_ascii_uppercase()));
            if words.first() != Some(&"cefctl") || words.len() < 2 || placeholder {
                continue;
            }
            count += 1;
            if let Err(e) = Cli::try_parse_from(&words)
                && e.use_stderr()
            {
                wrong.push(format!("{}: {line}\n{e}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "commands that do not exist:\n{}", wrong.join("\n"));
    assert!(count >= 8, "only {count} commands found on all pages: are they still in fenced blocks?");
}

#[test]
fn every_command_is_explained() {
    let usage = std::fs::read_to_string(root().join("docs/usage.md")).expect("docs/usage.md");
    for command in Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = command.get_name();
        assert!(usage.contains(&format!("cefctl {name}")), "docs/usage.md does not show `cefctl {name}`");
    }
}

#[test]
fn generated_pages_are_up_to_date() {
    for (what, page) in [("reference", "docs/cli.md"), ("checks", "docs/checks.md")] {
        let out = Command::new(env!("CARGO_BIN_EXE_cefctl")).args(["generate", what]).output().expect("cefctl runs");
        let made = String::from_utf8(out.stdout).expect("a page in UTF-8");
        assert!(!made.trim().is_empty(), "`cefctl generate {what}` prints nothing");
        let kept = std::fs::read_to_string(root().join(page)).unwrap_or_default();
        let hint = format!("cargo run --quiet -- generate {what} >{page}");
        assert!(made.trim_end() == kept.trim_end(), "{page} is not what the program makes now. To mend it: {hint}");
    }
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let page = std::fs::read_to_string(root().join("docs/exit-codes.md")).expect("docs/exit-codes.md");
    let rows = page.lines().filter_map(|l| l.strip_prefix("| ")?.split_once(" |")?.0.parse().ok());
    let documented: Vec<u8> = rows.collect();
    let codes = [Exit::Good, Exit::Problems, Exit::Usage, Exit::Warnings, Exit::Stuck, Exit::Interrupted];
    assert_eq!(documented, codes.map(|c| c as u8));
}

#[test]
fn the_changelog_knows_this_version() {
    let changes = std::fs::read_to_string(root().join("docs/changelog.md")).expect("docs/changelog.md");
    let version = concat!("## ", env!("CARGO_PKG_VERSION"));
    assert!(changes.lines().any(|l| l.starts_with(version)), "docs/changelog.md has no heading `{version}`");
}
