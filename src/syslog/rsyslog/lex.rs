//! Splits configuration text into tokens exactly where the daemon's own scanner does: the longest match wins, the
//! earlier rule among equals, and what may stand somewhere depends on what came before (statement, expression, object).
//! That is how `/var/log/x` is an action in one place and two divisions in another. Nothing is lost: [`tokens`] covers
//! every byte of the file.

use std::ops::Range;

use super::lines::{LINE_MARK, Lines};

/// Which kind of text the scanner is in. It outlives a file: an include inside a block starts in the block's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Between statements.
    #[default]
    Statement,
    /// Inside `(…)` of an object.
    Object,
    /// Behind `if`, `set` and the like.
    Expr,
    /// Behind `call`.
    Call,
    /// Behind `reload_lookup_table`.
    Procedure,
    /// Behind `$IncludeConfig`.
    Include,
}

/// The scanner's memory between two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    pub mode: Mode,
    /// Inside `/* … */`.
    pub comment: bool,
}

/// Words with a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    If,
    Then,
    Else,
    Foreach,
    In,
    Do,
    Stop,
    Continue,
    Call,
    CallIndirect,
    Set,
    Reset,
    Unset,
    ReloadLookupTable,
    And,
    Or,
    Not,
    Exists,
    Contains,
    ContainsI,
    StartsWith,
    StartsWithI,
    EndsWith,
}

/// The objects of RainerScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    MainQueue,
    Timezone,
    Parser,
    Global,
    Template,
    Ruleset,
    Property,
    Constant,
    Input,
    Module,
    LookupTable,
    DynStats,
    PercentileStats,
    RateLimit,
    Include,
    Action,
}

impl ObjectKind {
    /// As written in a configuration.
    pub fn word(self) -> &'static str {
        OBJECTS.iter().find(|(_, k)| *k == self).map_or("", |(w, _)| w)
    }
}

const OBJECTS: [(&str, ObjectKind); 16] = [
    ("main_queue", ObjectKind::MainQueue),
    ("timezone", ObjectKind::Timezone),
    ("parser", ObjectKind::Parser),
    ("global", ObjectKind::Global),
    ("template", ObjectKind::Template),
    ("ruleset", ObjectKind::Ruleset),
    ("property", ObjectKind::Property),
    ("constant", ObjectKind::Constant),
    ("input", ObjectKind::Input),
    ("module", ObjectKind::Module),
    ("lookup_table", ObjectKind::LookupTable),
    ("dyn_stats", ObjectKind::DynStats),
    ("percentile_stats", ObjectKind::PercentileStats),
    ("ratelimit", ObjectKind::RateLimit),
    ("include", ObjectKind::Include),
    ("action", ObjectKind::Action),
];

const STATEMENT_WORDS: [(&str, Word, Mode); 11] = [
    ("if", Word::If, Mode::Expr),
    ("foreach", Word::Foreach, Mode::Expr),
    ("reload_lookup_table", Word::ReloadLookupTable, Mode::Procedure),
    ("stop", Word::Stop, Mode::Statement),
    ("else", Word::Else, Mode::Statement),
    ("call", Word::Call, Mode::Call),
    ("call_indirect", Word::CallIndirect, Mode::Expr),
    ("set", Word::Set, Mode::Expr),
    ("reset", Word::Reset, Mode::Expr),
    ("unset", Word::Unset, Mode::Expr),
    ("continue", Word::Continue, Mode::Statement),
];

const EXPR_WORDS: [(&str, Word); 12] = [
    ("then", Word::Then),
    ("do", Word::Do),
    ("or", Word::Or),
    ("and", Word::And),
    ("not", Word::Not),
    ("in", Word::In),
    ("exists", Word::Exists),
    ("contains", Word::Contains),
    ("contains_i", Word::ContainsI),
    ("startswith", Word::StartsWith),
    ("startswith_i", Word::StartsWithI),
    // Known to daemons from 8.2604 on; older ones stop with a syntax error.
    ("endswith", Word::EndsWith),
];

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Space,
    Comment,
    /// Bytes the daemon never sees: blanks at line ends, a backslash that joins lines, what stands behind a NUL.
    Dropped,
    /// A byte that means nothing here; the daemon reports it and goes on.
    Bad,
    /// A double-quoted text of an expression with a bare `$`; reported and left out.
    BadDollar,
    Word(Word),
    /// An object's name with its opening bracket.
    Begin(ObjectKind),
    /// The bracket that closes an object.
    EndObject,
    /// A parameter's or ruleset's name.
    Name,
    /// A quoted text, quotes included.
    Str,
    /// A text in backticks: `echo …` or `cat FILE`.
    Backtick,
    Number,
    Var,
    Func,
    /// An operator or bracket, one or two bytes.
    Punct,
    /// An action in the old form, to the end of the line for most of them.
    LegacyAction,
    /// `$Directive value`.
    Directive,
    /// `$RuleSet name`.
    LegacyRuleset,
    /// `$IncludeConfig`.
    IncludeDirective,
    IncludePath,
    /// `mail.info;…`
    PriFilter,
    /// `:property, operation, "value"`
    PropFilter,
    /// `!prog`
    BsdTag,
    /// `+host`, `-host`, `+*`
    BsdHost,
}

