//! tandem-provider-gateway
