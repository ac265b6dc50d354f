//! Text for terminals: colour as an addition, wrapping at a width, and control bytes made visible so that nothing the
//! host says can drive the terminal.

/// What a piece of text means; the colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warn,
    Bad,
    Strong,
    Dim,
}

/// `text` in the colour of its tone, or as it is where colour is off.
pub fn paint(color: bool, tone: Tone, text: &str) -> String {
    if !color {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
        Tone::Strong => "1",
        Tone::Dim => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Control characters (also the C1 range and the bidi overrides) as visible escapes; tabs and line ends stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}

/// Breaks `text` at blanks so that no line is wider than `width`, each line after the first begun with `indent`
/// blanks. Words longer than a line stay whole: a path or a command must remain copyable.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    for (n, paragraph) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
        }
        let mut column = indent;
        for (i, word) in paragraph.split(' ').enumerate() {
            let len = console::measure_text_width(word);
            if i > 0 {
                if column + 1 + len > width && column > indent {
                    out.push('\n');
                    out.push_str(&" ".repeat(indent));
                    column = indent;
                } else {
                    out.push(' ');
                    column += 1;
                }
            }
            out.push_str(word);
            column += len;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_become_visible() {
        assert_eq!(visible("a\x1b[31mb\u{9b}c\u{202e}d\te\n"), "a\\u{1b}[31mb\\u{9b}c\\u{202e}d\te\n");
    }

    #[test]
    fn wraps_at_blanks_and_keeps_long_words() {
        assert_eq!(wrap("one two three", 8, 2), "one\n  two\n  three");
        assert_eq!(wrap("/a/very/long/path x", 6, 0), "/a/very/long/path\nx");
    }

    #[test]
    fn no_colour_means_no_escape() {
        assert_eq!(paint(false, Tone::Bad, "fail"), "fail");
        assert!(paint(true, Tone::Bad, "fail").contains("\x1b[31m"));
    }
}
