//! tandem-gateway
