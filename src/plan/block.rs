//! Marked blocks: our few lines inside a file that belongs to somebody else, between two comment lines that say whose
//! they are. Pure. Taking a block out gives the bytes there were before it was put in, also where the file did not end
//! in a newline; whatever others changed around it stays.

use std::ops::Range;

use super::change::Place;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BlockError {
    #[error("the block {0:?} is damaged: its begin and end lines do not pair")]
    Damaged(String),
    #[error("the file has no byte {0}")]
    TooShort(usize),
    #[error("{0:?} is no block name: lower-case letters, digits and '-' are")]
    BadId(String),
}

/// In the begin line of a block before which we had to end the last line of the file.
const NEWLINE_ADDED: &str = " [newline added]";
/// In the begin line of a block that stands in the middle of a line.
const LINE_SPLIT: &str = " [line split]";

fn begin_start(id: &str) -> String {
    format!("# BEGIN cefctl block \"{id}\"")
}

fn end_line(id: &str) -> String {
    format!("# END cefctl block \"{id}\"")
}

/// Lines of `content` with their newlines, and where each starts.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    content.split_inclusive(|b| *b == b'\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

/// One block in a file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Begin line to end line, with its newline.
    all: Range<usize>,
    before: Before,
}

/// What we did to the line before the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    NewlineAdded,
    LineSplit,
}

impl Before {
    fn flag(self) -> &'static str {
        match self {
            Before::Nothing => "",
            Before::NewlineAdded => NEWLINE_ADDED,
            Before::LineSplit => LINE_SPLIT,
        }
    }

    fn of(begin_line: &[u8]) -> Self {
        let flags = [Before::NewlineAdded, Before::LineSplit];
        let line = begin_line.trim_ascii_end();
        flags.into_iter().find(|b| line.ends_with(b.flag().as_bytes())).unwrap_or(Before::Nothing)
    }
}

fn find(content: &[u8], id: &str) -> Result<Vec<Found>, BlockError> {
    let (begin, end) = (begin_start(id), end_line(id));
    let mut open: Option<(usize, Before)> = None;
    let mut found = Vec::new();
    for (start, line) in lines(content) {
        if line.starts_with(begin.as_bytes()) {
            if open.is_some() {
                return Err(BlockError::Damaged(id.to_owned()));
            }
            open = Some((start, Before::of(line)));
        } else if line.trim_ascii_end() == end.as_bytes() {
            let Some((from, before)) = open.take() else { return Err(BlockError::Damaged(id.to_owned())) };
            found.push(Found { all: from..start + line.len(), before });
        }
    }
    if open.is_some() { Err(BlockError::Damaged(id.to_owned())) } else { Ok(found) }
}

/// `content` with the block in it: in the place of an older one, else at `place`.
pub fn put(content: &[u8], id: &str, body: &[u8], place: Place) -> Result<Vec<u8>, BlockError> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(BlockError::BadId(id.to_owned()));
    }
    let found = find(content, id)?;
    let (at, before) = match found.first() {
        Some(first) => (first.all.start, first.before),
        None => new_place(content, place)?,
    };
    let mut out = content.get(..at).unwrap_or_default().to_vec();
    if before != Before::Nothing && found.is_empty() {
        out.push(b'\n');
    }
    out.extend(block(id, body, before));
    let mut rest = at;
    for old in &found {
        out.extend(content.get(rest..old.all.start).unwrap_or_default());
        rest = old.all.end;
    }
    out.extend(content.get(rest..).unwrap_or_default());
    Ok(out)
}

fn new_place(content: &[u8], place: Place) -> Result<(usize, Before), BlockError> {
    let at = match place {
        Place::Prepend => 0,
        Place::Append => content.len(),
        Place::At(at) => at,
    };
    let before = content.get(..at).ok_or(BlockError::TooShort(at))?;
    Ok(match before.last() {
        None | Some(b'\n') => (at, Before::Nothing),
        Some(_) if at == content.len() => (at, Before::NewlineAdded),
        Some(_) => (at, Before::LineSplit),
    })
}

fn block(id: &str, body: &[u8], before: Before) -> Vec<u8> {
    let flag = before.flag();
    let mut out =
        format!("{}: kept by cefctl, taken out by \"cefctl uninstall\"{flag}\n", begin_start(id)).into_bytes();
    out.extend(body);
    if !body.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend(end_line(id).into_bytes());
    out.push(b'\n');
    out
}

