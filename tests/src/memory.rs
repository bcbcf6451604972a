//! What was logged.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// All that this process logs, at the most talkative level that the functions have.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// Begins to listen. The subscriber is the process's: a test that does so stands alone in its
    /// file.
    pub fn listen() -> Self {
        let memory = Self::default();
        let writer = memory.clone();
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .with_writer(move || writer.clone());
        tracing_subscriber::registry()
            .with(lines.with_filter(shared::edge::start::filter("trace")))
            .init();
        memory
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
