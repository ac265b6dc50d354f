//! Log paths: rows of steps, with branches.

use super::build::Builder;
use super::*;
use crate::syslog::syslogng::filter::flags as flag_names;
use crate::syslog::syslogng::reader::normal;
use crate::syslog::syslogng::tree::{Node, NodeKind};

impl Builder<'_> {
    pub(super) fn log_path(&mut self, name: Option<Text>, body: &[Node], at: Location) -> LogPath {
        let mut path = LogPath { name, steps: Vec::new(), flags: Flags::default(), at };
        let mut forks: Vec<LogPath> = Vec::new();
        for part in self.items(body) {
            if let [word, .., content] = part
                && (word.is("log") || word.is("channel"))
                && let Some(content) = content.brace()
            {
                let name = part.get(1).and_then(Node::name).cloned();
                let at = self.reader.span(part);
                let fork = self.log_path(name, content, at);
                forks.push(fork);
                continue;
            }
            self.step(&mut path, part);
        }
        if let Some(first) = forks.first() {
            let at = first.at.clone();
            path.steps.push(Step { kind: StepKind::Junction(forks), at });
        }
        path
    }

    fn step(&mut self, path: &mut LogPath, part: &[Node]) {
        let at = self.reader.span(part);
        let kind = match part {
            [word, args] if word.is("flags") && args.paren().is_some() => {
                path.flags = flags(args.paren().unwrap_or_default());
                return;
            }
            [word, ..] if word.is("if") => self.condition(part),
            [word, content] if word.is("junction") && content.brace().is_some() => {
                let inner = content.brace().unwrap_or_default().to_vec();
                let at = self.reader.span(part);
                let made = self.log_path(None, &inner, at);
                match made.steps.into_iter().next().map(|s| s.kind) {
                    Some(kind @ StepKind::Junction(_)) => kind,
                    _ => StepKind::Junction(Vec::new()),
                }
            }
            [word, args] if word.kind == NodeKind::Word && args.paren().is_some() => {
                let args = args.paren().unwrap_or_default();
                match args.first().and_then(Node::name).cloned().and_then(|n| reference(word, Ref::Named(n))) {
                    Some(kind) => kind,
                    None => return self.other_step(path, part),
                }
            }
            [word, content] if content.brace().is_some() => {
                let content = content.brace().unwrap_or_default().to_vec();
                match self.inline(word, &content, at.clone()) {
                    Some(kind) => kind,
                    None => return self.other_step(path, part),
                }
            }
            _ => return self.other_step(path, part),
        };
        path.steps.push(Step { kind, at });
    }

    /// A block of steps, or something we do not know.
    fn other_step(&mut self, path: &mut LogPath, part: &[Node]) {
        if let Some(nodes) = self.expand_item("log", part) {
            self.inside_block(|b| {
                for part in nodes.split(|n| n.is_punct(b';')).filter(|p| !p.is_empty()) {
                    b.step(path, part);
                }
            });
            return;
        }
        let at = self.reader.span(part);
        match part.first() {
            Some(word) if word.kind == NodeKind::Word => {
                path.steps.push(Step { kind: StepKind::Other(word.text.clone()), at });
            }
            _ => self.error(part, "not a part of a log path"),
        }
    }

    /// An object written in the log path itself.
    fn inline(&mut self, word: &Node, content: &[Node], at: Location) -> Option<StepKind> {
        let id = match normal(&word.text).as_slice() {
            b"source" => self.source(None, content, at),
            b"destination" => self.destination(None, content, at),
            b"filter" => {
                let expr = self.filter_expr(content);
                self.out.filters.push(Filter { name: None, expr, at });
                self.out.filters.len() - 1
            }
            b"parser" => self.parser(None, content, at),
            b"rewrite" => self.rewrite(None, content, at),
            _ => return None,
        };
        reference(word, Ref::Inline(id))
    }

    /// `if (F) {…} elif (F) {…} else {…}`
    fn condition(&mut self, part: &[Node]) -> StepKind {
        let mut branches = Vec::new();
        let mut otherwise = None;
        let mut rest = part;
        while let Some(word) = rest.first() {
            let (expr, content, used) = match rest {
                [_, test, content, ..] if test.paren().is_some() => (test.paren(), content.brace(), 3),
                [_, content, ..] => (None, content.brace(), 2),
                _ => (None, None, 1),
            };
            let Some(content) = content else {
                self.error(rest, "an 'if' without content in braces");
                break;
            };
            let at = self.reader.span(&rest[..used]);
            let condition = expr.map(|e| self.filter_expr(e));
            let path = self.log_path(None, content, at);
            match normal(&word.text).as_slice() {
                b"else" => otherwise = Some(path),
                _ => branches.push(Branch { condition, path }),
            }
            rest = &rest[used..];
        }
        StepKind::If { branches, otherwise }
    }
}

fn reference(word: &Node, r: Ref) -> Option<StepKind> {
    Some(match normal(&word.text).as_slice() {
        b"source" => StepKind::Source(r),
        b"filter" => StepKind::Filter(r),
        b"parser" => StepKind::Parser(r),
        b"rewrite" => StepKind::Rewrite(r),
        b"destination" => StepKind::Destination(r),
        _ => return None,
    })
}

fn flags(nodes: &[Node]) -> Flags {
    let names = flag_names(nodes);
    let has = |name: &str| names.iter().any(|n| n == name);
    Flags {
        is_final: has("final"),
        fallback: has("fallback"),
        catchall: has("catchall") || has("catch-all"),
        flow_control: has("flow-control"),
    }
}
