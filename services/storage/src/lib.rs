//! tandem-storage
