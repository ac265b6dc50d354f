//! Walks the statements in the daemon's order and puts together what they amount to.

use std::path::Path;

use super::*;
use crate::syslog::syslogng::filter::{Filters, PatternKind};
use crate::syslog::syslogng::problem::Topic;
use crate::syslog::syslogng::reader::{Reader, Setting, normal};
use crate::syslog::syslogng::tree::{BlockDef, Node, NodeKind, Statement};

pub(super) fn build(main: &Path, files: &dyn ConfigSource, setting: Setting) -> Effective {
    let program = setting.program;
    let mut builder = Builder {
        reader: Reader::new(main, files, setting),
        out: empty(main, program),
        blocks: Vec::new(),
        nesting: 0,
        uses: 0,
    };
    while let Some(statement) = builder.reader.statement() {
        match statement {
            Statement::Nodes(nodes) => builder.statement(&nodes),
            Statement::Block(def, pos) => builder.block(def, pos),
        }
    }
    builder.finish()
}

fn empty(main: &Path, program: Option<Version>) -> Effective {
    Effective {
        main: main.to_owned(),
        program,
        files: Vec::new(),
        includes: Vec::new(),
        versions: Vec::new(),
        defines: Vec::new(),
        modules: Vec::new(),
        options: Vec::new(),
        sources: Vec::new(),
        destinations: Vec::new(),
        filters: Vec::new(),
        rewrites: Vec::new(),
        parsers: Vec::new(),
        templates: Vec::new(),
        blocks: Vec::new(),
        logs: Vec::new(),
        problems: Vec::new(),
    }
}

pub(super) struct Builder<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) out: Effective,
    pub(super) blocks: Vec<BlockDef>,
    /// Blocks around what is read now.
    pub(super) nesting: usize,
    /// Uses of blocks so far.
    pub(super) uses: usize,
}

/// Something said inside a source or a destination.
enum Item<'n> {
    Driver {
        name: &'n Node,
        args: &'n [Node],
        at: Location,
    },
    /// A channel with steps of its own.
    Channel(&'n [Node]),
}

