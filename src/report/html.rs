//! The report as one HTML file that can be mailed: no script, nothing loaded from anywhere, a picture of the hops with
//! the broken one marked. Escaping is the template engine's; control characters are shown as everywhere else.

use askama::Template;

use super::clean::clean;
use super::hops::{Hop, Hops};
use super::model::{CheckResult, Report, Status};
use super::traffic;

/// The whole page.
///
/// # Errors
/// Those of the formatter, which a string does not have.
pub fn render(report: &Report) -> Result<String, askama::Error> {
    let hops = Hops::of(report);
    let mut groups: Vec<Group<'_>> = Vec::new();
    for check in &report.checks {
        match groups.last_mut().filter(|g| g.name == check.group) {
            Some(group) => group.checks.push(check),
            None => groups.push(Group { name: &check.group, checks: vec![check] }),
        }
    }
    let reached = hops.way.iter().position(|h| h.broken);
    let boxes = hops.way.iter().enumerate().map(|(n, hop)| Place::new(n, hop, reached)).collect();
    Page { report, hops: &hops, boxes, groups, path: path(&hops) }.render()
}

struct Group<'a> {
    name: &'a str,
    checks: Vec<&'a CheckResult>,
}

/// A hop in the picture, in units of the drawing.
struct Place<'a> {
    hop: &'a Hop,
    x: usize,
    middle: usize,
    /// Where the arrow that leads here begins; 0 for the first.
    arrow: usize,
    arrow_end: usize,
    /// Nothing is known to come through here.
    cut_off: bool,
    mark: &'static str,
    title: String,
}

const WIDTH: usize = 136;
const GAP: usize = 28;
const LEFT: usize = 10;

impl<'a> Place<'a> {
    fn new(n: usize, hop: &'a Hop, broken: Option<usize>) -> Self {
        let x = LEFT + n * (WIDTH + GAP);
        Place {
            hop,
            x,
            middle: x + WIDTH / 2,
            arrow: if n == 0 { 0 } else { x - GAP + 2 },
            arrow_end: x.saturating_sub(8),
            cut_off: broken.is_some_and(|broken| n > broken),
            mark: mark(hop.status),
            title: short(&hop.title, 20),
        }
    }
}

/// At most `most` characters, so that text stays in its box.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn mark(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Pass) => "✓",
        Some(Status::Warn) => "!",
        Some(Status::Fail) => "✗",
        Some(Status::Unknown) => "?",
        Some(Status::Skip) | None => "–",
    }
}

fn word(status: Option<Status>) -> &'static str {
    status.map_or("none", Status::word)
}

/// The picture in words, for who cannot see it.
fn path(hops: &Hops) -> String {
    let say = |h: &Hop| format!("{}: {}{}", h.title, h.words, if h.broken { " (broken here)" } else { "" });
    hops.way.iter().map(say).collect::<Vec<_>>().join("; then ")
}

#[derive(Template)]
#[template(path = "report.html", config = "src/report/askama.toml")]
struct Page<'a> {
    report: &'a Report,
    hops: &'a Hops,
    boxes: Vec<Place<'a>>,
    groups: Vec<Group<'a>>,
    path: String,
}

impl Page<'_> {
    fn mark(&self, status: &Status) -> &'static str {
        mark(Some(*status))
    }

    /// Is it worth reading at once?
    fn is_open(&self, check: &CheckResult) -> bool {
        matches!(check.status, Status::Fail | Status::Warn | Status::Unknown)
    }

    /// Who sent what: a heading and lines with their labels.
    fn senders(&self) -> Vec<(String, Vec<(&'static str, String)>)> {
        let Some(seen) = &self.report.traffic else { return Vec::new() };
        let seconds = seen.milliseconds as f64 / 1000.0;
        let lines = seen.tally.senders.iter().map(|s| traffic::lines(s, Some(seconds)));
        lines.filter_map(|l| l.split_first().map(|(head, rest)| (head.1.clone(), rest.to_vec()))).collect()
    }

    fn is_root(&self, check: &CheckResult) -> bool {
        self.report.root_cause.as_deref() == Some(check.id.as_str())
    }
}
