//! Space where a collector writes, and who takes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::check::facts::{DiskFacts, SizedFile};
use crate::host::{FileKind, Host, Root};

/// Names looked at below `/var/log` at most: a diagnosis must end.
const MOST_ENTRIES: usize = 20_000;
const DEEPEST: usize = 5;
const LARGEST: usize = 5;

/// File systems that hold the folders; those that do not exist are left out.
pub fn file_systems(root: &Root, folders: &[String]) -> Vec<DiskFacts> {
    let mut by_device: BTreeMap<u64, DiskFacts> = BTreeMap::new();
    for folder in folders {
        let path = Path::new(folder);
        let Ok(real) = root.resolve(path) else { continue };
        let (Ok(Some(meta)), Ok(space)) = (root.stat(&real), root.space(&real)) else { continue };
        by_device
            .entry(meta.dev)
            .or_insert_with(|| DiskFacts { folders: Vec::new(), space })
            .folders
            .push(folder.clone());
    }
    by_device.into_values().collect()
}

/// Largest files below `/var/log`, and what the logs grow by an hour.
pub fn logs(host: &Host) -> (Vec<SizedFile>, Option<u64>) {
    let mut files = Vec::new();
    walk(&host.root, Path::new("/var/log"), 0, &mut files);
    let growth = growth(&files, host.clock.now().as_second());
    files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    files.truncate(LARGEST);
    let largest = files.into_iter().map(|f| SizedFile { path: f.path.to_string_lossy().into_owned(), size: f.size });
    (largest.collect(), growth)
}

struct Found {
    path: PathBuf,
    size: u64,
    mtime: i64,
}

fn walk(root: &Root, dir: &Path, depth: usize, files: &mut Vec<Found>) {
    let Ok(names) = root.list(dir) else { return };
    for name in names {
        if files.len() >= MOST_ENTRIES {
            return;
        }
        let path = dir.join(name);
        let Ok(Some(meta)) = root.stat(&path) else { continue };
        match meta.kind {
            FileKind::File => files.push(Found { path, size: meta.size, mtime: meta.mtime }),
            FileKind::Dir if depth < DEEPEST => walk(root, &path, depth + 1, files),
            _ => {}
        }
    }
}

/// A log file and its youngest rotated copy tell how much was written since the rotation, without a second look. Less
/// than ten minutes say nothing.
fn growth(files: &[Found], now: i64) -> Option<u64> {
    let rates: Vec<u64> = files
        .iter()
        .filter_map(|file| {
            let name = file.path.to_str()?;
            let copies = files.iter().filter(|f| f.path.to_str().is_some_and(|p| is_copy_of(p, name)));
            let rotated = copies.map(|f| f.mtime).max()?;
            let seconds = u64::try_from(now - rotated).ok().filter(|s| *s >= 600)?;
            Some(file.size.saturating_mul(3600) / seconds)
        })
        .collect();
    (!rates.is_empty()).then(|| rates.iter().sum())
}

/// `syslog.1`, `syslog.1.gz`, `messages-20260801`, `messages-20260801.gz`.
fn is_copy_of(copy: &str, log: &str) -> bool {
    let Some(rest) = copy.strip_prefix(log) else { return false };
    let Some(number) = rest.strip_prefix(['.', '-']) else { return false };
    let number = number.split('.').next().unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // a test makes its own files

    use super::*;

    fn found(path: &str, size: u64, mtime: i64) -> Found {
        Found { path: path.into(), size, mtime }
    }

    #[test]
    fn growth_is_what_was_written_since_the_rotation() {
        let files = [
            found("/var/log/syslog", 7200, 0),
            found("/var/log/syslog.1", 9_999_999, 10_000 - 7200),
            found("/var/log/syslog.2.gz", 1, 0),
            found("/var/log/messages", 100, 0),
            found("/var/log/messages-20260801", 1, 10_000 - 60),
        ];
        assert_eq!(growth(&files, 10_000), Some(3600));
        assert_eq!(growth(&files[3..], 10_000), None);
    }

    #[test]
    fn only_rotated_copies_count() {
        assert!(is_copy_of("/var/log/syslog.1.gz", "/var/log/syslog"));
        assert!(is_copy_of("/var/log/messages-20260801", "/var/log/messages"));
        assert!(!is_copy_of("/var/log/syslog.conf", "/var/log/syslog"));
        assert!(!is_copy_of("/var/log/syslogx", "/var/log/syslog"));
    }

    #[test]
    fn largest_first_and_one_entry_a_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("var/log/app");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        for n in 1..8 {
            std::fs::write(log.join(format!("f{n}")), vec![b'x'; n * 10]).unwrap();
        }
        std::os::unix::fs::symlink("/var/log", log.join("loop")).unwrap();
        let host = Host::system(Root::at(dir.path()));
        let (largest, growth) = logs(&host);
        let sizes: Vec<u64> = largest.iter().map(|f| f.size).collect();
        assert_eq!(sizes, [70, 60, 50, 40, 30]);
        assert_eq!(growth, None);
        let disks = file_systems(&host.root, &["/var/log".into(), "/etc".into(), "/absent".into()]);
        assert_eq!(disks.len(), 1);
        assert_eq!(disks[0].folders, ["/var/log", "/etc"]);
    }
}
