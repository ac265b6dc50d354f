//! Who may read or write what, judged the way the kernel does: mode, owner, POSIX access list and capabilities, on every
//! folder of the path. A daemon's view of a file cannot be had by trying it as root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::{FileKind, Root, facts};

/// One folder on the way to a file, or the file itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Bytes that are no UTF-8 are replaced.
    pub path: String,
    pub kind: FileKind,
    /// Permission bits (07777).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Nobody may change it, root included (`chattr +i`).
    #[serde(default)]
    pub immutable: bool,
    /// POSIX access list as stored in the extended attribute, where there is one.
    pub acl: Option<Vec<u8>>,
}

/// A process's identity as far as files are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Effective capabilities, one bit each.
    pub capabilities: u64,
}

pub const READ: u32 = 4;
pub const WRITE: u32 = 2;
pub const SEARCH: u32 = 1;

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const ACL: &str = "system.posix_acl_access";

/// Where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub path: String,
    /// `mode 0640, owner 0:4`
    pub why: String,
}

/// Every folder that must be passed on the way to `path`, the file or folder itself last. Links are followed; what is
/// behind a missing part is not there.
pub fn walk(root: &Root, path: &Path) -> Vec<Step> {
    let real = root.resolve(path).unwrap_or_else(|_| path.to_owned());
    let mut parts: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    parts.reverse();
    let mut rest: Vec<PathBuf> = real.ancestors().map(Path::to_owned).collect();
    rest.reverse();
    parts.extend(rest);
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    for part in parts {
        let Ok(Some(meta)) = root.stat(&part) else { continue };
        if meta.kind == FileKind::Link || !seen.insert(part.clone()) {
            continue;
        }
        let xattrs = root.attrs(&part).ok().and_then(|a| a.xattrs).unwrap_or_default();
        let acl = xattrs.into_iter().find(|x| x.name == ACL).map(|x| x.value);
        let path = part.to_string_lossy().into_owned();
        let immutable = facts::is_immutable(root, &part);
        steps.push(Step { path, kind: meta.kind, mode: meta.mode, uid: meta.uid, gid: meta.gid, immutable, acl });
    }
    steps
}

/// May `who` pass all folders and do `want` (a sum of [`READ`], [`WRITE`], [`SEARCH`]) with the last step?
///
/// # Errors
/// The first step that stands in the way.
pub fn may(who: &Who, steps: &[Step], want: u32) -> Result<(), Denied> {
    let Some((last, folders)) = steps.split_last() else { return Ok(()) };
    for folder in folders {
        if !allowed(who, folder, SEARCH) {
            return Err(denied(folder));
        }
    }
    if allowed(who, last, want) { Ok(()) } else { Err(denied(last)) }
}

fn denied(step: &Step) -> Denied {
    let acl = if step.acl.is_some() { ", access list" } else { "" };
    let immutable = if step.immutable { ", immutable" } else { "" };
    let why = format!("mode {:04o}, owner {}:{}{acl}{immutable}", step.mode, step.uid, step.gid);
    Denied { path: step.path.clone(), why }
}

fn allowed(who: &Who, step: &Step, want: u32) -> bool {
    if step.immutable && want & WRITE != 0 {
        return false;
    }
    let can = |capability: u32| who.capabilities & (1 << capability) != 0;
    let by_capability = match want {
        _ if can(CAP_DAC_OVERRIDE) => true,
        READ => can(CAP_DAC_READ_SEARCH),
        SEARCH => step.kind == FileKind::Dir && can(CAP_DAC_READ_SEARCH),
        _ => false,
    };
    let covers = |bits: u32| bits & want == want;
    if by_capability {
        return true;
    }
    if who.uid == step.uid {
        return covers(step.mode >> 6);
    }
    let member = |gid: u32| who.gid == gid || who.groups.contains(&gid);
    match step.acl.as_deref().and_then(parse_acl) {
        Some(entries) => by_list(who, step, &entries, &member, &covers),
        None if member(step.gid) => covers(step.mode >> 3),
        None => covers(step.mode),
    }
}

struct Entry {
    tag: u16,
    bits: u32,
    id: u32,
}

const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// With an access list the first user entry that fits decides, then any group entry that allows it, then the others.
fn by_list(who: &Who, step: &Step, list: &[Entry], member: &dyn Fn(u32) -> bool, covers: &dyn Fn(u32) -> bool) -> bool {
    let mask = list.iter().find(|e| e.tag == MASK).map_or(7, |e| e.bits);
    if let Some(user) = list.iter().find(|e| e.tag == USER && e.id == who.uid) {
        return covers(user.bits & mask);
    }
    let mut groups = list
        .iter()
        .filter(|e| e.tag == GROUP_OBJ && member(step.gid) || e.tag == GROUP && member(e.id))
        .map(|e| e.bits & mask)
        .peekable();
    match groups.peek() {
        Some(_) => groups.any(covers),
        None => covers(step.mode),
    }
}

