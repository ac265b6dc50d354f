//! Tests of the effective configuration.
