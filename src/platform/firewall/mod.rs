//! Firewalls: every rule set of the machine as one model, and the answer to "does a packet get in", whichever tools wrote
//! the rules. Pure but for `gather`, which runs the tools' own listing commands.

mod atoms;
pub mod ipset;
mod judge;
pub mod model;
pub mod nft;
mod nft_rule;
mod nft_text;
pub mod packet;
pub mod span;
pub mod walk;
mod xt_rule;
pub mod xtables;

#[cfg(test)]
mod tests;