impl Kind {
    /// Does the grammar never see it?
    pub fn is_trivia(self) -> bool {
        matches!(self, Kind::Space | Kind::Comment | Kind::Dropped)
    }
}

/// One token of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Place in the file.
    pub span: Range<usize>,
}

/// All tokens of a file; their spans joined give the whole file, in order. Includes are not followed.
pub fn tokens(input: &[u8]) -> Vec<Token> {
    let lines = Lines::new(input);
    let (mut out, mut state, mut at, mut done) = (Vec::new(), State::default(), 0, 0);
    let push = |out: &mut Vec<Token>, kind, span: Range<usize>| {
        if !span.is_empty() {
            out.push(Token { kind, span });
        }
    };
    while let Some((kind, end)) = next(&lines.text, at, &mut state) {
        let span = lines.file_span(at..end);
        push(&mut out, Kind::Dropped, done..span.start.max(done));
        let span = span.start.max(done)..span.end.max(done);
        done = span.end;
        push(&mut out, kind, span);
        at = end;
    }
    push(&mut out, Kind::Dropped, done..input.len());
    out
}

/// The token at `at` and where it ends; `None` at the end of the text.
pub fn next(text: &[u8], at: usize, state: &mut State) -> Option<(Kind, usize)> {
    if at >= text.len() {
        return None;
    }
    if state.comment {
        let end = find(text, at, b"*/");
        state.comment = end.is_none();
        return Some((Kind::Comment, end.map_or(text.len(), |i| i + 2)));
    }
    Some(match state.mode {
        Mode::Statement => statement(text, at, state),
        Mode::Object => object(text, at, state),
        Mode::Expr => expr(text, at, state),
        Mode::Call => call(text, at, state),
        Mode::Procedure => procedure(text, at, state),
        Mode::Include => include(text, at, state),
    })
}

// ---- one mode each ----

fn statement(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    if let Some((kind, end)) = line_start(text, at) {
        return (kind, end);
    }
    if let Some(found) = word(text, at, state) {
        return found;
    }
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, statement_space(text, at)),
        b'&' | b'{' | b'}' => (Kind::Punct, at + 1),
        b'#' => match line_end(text, at) {
            end if end < text.len() => (Kind::Comment, end + 1),
            _ => (Kind::Bad, at + 1),
        },
        b'*' => (Kind::LegacyAction, at + 1),
        b'/' if text.get(at + 1) == Some(&b'*') => comment(at, state),
        // The byte behind the slash may be anything but a star, a line end included.
        b'/' if at + 1 < text.len() => (Kind::LegacyAction, run(text, at + 2, |b| b != b'\n')),
        b':' => colon_action(text, at),
        b'$' if text.get(at + 1).is_some_and(u8::is_ascii_alphabetic) => dollar(text, at, state),
        // What fails for one exclamation mark fails for all that follow it directly.
        b'!' => bsd_tag(text, at).unwrap_or_else(|| (Kind::Bad, run(text, at, |b| b == b'!'))),
        b'+' | b'-' => bsd_host(text, at).unwrap_or_else(|| rest_of_line_action(text, at)),
        b'|' | b'.' | b'@' | b'^' | b'?' | b'~' | b'>' => rest_of_line_action(text, at),
        _ => (Kind::Bad, at + 1),
    }
}

fn object(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        b'#' => (Kind::Comment, run(text, at, |b| b != b'\n')),
        b'/' if text.get(at + 1) == Some(&b'*') => comment(at, state),
        b')' => {
            state.mode = Mode::Statement;
            (Kind::EndObject, at + 1)
        }
        b',' | b'[' | b']' | b'=' => (Kind::Punct, at + 1),
        b'"' => quoted(text, at, b'"', Escapes::Object).map_or((Kind::Bad, at + 1), |end| (Kind::Str, end)),
        b'`' => quoted(text, at, b'`', Escapes::Object).map_or((Kind::Bad, at + 1), |end| (Kind::Backtick, end)),
        b if b.is_ascii_alphabetic() => {
            (Kind::Name, run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')))
        }
        _ => (Kind::Bad, at + 1),
    }
}