/// `content` without the block; `None` if there is none.
pub fn take(content: &[u8], id: &str) -> Result<Option<Vec<u8>>, BlockError> {
    let found = find(content, id)?;
    if found.is_empty() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(content.len());
    let mut rest = 0;
    for old in &found {
        out.extend(content.get(rest..old.all.start).unwrap_or_default());
        rest = old.all.end;
        // At the end of the file: anything added behind the block since needs that newline now.
        let ours = match old.before {
            Before::Nothing => false,
            Before::NewlineAdded => rest >= content.len(),
            Before::LineSplit => true,
        };
        if ours && out.last() == Some(&b'\n') {
            out.pop();
        }
    }
    out.extend(content.get(rest..).unwrap_or_default());
    Ok(Some(out))
}

/// What is between the marks of the block; `None` if there is none.
pub fn body(content: &[u8], id: &str) -> Result<Option<Vec<u8>>, BlockError> {
    let Some(first) = find(content, id)?.into_iter().next() else { return Ok(None) };
    let whole = content.get(first.all).unwrap_or_default();
    let inner: Vec<&[u8]> = lines(whole).map(|(_, line)| line).collect();
    Ok(inner.get(1..inner.len().saturating_sub(1)).map(<[_]>::concat))
}

/// For a block whose marks somebody damaged: `content` without our marks and without `body`, if that is in there once
/// as we wrote it. `None`: only a person can tell what is ours.
pub fn scrub(content: &[u8], id: &str, body: &[u8]) -> Option<Vec<u8>> {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let mut at = content.windows(body.len().max(1)).enumerate().filter(|(_, w)| *w == body).map(|(at, _)| at);
    let start = at.next()?;
    let starts_line = start == 0 || content.get(start.checked_sub(1)?) == Some(&b'\n');
    let end = start + body.len();
    let ends_line = matches!(content.get(end), None | Some(b'\n'));
    if body.is_empty() || !starts_line || !ends_line || at.next().is_some() {
        return None;
    }
    let (begin, end_mark) = (begin_start(id), end_line(id));
    let ours = |line: &[u8]| line.starts_with(begin.as_bytes()) || line.trim_ascii_end() == end_mark.as_bytes();
    let kept = [content.get(..start)?, content.get(end + usize::from(end < content.len())..)?];
    Some(
        kept.iter()
            .flat_map(|part| lines(part))
            .filter(|(_, line)| !ours(line))
            .flat_map(|(_, l)| l.to_vec())
            .collect(),
    )
}

