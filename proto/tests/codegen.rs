//! The bindings in `src/gen` are committed; this test makes them again and fails on a difference.
//! `TANDEM_GEN=1` writes them instead (`make gen`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;

/// Every contract, relative to this crate.
fn proto_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .expect("read proto folder")
        .map(|entry| entry.expect("read folder entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            proto_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            found.push(path);
        }
    }
}

fn generate() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    proto_files(&root.join("tandem"), &mut files);
    let descriptors = protox::compile(&files, [root]).expect("compile contracts");

    let out = tempfile::tempdir().expect("temporary folder");
    // Source info is needed for comments in the bindings but would only bloat reflection.
    let mut slim = descriptors.clone();
    for file in &mut slim.file {
        file.source_code_info = None;
    }
    tonic_prost_build::configure()
        .out_dir(out.path())
        .codec_path("crate::codec::Codec")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .expect("generate bindings");
    let mut generated: BTreeMap<String, Vec<u8>> = std::fs::read_dir(out.path())
        .expect("read generated folder")
        .map(|entry| entry.expect("read folder entry").path())
        .map(|path| {
            let name = path.file_name().expect("file name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("read generated file"))
        })
        .filter(|(name, _)| name.starts_with("tandem."))
        .collect();
    generated.insert("descriptors.bin".to_owned(), slim.encode_to_vec());
    generated
}

#[test]
fn committed_bindings_match_the_contracts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen");
    let expected = generate();
    if std::env::var_os("TANDEM_GEN").is_some() {
        std::fs::create_dir_all(&dir).expect("make gen folder");
        for entry in std::fs::read_dir(&dir).expect("read gen folder") {
            std::fs::remove_file(entry.expect("read folder entry").path()).expect("remove old file");
        }
        for (name, content) in &expected {
            std::fs::write(dir.join(name), content).expect("write bindings");
        }
    }
    for (name, content) in &expected {
        let committed = std::fs::read(dir.join(name)).unwrap_or_default();
        assert!(committed == *content, "src/gen/{name} is stale: run `make gen`");
    }
    let committed_count = std::fs::read_dir(&dir).expect("read gen folder").count();
    assert_eq!(
        committed_count,
        expected.len(),
        "src/gen holds files no contract makes: run `make gen`"
    );
}
