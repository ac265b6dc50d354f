//! File name patterns as glob(3) reads them, which is how rsyslog's `$IncludeConfig` and `include()` and syslog-ng's
//! `@include` find their files: `*`, `?`, `[…]`, no match of a leading dot, byte order.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::Root;

impl Root {
    /// The paths that match an absolute `pattern`, sorted by bytes; empty where nothing does. As glob(3), a folder
    /// that cannot be listed matches nothing, and a dangling link matches.
    pub fn glob(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::from("/")];
        for part in pattern.components() {
            let Component::Normal(part) = part else {
                if part == Component::ParentDir {
                    found.iter_mut().for_each(|dir| dir.push(".."));
                }
                continue;
            };
            let mut next = Vec::new();
            for dir in found {
                if is_pattern(part) {
                    let names = self.list(&dir).unwrap_or_default();
                    next.extend(names.into_iter().filter(|n| matches(part, n)).map(|n| dir.join(n)));
                } else {
                    let path = dir.join(unescape(part));
                    if self.stat(&path)?.is_some() {
                        next.push(path);
                    }
                }
            }
            found = next;
        }
        found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        Ok(found)
    }
}

/// Does `part` of a path hold a wildcard that is not escaped?
fn is_pattern(part: &OsStr) -> bool {
    let mut escaped = false;
    part.as_bytes().iter().any(|b| {
        let wild = !escaped && matches!(b, b'*' | b'?' | b'[');
        escaped = !escaped && *b == b'\\';
        wild
    })
}

fn unescape(part: &OsStr) -> OsString {
    let mut out = Vec::new();
    let mut bytes = part.as_bytes().iter();
    while let Some(&b) = bytes.next() {
        out.push(if b == b'\\' { bytes.next().copied().unwrap_or(b) } else { b });
    }
    OsString::from_vec(out)
}

/// Does one path part match one pattern part?
pub fn matches(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    match_bytes(pattern, name)
}

/// Greedy with one point to come back to, the last `*`: linear in practice and never exponential.
fn match_bytes(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        let Some(&c) = name.get(n) else {
            return p >= pattern.len();
        };
        match one(pattern.get(p..).unwrap_or_default(), c) {
            Some(len) => {
                p += len;
                n += 1;
            }
            None => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, n) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
}

/// Length of the pattern element at the start of `pattern` if it matches the byte `c`.
fn one(pattern: &[u8], c: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => match class(rest, c) {
            Some((true, len)) => Some(len + 1),
            Some((false, _)) => None,
            // A bracket that never closes stands for itself.
            None => (c == b'[').then_some(1),
        },
        [b'\\', escaped, ..] => (*escaped == c).then_some(2),
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

/// A bracket expression after its `[`: is `c` in it, and how long it is. `None` if it does not close.
fn class(pattern: &[u8], c: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut inside = false;
    loop {
        let here = pattern.get(at..)?;
        match here {
            [b']', ..] if at > first => return Some((inside != negated, at + 1)),
            [b'[', b':', rest @ ..] => {
                let end = rest.windows(2).position(|w| w == b":]")?;
                inside |= named(rest.get(..end)?, c);
                at += end + 4;
            }
            [low, b'-', high, ..] if *high != b']' => {
                inside |= (*low..=*high).contains(&c);
                at += 3;
            }
            [b'\\', escaped, ..] => {
                inside |= *escaped == c;
                at += 2;
            }
            [single, ..] => {
                inside |= *single == c;
                at += 1;
            }
            [] => return None,
        }
    }
}

fn named(class: &[u8], c: u8) -> bool {
    match class {
        b"alpha" => c.is_ascii_alphabetic(),
        b"digit" => c.is_ascii_digit(),
        b"alnum" => c.is_ascii_alphanumeric(),
        b"upper" => c.is_ascii_uppercase(),
        b"lower" => c.is_ascii_lowercase(),
        b"space" => c.is_ascii_whitespace(),
        b"punct" => c.is_ascii_punctuation(),
        b"xdigit" => c.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(pattern: &str, name: &str) -> bool {
        matches(OsStr::new(pattern), OsStr::new(name))
    }

    #[test]
    fn patterns_match_as_glob_does() {
        for (pattern, yes, no) in [
            ("*.conf", vec!["a.conf", "a.b.conf"], vec![".conf", ".a.conf", "a.conf~", "conf"]),
            ("?.conf", vec!["a.conf"], vec!["ab.conf", ".conf"]),
            ("[0-9][0-9]-*", vec!["50-x", "00-"], vec!["5-x", "a0-x"]),
            ("[!a-c]x", vec!["dx"], vec!["ax", "x"]),
            ("[^a]x", vec!["bx"], vec!["ax"]),
            ("[]x]", vec!["]", "x"], vec!["[", "y"]),
            ("[a-]", vec!["a", "-"], vec!["b"]),
            ("[[:digit:]_]", vec!["7", "_"], vec!["a", ":"]),
            ("a[b", vec!["a[b"], vec!["ab"]),
            ("\\*", vec!["*"], vec!["a"]),
            (".*", vec![".a"], vec!["a"]),
            ("*a*b*c", vec!["abc", "xxaxxbxxc"], vec!["acb", "ab"]),
            ("a*", vec!["a", "a.*"], vec!["b"]),
        ] {
            yes.iter().for_each(|name| assert!(is(pattern, name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!is(pattern, name), "{pattern} {name}"));
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!is(&"*a".repeat(60), &"a".repeat(59)));
        assert!(!is(&format!("{}b", "*a".repeat(60)), &"a".repeat(4000)));
    }

    #[test]
    fn expands_folders_and_plain_parts_in_byte_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        for name in
            ["etc/b.d/10-x.conf", "etc/a.d/9-y.conf", "etc/a.d/10-x.conf", "etc/a.d/.hid.conf", "etc/a.d/readme"]
        {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("etc/a.d/z.conf")).unwrap();
        std::os::unix::fs::symlink("/etc/a.d", dir.path().join("etc/linked.d")).unwrap();
        let glob = |p: &str| root.glob(Path::new(p)).unwrap();
        let paths = |p: &[&str]| p.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            glob("/etc/?.d/*.conf"),
            paths(&["/etc/a.d/10-x.conf", "/etc/a.d/9-y.conf", "/etc/a.d/z.conf", "/etc/b.d/10-x.conf"])
        );
        assert_eq!(glob("/etc/linked.d/1*"), paths(&["/etc/linked.d/10-x.conf"]));
        assert_eq!(glob("/etc/a.d/readme"), paths(&["/etc/a.d/readme"]));
        assert_eq!(glob("/nothing/*.conf"), paths(&[]));
    }
}
