//! The one HTTP client with which this service reaches vendors, and the rule about which addresses it may reach: the house's own.

pub use tandem_chassis::outbound::*;
