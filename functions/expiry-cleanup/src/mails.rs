//! Mails that are owed: those whose request could not send them.

use shared::app::App;
use shared::courier::Courier;
use shared::dynamo::{Failure, Key};
use shared::owed::{self, Delivery};

use crate::Report;

/// Whether what is due at `key` is a mail: on an item of its own, or on a recipient's.
pub fn stands_at(key: &Key) -> bool {
    key.pk.starts_with("OWED#") || key.sk.starts_with("RECIPIENT#")
}

/// Sends it.
pub async fn send(app: &App, courier: &Courier, key: &Key, report: &mut Report) -> Result<(), Failure> {
    match owed::deliver(app, courier, key).await? {
        Delivery::Sent => report.mails_sent += 1,
        Delivery::Dropped => report.mails_dropped += 1,
        Delivery::Owed => report.mails_owed += 1,
        Delivery::Nothing => {}
    }
    Ok(())
}
