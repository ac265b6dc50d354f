//! Templates: text with `$NAME`, `${NAME:-default}` and `$(function …)` in it.

use super::event::SampleEvent;
use crate::syslog::Text;

/// The text a template makes of an event; `None` where a part of it is not known.
pub fn expand(template: &Text, event: &SampleEvent) -> Option<Vec<u8>> {
    let text = template.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        at += 1;
        if b != b'$' {
            out.push(b);
            continue;
        }
        match text.get(at) {
            Some(b'$') => {
                out.push(b'$');
                at += 1;
            }
            Some(b'{') => {
                let end = text[at..].iter().position(|b| *b == b'}')? + at;
                out.extend(reference(&text[at + 1..end], event)?);
                at = end + 1;
            }
            Some(b'(') => {
                let end = closing(text, at)?;
                out.extend(function(&text[at + 1..end], event)?);
                at = end + 1;
            }
            Some(b) if b.is_ascii_alphanumeric() || *b == b'_' => {
                let digits = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                let word = text[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                let n = if digits > 0 && digits == word { digits } else { word };
                out.extend(reference(&text[at..at + n], event)?);
                at += n;
            }
            _ => out.push(b'$'),
        }
    }
    Some(out)
}

/// `NAME`, `NAME:-default`, `NAME@target`
fn reference(name: &[u8], event: &SampleEvent) -> Option<Vec<u8>> {
    let (name, default) = match name.windows(2).position(|w| w == b":-") {
        Some(i) => (&name[..i], Some(&name[i + 2..])),
        None => (name, None),
    };
    let name = name.split(|b| *b == b'@').next().unwrap_or_default();
    let value = event.get(&Text::from(name))?.0;
    match default {
        Some(default) if value.is_empty() => Some(default.to_vec()),
        _ => Some(value),
    }
}

/// `or` takes the first argument that is not empty, signs reckon in whole numbers; other functions are not followed.
fn function(call: &[u8], event: &SampleEvent) -> Option<Vec<u8>> {
    let mut args = arguments(call).into_iter();
    match args.next()?.as_slice() {
        b"or" => first_filled(args, event),
        [sign @ (b'+' | b'-' | b'*' | b'/' | b'%')] => {
            let numbers: Option<Vec<i64>> = args.map(|arg| whole_number(&expand(&Text(arg), event)?)).collect();
            let sum = |a: i64, b: i64| match sign {
                b'+' => a.checked_add(b),
                b'-' => a.checked_sub(b),
                b'*' => a.checked_mul(b),
                b'/' => a.checked_div(b),
                _ => a.checked_rem(b),
            };
            let (first, others) = numbers.as_deref()?.split_first().map(|(f, o)| (*f, o.to_vec()))?;
            let result = others.into_iter().try_fold(first, sum)?;
            Some(result.to_string().into_bytes())
        }
        _ => None,
    }
}

fn whole_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn first_filled(args: impl Iterator<Item = Vec<u8>>, event: &SampleEvent) -> Option<Vec<u8>> {
    for arg in args {
        let value = expand(&Text(arg), event)?;
        if !value.is_empty() {
            return Some(value);
        }
    }
    Some(Vec::new())
}

fn closing(text: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, b) in text.iter().enumerate().skip(open) {
        match b {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

fn arguments(call: &[u8]) -> Vec<Vec<u8>> {
    let mut args: Vec<Vec<u8>> = Vec::new();
    let (mut quote, mut fresh, mut depth) = (None, true, 0usize);
    for &b in call {
        match (quote, b) {
            (None, b' ') if depth == 0 => {
                fresh = true;
                continue;
            }
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(q), b) if q == b => quote = None,
            (_, b) => {
                match b {
                    b'(' => depth += 1,
                    b')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if fresh {
                    args.push(Vec::new());
                }
                if let Some(last) = args.last_mut() {
                    last.push(b);
                }
                fresh = false;
                continue;
            }
        }
        if fresh {
            args.push(Vec::new());
            fresh = false;
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::syslogng::effective::Format;
    use crate::syslog::syslogng::event::Origin;

    #[test]
    fn macros_values_and_functions() {
        let mut event = SampleEvent::read(b"<164>Aug  1 10:00:00 fw1 CEF:0|V", &Origin::default(), Format::Rfc3164);
        event.set("x.y", b"");
        event.set("1", b"one");
        let made = |t: &str| expand(&t.into(), &event).map(|b| String::from_utf8_lossy(&b).into_owned());
        assert_eq!(made("<$PRI>$HOST $MSGHDR$MSG\n").as_deref(), Some("<164>fw1 CEF:0|V\n"));
        assert_eq!(
            made("${x.y:-none} $$ $1 ${1}2 $(or ${x.y} '' $HOST) $-").as_deref(),
            Some("none $ one one2 fw1 $-")
        );
        assert_eq!(made("$R_YEAR-$R_MONTH $(- $R_YEAR 1) $(+ $R_YEAR 1)").as_deref(), Some("2026-01 2025 2027"));
        assert_eq!(made("$(+ $(* 6 7) $(% 17 12)) $(/ 17 5)").as_deref(), Some("47 3"));
        assert_eq!((made("$(+ $HOST 1)"), made("$(/ 1 0)")), (None, None));
        assert_eq!(made("$(format-json --scope all)"), None);
        assert_eq!(made("$FULLDATE"), None);
        assert_eq!(made("${unclosed"), None);
    }
}
