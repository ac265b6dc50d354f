//! The plan and the outcome as people and programs see them, the same for install and uninstall.

use anyhow::anyhow;

use crate::cli::args::Format;
use crate::cli::exit::{Exit, Failure};
use crate::plan::{Event, Miss, Outcome, Plan, StartError};
use crate::ui::{Progress, Tone, Ui};

/// The plan in words, what was decided on the way, and the diffs where somebody is to judge them.
pub fn plan_text(ui: &Ui, plan: &Plan, notes: &[String], diffs: bool) -> String {
    let mut text = String::new();
    for note in notes.iter().chain(&plan.notes) {
        text.push_str(&crate::ui::wrap(&format!("note: {note}"), ui.width(), 6));
        text.push('\n');
    }
    if plan.is_empty() {
        text.push_str("nothing to do\n");
        return text;
    }
    for (n, step) in plan.describe().iter().enumerate() {
        text.push_str(&ui.paint(Tone::Strong, &format!("{}. {}", n + 1, step.sentence)));
        text.push('\n');
        for line in step.diff.iter().filter(|_| diffs).flat_map(|d| d.lines()) {
            let tone = match line.as_bytes().first() {
                Some(b'+') => Some(Tone::Good),
                Some(b'-') => Some(Tone::Bad),
                _ => None,
            };
            let line = tone.map_or_else(|| line.to_owned(), |t| ui.paint(t, line));
            text.push_str(&format!("   {line}\n"));
        }
    }
    text
}

/// Steps that come before the plan, because it builds on what they make.
pub fn before_plan(ui: &Ui, sentences: &[String]) -> String {
    let line = |s: &String| format!("{}\n", ui.paint(Tone::Strong, &format!("first: {s}")));
    sentences.iter().map(line).collect()
}

/// The JSON object of `-o json`.
pub fn json(plan: &Plan, notes: &[String], applied: bool, outcome: Option<&Outcome>, proof: Option<&str>) -> String {
    let mut object = plan.to_json();
    let all: Vec<&String> = notes.iter().chain(&plan.notes).collect();
    object["schema"] = 1.into();
    object["notes"] = serde_json::json!(all);
    object["applied"] = applied.into();
    object["proof"] = proof.into();
    object["outcome"] = match outcome {
        None => serde_json::Value::Null,
        Some(Outcome::NothingToDo) => serde_json::json!({ "result": "nothing-to-do" }),
        Some(Outcome::Done { steps, notes }) => serde_json::json!({ "result": "done", "steps": steps, "notes": notes }),
        Some(Outcome::RolledBack(miss)) => miss_json("rolled-back", miss),
        Some(Outcome::Incomplete(miss)) => miss_json("rollback-incomplete", miss),
    };
    format!("{object}\n")
}

fn miss_json(result: &str, miss: &Miss) -> serde_json::Value {
    serde_json::json!({
        "result": result,
        "cause": miss.cause,
        "interrupted": miss.interrupted,
        "undone": miss.undone,
        "notes": miss.notes,
        "failures": miss.failures,
    })
}

/// What happens while a plan is applied.
pub fn observe<'a>(ui: &'a Ui, progress: &'a Progress, format: Format) -> impl FnMut(&Event<'_>) + 'a {
    move |event| match event {
        Event::Step { n, of, sentence } => {
            progress.now(&format!("{n}/{of} {sentence}"));
            ui.detail(&format!("step {n} of {of}: {sentence}"));
        }
        Event::StepDone { n, took, .. } => ui.detail(&format!("step {n} took {} ms", took.as_millis())),
        Event::Proving => progress.now("proving that events arrive"),
        Event::Recovering { started, goal, finishing } => {
            let what = if *finishing { "put in order" } else { "taken back" };
            ui.say(&format!("the {goal} of {started} did not finish; it is being {what} first"));
        }
        Event::Recovered => ui.say("done; going on"),
        Event::RollingBack { .. } if format == Format::Text => ui.say("taking everything back"),
        Event::RollingBack { .. } => {}
        Event::Undone(what) => ui.detail(&format!("taken back: {what}")),
        Event::UndoFailed(what) => ui.warn(&format!("could not be taken back: {what}")),
        Event::Note(note) => ui.say(&format!("note: {note}")),
    }
}

/// The exit code of an outcome; a miss is an error with its cause.
pub fn finish(outcome: Outcome) -> anyhow::Result<Exit> {
    match outcome {
        Outcome::NothingToDo | Outcome::Done { .. } => Ok(Exit::Good),
        Outcome::RolledBack(miss) => {
            let (exit, message) = match miss.interrupted {
                true => (Exit::Interrupted, "interrupted; everything was taken back and the box is as it was"),
                false => (Exit::Problems, "it did not work; everything was taken back and the box is as it was"),
            };
            Err(anyhow!(miss.cause).context(Failure { exit, message: message.to_owned() }))
        }
        Outcome::Incomplete(miss) => {
            let message =
                format!("it did not work, and not everything could be taken back:\n{}", miss.failures.join("\n"));
            Err(anyhow!(miss.cause).context(Failure { exit: Exit::Stuck, message }))
        }
    }
}

/// Why a run could not begin, as an error with its exit code.
pub fn not_begun(error: StartError) -> anyhow::Error {
    let exit = if error.exit_code() == 4 { Exit::Stuck } else { Exit::Problems };
    anyhow::Error::new(Failure { exit, message: error.to_string() })
}
