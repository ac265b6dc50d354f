//! rsyslog, legacy and RainerScript.
