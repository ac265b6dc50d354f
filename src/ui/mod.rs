//! The terminal: the only module that prints or asks.
