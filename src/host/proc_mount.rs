//! What is mounted where, as one process sees it (`/proc/PID/mountinfo`): a unit's sandbox can make a folder read-only
//! or hide it for the daemon while everybody else may write there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Mount point; bytes that are no UTF-8 are replaced.
    pub point: String,
    pub fs_type: String,
    /// Read-only by the mount itself or by its file system.
    pub read_only: bool,
    pub noexec: bool,
    /// `major:minor` of the file system. Facts of older bundles do not say.
    #[serde(default)]
    pub device: String,
    /// The folder of the file system that is seen at the mount point.
    #[serde(default)]
    pub root: String,
}

impl Mount {
    /// Which file of which file system a path below the mount point is.
    pub fn place(&self, path: &Path) -> (&str, PathBuf) {
        let below = path.strip_prefix(&self.point).unwrap_or(path);
        (self.device.as_str(), Path::new(&self.root).join(below))
    }
}

/// All mounts in the order the kernel lists them; a later one hides an earlier one of the same place.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = fields.iter().skip(6).position(|f| *f == b"-")? + 6;
    let options: Vec<&[u8]> = fields.get(5)?.split(|b| *b == b',').collect();
    let super_options = fields.get(dash + 3).copied().unwrap_or_default();
    Some(Mount {
        point: String::from_utf8_lossy(&unescape(fields.get(4)?)).into_owned(),
        fs_type: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
        read_only: options.contains(&&b"ro"[..]) || super_options.split(|b| *b == b',').any(|o| o == b"ro"),
        noexec: options.contains(&&b"noexec"[..]),
        device: String::from_utf8_lossy(fields.get(2)?).into_owned(),
        root: String::from_utf8_lossy(&unescape(fields.get(3)?)).into_owned(),
    })
}

/// Blank, tab, line feed and backslash are written as three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|d| *first == b'\\' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        match octal {
            Some(d) => {
                out.push(d.iter().fold(0u8, |n, c| n.wrapping_mul(8).wrapping_add(c - b'0')));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The mount that holds `path`.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    // Of several equal ones `max_by_key` gives the last, which is the one on top.
    mounts.iter().filter(|m| path.starts_with(&m.point)).max_by_key(|m| Path::new(&m.point).components().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"22 27 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
30 22 0:25 / /var/spool\\040x rw,noexec,nosuid - tmpfs tmpfs ro,size=4k\n\
31 22 8:1 /x /var/log ro,relatime shared:3 master:1 - ext4 /dev/vdb rw\n\
garbage\n\
32 22 8:1 / /var/log rw - ext4 /dev/vdc rw\n";

    #[test]
    fn reads_points_and_read_only_from_either_side() {
        let m = parse(INFO);
        assert_eq!(m.len(), 4);
        assert_eq!(m[1].point, "/var/spool x");
        assert!(m[1].read_only && m[1].noexec);
        assert!(m[2].read_only && !m[0].read_only);
        assert_eq!(m[2].place(Path::new("/var/log/a/b")), ("8:1", "/x/a/b".into()));
    }

    #[test]
    fn the_last_mount_of_a_place_holds_it() {
        let m = parse(INFO);
        assert_eq!(holding(&m, Path::new("/var/log/syslog")).unwrap().fs_type, "ext4");
        assert!(!holding(&m, Path::new("/var/log/syslog")).unwrap().read_only);
        assert_eq!(holding(&m, Path::new("/var/logs")).unwrap().point, "/");
        assert_eq!(holding(&[], Path::new("/")), None);
    }
}
