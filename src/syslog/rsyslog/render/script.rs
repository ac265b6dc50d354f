//! The few pieces of RainerScript that the renderer is made of. The daemon has POSIX expressions only: no groups that do
//! not count, no looking ahead, and a text is cut out by the number of its group, so the numbers are counted here.

/// A RainerScript string. Backslash, quote and dollar sign mean something inside one.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `re_match(…)`: does `subject` (`$rawmsg`, `$.x`) hold the pattern?
pub fn matches(subject: &str, pattern: &str) -> String {
    format!("re_match({subject}, {})", quoted(pattern))
}

/// `re_extract(…)` of all that the pattern found; an empty text where it found nothing.
pub fn whole(subject: &str, pattern: &str) -> String {
    format!("re_extract({subject}, {}, 0, 0, \"\")", quoted(pattern))
}

/// `re_extract(…)` of the text that `(part)` found between `before` and `after`; `otherwise` (an expression) where the
/// whole was not found.
pub fn part(subject: &str, before: &str, part: &str, after: &str, otherwise: &str) -> String {
    let number = groups(before) + 1;
    format!("re_extract({subject}, {}, 0, {number}, {otherwise})", quoted(&format!("{before}({part}){after}")))
}

/// How many groups a pattern opens. Parentheses in a bracket expression open none; a `]` that comes first in one belongs
/// to it.
fn groups(pattern: &str) -> usize {
    let mut count = 0;
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '(' => count += 1,
            '[' => {
                let inside = rest.as_str();
                let first = inside.strip_prefix('^').unwrap_or(inside);
                let first = first.strip_prefix(']').unwrap_or(first);
                rest = first.split_once(']').map_or("", |(_, behind)| behind).chars();
            }
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted(r#"a\b"c$"#), r#""a\\b\"c\$""#);
    }

    #[test]
    fn the_group_is_found_by_its_number() {
        assert_eq!(part("$.x", "(a|[(])?", "b", "(c)", "\"\""), r#"re_extract($.x, "(a|[(])?(b)(c)", 0, 2, "")"#);
        assert_eq!(groups("[]](a)[^](]([)])[[]("), 3);
    }
}
