//! What went wrong, in words that carry no data.

use std::error::Error;

/// What went wrong, by the messages of its chain of causes. Never the `Debug` form: that shows
/// whole answers, and with them items.
pub fn cause(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
