//! The report for people: one line a check, grouped by hop; under everything that did not pass, what was seen, why it
//! matters and what to do; the root cause last, where the eye is when the run ends.

use console::Style;

use super::clean::clean;
use super::model::{CheckResult, Report, Status, Verdict};
use super::traffic;
use crate::message::lint::live::Traffic;

/// How the text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Colours on; without them nothing is lost, since every state has its word.
    pub color: bool,
    /// Marks beyond ASCII.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
    /// Passed and not applicable checks only as a number a group.
    pub short: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        TextOptions { color: false, unicode: true, width: 80, short: false }
    }
}

/// All but the longest ids of the catalogue, so that summaries stand in one column.
const ID_WIDTH: usize = 18;
/// Where the details of a check begin.
const INDENT: usize = 4;

/// The whole report, with a final newline.
pub fn render(report: &Report, options: &TextOptions) -> String {
    let mut page = Page { out: String::new(), options: *options, folded: false };
    page.head(report);
    let mut rest = report.checks.as_slice();
    while let Some(first) = rest.first() {
        let size = rest.iter().take_while(|c| c.group == first.group).count();
        let (group, after) = rest.split_at(size);
        page.group(&first.group, group);
        rest = after;
    }
    if let Some(seen) = &report.traffic {
        page.traffic(seen);
    }
    page.end(report);
    page.out
}

/// From this many on, checks of a group that do not apply for one reason stand in one line.
const FOLD: usize = 4;

fn skips_alike(one: &CheckResult, other: &CheckResult) -> bool {
    let skips = |c: &CheckResult| c.status == Status::Skip && c.blocked_by.is_none();
    skips(one) && skips(other) && one.summary == other.summary
}

struct Page {
    out: String,
    options: TextOptions,
    /// The group before this one had nothing to tell.
    folded: bool,
}

impl Page {
    fn head(&mut self, report: &Report) {
        let (h, t) = (&report.host, &report.target);
        let tool = format!("{} {}", report.tool.name, report.tool.version);
        self.wrap(0, 2, &format!("{tool} on {} ({}, kernel {}, {})", h.hostname, h.os, h.kernel, h.arch));
        let agent = match t.agent.as_str() {
            "none" => format!("no agent, port {}", t.agent_port),
            agent => format!("agent {agent} on port {}", t.agent_port),
        };
        let workspace = t.workspace.as_deref().map(|w| format!(", workspace {w} ({})", t.cloud)).unwrap_or_default();
        let ports = t.ports_in_words(usize::MAX);
        self.wrap(0, 2, &format!("daemon {}, devices send to {ports}, {agent}{workspace}", t.daemon));
    }

    fn group(&mut self, name: &str, checks: &[CheckResult]) {
        let quiet = |c: &&CheckResult| {
            self.options.short && c.status == Status::Pass
                || self.options.short && c.status == Status::Skip && c.blocked_by.is_none()
        };
        let hidden = checks.iter().filter(quiet).count();
        let loud: Vec<_> = checks.iter().filter(|c| !quiet(c)).collect();
        // Groups with nothing to tell stand line by line.
        if !loud.is_empty() || !self.folded {
            self.line("");
        }
        self.folded = loud.is_empty();
        let note =
            if hidden > 0 { format!("  ({hidden} of {} good or not applicable)", checks.len()) } else { String::new() };
        let name = self.paint(&Style::new().bold(), &clean(name));
        self.line(&format!("{name}{note}"));
        let mut rest = loud.as_slice();
        while let Some((check, after)) = rest.split_first() {
            let alike = rest.iter().filter(|c| skips_alike(c, check)).count();
            if alike < FOLD {
                self.check(check);
                rest = after;
                continue;
            }
            // A whole agent that is not there is one line.
            let run = rest.iter().take_while(|c| skips_alike(c, check)).count();
            self.together(check, run);
            rest = rest.get(run..).unwrap_or_default();
        }
    }

    /// Several checks that do not apply for the same reason.
    fn together(&mut self, first: &CheckResult, count: usize) {
        let (mark, style) = self.mark(first.status);
        let state = self.paint(&style, &format!("{mark} {:<7}", first.status.word()));
        let what = if count == 1 { clean(&first.id) } else { format!("{count} checks") };
        let head = format!("{state} {what:<ID_WIDTH$} ");
        let column = console::measure_text_width(&head);
        self.wrapped_after(&head, column, &first.summary);
    }

    fn check(&mut self, check: &CheckResult) {
        let (mark, style) = self.mark(check.status);
        let state = self.paint(&style, &format!("{mark} {:<7}", check.status.word()));
        let id = clean(&check.id);
        let head = format!("{state} {id:<ID_WIDTH$} ");
        let column = console::measure_text_width(&head);
        self.wrapped_after(&head, column, &check.summary);
        if matches!(check.status, Status::Pass | Status::Skip) {
            return;
        }
        for e in &check.evidence {
            self.labelled("seen", &format!("{}: {}", e.source, e.text));
        }
        self.labelled("why", &check.why);
        if let Some(remedy) = &check.remedy {
            self.labelled("do", &remedy.summary);
            self.commands(&remedy.commands);
        }
        self.labelled("more", &format!("cefctl explain {}", check.id));
    }

