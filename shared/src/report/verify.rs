//! Whether a report is what the service signed.