/// A version number (2), then entries of tag, permission and id, all little-endian.
fn parse_acl(value: &[u8]) -> Option<Vec<Entry>> {
    let (version, entries) = value.split_at_checked(4)?;
    if version != [2, 0, 0, 0] || entries.len() % 8 != 0 {
        return None;
    }
    let entry = |e: &[u8]| {
        Some(Entry {
            tag: u16::from_le_bytes(e.get(..2)?.try_into().ok()?),
            bits: u16::from_le_bytes(e.get(2..4)?.try_into().ok()?).into(),
            id: u32::from_le_bytes(e.get(4..8)?.try_into().ok()?),
        })
    };
    entries.chunks_exact(8).map(entry).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // a test makes its own files

    use super::*;

    fn step(path: &str, kind: FileKind, mode: u32, uid: u32, gid: u32) -> Step {
        Step { path: path.into(), kind, mode, uid, gid, immutable: false, acl: None }
    }

    fn who(uid: u32, gid: u32, groups: &[u32]) -> Who {
        Who { uid, gid, groups: groups.to_vec(), capabilities: 0 }
    }

    #[test]
    fn the_first_folder_that_cannot_be_passed_is_named() {
        let steps = [
            step("/", FileKind::Dir, 0o755, 0, 0),
            step("/etc/x", FileKind::Dir, 0o750, 0, 0),
            step("/etc/x/f", FileKind::File, 0o644, 0, 0),
        ];
        let syslog = who(104, 110, &[4]);
        assert_eq!(may(&syslog, &steps, READ).unwrap_err().path, "/etc/x");
        assert_eq!(may(&syslog, &steps[..1], SEARCH), Ok(()));
        assert_eq!(may(&syslog, &[], READ), Ok(()));
    }

    #[test]
    fn owner_group_others_in_this_order() {
        let of = |mode, w: &Who, want| may(w, &[step("/f", FileKind::File, mode, 104, 4)], want).is_ok();
        // The owner is judged by the owner's bits alone, even where others may do more.
        assert!(!of(0o077, &who(104, 1, &[]), READ));
        assert!(of(0o040, &who(5, 1, &[4]), READ) && !of(0o040, &who(5, 1, &[]), READ));
        assert!(!of(0o604, &who(5, 4, &[]), READ) && of(0o604, &who(5, 5, &[]), READ));
        assert!(of(0o700, &who(104, 1, &[]), WRITE | SEARCH) && !of(0o500, &who(104, 1, &[]), WRITE | SEARCH));
        assert!(!of(0o600, &who(0, 0, &[]), READ), "root without capabilities is just a user");
    }

    #[test]
    fn capabilities_pass_where_modes_do_not() {
        let mut root = who(0, 0, &[]);
        let closed = [step("/d", FileKind::Dir, 0, 5, 5), step("/d/f", FileKind::File, 0, 5, 5)];
        root.capabilities = 1 << CAP_DAC_READ_SEARCH;
        assert!(may(&root, &closed, READ).is_ok() && may(&root, &closed, WRITE).is_err());
        root.capabilities = 1 << CAP_DAC_OVERRIDE;
        assert!(may(&root, &closed, WRITE).is_ok());
        let mut fixed = closed.clone();
        fixed[1].immutable = true;
        assert!(may(&root, &fixed, READ).is_ok());
        assert!(may(&root, &fixed, WRITE).unwrap_err().why.ends_with("immutable"));
    }

    #[test]
    fn access_lists_have_the_say_where_they_are() {
        let entry =
            |tag: u16, bits: u16, id: u32| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
        let list = [
            vec![2, 0, 0, 0],
            entry(1, 7, u32::MAX),
            entry(USER, 6, 104),
            entry(GROUP_OBJ, 0, u32::MAX),
            entry(GROUP, 4, 33),
            entry(MASK, 4, u32::MAX),
            entry(0x20, 0, u32::MAX),
        ]
        .concat();
        let mut s = step("/f", FileKind::File, 0o640, 0, 0);
        s.acl = Some(list);
        let of = |w: &Who, want| may(w, std::slice::from_ref(&s), want).is_ok();
        assert!(of(&who(104, 1, &[]), READ) && !of(&who(104, 1, &[]), WRITE), "the mask cuts");
        assert!(of(&who(5, 1, &[33]), READ) && !of(&who(5, 0, &[]), READ) && !of(&who(5, 1, &[]), READ));
        s.acl = Some(vec![2, 0, 0, 0, 1]);
        assert!(
            may(&who(5, 1, &[]), std::slice::from_ref(&s), READ).is_err(),
            "a list that cannot be read leaves the mode"
        );
    }

    #[test]
    fn the_way_to_a_file_goes_over_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a")).unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        std::fs::write(dir.path().join("b/c/f"), "").unwrap();
        std::os::unix::fs::symlink("/b/c", dir.path().join("a/l")).unwrap();
        let root = Root::at(dir.path());
        let paths = |p: &str| walk(&root, Path::new(p)).into_iter().map(|s| s.path).collect::<Vec<_>>();
        assert_eq!(paths("/a/l/f"), ["/", "/a", "/b", "/b/c", "/b/c/f"]);
        assert_eq!(paths("/b/missing/f"), ["/", "/b"]);
    }
}
