//! Expressions: operators by rank, functions, variables, lists.

use super::text::{number, unquote};
use super::{Parsed, Parser};
use crate::syslog::Text;
use crate::syslog::rsyslog::ast::{Expr, Op};
use crate::syslog::rsyslog::lex::{Kind, Word};

impl Parser<'_> {
    /// An expression whose operators rank at `rank` or above.
    pub(super) fn expr(&mut self, rank: u8) -> Parsed<Expr> {
        let mut left = self.deeper(Self::operand)?;
        while let Some((op, op_rank)) = self.operator().filter(|(_, r)| *r >= rank) {
            self.bump()?;
            let right = self.deeper(|p| p.expr(op_rank + 1))?;
            left = match left {
                Expr::Chain { first, mut rest } if rest.first().is_some_and(|(o, _)| op_ranks(*o) == op_rank) => {
                    rest.push((op, right));
                    Expr::Chain { first, rest }
                }
                left => Expr::Chain { first: Box::new(left), rest: vec![(op, right)] },
            };
        }
        Ok(left)
    }

    fn operator(&mut self) -> Option<(Op, u8)> {
        let tok = self.stream.peek()?;
        let op = match (tok.kind, tok.text.as_bytes()) {
            (Kind::Word(word), _) => match word {
                Word::And => Op::And,
                Word::Or => Op::Or,
                Word::Contains => Op::Contains,
                Word::ContainsI => Op::ContainsI,
                Word::StartsWith => Op::StartsWith,
                Word::StartsWithI => Op::StartsWithI,
                Word::EndsWith => Op::EndsWith,
                _ => return None,
            },
            (Kind::Punct, text) => match text {
                b"==" => Op::Eq,
                b"!=" | b"<>" => Op::Ne,
                b"<=" => Op::Le,
                b">=" => Op::Ge,
                b"<" => Op::Lt,
                b">" => Op::Gt,
                b"&" => Op::Concat,
                b"+" => Op::Add,
                b"-" => Op::Sub,
                b"*" => Op::Mul,
                b"/" => Op::Div,
                b"%" => Op::Mod,
                _ => return None,
            },
            _ => return None,
        };
        Some((op, op_ranks(op)))
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let Some(kind) = self.kind() else { return self.syntax_error() };
        match kind {
            Kind::Str => Ok(Expr::Text(unquote(&self.bump()?.text))),
            Kind::Backtick => {
                let tok = self.bump()?;
                Ok(self.stream.backticks(&tok).map_or_else(Expr::Unknown, Expr::Text))
            }
            Kind::Number => Ok(Expr::Number(number(self.bump()?.text.as_bytes()))),
            Kind::Var => Ok(Expr::Var(self.variable()?)),
            Kind::Func => {
                let name = self.bump()?.text;
                Ok(Expr::Call { name, args: self.arguments()? })
            }
            Kind::Word(Word::Exists) => {
                self.bump()?;
                self.expect_punct(b'(')?;
                let var = self.variable()?;
                self.expect_punct(b')')?;
                Ok(Expr::Exists(var))
            }
            // Both bind tighter than any other operator: `not $msg contains "x"` is `(not $msg) contains "x"`.
            Kind::Word(Word::Not) => {
                self.bump()?;
                Ok(Expr::Not(Box::new(self.deeper(Self::operand)?)))
            }
            Kind::Punct if self.punct(b'-') => {
                self.bump()?;
                Ok(match self.deeper(Self::operand)? {
                    Expr::Number(n) => Expr::Number(n.wrapping_neg()),
                    inner => Expr::Negate(Box::new(inner)),
                })
            }
            Kind::Punct if self.punct(b'(') => {
                self.bump()?;
                let inner = self.expr(0)?;
                self.expect_punct(b')')?;
                Ok(inner)
            }
            Kind::Punct if self.punct(b'[') => Ok(Expr::List(self.list()?)),
            _ => self.syntax_error(),
        }
    }

    pub(super) fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect_punct(b'(')?;
        let mut args = Vec::new();
        if self.punct(b')') {
            self.bump()?;
            return Ok(args);
        }
        loop {
            args.push(self.expr(0)?);
            if self.punct(b',') {
                self.bump()?;
            } else {
                self.expect_punct(b')')?;
                return Ok(args);
            }
        }
    }

    /// A variable's name without the dollar sign.
    pub(super) fn variable(&mut self) -> Parsed<Text> {
        match self.kind() {
            Some(Kind::Var) => {
                let tok = self.bump()?;
                Ok(Text::from(tok.text.as_bytes().strip_prefix(b"$").unwrap_or(tok.text.as_bytes())))
            }
            _ => self.syntax_error(),
        }
    }
}

/// Rank of an operator; the higher, the tighter.
fn op_ranks(op: Op) -> u8 {
    match op {
        Op::And | Op::Or => 0,
        Op::Concat | Op::Add | Op::Sub => 2,
        Op::Mul | Op::Div | Op::Mod => 3,
        _ => 1,
    }
}
