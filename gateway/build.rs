//! Makes the folder of the built web UI where there is none yet, so that the crate compiles without Node.

use std::{env, fs, path::Path};

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=web/dist");
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    fs::create_dir_all(Path::new(&root).join("web/dist"))
}
