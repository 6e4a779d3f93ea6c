//! The generated messages of `proto/metadata_records.proto` and `proto/controller.proto`.
//!
//! Other crates' generated code refers to them by `extern_path(".klamm.metadata", "::metadata::proto")`.

#![expect(
    missing_docs,
    reason = "generated: the comments of the proto files are what documents them"
)]

include!(concat!(env!("OUT_DIR"), "/klamm.metadata.rs"));

impl From<control_request::Request> for ControlRequest {
    /// On nobody's account.
    fn from(request: control_request::Request) -> Self {
        Self {
            request: Some(request),
            client: None,
        }
    }
}
