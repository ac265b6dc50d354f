//! Quoted texts and numbers as the daemon reads them.

use crate::syslog::Text;

/// The text between quotes, escapes resolved as the daemon resolves them.
pub(in crate::syslog::rsyslog) fn unquote(quoted: &Text) -> Text {
    let inner = quoted.as_bytes();
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
    Text(unescape(inner))
}

/// Backslash sequences. A digit that does not start a full octal number gives what the daemon's arithmetic gives.
pub(in crate::syslog::rsyslog) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while let Some(&b) = text.get(i) {
        i += 1;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let Some(&e) = text.get(i) else {
            out.push(b'\\');
            break;
        };
        i += 1;
        out.push(match e {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'\'' | b'"' | b'?' | b'$' | b'\\' => e,
            b'x' | b'X' | b'0'..=b'7' => {
                let (radix, digits) =
                    if e.is_ascii_digit() { (8, text.get(i - 1..i + 2)) } else { (16, text.get(i..i + 2)) };
                match digits.and_then(|d| u32::from_str_radix(std::str::from_utf8(d).ok()?, radix).ok()) {
                    Some(value) => {
                        i += 2;
                        value as u8
                    }
                    None => b'?',
                }
            }
            _ => b'?',
        });
    }
    out
}

/// As `strtoll` with base 0: octal and hexadecimal by prefix, clamped.
pub(super) fn number(text: &[u8]) -> i64 {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => (rest, 8),
        _ => (text, 10),
    };
    let digits = std::str::from_utf8(digits).unwrap_or("0");
    i64::from_str_radix(digits, radix).unwrap_or(i64::MAX)
}
