//! The agents' way out against a server of the test's own: HTTPS with its own authority, a proxy that wants a login, bad
//! lines of every kind. Needs python3 and no root.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at the machine itself, and may panic

#[path = "../support/certificates.rs"]
mod certificates;
mod cloud;
mod download;
