//! The words and kinds of tokens of the language.

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

pub(super) const OBJECTS: [(&str, ObjectKind); 16] = [
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

pub(super) const STATEMENT_WORDS: [(&str, Word, Mode); 11] = [
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

pub(super) const EXPR_WORDS: [(&str, Word); 12] = [
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
