//! Generates the messages and services between nodes; protox parses, so no protoc is needed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Asked at run time: clones that share a target directory share this program, too.
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo names the crate's folder")?)
        .join("../../../proto");
    for file in [
        "peer.proto",
        "replication.proto",
        "nodes.proto",
        "controller.proto",
        "metadata_records.proto",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let files = protox::compile(["nodes.proto"], [&root])?;
    tonic_prost_build::configure()
        .bytes(".klamm.internal")
        .extern_path(".klamm.metadata", "::metadata::proto")
        .build_client(true)
        .build_server(true)
        .compile_fds(files)?;
    Ok(())
}