    /// Commands are never wrapped: they are copied.
    fn commands(&mut self, commands: &[String]) {
        for command in commands {
            let line = format!("{}$ {}", " ".repeat(INDENT + 6), clean(command));
            self.line(&line);
        }
    }

    /// Who sent what while somebody watched.
    fn traffic(&mut self, seen: &Traffic) {
        let seconds = seen.milliseconds as f64 / 1000.0;
        self.line("");
        let head = self.paint(&Style::new().bold(), "what devices send");
        let early = if seen.interrupted { ", ended early" } else { "" };
        self.line(&format!("{head}  (watched for {seconds:.0} s{early})"));
        if let Some(why) = &seen.blind {
            self.wrap(2, 2, why);
        }
        for sender in &seen.tally.senders {
            for (n, (label, text)) in traffic::lines(sender, Some(seconds)).into_iter().enumerate() {
                match n {
                    0 => self.wrap(2, 4, &text),
                    _ => {
                        let head = format!("    {label:<7} ");
                        self.wrapped_after(&head, head.len(), &text);
                    }
                }
            }
        }
        if !seen.encrypted.is_empty() {
            self.wrap(2, 4, &format!("encrypted, so that nothing can be said of it: {}", seen.encrypted.join(", ")));
        }
        self.wrap(2, 4, &traffic::summary(&seen.tally));
    }

    fn end(&mut self, report: &Report) {
        let c = &report.counts;
        self.line("");
        let unknown = if c.unknown > 0 { format!(", {} unknown", c.unknown) } else { String::new() };
        self.line(&format!("{} passed, {} warned, {} failed, {} skipped{unknown}", c.pass, c.warn, c.fail, c.skip));
        let style = match report.verdict {
            Verdict::Healthy => Style::new().green().bold(),
            Verdict::Degraded => Style::new().yellow().bold(),
            Verdict::Broken => Style::new().red().bold(),
        };
        let verdict = self.paint(&style, report.verdict.word());
        self.line(&format!("verdict: {verdict}"));
        let Some(root) = report.root() else { return self.left_out(report) };
        self.wrap(0, 2, &format!("root cause: {}: {}", root.id, root.summary));
        if let Some(remedy) = &root.remedy {
            self.wrap(0, 2, &format!("what to do: {}", remedy.summary));
            for command in &remedy.commands {
                self.line(&format!("  $ {}", clean(command)));
            }
        }
    }

    /// What holds checks up and is not in the report itself, because the selection kept it out.
    fn left_out(&mut self, report: &Report) {
        let mut causes: Vec<&str> = report.checks.iter().filter_map(|c| c.blocked_by.as_deref()).collect();
        causes.dedup();
        for id in causes {
            self.wrap(0, 2, &format!("not judged: what waits for {id}, which fails and was not asked for"));
            self.line(&format!("  $ cefctl troubleshoot --only {id}"));
        }
    }

    fn mark(&self, status: Status) -> (&'static str, Style) {
        let (unicode, ascii, style) = match status {
            Status::Pass => ("✓", "+", Style::new().green()),
            Status::Warn => ("!", "!", Style::new().yellow()),
            Status::Fail => ("✗", "x", Style::new().red().bold()),
            Status::Skip => ("-", "-", Style::new().dim()),
            Status::Unknown => ("?", "?", Style::new().magenta()),
        };
        (if self.options.unicode { unicode } else { ascii }, style)
    }

    fn paint(&self, style: &Style, text: &str) -> String {
        if self.options.color { style.clone().force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }

    fn labelled(&mut self, label: &str, text: &str) {
        let head = format!("{}{label:<5} ", " ".repeat(INDENT));
        self.wrapped_after(&head, head.len(), text);
    }

    fn wrap(&mut self, first: usize, rest: usize, text: &str) {
        self.wrapped_after(&" ".repeat(first), rest, text);
    }

    /// `text` after `head`; further lines begin at column `rest`. A word longer than a line (a path, a quoted line)
    /// stays whole, and several blanks stay several: in a log line they mean something.
    fn wrapped_after(&mut self, head: &str, rest: usize, text: &str) {
        let text = clean(text);
        let mut line = head.to_owned();
        let mut column = console::measure_text_width(head);
        let mut fresh = true;
        for word in text.split(' ') {
            let width = console::measure_text_width(word);
            if !fresh && column + 1 + width > self.options.width {
                self.line(&line);
                line = " ".repeat(rest);
                column = rest;
                fresh = true;
            }
            if !fresh {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += width;
            fresh = false;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }
}
