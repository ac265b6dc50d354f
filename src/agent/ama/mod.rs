//! The Azure Monitor Agent: where it lives, which versions matter, what its data collection rules say, what it reports
//! about itself. Pure. Facts section 3.

pub mod dcr;
pub mod paths;
pub mod qos;
pub mod version;
