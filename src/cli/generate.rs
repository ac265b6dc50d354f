//! What is made from the command line's own definition: completion scripts, man pages and docs/cli.md. A test compares
//! the committed copies with what this module makes.

use anyhow::Context;
use clap::CommandFactory;

use super::args::{Cli, Generated};
use super::exit::{Exit, usage};
use crate::ui::Ui;

/// Prints the completion script of `shell`.
pub fn completions(ui: &Ui, shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cefctl", &mut script);
    ui.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Good)
}

/// Prints one of the generated documents; `name` is the subcommand of a man page.
pub fn print(ui: &Ui, what: Generated, name: Option<&str>) -> anyhow::Result<Exit> {
    let text = match what {
        Generated::Reference => reference(),
        Generated::Checks => crate::check::catalogue::document(),
        Generated::Man => man(name)?,
    };
    ui.result(&text)?;
    Ok(Exit::Good)
}

/// The man page of the program, or of one subcommand.
pub fn man(name: Option<&str>) -> anyhow::Result<String> {
    let mut command = Cli::command();
    command.build();
    if let Some(name) = name {
        let sub = command.find_subcommand(name).cloned();
        let sub = sub.ok_or_else(|| usage(format!("no subcommand {name}"), "see `cefctl --help`"))?;
        command = sub.display_name(format!("cefctl-{name}"));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("making the man page")?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The reference of all subcommands and options, in Markdown.
pub fn reference() -> String {
    let mut command = Cli::command();
    command.build();
    let mut out = String::from("# Command line reference\n\nMade by `cefctl generate reference`; do not edit.\n");
    section(&mut out, &command, "cefctl");
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help") {
        section(&mut out, sub, &format!("cefctl {}", sub.get_name()));
    }
    out
}

fn section(out: &mut String, command: &clap::Command, title: &str) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    out.push_str(&format!("\n## {title}\n\n{about}.\n\n"));
    let usage = command.clone().render_usage().to_string();
    out.push_str(&format!("```\n{}\n```\n", usage.trim_start_matches("Usage: ").trim()));
    let top = title == "cefctl";
    let args = command.get_arguments().filter(|a| !a.is_hide_set() && (top || !a.is_global_set()));
    let mut rows = String::new();
    for arg in args {
        rows.push_str(&format!("| {} | {} |\n", names(arg), meaning(arg)));
    }
    if !rows.is_empty() {
        out.push_str(&format!("\n| option | meaning |\n| --- | --- |\n{rows}"));
    }
    if top {
        out.push_str("\n| subcommand | job |\n| --- | --- |\n");
        for sub in command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help") {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            out.push_str(&format!("| `{}` | {about} |\n", sub.get_name()));
        }
        if let Some(after) = command.get_after_help() {
            out.push_str(&format!("\n{after}\n"));
        }
    }
}

fn names(arg: &clap::Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let value = arg.get_value_names().map(|v| v.join(" ")).unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
    let names = [arg.get_short().map(|s| format!("-{s}")), arg.get_long().map(|l| format!("--{l}"))];
    let mut text = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        text = format!("[{value}]");
    } else if takes_value {
        text.push_str(&format!(" {value}"));
    }
    format!("`{text}`")
}

fn meaning(arg: &clap::Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|v| !v.is_hide_set())
        .map(|v| match v.get_help() {
            Some(help) => format!("`{}` ({help})", v.get_name()),
            None => format!("`{}`", v.get_name()),
        })
        .collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        text.push_str(&format!(". One of {}", values.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|d| d.to_string_lossy().into_owned()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        text.push_str(&format!(". Default: `{}`", defaults.join(",")));
    }
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reference_names_every_visible_subcommand_and_option() {
        let text = reference();
        for sub in Cli::command().get_subcommands().filter(|s| !s.is_hide_set()) {
            assert!(text.contains(&format!("## cefctl {}\n", sub.get_name())), "{}", sub.get_name());
        }
        assert!(text.contains("`-p, --agent-port PORT`") && !text.contains("--root"));
    }

    #[test]
    fn man_pages_exist_for_subcommands_only() {
        assert!(man(Some("install")).is_ok_and(|m| m.contains("cefctl")));
        assert!(man(Some("nothing")).is_err());
    }
}
