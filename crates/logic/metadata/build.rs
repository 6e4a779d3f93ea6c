//! Generates the messages of `proto/metadata_records.proto` and `proto/controller.proto`; no protoc is needed.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    // Asked at run time: clones that share a target directory share this program, too.
    let protos = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo names the crate's folder")?)
        .join("../../../proto");
    let files = ["metadata_records.proto", "controller.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={}", protos.join(file).display());
    }
    let descriptors = protox::compile(files, [&protos])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
