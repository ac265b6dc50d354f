//! Firewalls: every rule set of the machine as one model, and the answer to "does a packet get in", whichever tools wrote
//! the rules. Pure but for `gather`, which runs the tools' own listing commands.

pub mod answer;
mod atoms;
pub mod ipset;
mod judge;
pub mod listing;
pub mod model;
pub mod nft;
mod nft_rule;
mod nft_text;
pub mod opening;
pub mod owner;
pub mod packet;
pub mod port;
pub mod saved;
pub mod span;
pub mod walk;
mod xt_rule;
pub mod xtables;

#[cfg(test)]
mod tests;
