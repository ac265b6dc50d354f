//! Blocks: definitions that are put in, with the arguments of the caller, where they are used.

use super::build::Builder;
use super::*;
use crate::syslog::syslogng::reader::{Pos, normal, substitute};
use crate::syslog::syslogng::tree::{BlockDef, Node, NodeKind};

/// Blocks that use blocks, and uses of blocks in all, that we follow.
const NESTING: usize = 20;
const USES: usize = 20_000;

impl Builder<'_> {
    pub(super) fn block(&mut self, def: BlockDef, pos: Pos) {
        let at = self.reader.location(pos);
        self.out.blocks.push(BlockName { context: def.context.clone(), name: def.name.clone(), at });
        self.blocks.push(def);
    }

    /// The text of a block with the caller's arguments put in; `None` where there is no such block.
    pub(super) fn instance(&mut self, context: &str, name: &Node, args: &Node) -> Option<Vec<u8>> {
        let wanted = normal(&name.text);
        let found = |b: &&BlockDef| b.context == context && normal(&b.name) == wanted;
        let def = self.blocks.iter().rev().find(found)?.clone();
        let mut given: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut rest = Vec::new();
        for (arg, group) in pairs(args.paren().unwrap_or_default()) {
            let value = self.reader.inside(group);
            if def.args.iter().any(|(a, _)| normal(a) == normal(&arg.text)) {
                given.push((normal(&arg.text), value));
            } else if def.open {
                rest.extend([arg.text.as_bytes(), b"(", &value, b") "].concat());
            } else {
                let text = format!("block '{}' has no argument '{}'", def.name, arg.text);
                self.error(std::slice::from_ref(arg), text);
            }
        }
        let lookup = |wanted: &[u8]| {
            let wanted = normal(&Text::from(wanted));
            if wanted == b"--VARARGS--" {
                return Some(rest.clone());
            }
            let given = given.iter().rev().find(|(n, _)| *n == wanted).map(|(_, v)| v.clone());
            let default = || def.args.iter().find(|(n, _)| normal(n) == wanted).map(|(_, v)| v.clone());
            given.or_else(default).or_else(|| self.reader.define(&wanted).cloned())
        };
        Some(substitute(&def.content, &lookup).0)
    }

    /// What a `name(args)` item stands for, if it is a block.
    pub(super) fn expand_item(&mut self, context: &str, item: &[Node]) -> Option<Vec<Node>> {
        let [name, args] = item else { return None };
        let text = self.instance(context, name, args)?;
        if !self.may_use_one_more(item) {
            return Some(Vec::new());
        }
        let floor = self.reader.depth();
        if !self.reader.open_made(text, name.pos) {
            return Some(Vec::new());
        }
        Some(self.reader.nodes_above(floor))
    }

    /// Counts a use of a block. `false`, and a problem, where blocks use blocks without end.
    pub(super) fn may_use_one_more(&mut self, item: &[Node]) -> bool {
        self.uses += 1;
        let few = self.nesting < NESTING && self.uses <= USES;
        if !few {
            self.error(item, "blocks use blocks without end");
        }
        few
    }

    /// Reads what a block stands for.
    pub(super) fn inside_block<R>(&mut self, read: impl FnOnce(&mut Self) -> R) -> R {
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }

    /// Nodes with the blocks among them put in.
    pub(super) fn expand(&mut self, context: &str, nodes: &[Node]) -> Vec<Node> {
        let mut out = Vec::with_capacity(nodes.len());
        let mut i = 0;
        while let Some(node) = nodes.get(i) {
            let item = nodes.get(i..i + 2).filter(|n| n[0].kind == NodeKind::Word && n[1].paren().is_some());
            match item.and_then(|item| self.expand_item(context, item)) {
                Some(made) => {
                    out.extend(made);
                    i += 2;
                }
                None => {
                    out.push(node.clone());
                    i += 1;
                }
            }
        }
        out
    }
}

/// `name(…)` pairs.
fn pairs(nodes: &[Node]) -> impl Iterator<Item = (&Node, &Node)> {
    nodes.windows(2).filter_map(|pair| match pair {
        [name, group] if name.kind == NodeKind::Word && group.paren().is_some() => Some((name, group)),
        _ => None,
    })
}
