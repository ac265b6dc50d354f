//! How far a process has read the files it has open, as `/proc/PID/fdinfo` shows: what of a queue on disk still waits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Root;

/// Files that the process has open for reading only, with the furthest position of them, in bytes. Empty where that may
/// not be seen.
pub fn read_positions(root: &Root, pid: u32) -> BTreeMap<PathBuf, u64> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let mut found: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for name in root.list(&folder.join("fd")).unwrap_or_default() {
        let Ok(path) = std::fs::read_link(root.real(&folder.join("fd").join(&name))) else { continue };
        let info = root.read(&folder.join("fdinfo").join(&name)).unwrap_or_default();
        let Some(position) = read_position(&info).filter(|_| is_file(root, &path)) else { continue };
        let furthest = found.entry(path).or_default();
        *furthest = position.max(*furthest);
    }
    found
}

fn is_file(root: &Root, path: &Path) -> bool {
    path.is_absolute() && matches!(root.stat(path), Ok(Some(meta)) if meta.kind == super::FileKind::File)
}

/// The position, of a descriptor that reads and does not write.
fn read_position(info: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(info);
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let flags = u32::from_str_radix(field("flags:")?, 8).ok()?;
    (flags & 0o3 == 0).then(|| field("pos:")?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn only_readers_count_and_the_furthest_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        let mut writer = std::fs::File::create(&path).unwrap();
        writer.write_all(&[7; 100]).unwrap();
        let root = Root::default();
        let me = std::process::id();
        assert_eq!(read_positions(&root, me).get(&path), None);
        let mut far = std::fs::File::open(&path).unwrap();
        let _near = std::fs::File::open(&path).unwrap();
        far.read_exact(&mut [0; 60]).unwrap();
        assert_eq!(read_positions(&root, me).get(&path), Some(&60));
        assert!(read_positions(&root, 0).is_empty());
    }
}
