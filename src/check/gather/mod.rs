//! The one place that looks at the machine for the checks, for as short a time as it can: what is slow runs side by
//! side, everything has a limit, and what could not be had is a fact as well.

mod agents;
mod disk;
mod own_lines;
mod units;
