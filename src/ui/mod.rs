//! The terminal: the only module that prints or asks. Results go to stdout, everything said along the way to stderr;
//! colour only ever repeats what a word or a glyph already says.
#![allow(clippy::disallowed_macros)] // this module is what the bans protect

mod ask;
mod progress;
pub mod text;

use std::io::{self, IsTerminal, Write};

pub use ask::AskError;
pub use progress::Progress;
pub use text::{Tone, wrap};

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is `dumb`
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How the program talks: set once from the command line.
#[derive(Debug, Clone)]
pub struct Ui {
    out_color: bool,
    err_color: bool,
    quiet: bool,
    verbosity: u8,
    terminal: bool,
    /// Results are said along the way: stdout belongs to something else.
    aside: bool,
}

impl Ui {
    pub fn new(color: ColorChoice, quiet: bool, verbosity: u8) -> Self {
        let plain = |tty: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                tty && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                    && std::env::var_os("TERM").is_none_or(|v| v != "dumb")
            }
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Ui {
            out_color: plain(out),
            err_color: plain(err),
            quiet,
            verbosity,
            terminal: io::stdin().is_terminal() && err,
            aside: false,
        }
    }

    /// The same, but with results on stderr, for what happens while stdout waits for one object.
    pub fn aside(&self) -> Ui {
        Ui { aside: true, out_color: self.err_color, ..self.clone() }
    }

    /// May results be coloured?
    pub fn out_color(&self) -> bool {
        self.out_color
    }

    /// Columns of the terminal that shows results; 80 where there is none.
    pub fn width(&self) -> usize {
        match console::Term::stdout().size_checked() {
            Some((_, columns)) if columns >= 20 => usize::from(columns),
            _ => 80,
        }
    }

    /// May marks beyond ASCII be used? The locale decides, as for every other program on the terminal.
    pub fn unicode(&self) -> bool {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }

    pub fn quiet(&self) -> bool {
        self.quiet
    }

    pub fn verbose(&self) -> bool {
        self.verbosity > 0
    }

    /// Writes a result to stdout. A reader that has gone away is no error.
    pub fn result(&self, text: &str) -> io::Result<()> {
        if self.aside {
            self.to_stderr(text.trim_end());
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Something the user may want to know while the program works; silent under `-q`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.to_stderr(text);
        }
    }

    /// Detail for `-v`.
    pub fn detail(&self, text: &str) {
        if self.verbosity > 0 && !self.quiet {
            self.to_stderr(&self.paint_err(Tone::Dim, text));
        }
    }

    /// Something that works but will hurt.
    pub fn warn(&self, text: &str) {
        self.to_stderr(&format!("{} {text}", self.paint_err(Tone::Warn, "warning:")));
    }

    /// The error that ends the run, its causes, and what to do about it.
    pub fn error(&self, error: &anyhow::Error) {
        let mut said: Vec<String> = Vec::new();
        let mut hints: Vec<String> = Vec::new();
        for cause in error.chain() {
            let text = text::visible(&cause.to_string());
            let (hint, plain): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.starts_with("hint: "));
            let plain = plain.join("\n");
            // an error that shows its own source repeats it
            if !plain.is_empty() && !said.iter().any(|s| s.ends_with(&plain)) {
                said.push(plain);
            }
            hints.extend(hint.into_iter().map(str::to_owned));
        }
        hints.dedup();
        let mut lines = format!("{} {}", self.paint_err(Tone::Bad, "error:"), said.join("\n  because: "));
        for hint in hints.iter().filter_map(|h| h.strip_prefix("hint: ")) {
            lines.push_str(&format!("\n{} {hint}", self.paint_err(Tone::Good, "hint:")));
        }
        self.to_stderr(&lines);
    }

    /// Colours one piece of text for stdout.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        text::paint(self.out_color, tone, text)
    }

    fn paint_err(&self, tone: Tone, text: &str) -> String {
        text::paint(self.err_color, tone, text)
    }

    fn to_stderr(&self, text: &str) {
        let mut err = io::stderr().lock();
        // nobody is left to tell when stderr itself is gone
        let _ = writeln!(err, "{text}");
    }
}
