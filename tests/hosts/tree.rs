//! A folder as data: everything that must be the same before and after. Two trees are compared to a readable list.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One path of a tree. Times are left out on purpose: a restored file may be younger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// File type and permission bits (`st_mode`).
    mode: u32,
    uid: u32,
    gid: u32,
    /// Bytes of a file, target of a link, nothing for a folder.
    content: Vec<u8>,
    /// Extended attributes: SELinux label, ACLs, capabilities.
    attributes: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<String, Node>);

impl Tree {
    pub fn read(base: &Path) -> Tree {
        let mut nodes = BTreeMap::new();
        walk(base, base, &mut nodes);
        Tree(nodes)
    }

    /// Paths that are only in one of the two, or differ, each with what differs; empty for equal trees.
    pub fn diff(&self, after: &Tree) -> String {
        let mut out = String::new();
        for path in self.0.keys().chain(after.0.keys().filter(|p| !self.0.contains_key(*p))) {
            match (self.0.get(path), after.0.get(path)) {
                (Some(a), Some(b)) if a != b => describe(&mut out, path, a, b),
                (Some(_), None) => _ = writeln!(out, "gone:    {path}"),
                (None, Some(b)) => _ = writeln!(out, "new:     {path} (mode {:o}, {} bytes)", b.mode, b.content.len()),
                _ => {}
            }
        }
        out
    }

    /// Paths that are only in `after`.
    pub fn added(&self, after: &Tree) -> Vec<String> {
        after.0.keys().filter(|p| !self.0.contains_key(*p)).cloned().collect()
    }

    /// Paths of files that hold `mark`.
    pub fn marked(&self, mark: &[u8]) -> Vec<String> {
        self.0.iter().filter(|(_, node)| crate::agent::contains(&node.content, mark)).map(|(p, _)| p.clone()).collect()
    }

    pub fn without(mut self, paths: &[String]) -> Tree {
        self.0.retain(|path, _| !paths.contains(path));
        self
    }

    #[track_caller]
    pub fn assert_same(&self, after: &Tree, when: &str) {
        let diff = self.diff(after);
        assert!(diff.is_empty(), "the tree differs {when}:\n{diff}");
    }
}

/// A tree that cannot be read whole must not pass for a smaller one.
fn seen<T>(path: &Path, result: std::io::Result<T>) -> T {
    result.unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

fn walk(base: &Path, path: &Path, nodes: &mut BTreeMap<String, Node>) {
    let meta = seen(path, std::fs::symlink_metadata(path));
    let content = match () {
        _ if meta.is_symlink() => seen(path, std::fs::read_link(path)).into_os_string().into_vec(),
        _ if meta.is_file() => seen(path, std::fs::read(path)),
        _ => Vec::new(),
    };
    let attributes = if meta.is_symlink() {
        BTreeMap::new() // links carry none that the tool could change
    } else {
        xattr::list(path)
            .into_iter()
            .flatten()
            .map(|name| {
                let value = xattr::get(path, &name).ok().flatten().unwrap_or_default();
                (name.to_string_lossy().into_owned(), value)
            })
            .collect()
    };
    let name = path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned();
    nodes.insert(name, Node { mode: meta.mode(), uid: meta.uid(), gid: meta.gid(), content, attributes });
    if meta.is_dir() {
        for entry in seen(path, std::fs::read_dir(path)) {
            walk(base, &seen(path, entry).path(), nodes);
        }
    }
}

fn describe(out: &mut String, path: &str, a: &Node, b: &Node) {
    let _ = write!(out, "changed: {path}:");
    if a.mode != b.mode {
        let _ = write!(out, " mode {:o} → {:o}", a.mode, b.mode);
    }
    if (a.uid, a.gid) != (b.uid, b.gid) {
        let _ = write!(out, " owner {}:{} → {}:{}", a.uid, a.gid, b.uid, b.gid);
    }
    if a.attributes != b.attributes {
        let _ = write!(out, " attributes {:?} → {:?}", a.attributes, b.attributes);
    }
    out.push('\n');
    if a.content != b.content {
        let diff = similar::TextDiff::from_lines(a.content.as_slice(), b.content.as_slice());
        let text = diff.unified_diff().context_radius(1).to_string();
        for line in text.lines().take(40) {
            let _ = writeln!(out, "    {line}");
        }
    }
}