fn expr(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    let two = text.get(at..at + 2).unwrap_or_default();
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        b'/' if two == b"/*" => comment(at, state),
        b'=' | b'!' | b'<' | b'>' if matches!(two, b"==" | b"!=" | b"<=" | b">=" | b"<>") => (Kind::Punct, at + 2),
        b';' => {
            state.mode = Mode::Statement;
            (Kind::Punct, at + 1)
        }
        b'(' | b')' | b'[' | b']' | b'=' | b',' | b'*' | b'/' | b'%' | b'+' | b'&' | b'-' | b'<' | b'>' => {
            (Kind::Punct, at + 1)
        }
        b'0'..=b'9' => (Kind::Number, number(text, at)),
        b'$' => (Kind::Var, variable(text, at)),
        b'\'' => quoted(text, at, b'\'', Escapes::Expr).map_or((Kind::Bad, at + 1), |end| (Kind::Str, end)),
        b'`' => quoted(text, at, b'`', Escapes::Expr).map_or((Kind::Bad, at + 1), |end| (Kind::Backtick, end)),
        b'"' => match quoted(text, at, b'"', Escapes::Expr) {
            Some(end) if has_bare_dollar(&text[at..end]) => (Kind::BadDollar, end),
            Some(end) => (Kind::Str, end),
            None => (Kind::Bad, at + 1),
        },
        b if b.is_ascii_alphabetic() => {
            let end = run(text, at, |b| b.is_ascii_alphanumeric() || b == b'_');
            let found = EXPR_WORDS.iter().find(|(w, _)| text[at..end].eq_ignore_ascii_case(w.as_bytes()));
            if matches!(found, Some((_, Word::Then | Word::Do))) {
                state.mode = Mode::Statement;
            }
            (found.map_or(Kind::Func, |(_, w)| Kind::Word(*w)), end)
        }
        _ => (Kind::Bad, at + 1),
    }
}

fn call(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        // A name of one letter is refused: the rule for stray bytes stands before the one for names.
        b => match run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            end if b.is_ascii_alphabetic() && end > at + 1 => {
                state.mode = Mode::Statement;
                (Kind::Name, end)
            }
            _ => (Kind::Bad, at + 1),
        },
    }
}

fn procedure(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    match text[at] {
        b' ' | b'\t' | b'\n' => (Kind::Space, run(text, at, is_blank)),
        b'(' | b',' => (Kind::Punct, at + 1),
        b')' => {
            state.mode = Mode::Statement;
            (Kind::Punct, at + 1)
        }
        quote @ (b'"' | b'\'') => match quoted(text, at, quote, Escapes::Expr) {
            Some(end) if quote == b'\'' || !has_bare_dollar(&text[at..end]) => (Kind::Str, end),
            _ => (Kind::Bad, at + 1),
        },
        _ => (Kind::Bad, at + 1),
    }
}

fn include(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    if is_blank(text[at]) {
        return (Kind::Space, run(text, at, is_blank));
    }
    state.mode = Mode::Statement;
    (Kind::IncludePath, run(text, at, |b| !is_blank(b)))
}

// ---- pieces of the statement mode ----

fn at_line_start(text: &[u8], at: usize) -> bool {
    at == 0 || text.get(at - 1) == Some(&b'\n')
}

/// What the daemon looks for at the start of a line only: filters and `+host` lines. Leading blanks belong to them.
fn line_start(text: &[u8], at: usize) -> Option<(Kind, usize)> {
    if !at_line_start(text, at) {
        return None;
    }
    let first = run(text, at, |b| matches!(b, b' ' | b'\t'));
    match *text.get(first)? {
        b':' => property_filter(text, first).map(|end| (Kind::PropFilter, end)),
        b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
            // `root,some-user` is a list of users, not a filter: the longer match.
            let end = pri_filter(text, first).filter(|end| first > at || *end >= word_end(text, at))?;
            Some((Kind::PriFilter, end))
        }
        b'+' | b'-' => {
            let name = run(text, first + 1, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-'));
            let end = run(text, name, |b| matches!(b, b' ' | b'\t'));
            (name > first + 1 && text.get(end) == Some(&b'\n')).then_some((Kind::BsdHost, end))
        }
        _ => None,
    }
}

