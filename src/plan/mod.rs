//! Changes to the machine: planned as data, described before, journalled during, taken back on any miss. Knows no daemon's syntax.
