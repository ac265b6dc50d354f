//! The difference of two files as a person reads it. Bytes that a terminal would obey are shown as escapes, and a huge
//! file is never compared line by line.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use similar::TextDiff;

/// Files up to this many bytes are compared properly.
const COMPARED: usize = 1 << 20;

/// After this the rest counts as changed: two long files with nothing in common would take minutes.
const PATIENCE: Duration = Duration::from_millis(300);

/// Lines shown of a huge file.
const SHOWN: usize = 200;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Unified diff of `path`; `None` on a side: there is no file.
pub fn unified(path: &Path, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    let name = |side: &str, there: bool| match there {
        true => format!("{side}{}", visible(path.as_os_str().as_encoded_bytes())),
        false => "/dev/null".to_owned(),
    };
    let (from, to) = (name("a", old.is_some()), name("b", new.is_some()));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    if old == new {
        return String::new();
    }
    if old.len().max(new.len()) > COMPARED {
        return format!("--- {from}\n+++ {to}\n{}", one_hunk(old, new));
    }
    let (old, new) = (visible_lines(old), visible_lines(new));
    TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(old.as_str(), new.as_str())
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&from, &to)
        .to_string()
}

/// All that differs as a single hunk: what is equal at both ends is left out, nothing is compared in between.
fn one_hunk(old: &[u8], new: &[u8]) -> String {
    let lines = |bytes| <[u8]>::split_inclusive(bytes, |b: &u8| *b == b'\n').collect::<Vec<_>>();
    let (old, new) = (lines(old), lines(new));
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let from = start.saturating_sub(CONTEXT);
    let after = end.min(CONTEXT);
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    let mut out = format!("@@ -{},{} +{},{} @@\n", from + 1, old_end + after - from, from + 1, new_end + after - from);
    let mut show = |mark: char, part: &[&[u8]]| {
        for line in part.iter().take(SHOWN) {
            let _ = writeln!(out, "{mark}{}", visible(line.strip_suffix(b"\n").unwrap_or(line)));
        }
        if part.len() > SHOWN {
            let _ = writeln!(out, "{mark}… {} more lines", part.len() - SHOWN);
        }
    };
    show(' ', old.get(from..start).unwrap_or_default());
    show('-', old.get(start..old_end).unwrap_or_default());
    show('+', new.get(start..new_end).unwrap_or_default());
    show(' ', old.get(old_end..old_end + after).unwrap_or_default());
    out
}

fn visible_lines(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.push_str(&visible(line));
                out.push('\n');
            }
            None => out.push_str(&visible(line)),
        }
    }
    out
}

/// `bytes` as text in which nothing is invisible: control characters but the tab and what is no UTF-8 as `\xNN`.
pub fn visible(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let escape = |out: &mut String, bytes: &[u8]| bytes.iter().for_each(|b| _ = write!(out, "\\x{b:02x}"));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.push(c),
                c if c.is_control() => escape(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => out.push(c),
            }
        }
        escape(&mut out, chunk.invalid());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn diff(old: Option<&[u8]>, new: Option<&[u8]>) -> String {
        unified(Path::new("/etc/x"), old, new)
    }

    #[test]
    fn looks_like_diff() {
        assert_eq!(
            diff(Some(b"a\nb\nc\n"), Some(b"a\nB\nc\n")),
            "--- a/etc/x\n+++ b/etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
        assert_eq!(diff(None, Some(b"a\n")), "--- /dev/null\n+++ b/etc/x\n@@ -0,0 +1 @@\n+a\n");
        assert!(diff(Some(b"a"), None).contains("-a\n\\ No newline at end of file"));
        assert_eq!(diff(Some(b"a"), Some(b"a")), "");
    }

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        let text = diff(None, Some(b"\x1b[31m\xff\r\nb\0\tc\n"));
        assert!(text.contains("+\\x1b[31m\\xff\\x0d\n+b\\x00\tc\n"), "{text}");
    }

    #[test]
    fn a_small_change_in_a_huge_file_is_shown_fast() {
        let mut old = Vec::new();
        for n in 0..400_000 {
            old.extend(format!("this is line {n}\n").into_bytes());
        }
        let at = old.len() / 2 + old[old.len() / 2..].iter().position(|b| *b == b'\n').unwrap() + 1;
        let new = [&old[..at], b"added\n", &old[at..]].concat();
        let text = diff(Some(&old), Some(&new));
        assert_eq!(text.lines().count(), 2 + 1 + 3 + 1 + 3);
        assert!(text.contains("\n+added\n"));
        let all = diff(Some(&old), Some(b"gone\n"));
        assert!(all.contains("-… 399800 more lines"), "{}", &all[all.len() - 200..]);
    }

    #[test]
    fn long_files_with_nothing_in_common_are_not_compared_for_ever() {
        let text = |word: &str| (0..60_000).map(|n| format!("{word} {n}\n")).collect::<String>().into_bytes();
        let (old, new) = (text("old"), text("new"));
        assert!(diff(Some(&old), Some(&new)).lines().count() >= 120_000);
    }

    proptest! {
        #[test]
        fn no_input_panics(old: Vec<u8>, new: Vec<u8>) {
            diff(Some(&old), Some(&new));
            one_hunk(&old, &new);
        }
    }
}
