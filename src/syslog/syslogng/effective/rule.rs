//! Rewrite rules and parsers.

use super::build::Builder;
use super::*;
use crate::syslog::syslogng::filter::{Filters, Pattern, flags, options};
use crate::syslog::syslogng::reader::normal;
use crate::syslog::syslogng::tree::{Node, NodeKind};

impl Builder<'_> {
    /// Adds a parser and gives its index.
    pub(super) fn parser(&mut self, name: Option<Text>, body: &[Node], at: Location) -> usize {
        let body = self.expand("parser", body);
        let mut steps = Vec::new();
        for item in self.items(&body) {
            let channel = item.last().and_then(Node::brace).filter(|_| item[0].is("channel") || item[0].is("log"));
            steps.push(match channel {
                Some(content) => {
                    let at = self.reader.span(item);
                    ParserStep::Channel(self.log_path(None, content, at))
                }
                None => ParserStep::Parser(item[0].text.clone()),
            });
        }
        self.out.parsers.push(Parser { name, steps, at });
        self.out.parsers.len() - 1
    }

    /// Adds a rewrite rule and gives its index.
    pub(super) fn rewrite(&mut self, name: Option<Text>, body: &[Node], at: Location) -> usize {
        let body = self.expand("rewrite", body);
        let mut ops = Vec::new();
        for item in self.items(&body) {
            ops.push(self.rewrite_op(item));
        }
        self.out.rewrites.push(Rewrite { name, ops, at });
        self.out.rewrites.len() - 1
    }

    fn rewrite_op(&mut self, item: &[Node]) -> RewriteOp {
        let at = self.reader.span(item);
        let (word, args) = match item {
            [word, args] if word.kind == NodeKind::Word && args.paren().is_some() => {
                (word, args.paren().unwrap_or_default())
            }
            _ => {
                let name = item.first().map(|n| n.text.clone()).unwrap_or_default();
                return RewriteOp { kind: RewriteKind::Other(name), condition: None, at };
            }
        };
        let condition = options(args).find(|(n, _)| n.is("condition")).map(|(_, c)| c.to_vec());
        let condition = condition.map(|c| self.filter_expr(&c));
        let text = |i: usize| args.get(i).and_then(Node::name).cloned();
        let value =
            options(args).find(|(n, _)| n.is("value")).and_then(|(_, v)| v.first()).and_then(Node::name).cloned();
        let kind = match (normal(&word.text).as_slice(), value) {
            (b"set", Some(value)) => RewriteKind::Set { template: text(0).unwrap_or_default(), value },
            (b"unset", Some(value)) => RewriteKind::Unset { value },
            (b"subst", value) => {
                let value = value.unwrap_or_else(|| "MESSAGE".into());
                let (pattern, replacement) = (self.pattern(args), text(1).unwrap_or_default());
                let global = pattern.has("global");
                RewriteKind::Subst { pattern, replacement, value, global }
            }
            _ => RewriteKind::Other(word.text.clone()),
        };
        RewriteOp { kind, condition, at }
    }

    fn pattern(&mut self, args: &[Node]) -> Pattern {
        let text = args.first().and_then(Node::name).cloned().unwrap_or_default();
        let usual = self.usual_pattern();
        let mut pattern = Pattern { text, kind: usual, flags: Vec::new() };
        for (name, inner) in options(args) {
            match normal(&name.text).as_slice() {
                b"type" => {
                    if let Some(kind) = inner.first().and_then(Node::name) {
                        pattern.kind = Filters { reader: &mut self.reader, usual }.kind(kind, name);
                    }
                }
                b"flags" => pattern.flags = flags(inner),
                _ => {}
            }
        }
        pattern
    }
}
