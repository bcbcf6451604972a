//! Writes the document to where `documents` serves it from: `cargo run -p openapi`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../functions/documents/openapi.json"
    );
    match std::fs::write(path, openapi::text()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
