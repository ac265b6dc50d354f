//! What the daemon makes of a file before it reads any grammar: it takes lines of at most 10239 bytes, cuts each at a
//! NUL, drops blanks (and CR) at its end, and joins it to the next one where it ends in a backslash, dropping the
//! blanks that lead the next. Behind joined lines it writes `PreprocFileLineNumber(N)` for its own line count, and that
//! text is real: inside an expression or an object it is a syntax error. [`Lines`] holds the text the grammar gets and
//! the way back to the bytes of the file.

use std::ops::Range;

/// Longest piece the daemon reads at once; a longer line falls apart there.
const PIECE: usize = 10_239;

/// What the daemon writes into the text behind joined lines.
pub(super) const LINE_MARK: &str = "PreprocFileLineNumber(";

/// The text the grammar sees.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    pub text: Vec<u8>,
    segments: Vec<Segment>,
    /// Bytes of the file.
    len: usize,
}

/// A run of text that stands in the file as it is.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Place in the text.
    text: usize,
    /// Place in the file.
    file: usize,
    /// Line of the file, from 1.
    line: u32,
    /// Written by the daemon, not in the file.
    made_up: bool,
}

impl Lines {
    pub fn new(input: &[u8]) -> Self {
        let mut out = Lines { text: Vec::with_capacity(input.len() + 1), segments: Vec::new(), len: input.len() };
        let (mut at, mut line, mut joined, mut mark, mut piece_no) = (0, 1u32, false, false, 0u32);
        while at < input.len() {
            piece_no += 1;
            if std::mem::take(&mut mark) {
                out.segments.push(Segment { text: out.text.len(), file: at, line, made_up: true });
                out.text.extend_from_slice(format!("{LINE_MARK}{piece_no})\n").as_bytes());
            }
            let window = &input[at..input.len().min(at + PIECE)];
            let newline = window.iter().position(|&b| b == b'\n');
            let piece = &window[..newline.map_or(window.len(), |i| i + 1)];
            let goes_on = out.piece(piece, at, line, joined);
            mark = joined && !goes_on;
            joined = goes_on;
            at += piece.len();
            line += u32::from(newline.is_some());
        }
        out
    }

    /// Takes one piece; says whether the next one belongs to the same line.
    fn piece(&mut self, piece: &[u8], at: usize, line: u32, joined: bool) -> bool {
        let seen = &piece[..piece.iter().position(|&b| b == 0).unwrap_or(piece.len())];
        let lead = if joined { seen.iter().take_while(|b| is_space(**b)).count() } else { 0 };
        let end = seen.iter().rposition(|b| !is_space(*b)).map_or(lead, |i| (i + 1).max(lead));
        let goes_on = end > lead && seen[end - 1] == b'\\';
        let end = if goes_on { end - 1 } else { end };
        self.segments.push(Segment { text: self.text.len(), file: at + lead, line, made_up: false });
        self.text.extend_from_slice(&seen[lead..end]);
        // A joined line of which a NUL leaves nothing is no end of the joining.
        let goes_on = goes_on || (joined && seen.is_empty());
        if !goes_on {
            self.segments.push(Segment { text: self.text.len(), file: at + end, line, made_up: false });
            self.text.push(b'\n');
        }
        goes_on
    }

    fn segment(&self, text: usize) -> Option<&Segment> {
        let i = self.segments.partition_point(|s| s.text <= text);
        self.segments.get(i.checked_sub(1)?)
    }

    /// Line of the file, from 1.
    pub fn line(&self, text: usize) -> u32 {
        self.segment(text).map_or(1, |s| s.line)
    }

    /// The bytes of the file from which a run of the text was made, without what was dropped around it.
    pub fn file_span(&self, text: Range<usize>) -> Range<usize> {
        let start = self.file_offset(text.start);
        let end = if text.end > text.start { self.file_end(text.end - 1) } else { start };
        start..end.clamp(start, self.len.max(start))
    }

    fn file_offset(&self, text: usize) -> usize {
        self.segment(text).map_or(0, |s| s.file + if s.made_up { 0 } else { text - s.text }).min(self.len)
    }

    /// Behind the byte of the file that gave the byte at `text`.
    fn file_end(&self, text: usize) -> usize {
        let made_up = self.segment(text).is_some_and(|s| s.made_up);
        self.file_offset(text) + usize::from(!made_up)
    }
}

/// As `isspace` of the C locale.
fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &[u8]) -> String {
        String::from_utf8_lossy(&Lines::new(input).text).into_owned()
    }

    #[test]
    fn joins_trims_and_cuts() {
        assert_eq!(text(b"a \r\nb"), "a\nb\n");
        assert_eq!(text(b"a \\\n   b\nc"), "a b\nPreprocFileLineNumber(3)\nc\n");
        assert_eq!(text(b"a\0rest\nb"), "a\nb\n");
        assert_eq!(text(b"# note \\\n*.* /x\n"), "# note *.* /x\n");
        assert_eq!(text(b"\n \n"), "\n\n");
    }

    #[test]
    fn long_lines_fall_apart() {
        let mut input = vec![b'a'; PIECE];
        input.extend_from_slice(b"bb\nc\n");
        let lines = Lines::new(&input);
        assert_eq!(lines.text.len(), PIECE + 1 + 3 + 2);
        assert_eq!(lines.line(PIECE + 1), 1);
        assert_eq!(lines.line(PIECE + 4), 2);
    }

    #[test]
    fn knows_its_way_back() {
        let lines = Lines::new(b"ab \\\n  cd\nef");
        assert_eq!(lines.text, b"ab cd\nPreprocFileLineNumber(3)\nef\n");
        assert_eq!(lines.file_span(0..2), 0..2);
        assert_eq!(lines.file_span(0..5), 0..9);
        assert_eq!(lines.file_span(3..5), 7..9);
        assert_eq!(lines.file_span(6..31), 10..10);
        assert_eq!(lines.file_span(31..33), 10..12);
        assert_eq!((lines.line(1), lines.line(3), lines.line(31)), (1, 2, 3));
    }
}
