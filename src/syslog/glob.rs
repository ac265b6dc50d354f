//! Shell patterns as the C library's `glob` knows them and as the daemons' wildcard includes use them: `*`, `?`,
//! `[…]`, backslash; a leading dot is matched only by a dot.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Does this text hold a wildcard?
pub fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

/// Paths that match `pattern`, in byte order. `list` gives the names in a folder, `exists` sees links themselves.
pub fn expand(pattern: &Path, exists: &dyn Fn(&Path) -> bool, list: &dyn Fn(&Path) -> Vec<OsString>) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let Component::Normal(part) = part else {
            found.iter_mut().for_each(|p| p.push(part));
            continue;
        };
        if !is_pattern(part.as_bytes()) {
            let plain = std::ffi::OsStr::from_bytes(&unquote(part.as_bytes())).to_owned();
            found.iter_mut().for_each(|p| p.push(&plain));
            continue;
        }
        found = found
            .iter()
            .flat_map(|dir| {
                let names = list(dir).into_iter().filter(|n| name_matches(part.as_bytes(), n.as_bytes()));
                names.map(|n| dir.join(n)).collect::<Vec<_>>()
            })
            .collect();
    }
    found.retain(|p| exists(p));
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    found
}

/// Does `path` match `pattern` part by part?
pub fn matches(pattern: &Path, path: &Path) -> bool {
    let (mut pattern, mut path) = (pattern.components(), path.components());
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(Component::Normal(p)), Some(Component::Normal(n))) if name_matches(p.as_bytes(), n.as_bytes()) => {}
            (Some(p), Some(n)) if p == n => {}
            _ => return false,
        }
    }
}

fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&b) = bytes.next() {
        out.push(if b == b'\\' { bytes.next().copied().unwrap_or(b) } else { b });
    }
    out
}

/// Does one name match one pattern?
pub fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    // Where to go on after the latest `*`: (pattern behind it, next name byte it may swallow).
    let mut retry: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        match step(&pattern[p.min(pattern.len())..], name[n]) {
            Some(width) => {
                p += width;
                n += 1;
            }
            None => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (p, n) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|&b| b == b'*')
}

/// Width of the pattern's first element where it takes `byte`.
fn step(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'\\' => (pattern.get(1) == Some(&byte)).then_some(2),
        b'[' => match class(pattern, byte) {
            Some((width, true)) => Some(width),
            Some((_, false)) => None,
            None => (byte == b'[').then_some(1),
        },
        b => (b == byte).then_some(1),
    }
}

/// Width of a bracket expression and whether it takes `byte`; `None` where the bracket is never closed.
fn class(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let mut i = if negated { 2 } else { 1 };
    let first = i;
    let mut hit = false;
    loop {
        let low = *pattern.get(i)?;
        if low == b']' && i > first {
            return Some((i + 1, hit != negated));
        }
        match (pattern.get(i + 1), pattern.get(i + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                hit |= (low..=high).contains(&byte);
                i += 3;
            }
            _ => {
                hit |= low == byte;
                i += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            ("*.conf", "a.conf.bak", false),
            ("*", "x", true),
            ("[0-9][!a]-*", "1b-x", true),
            ("[0-9][!a]-*", "1a-x", false),
            ("a\\*", "a*", true),
            ("a[b", "a[b", true),
            ("?.conf", "ab.conf", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
        ] {
            assert_eq!(name_matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn whole_paths() {
        assert!(matches(Path::new("/etc/rsyslog.d/*.conf"), Path::new("/etc/rsyslog.d/a.conf")));
        assert!(!matches(Path::new("/etc/rsyslog.d/*.conf"), Path::new("/etc/rsyslog.d/sub/a.conf")));
    }
}
