//! What a judgement says, before the catalogue's words and the runner's bookkeeping are added.

use crate::report::{Evidence, Fix, Status, clean, clean_bytes};

/// The result of one judgement.
pub type Judged = Result<Outcome, NotJudged>;

/// Why a check was not judged: neither good nor bad. A fact that is missing (`Err` with its reason) becomes `Unknown`
/// by `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotJudged {
    Unknown(String),
    /// Does not apply.
    Skip(String),
    /// Another check's fault stands in the way.
    Blocked(&'static str, String),
}

/// Two halves of one check as one: the worse one counts, what does not apply is left out.
pub fn both(first: Judged, second: Judged) -> Judged {
    let weight = |o: &Outcome| match o.status {
        Status::Pass => 0,
        Status::Skip => 1,
        Status::Unknown => 2,
        Status::Warn => 3,
        Status::Fail => 4,
    };
    match (first, second) {
        (Err(NotJudged::Skip(_)), other) | (other, Err(NotJudged::Skip(_))) => other,
        (Ok(a), Ok(b)) if a.status == Status::Pass && b.status == Status::Pass => {
            let mut one = Outcome::pass(format!("{}; {}", a.summary, b.summary));
            one.evidence = a.evidence.into_iter().chain(b.evidence).collect();
            Ok(one)
        }
        (Ok(a), Ok(b)) => Ok(if weight(&b) > weight(&a) { b } else { a }),
        (Err(_), Ok(o)) | (Ok(o), Err(_)) if o.status == Status::Fail => Ok(o),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

impl From<String> for NotJudged {
    fn from(reason: String) -> Self {
        NotJudged::Unknown(reason)
    }
}

impl From<&String> for NotJudged {
    fn from(reason: &String) -> Self {
        NotJudged::Unknown(reason.clone())
    }
}

impl From<NotJudged> for Outcome {
    fn from(why: NotJudged) -> Self {
        match why {
            NotJudged::Unknown(reason) => Outcome::unknown(reason),
            NotJudged::Skip(reason) => Outcome::skip(reason),
            NotJudged::Blocked(by, reason) => Outcome::blocked(by, reason),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: Status,
    pub summary: String,
    pub evidence: Vec<Evidence>,
    pub advice: Option<Advice>,
    /// The check whose fault stands in the way.
    pub blocked_by: Option<&'static str>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub summary: String,
    pub commands: Vec<String>,
    pub fixable: bool,
    /// What `--fix` does about it.
    pub fixes: Vec<Fix>,
}

impl Outcome {
    fn new(status: Status, summary: impl Into<String>) -> Self {
        Outcome { status, summary: summary.into(), evidence: Vec::new(), advice: None, blocked_by: None }
    }
    pub fn pass(summary: impl Into<String>) -> Self {
        Outcome::new(Status::Pass, summary)
    }
    pub fn warn(summary: impl Into<String>) -> Self {
        Outcome::new(Status::Warn, summary)
    }
    pub fn fail(summary: impl Into<String>) -> Self {
        Outcome::new(Status::Fail, summary)
    }
    pub fn unknown(summary: impl Into<String>) -> Self {
        Outcome::new(Status::Unknown, summary)
    }
    /// Does not apply; `summary` says why.
    pub fn skip(summary: impl Into<String>) -> Self {
        Outcome::new(Status::Skip, summary)
    }
    /// Cannot be judged because of what another check found.
    pub fn blocked(by: &'static str, summary: impl Into<String>) -> Self {
        Outcome { blocked_by: Some(by), ..Outcome::new(Status::Skip, summary) }
    }

    pub fn seen(mut self, source: impl AsRef<str>, text: impl AsRef<[u8]>) -> Self {
        self.evidence.push(Evidence { source: clean(source.as_ref()), text: clean_bytes(text.as_ref()) });
        self
    }
    pub fn seen_all<S: AsRef<str>, T: AsRef<[u8]>>(self, items: impl IntoIterator<Item = (S, T)>) -> Self {
        items.into_iter().fold(self, |out, (source, text)| out.seen(source, text))
    }

    /// What to do, in words; commands follow with [`Outcome::command`].
    pub fn advise(mut self, summary: impl Into<String>) -> Self {
        self.advice = Some(Advice { summary: summary.into(), commands: Vec::new(), fixable: false, fixes: Vec::new() });
        self
    }
    pub fn command(mut self, command: impl Into<String>) -> Self {
        if let Some(advice) = &mut self.advice {
            advice.commands.push(command.into());
        }
        self
    }
    /// `install` mends it.
    pub fn fixable(self) -> Self {
        self.fix(Fix::Install)
    }

    /// The same, where it is so.
    pub fn fixable_if(self, ours: bool) -> Self {
        if ours { self.fixable() } else { self }
    }
    pub fn fix_all(self, fixes: impl IntoIterator<Item = Fix>) -> Self {
        fixes.into_iter().fold(self, Outcome::fix)
    }
    /// `--fix` mends it this way; said more than once: all of them, in this order.
    pub fn fix(mut self, fix: Fix) -> Self {
        if let Some(advice) = &mut self.advice {
            advice.fixable = true;
            advice.fixes.push(fix);
        }
        self
    }
}