/// For a file that a tool has written anew, without comments: `content` without the lines of `body`, each of which says
/// itself whose it is. `None`: they do not, or none is there.
pub fn scrub_signed(content: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\"cefctl: ";
    let signed = |line: &[u8]| line.windows(SIGNATURE.len()).any(|w| w == SIGNATURE);
    let ours: Vec<&[u8]> = lines(body).map(|(_, l)| l.trim_ascii_end()).filter(|l| !l.is_empty()).collect();
    if ours.is_empty() || !ours.iter().all(|l| signed(l)) {
        return None;
    }
    // Counters may have come before them.
    let is_ours = |line: &[u8]| ours.iter().any(|o| line.trim_ascii_end().ends_with(o));
    let kept: Vec<u8> = lines(content).filter(|(_, l)| !is_ours(l)).flat_map(|(_, l)| l.to_vec()).collect();
    (kept.len() < content.len()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY: &[u8] = b"$IncludeConfig /etc/rsyslog.d/*.conf\n";

    #[test]
    fn goes_where_asked_and_comes_out_again() {
        let content = b"one\ntwo\n";
        let put_at = |place| String::from_utf8(put(content, "include", BODY, place).unwrap()).unwrap();
        assert!(put_at(Place::Prepend).starts_with("# BEGIN cefctl block \"include\""));
        assert!(put_at(Place::Append).ends_with("*.conf\n# END cefctl block \"include\"\n"));
        assert!(put_at(Place::At(4)).starts_with("one\n# BEGIN") && put_at(Place::At(4)).ends_with("\ntwo\n"));
        assert_eq!(put(content, "include", BODY, Place::At(99)), Err(BlockError::TooShort(99)));
        assert!(matches!(put(content, "a\"\n", BODY, Place::Append), Err(BlockError::BadId(_))));
    }

    #[test]
    fn an_old_block_is_replaced_in_its_place_and_doubles_go() {
        let once = put(b"a\nb\n", "x", b"old", Place::At(2)).unwrap();
        let twice = [&once[..], &once[2..]].concat();
        let new = put(&twice, "x", b"new", Place::Append).unwrap();
        let text = String::from_utf8(new.clone()).unwrap();
        assert_eq!(text.matches("BEGIN").count(), 1);
        assert!(text.starts_with("a\n# BEGIN") && text.contains("\nnew\n") && !text.contains("old"));
        assert_eq!(put(&new, "x", b"new", Place::Prepend).unwrap(), new);
        assert_eq!(take(&new, "x").unwrap().unwrap(), b"a\nb\nb\n");
        assert_eq!(take(&new, "y").unwrap(), None);
        assert_eq!((body(&new, "x").unwrap().unwrap(), body(&new, "y").unwrap()), (b"new\n".to_vec(), None));
    }

    #[test]
    fn within_a_line_it_splits_that_line_and_makes_it_whole_again() {
        let content = b"ruleset(name=\"r\") { stop }\nnext\n";
        let once = put(content, "x", b"call cefctl", Place::At(20)).unwrap();
        let text = String::from_utf8(once.clone()).unwrap();
        assert!(
            text.starts_with("ruleset(name=\"r\") { \n# BEGIN") && text.contains("[line split]\ncall cefctl\n# END")
        );
        assert!(text.ends_with("\nstop }\nnext\n"), "{text}");
        assert_eq!(put(&once, "x", b"call cefctl", Place::At(20)).unwrap(), once);
        assert_eq!(take(&once, "x").unwrap().unwrap(), content);
        let edited = [&once[..], b"more\n"].concat();
        assert_eq!(take(&edited, "x").unwrap().unwrap(), [&content[..], b"more\n"].concat());
    }

    #[test]
    fn a_line_added_behind_keeps_its_newline() {
        let mut content = put(b"no newline", "x", BODY, Place::Append).unwrap();
        content.extend(b"added later");
        assert_eq!(take(&content, "x").unwrap().unwrap(), b"no newline\nadded later");
    }

    #[test]
    fn damaged_marks_are_an_error_and_the_body_can_be_found_all_the_same() {
        let whole = put(b"a\n", "x", BODY, Place::Append).unwrap();
        let no_end = whole.strip_suffix(b"# END cefctl block \"x\"\n").unwrap();
        assert_eq!(take(no_end, "x"), Err(BlockError::Damaged("x".into())));
        assert!(put(no_end, "x", BODY, Place::Append).is_err());
        assert_eq!(scrub(no_end, "x", BODY).unwrap(), b"a\n");
        assert_eq!(scrub(b"# END cefctl block \"x\"\nelse\n", "x", BODY), None);
        assert_eq!(scrub(&[no_end, BODY].concat(), "x", BODY), None);
        assert_eq!(scrub(no_end, "x", b""), None);
    }

    #[test]
    fn signed_lines_are_found_without_marks_and_others_are_not() {
        let body = b"-A INPUT --comment \"cefctl: udp 514\" -j ACCEPT\n";
        let saved = b"*filter\n[1:2] -A INPUT --comment \"cefctl: udp 514\" -j ACCEPT\nCOMMIT\n";
        assert_eq!(scrub_signed(saved, body).unwrap(), b"*filter\nCOMMIT\n");
        assert_eq!(scrub_signed(b"*filter\nCOMMIT\n", body), None);
        assert_eq!(scrub_signed(BODY, BODY), None);
    }

    proptest! {
        #[test]
        fn taking_out_undoes_putting_in(content: Vec<u8>, body: Vec<u8>, start: bool) {
            let place = if start { Place::Prepend } else { Place::Append };
            let with = put(&content, "a-1", &body, place).unwrap();
            prop_assert_eq!(take(&with, "a-1").unwrap().unwrap(), content);
        }

        #[test]
        fn no_input_panics(content in "(# (BEGIN|END) cefctl block \"x\"\n|y\n|y| ){0,8}", at: usize) {
            let bytes = content.as_bytes();
            let _ = put(bytes, "x", b"b", Place::At(at % 90));
            let _ = take(bytes, "x");
            let _ = body(bytes, "x");
            let _ = scrub(bytes, "x", b"y");
        }
    }
}
