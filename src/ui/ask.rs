//! Questions. Each has a flag that answers it, which the error names where nobody can be asked.

use super::Ui;
use crate::host::Secret;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// stdin or stderr is no terminal.
    #[error("cannot ask “{question}”: this is not a terminal")]
    NotATerminal { question: String },
    #[error("no answer: {0}")]
    Failed(String),
}

impl Ui {
    /// Asks a yes/no question on the terminal; Enter means no.
    pub fn confirm(&self, question: &str) -> Result<bool, AskError> {
        if !self.terminal {
            return Err(AskError::NotATerminal { question: question.to_owned() });
        }
        dialoguer::Confirm::new()
            .with_prompt(question)
            .default(false)
            .report(false)
            .interact_on(&console::Term::stderr())
            .map_err(|e| AskError::Failed(e.to_string()))
    }

    /// Asks for something that is not shown while it is typed.
    pub fn secret(&self, question: &str) -> Result<Secret, AskError> {
        if !self.terminal {
            return Err(AskError::NotATerminal { question: question.to_owned() });
        }
        dialoguer::Password::new()
            .with_prompt(question)
            .report(false)
            .interact_on(&console::Term::stderr())
            .map(Secret::new)
            .map_err(|e| AskError::Failed(e.to_string()))
    }
}