/// `:property, operation, "value"`. The value ends at a quote that no backslash precedes, or at the last quote there is.
fn property_filter(text: &[u8], colon: usize) -> Option<usize> {
    let blank = |b: u8| b == b' ';
    let name = if text.get(colon + 1) == Some(&b'$') { colon + 2 } else { colon + 1 };
    let name_end = run(text, name, |b| b.is_ascii_alphabetic() || b == b'-');
    let comma = run(text, name_end, blank);
    let op = run(text, comma + 1, blank);
    let op = if text.get(op) == Some(&b'!') { op + 1 } else { op };
    let op_end = run(text, op, |b| b.is_ascii_alphabetic());
    let comma2 = run(text, op_end, blank);
    let quote = run(text, comma2 + 1, blank);
    let shape = [(comma, b','), (comma2, b','), (quote, b'"')];
    if name_end == name || op_end == op || shape.iter().any(|(i, b)| text.get(*i) != Some(b)) {
        return None;
    }
    let mut last = None;
    for (i, _) in text.iter().enumerate().skip(quote + 1).filter(|(_, b)| **b == b'"') {
        last = Some(i + 1);
        if text[i - 1] != b'\\' {
            break;
        }
    }
    last
}

/// `facility.severity` and what may be strung to it.
fn pri_filter(text: &[u8], at: usize) -> Option<usize> {
    let facility = run(text, at, |b| b == b'*' || b.is_ascii_alphabetic());
    let digits = run(text, facility, |b| (b'0'..=b'7').contains(&b));
    if !matches!(text.get(digits), Some(b'.' | b',')) {
        return None;
    }
    let end = run(text, digits + 1, |b| {
        matches!(b, b',' | b'!' | b'=' | b';' | b'.' | b'*' | b'0'..=b'7') || b.is_ascii_alphabetic()
    });
    (end > digits + 1).then_some(end)
}

/// A keyword, an object with its bracket, or a word that is an action by itself (`root,admin`).
fn word(text: &[u8], at: usize, state: &mut State) -> Option<(Kind, usize)> {
    let first = text[at];
    if !(first.is_ascii_alphanumeric() || first == b'_') {
        return None;
    }
    if text.get(at..at + LINE_MARK.len()).is_some_and(|t| t.eq_ignore_ascii_case(LINE_MARK.as_bytes())) {
        return Some((Kind::Dropped, (run(text, at, |b| b != b')') + 1).min(text.len())));
    }
    let end = word_end(text, at);
    for (name, kind) in OBJECTS {
        let name_end = at + name.len();
        if text.get(at..name_end).is_some_and(|t| t.eq_ignore_ascii_case(name.as_bytes())) {
            let bracket = run(text, name_end, is_blank);
            if text.get(bracket) == Some(&b'(') && bracket + 1 > end {
                state.mode = Mode::Object;
                return Some((Kind::Begin(kind), bracket + 1));
            }
        }
    }
    match STATEMENT_WORDS.iter().find(|(name, ..)| text[at..end].eq_ignore_ascii_case(name.as_bytes())) {
        Some((_, word, mode)) => {
            state.mode = *mode;
            Some((Kind::Word(*word), end))
        }
        None => Some((Kind::LegacyAction, end)),
    }
}

fn word_end(text: &[u8], at: usize) -> usize {
    run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b',' | b';'))
}

/// Blanks up to where the next line starts with something that takes its blanks along.
fn statement_space(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() && is_blank(text[end]) && line_start(text, end).is_none() {
        end += 1;
    }
    end
}

fn comment(at: usize, state: &mut State) -> (Kind, usize) {
    state.comment = true;
    (Kind::Comment, at + 2)
}

/// `:omusrmsg:…` and other module actions.
fn colon_action(text: &[u8], at: usize) -> (Kind, usize) {
    let name = run(text, at + 1, |b| b.is_ascii_alphanumeric());
    match name > at + 1 && text.get(name) == Some(&b':') {
        true => (Kind::LegacyAction, line_end(text, at)),
        false => (Kind::Bad, at + 1),
    }
}

fn rest_of_line_action(text: &[u8], at: usize) -> (Kind, usize) {
    match text[at] {
        b'+' => (Kind::Bad, at + 1),
        b => match line_end(text, at) {
            end if end > at + 1 || b == b'~' => (Kind::LegacyAction, end),
            _ => (Kind::Bad, at + 1),
        },
    }
}

fn dollar(text: &[u8], at: usize, state: &mut State) -> (Kind, usize) {
    let end = line_end(text, at);
    let line = &text[at..end];
    // Without a line end behind it (a text that is cut off) it is no directive.
    if end == text.len() {
        return (Kind::Bad, at + 1);
    }
    let starts = |name: &str| line.get(..name.len()).is_some_and(|l| l.eq_ignore_ascii_case(name.as_bytes()));
    if starts("$includeconfig") {
        state.mode = Mode::Include;
        return (Kind::IncludeDirective, at + "$includeconfig".len());
    }
    (if starts("$ruleset ") { Kind::LegacyRuleset } else { Kind::Directive }, end)
}

