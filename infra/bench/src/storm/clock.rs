//! The clock of the bootstraps. They read their machine's, as they do in Lambda; libfaketime,
//! loaded into them, has that stand where the storm says it does. Monotonic time, which timeouts
//! and waits are measured in, goes on as it does.

use std::fs;
use std::path::{Path, PathBuf};

use shared::kernel::clock::Timestamp;

use crate::Fault;

/// Where Debian's libfaketime is, on either processor.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The clock.
#[derive(Debug)]
pub(super) struct FakeClock {
    library: &'static str,
    file: PathBuf,
}

impl FakeClock {
    /// A clock that stands at `now`.
    pub fn fixed_at(now: Timestamp) -> Result<Self, Fault> {
        let library = LIBRARIES
            .into_iter()
            .find(|library| Path::new(library).is_file());
        let library =
            library.ok_or("libfaketime is missing: Debian has it in its package libfaketime")?;
        let file =
            std::env::temp_dir().join(format!("countersign-storm-{}.time", std::process::id()));
        let clock = Self { library, file };
        clock.set(now)?;
        Ok(clock)
    }

    /// Lets it stand at `now`, from the next look on.
    pub fn set(&self, now: Timestamp) -> Result<(), Fault> {
        // The library's form: a moment in the process's time zone, which is UTC, at which its clock
        // stands.
        let text = now.to_rfc3339();
        let moment = text
            .get(..19)
            .ok_or("a moment is too short")?
            .replace('T', " ");
        let next = self.file.with_extension("next");
        fs::write(&next, moment)?;
        // Whoever looks sees one moment or the other, and never half of one.
        Ok(fs::rename(next, &self.file)?)
    }

    /// What a bootstrap is given to see it.
    pub fn variables(&self) -> [(String, String); 5] {
        let file = self.file.display().to_string();
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("TZ", "UTC".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}

impl Drop for FakeClock {
    fn drop(&mut self) {
        // It is a temporary file; nobody misses it, and nobody minds it.
        let _ = fs::remove_file(&self.file);
    }
}
