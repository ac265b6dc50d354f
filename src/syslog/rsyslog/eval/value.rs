//! Values and what the operators make of them: texts, numbers, and not known.

use crate::syslog::rsyslog::ast::Op;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    Text(Vec<u8>),
    Number(i64),
    /// A number that was stored in a variable; it compares with a text as text.
    Stored(i64),
    Unknown,
}

/// Yes, no, or not known.
pub type Maybe = Option<bool>;

impl Val {
    /// As a text; `None` where unknown.
    pub fn text(&self) -> Option<Vec<u8>> {
        match self {
            Val::Text(t) => Some(t.clone()),
            Val::Number(n) | Val::Stored(n) => Some(n.to_string().into_bytes()),
            Val::Unknown => None,
        }
    }

    /// As a number, and whether all of a text was one.
    pub(super) fn number(&self) -> Option<(i64, bool)> {
        match self {
            Val::Text(t) => Some(leading_number(t)),
            Val::Number(n) | Val::Stored(n) => Some((*n, true)),
            Val::Unknown => None,
        }
    }

    /// For `and`, `or`, `not`.
    pub fn truth(&self) -> Maybe {
        self.number().map(|(n, _)| n != 0)
    }

    /// For `if`, which looks at the lowest eight bits of a number only.
    pub fn holds(&self) -> Maybe {
        self.number().map(|(n, _)| n as u8 != 0)
    }
}

/// Digits at the start, with a minus; true where nothing else is there. An empty text is 0.
pub(super) fn leading_number(text: &[u8]) -> (i64, bool) {
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let n = digits[..len].iter().fold(0i64, |n, d| n.wrapping_mul(10).wrapping_add(i64::from(d - b'0')));
    (n.wrapping_mul(sign), len == digits.len())
}

pub(super) fn flag(value: Maybe) -> Val {
    value.map_or(Val::Unknown, |b| Val::Number(i64::from(b)))
}

pub(super) fn and(a: Maybe, b: Maybe) -> Maybe {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

pub(super) fn or(a: Maybe, b: Maybe) -> Maybe {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

pub(super) fn arithmetic(left: &Val, op: Op, right: &Val) -> Val {
    let (Some((l, _)), Some((r, _))) = (left.number(), right.number()) else { return Val::Unknown };
    Val::Number(match op {
        Op::Add => l.wrapping_add(r),
        Op::Sub => l.wrapping_sub(r),
        Op::Mul => l.wrapping_mul(r),
        // Dividing by zero gives zero.
        Op::Div => l.checked_div(r).unwrap_or(0),
        _ => l.checked_rem(r).unwrap_or(0),
    })
}

/// As numbers where both are numbers through and through, else as texts.
pub(super) fn order(left: &Val, right: &Val) -> Option<std::cmp::Ordering> {
    match (left.number()?, right.number()?) {
        // The daemon looks at the low 32 bits of the difference.
        ((l, true), (r, true)) => Some((l.wrapping_sub(r) as i32).cmp(&0)),
        _ => Some(left.text()?.cmp(&right.text()?)),
    }
}

/// `==` and `!=`. Of two texts `!=` gives not 1 but how they differ.
pub(super) fn compare(left: &Val, equal: bool, right: &Val) -> Val {
    let texts = |l: &[u8], r: &[u8]| match (difference(l, r), equal) {
        (0, _) => Val::Number(i64::from(equal)),
        (_, true) => Val::Number(0),
        (n, false) => Val::Number(n),
    };
    let numbers = |l: i64, r: i64| Val::Number(i64::from((l == r) == equal));
    match (left, right) {
        (Val::Unknown, _) | (_, Val::Unknown) => Val::Unknown,
        (Val::Text(l), Val::Text(r)) => texts(l, r),
        (Val::Stored(l), Val::Text(r)) => texts(l.to_string().as_bytes(), r),
        (Val::Number(l), Val::Text(r)) => match leading_number(r) {
            (n, true) => numbers(*l, n),
            _ => texts(r, l.to_string().as_bytes()),
        },
        (Val::Text(l), Val::Number(r)) => match leading_number(l) {
            (n, true) => numbers(n, *r),
            _ => texts(l, r.to_string().as_bytes()),
        },
        (Val::Text(l), Val::Stored(r)) if !leading_number(l).1 => texts(l, r.to_string().as_bytes()),
        // The daemon takes a stored number on the right for something else: not to be relied on.
        (_, Val::Stored(_)) => Val::Unknown,
        (Val::Number(l) | Val::Stored(l), Val::Number(r)) => numbers(*l, *r),
    }
}

/// First difference of two texts, as the daemon's library counts it.
pub(super) fn difference(left: &[u8], right: &[u8]) -> i64 {
    match left.iter().zip(right).find(|(l, r)| l != r) {
        Some((l, r)) => i64::from(*l) - i64::from(*r),
        None => left.len().cmp(&right.len()) as i64,
    }
}

/// Is the text in the list, as a binary search sees it? (Lists in parameters of functions are not sorted.)
pub(super) fn bisect(items: &[&[u8]], text: &[u8]) -> bool {
    let (mut low, mut high) = (0, items.len());
    while low < high {
        let middle = (low + high) / 2;
        match text.cmp(items[middle]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => high = middle,
            std::cmp::Ordering::Greater => low = middle + 1,
        }
    }
    false
}