fn bsd_tag(text: &[u8], at: usize) -> Option<(Kind, usize)> {
    let name = run(text, at + 1, |b| !is_blank(b));
    let end = run(text, name, |b| matches!(b, b' ' | b'\t'));
    (name > at + 1 && text.get(end) == Some(&b'\n')).then_some((Kind::BsdTag, end))
}

/// `+*` or `-*`, alone on its line but for a comment that may even follow on a later line.
fn bsd_host(text: &[u8], at: usize) -> Option<(Kind, usize)> {
    if text.get(at + 1) != Some(&b'*') {
        return None;
    }
    let rest = run(text, at + 2, is_blank);
    if text.get(rest) == Some(&b'#') {
        return Some((Kind::BsdHost, run(text, rest, |b| b != b'\n')));
    }
    let newline = text.get(at + 2..rest)?.iter().rposition(|b| *b == b'\n')?;
    Some((Kind::BsdHost, at + 2 + newline))
}

// ---- pieces of the other modes ----

fn number(text: &[u8], at: usize) -> usize {
    let hex = run(text, at + 2, |b| b.is_ascii_hexdigit());
    if text[at] != b'0' {
        run(text, at, |b| b.is_ascii_digit())
    } else if matches!(text.get(at + 1), Some(b'x' | b'X')) && hex > at + 2 {
        hex
    } else {
        run(text, at + 1, |b| (b'0'..=b'7').contains(&b))
    }
}

/// `$msg`, `$!json!path`, `$.local`, `$/global`, `$$now`.
fn variable(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    if matches!(text.get(end), Some(b'$' | b'!' | b'.' | b'/')) {
        end += 1;
    }
    run(text, end, |b| b.is_ascii_alphanumeric() || matches!(b, b'!' | b'@' | b'-' | b'_' | b'.' | b'[' | b']'))
}

/// Which backslash sequences a text may hold; any other one makes the daemon refuse the opening quote.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Expr,
    Object,
}

/// End of a quoted text that starts at `at`.
fn quoted(text: &[u8], at: usize, quote: u8, escapes: Escapes) -> Option<usize> {
    let mut i = at + 1;
    loop {
        match *text.get(i)? {
            b if b == quote => return Some(i + 1),
            b'\\' => i += escape(&text[i..], quote, escapes)?,
            _ => i += 1,
        }
    }
}

/// Length of a backslash sequence.
fn escape(text: &[u8], quote: u8, escapes: Escapes) -> Option<usize> {
    let octal = |n: usize| text.get(1..1 + n).is_some_and(|t| t.iter().all(|b| (b'0'..=b'7').contains(b)));
    let plain: &[u8] = match (escapes, quote) {
        (Escapes::Expr, b'`') => b"'`\"\\bntr",
        (Escapes::Expr, _) => b"'\"\\$bntr",
        (Escapes::Object, b'`') => b"'`?\\abfnrtv",
        (Escapes::Object, _) => b"'\"?\\abfnrtv",
    };
    let hex = text.get(2..4).is_some_and(|t| t.iter().all(u8::is_ascii_hexdigit));
    match *text.get(1)? {
        b if plain.contains(&b) => Some(2),
        b'x' | b'X' if escapes == Escapes::Expr && hex => Some(4),
        _ if escapes == Escapes::Expr && octal(3) => Some(4),
        // One to three digits; the digits behind the first are plain bytes to the scan.
        _ if escapes == Escapes::Object && octal(1) => Some(2),
        _ => None,
    }
}

/// A `$` without a backslash in a double-quoted text.
fn has_bare_dollar(quoted: &[u8]) -> bool {
    let mut bytes = quoted.iter();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => {
                bytes.next();
            }
            b'$' => return true,
            _ => {}
        }
    }
    false
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n')
}

/// First place from `at` on whose byte does not belong.
fn run(text: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let at = at.min(text.len());
    at + text[at..].iter().position(|b| !belongs(*b)).unwrap_or(text.len() - at)
}

fn line_end(text: &[u8], at: usize) -> usize {
    run(text, at, |b| b != b'\n')
}

fn find(text: &[u8], at: usize, needle: &[u8]) -> Option<usize> {
    text.get(at..)?.windows(needle.len()).position(|w| w == needle).map(|i| at + i)
}

#[cfg(test)]
mod tests;
