//! The report model and its pure renderers. Gathers nothing.
