//! Messages in the outbox: those whose request could not send them, and notices that had to
//! wait for their hour.

use shared::kernel::clock::Timestamp;
use shared::messaging::courier::Courier;
use shared::messaging::outbox::{self, Delivery};
use shared::signin::notice;
use shared::store::app::App;
use shared::store::dynamo::{Failure, Key};

use crate::Report;

/// Whether what is due at `key` is a mail: on an item of its own, or on a recipient's.
pub fn stands_at(key: &Key) -> bool {
    key.pk.starts_with("OUTBOX#") || key.sk.starts_with("RECIPIENT#")
}

/// Tells what a log of notices holds; answers whether it holds anything. What it does not is a
/// counter like others.
pub async fn tell(
    app: &App,
    courier: &Courier,
    key: &Key,
    now: Timestamp,
    report: &mut Report,
) -> Result<bool, Failure> {
    let told = notice::release(app, courier, key, now).await?;
    if let Some(delivery) = told {
        count(delivery, report);
    }
    Ok(told.is_some())
}

/// Sends it.
pub async fn send(
    app: &App,
    courier: &Courier,
    key: &Key,
    report: &mut Report,
) -> Result<(), Failure> {
    count(outbox::deliver(app, courier, key).await?, report);
    Ok(())
}

fn count(delivery: Delivery, report: &mut Report) {
    match delivery {
        Delivery::Sent => report.mails_sent += 1,
        Delivery::Dropped => report.mails_dropped += 1,
        Delivery::Pending => report.mails_owed += 1,
        Delivery::Nothing => {}
    }
}
