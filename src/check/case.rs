//! One diagnosis: the facts, what they are measured against, and what is worked out from both once for all checks.

use super::facts::Facts;
use super::target::Target;

pub struct Case<'a> {
    pub facts: &'a Facts,
    pub target: &'a Target,
}

impl<'a> Case<'a> {
    pub fn new(facts: &'a Facts, target: &'a Target) -> Self {
        Case { facts, target }
    }
}
