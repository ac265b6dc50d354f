//! The functions of RainerScript.

use super::value::{Maybe, Val, flag};
use super::{Env, names};
use crate::syslog::rsyslog::ast::Expr;
use crate::syslog::rsyslog::filter::PriFilter;
use crate::syslog::rsyslog::posix::{Pattern, Syntax};
use crate::syslog::rsyslog::template;

impl Env<'_> {
    pub(super) fn call(&self, name: &str, args: &[Expr]) -> Val {
        let known = names::function(name.as_bytes()).is_some_and(|f| f.params.contains(&args.len()));
        if !known {
            return Val::Unknown;
        }
        let text = |i: usize| args.get(i).and_then(|a| self.eval_as(a, false).text());
        let number = |i: usize| args.get(i).and_then(|a| self.eval_as(a, false).number()).map(|(n, _)| n);
        let as_text = |value: Option<Vec<u8>>| value.map_or(Val::Unknown, Val::Text);
        let as_number = |value: Option<i64>| value.map_or(Val::Unknown, Val::Number);
        match name {
            "strlen" => as_number(text(0).map(|t| t.len() as i64)),
            "tolower" => as_text(text(0).map(|t| t.to_ascii_lowercase())),
            "toupper" => as_text(text(0).map(|t| t.to_ascii_uppercase())),
            "cstr" => as_text(text(0)),
            "cnum" => as_number(number(0)),
            "ltrim" => as_text(text(0).map(|t| trim(&t, true, false))),
            "rtrim" => as_text(text(0).map(|t| trim(&t, false, true))),
            "replace" => as_text(zip3(text(0), text(1), text(2)).map(|(t, f, r)| replace(&t, &f, &r))),
            "wrap" => as_text(self.wrap(args)),
            "substring" => as_text(zip3(text(0), number(1), number(2)).map(|(t, s, l)| substring(&t, s, l))),
            "field" => as_text(self.field(args)),
            "re_match" | "re_match_i" => flag(self.re_match(args, name == "re_match_i")),
            "re_extract" | "re_extract_i" => self.re_extract(args, name == "re_extract_i"),
            "prifilt" => match args.first() {
                Some(Expr::Text(t)) => flag(self.pri(&PriFilter::parse(t).0)),
                _ => Val::Unknown,
            },
            "exec_template" => match args.first() {
                Some(Expr::Text(t)) => as_text(template::render(self, t)),
                _ => Val::Unknown,
            },
            "int2hex" => match args.first().and_then(|a| self.eval_as(a, false).number()) {
                Some((n, true)) => Val::Text(format!("{n:x}").into_bytes()),
                Some((_, false)) => Val::Text(b"NAN".to_vec()),
                None => Val::Unknown,
            },
            "num2ipv4" => as_text(args.first().and_then(|a| self.eval_as(a, false).number()).map(|(n, whole)| {
                let ip = u32::try_from(n).ok().filter(|_| whole);
                ip.map_or("-1".to_owned(), |n| std::net::Ipv4Addr::from(n).to_string()).into_bytes()
            })),
            "ip42num" | "ipv42num" => as_number(text(0).map(|t| {
                let ip = std::str::from_utf8(&t).ok().and_then(|t| t.trim().parse::<std::net::Ipv4Addr>().ok());
                ip.map_or(-1, |ip| i64::from(u32::from(ip)))
            })),
            _ => Val::Unknown,
        }
    }

    fn wrap(&self, args: &[Expr]) -> Option<Vec<u8>> {
        let mut text = self.eval_as(args.first()?, false).text()?;
        let around = self.eval_as(args.get(1)?, false).text()?;
        if let Some(escaped) = args.get(2) {
            text = replace(&text, &around, &self.eval_as(escaped, false).text()?);
        }
        Some([around.as_slice(), &text, &around].concat())
    }

    fn field(&self, args: &[Expr]) -> Option<Vec<u8>> {
        let text = self.eval_as(args.first()?, false).text()?;
        let delimiter = match self.eval_as(args.get(1)?, false) {
            Val::Text(t) => t,
            Val::Unknown => return None,
            other => vec![other.number()?.0 as u8],
        };
        let wanted = self.eval_as(args.get(2)?, false).number()?.0;
        let found = usize::try_from(wanted - 1).ok().and_then(|i| split(&text, &delimiter).nth(i));
        Some(found.unwrap_or(b"***FIELD NOT FOUND***").to_vec())
    }

    fn pattern(&self, args: &[Expr], ignore_case: bool) -> Option<Pattern> {
        match args.get(1)? {
            Expr::Text(t) => Pattern::new(t.as_bytes(), Syntax::Extended, ignore_case),
            _ => None,
        }
    }

    fn re_match(&self, args: &[Expr], ignore_case: bool) -> Maybe {
        let text = self.eval_as(args.first()?, false).text()?;
        Some(self.pattern(args, ignore_case)?.is_match(&text))
    }

    /// `re_extract(text, pattern, match, group, default)`
    fn re_extract(&self, args: &[Expr], ignore_case: bool) -> Val {
        let otherwise =
            || args.get(4).map_or(Val::Unknown, |d| self.eval_as(d, false).text().map_or(Val::Unknown, Val::Text));
        let number = |i: usize| args.get(i).and_then(|a| self.eval_as(a, false).number()).map(|(n, _)| n);
        let text = args.first().and_then(|a| self.eval_as(a, false).text());
        let (Some(text), Some(nth), Some(group)) = (text, number(2), number(3)) else { return Val::Unknown };
        let Some(pattern) = self.pattern(args, ignore_case) else { return Val::Unknown };
        let Ok(group) = usize::try_from(group) else { return Val::Unknown };
        let mut rest = &text[..];
        for _ in 0..nth.clamp(0, 1000) {
            let Some(end) = pattern.captures(rest).and_then(|c| c.first()?.clone()) else { return otherwise() };
            rest = &rest[end.end..];
        }
        match pattern.captures(rest).and_then(|c| c.get(group).cloned().flatten()) {
            Some(range) if group < 50 => Val::Text(rest[range].to_vec()),
            _ => otherwise(),
        }
    }
}

fn trim(text: &[u8], left: bool, right: bool) -> Vec<u8> {
    let start = if left { text.iter().take_while(|b| **b == b' ').count() } else { 0 };
    let cut = if right { text[start..].iter().rev().take_while(|b| **b == b' ').count() } else { 0 };
    text[start..text.len() - cut].to_vec()
}

fn replace(text: &[u8], find: &[u8], with: &[u8]) -> Vec<u8> {
    if find.is_empty() {
        return text.to_vec();
    }
    split(text, find).collect::<Vec<_>>().join(with)
}

/// Pieces between delimiters.
fn split<'a>(text: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = if delimiter.is_empty() { None } else { text.windows(delimiter.len()).position(|w| w == delimiter) };
        rest = at.map(|at| &text[at + delimiter.len()..]);
        Some(&text[..at.unwrap_or(text.len())])
    })
}

/// A negative length counts from the end.
fn substring(text: &[u8], start: i64, len: i64) -> Vec<u8> {
    let total = text.len() as i64;
    let start = start.clamp(0, total);
    let len = if len < 0 { (total + len).max(0) } else { len };
    let end = start.saturating_add(len).min(total);
    text[start as usize..end as usize].to_vec()
}

fn zip3<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}