impl Builder<'_> {
    fn finish(self) -> Effective {
        let Reader { read, includes, defined, versions, modules, problems, .. } = self.reader;
        let mut out = self.out;
        (out.files, out.includes, out.defines, out.versions, out.modules) =
            (read, includes, defined, versions, modules);
        out.problems = problems;
        driver::resolve(&mut out);
        out
    }

    pub(super) fn error(&mut self, nodes: &[Node], text: impl Into<String>) {
        let at = self.reader.span(nodes);
        self.reader.report(Problem::error(Topic::Syntax, &at, text));
    }

    pub(super) fn usual_pattern(&self) -> PatternKind {
        PatternKind::usual(self.reader.language(), self.reader.program())
    }

    pub(super) fn filter_expr(&mut self, nodes: &[Node]) -> Expr {
        let nodes = self.expand("filter", nodes);
        let usual = self.usual_pattern();
        Filters { reader: &mut self.reader, usual }.expression(&nodes)
    }

    // ---- statements ----

    fn statement(&mut self, nodes: &[Node]) {
        let at = self.reader.span(nodes);
        let Some(first) = nodes.first() else { return };
        let body = nodes.last().and_then(Node::brace);
        let name = nodes.get(1).and_then(Node::name).cloned();
        match (normal(&first.text).as_slice(), body, name) {
            _ if first.kind != NodeKind::Word => self.error(nodes, format!("'{}' starts no statement", first.text)),
            (b"log", Some(body), name) if nodes.len() == if name.is_some() { 3 } else { 2 } => {
                let path = self.log_path(name, body, at);
                self.out.logs.push(path);
            }
            (b"options", Some(body), _) if nodes.len() == 2 => self.options(body),
            (b"template", Some(body), Some(name)) if nodes.len() == 3 => self.template(name, body, at),
            (b"template", None, Some(name)) if nodes.len() == 3 => {
                let text = nodes.get(2).and_then(Node::name).cloned().unwrap_or_default();
                self.out.templates.push(Template { name, text, at });
            }
            (b"source", Some(body), Some(name)) if nodes.len() == 3 => {
                self.source(Some(name), body, at);
            }
            (b"destination", Some(body), Some(name)) if nodes.len() == 3 => {
                self.destination(Some(name), body, at);
            }
            (b"filter", Some(body), Some(name)) if nodes.len() == 3 => {
                let expr = self.filter_expr(body);
                self.out.filters.push(Filter { name: Some(name), expr, at });
            }
            (b"parser", Some(body), Some(name)) if nodes.len() == 3 => {
                self.parser(Some(name), body, at);
            }
            (b"rewrite", Some(body), Some(name)) if nodes.len() == 3 => {
                self.rewrite(Some(name), body, at);
            }
            (b"include", None, Some(pattern)) if nodes.len() == 2 => self.old_include(pattern, at),
            (
                b"log" | b"options" | b"template" | b"source" | b"destination" | b"filter" | b"parser" | b"rewrite",
                ..,
            ) => {
                self.error(nodes, format!("'{}' needs a name and content in braces, and nothing else", first.text));
            }
            _ => self.plugin(nodes),
        }
    }

    /// `include "file";` without `@`: gone since 3.20, unless the configuration says that it is older.
    fn old_include(&mut self, pattern: Text, at: Location) {
        if self.reader.language().is_some_and(|v| v >= Version::new(3, 20, 0)) {
            let text = "'include' without '@' is gone since 3.20; the daemon does not start";
            return self.reader.report(Problem::error(Topic::Syntax, &at, text));
        }
        let text = "'include' without '@' is an old form";
        self.reader.report(Problem::warning(Topic::Obsolete, &at, text));
        self.reader.include(pattern, at);
    }

    /// A statement that some plugin brings; a block may stand behind it.
    fn plugin(&mut self, nodes: &[Node]) {
        if let [name, args] = nodes
            && args.paren().is_some()
            && let Some(text) = self.instance("root", name, args)
            && self.may_use_one_more(nodes)
        {
            self.reader.open_made(text, name.pos);
        }
    }

    fn options(&mut self, body: &[Node]) {
        let args = self.args(body);
        self.out.options.extend(args.into_iter().filter_map(|a| match a {
            Arg::Opt(o) => Some(o),
            _ => None,
        }));
    }

    fn template(&mut self, name: Text, body: &[Node], at: Location) {
        let args = self.args(body);
        let text = driver::opt(&args, "template").and_then(|o| driver::word(&o.args)).cloned().unwrap_or_default();
        self.out.templates.push(Template { name, text, at });
    }

    // ---- sources and destinations ----

    /// Adds a source and gives its index.
    pub(super) fn source(&mut self, name: Option<Text>, body: &[Node], at: Location) -> usize {
        let mut source = Source { name, drivers: Vec::new(), reworks: false, at };
        self.source_items(&mut source, body, None);
        self.out.sources.push(source);
        self.out.sources.len() - 1
    }

    fn source_items(&mut self, source: &mut Source, body: &[Node], block: Option<&Text>) {
        for item in self.items(body) {
            match self.item(item) {
                Some(Item::Driver { name, args, at }) => {
                    if let Some(nodes) = self.expand_item("source", item) {
                        let block = block.unwrap_or(&name.text).clone();
                        self.inside_block(|b| b.source_items(source, &nodes, Some(&block)));
                        continue;
                    }
                    let args = self.args(args);
                    source.drivers.push(SourceDriver {
                        driver: name.text.clone(),
                        kind: SourceKind::Other,
                        flags: Vec::new(),
                        persist_name: None,
                        args,
                        block: block.cloned(),
                        at,
                    });
                }
                Some(Item::Channel(inner)) => {
                    source.reworks |= self.source_channel(source, inner, block);
                }
                None => self.error(item, "not a source driver"),
            }
        }
    }

    /// Drivers of a channel inside a source; says whether the channel does more than hold drivers.
    fn source_channel(&mut self, source: &mut Source, body: &[Node], block: Option<&Text>) -> bool {
        let mut more = false;
        for part in self.items(body) {
            match part {
                [word, content] if word.is("source") && content.brace().is_some() => {
                    self.source_items(source, content.brace().unwrap_or_default(), block);
                }
                [word, ..] if word.is("flags") => {}
                _ => more = true,
            }
        }
        more
    }

    /// Adds a destination and gives its index.
    pub(super) fn destination(&mut self, name: Option<Text>, body: &[Node], at: Location) -> usize {
        let mut destination = Destination { name, drivers: Vec::new(), reworks: false, channels: Vec::new(), at };
        self.dest_items(&mut destination, body, None);
        self.out.destinations.push(destination);
        self.out.destinations.len() - 1
    }

    fn dest_items(&mut self, destination: &mut Destination, body: &[Node], block: Option<&Text>) {
        for item in self.items(body) {
            match self.item(item) {
                Some(Item::Driver { name, args, at }) => {
                    if let Some(nodes) = self.expand_item("destination", item) {
                        let block = block.unwrap_or(&name.text).clone();
                        self.inside_block(|b| b.dest_items(destination, &nodes, Some(&block)));
                        continue;
                    }
                    let args = self.args(args);
                    destination.drivers.push(DestDriver {
                        driver: name.text.clone(),
                        kind: DestKind::Other,
                        template: None,
                        disk_buffer: None,
                        fifo_size: 0,
                        time_reopen: 0,
                        persist_name: None,
                        args,
                        block: block.cloned(),
                        at,
                    });
                }
                Some(Item::Channel(inner)) if leads_on(inner) => {
                    let at = self.reader.span(item);
                    let channel = self.log_path(None, inner, at);
                    destination.channels.push(channel);
                }
                Some(Item::Channel(inner)) => {
                    destination.reworks = true;
                    for part in inner.split(|n| n.is_punct(b';')) {
                        if let [word, content] = part
                            && word.is("destination")
                            && let Some(content) = content.brace()
                        {
                            self.dest_items(destination, content, block);
                        }
                    }
                }
                None => self.error(item, "not a destination driver"),
            }
        }
    }

    /// What stands between semicolons; the last one needs its own too.
    pub(super) fn items<'n>(&mut self, body: &'n [Node]) -> Vec<&'n [Node]> {
        let mut items: Vec<&[Node]> = body.split(|n| n.is_punct(b';')).collect();
        match items.pop() {
            Some(last) if !last.is_empty() => {
                self.error(last, "no semicolon behind this");
                items.push(last);
            }
            _ => {}
        }
        items.retain(|i| !i.is_empty());
        items
    }

    fn item<'n>(&self, nodes: &'n [Node]) -> Option<Item<'n>> {
        match nodes {
            [name, args] if name.kind == NodeKind::Word && args.paren().is_some() => {
                Some(Item::Driver { name, args: args.paren()?, at: self.reader.span(nodes) })
            }
            [word, .., content] if (word.is("channel") || word.is("log")) && content.brace().is_some() => {
                Some(Item::Channel(content.brace()?))
            }
            _ => None,
        }
    }

    /// Nodes as arguments: `name(…)` put together, everything else as it is.
    pub(super) fn args(&self, nodes: &[Node]) -> Vec<Arg> {
        let mut args = Vec::with_capacity(nodes.len());
        let mut rest = nodes.iter().peekable();
        while let Some(node) = rest.next() {
            let group = match node.kind {
                NodeKind::Word => rest.next_if(|n| n.paren().is_some()),
                _ => None,
            };
            args.push(match (group, &node.kind) {
                (Some(group), _) => Arg::Opt(Opt {
                    name: node.text.clone(),
                    args: self.args(group.paren().unwrap_or_default()),
                    at: self.reader.location(node.pos).to(&self.reader.location(group.pos)),
                }),
                (None, NodeKind::Word) => Arg::Word(node.text.clone()),
                (None, NodeKind::Str) => Arg::Str(node.text.clone()),
                (None, _) => Arg::Other(node.text.clone()),
            });
        }
        args
    }
}

/// Does a channel end in destinations that stand elsewhere, and in none of its own?
fn leads_on(channel: &[Node]) -> bool {
    let parts = || channel.split(|n| n.is_punct(b';'));
    let destination = |part: &[Node], named: bool| match part {
        [word, what] => word.is("destination") && if named { what.paren().is_some() } else { what.brace().is_some() },
        _ => false,
    };
    parts().any(|p| destination(p, true)) && !parts().any(|p| destination(p, false))
}
