//! tandem-tool-runner
