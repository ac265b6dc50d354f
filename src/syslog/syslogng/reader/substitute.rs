//! Values in the place of references in backticks.

use crate::syslog::syslogng::lex::{self, Kind};

/// Puts values in the place of `` `NAME` `` (two backticks stand for one), quoting them for the string they stand in.
/// Also gives the names nobody knows; nothing stands for those.
pub fn substitute(text: &[u8], lookup: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut out = Vec::with_capacity(text.len());
    let mut missing = Vec::new();
    let mut quote: Option<u8> = None;
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        if b == b'`' {
            let end = at + 1 + text[at + 1..].iter().take_while(|b| **b != b'`').count();
            let name = &text[at + 1..end.min(text.len())];
            match lookup(name) {
                _ if name.is_empty() => out.push(b'`'),
                Some(value) => put(&mut out, &value, quote),
                None => missing.push(name.to_vec()),
            }
            at = end + 1;
            continue;
        }
        match (quote, b) {
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(b'"'), b'\\') => {
                out.push(b);
                at += 1;
                if let Some(&escaped) = text.get(at) {
                    out.push(escaped);
                }
                at += 1;
                continue;
            }
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
        out.push(b);
        at += 1;
    }
    (out, missing)
}

/// A value inside a string: where the value is one string itself, its content is put in, quoted anew.
fn put(out: &mut Vec<u8>, value: &[u8], quote: Option<u8>) {
    let single = {
        let tokens = lex::tokens(value);
        match tokens.as_slice() {
            [t] if matches!(t.kind, Kind::Str | Kind::RawStr) => Some(lex::value(t.kind, value)),
            _ => None,
        }
    };
    match (quote, single) {
        (None, _) | (_, None) => out.extend_from_slice(value),
        (Some(b'"'), Some(content)) => {
            for b in content {
                match b {
                    b'"' | b'\\' => out.extend([b'\\', b]),
                    b'\n' => out.extend(*b"\\n"),
                    b'\r' => out.extend(*b"\\r"),
                    b => out.push(b),
                }
            }
        }
        (Some(_), Some(content)) => out.extend(content),
    }
}
