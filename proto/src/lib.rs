//! The contracts of Tandem and nothing else: messages, clients and servers generated from `tandem/<area>/v1/*.proto`.
//!
//! The bindings are committed, so that a build needs neither `protoc` nor a build script; `tests/codegen.rs` keeps them true.

mod codec;

/// The encoded descriptors of every contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptors.bin");

/// Shapes every room shares.
pub mod common {
    /// `tandem.common.v1`
    pub mod v1 {
        include!("gen/tandem.common.v1.rs");
    }
}

/// The room with SQL.
pub mod storage {
    /// `tandem.storage.v1`
    pub mod v1 {
        include!("gen/tandem.storage.v1.rs");
    }
}

/// The room that runs turns.
pub mod orchestrator {
    /// `tandem.orchestrator.v1`
    pub mod v1 {
        include!("gen/tandem.orchestrator.v1.rs");
    }
}

/// The room with LLM credentials.
pub mod provider {
    /// `tandem.provider.v1`
    pub mod v1 {
        include!("gen/tandem.provider.v1.rs");
    }
}

/// The room that runs tools.
pub mod tool {
    /// `tandem.tool.v1`
    pub mod v1 {
        include!("gen/tandem.tool.v1.rs");
    }
}

/// The link to the agents in workspaces.
pub mod workspace {
    /// `tandem.workspace.v1`
    pub mod v1 {
        include!("gen/tandem.workspace.v1.rs");
    }
}
