//! What is told later, in one message: how it is collected, and how it becomes due.

use serde::{Deserialize, Serialize};

use super::log::NoticeLog;
use crate::kernel::clock::Timestamp;
use crate::messaging::courier::{Changed, Courier, Message};
use crate::messaging::outbox::{self, Delivery, Mail, OutboxMessage};
use crate::store::app::App;
use crate::store::dynamo::{Failure, Key, keys};

/// How many different changes one message tells; of what is more it says that there was more.
const CHANGES_MAX: usize = 30;

/// What waits to be told, as the message that will be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeferredNotice {
    /// The message: it grows with each change.
    pub mail: Mail,
}

/// What is to be held, and over which version of the log.
#[derive(Debug)]
pub struct DeferredWrite {
    pub(super) deferred: DeferredNotice,
    pub(super) until: Timestamp,
    pub(super) version: u64,
}

impl DeferredNotice {
    /// What waits once `changed` is to be told as well, in the words of `mail`. What is told
    /// already is told once.
    pub fn with(before: Option<&Self>, mail: &Mail, changed: &[Changed]) -> Self {
        let told = before
            .map(|deferred| deferred.mail.message.changed().to_vec())
            .unwrap_or_default();
        let told = changed.iter().fold(told, |mut told, change| {
            if told.contains(change) || told.contains(&Changed::More) {
                return told;
            }
            told.push(if told.len() < CHANGES_MAX {
                change.clone()
            } else {
                Changed::More
            });
            told
        });
        let message = match mail.message {
            Message::ChangedSms(_) => Message::ChangedSms(told),
            _ => Message::Changed(told),
        };
        Self {
            mail: Mail {
                message,
                ..mail.clone()
            },
        }
    }
}

/// Whether `key` is that of a log.
pub fn is_log(key: &Key) -> bool {
    key.sk == keys::NOTICES
}

/// Tells what is held at `key`, if there is room for it now: the log takes it in, and it is put in
/// the outbox like any other notice, in one transaction.
///
/// `None` where nothing is held: then the log is a counter like others. A condition that did not
/// hold, or a conflict, says that somebody else was at it.
pub async fn release(
    app: &App,
    courier: &Courier,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Delivery>, Failure> {
    let found = app.table.find(key.clone().holding::<NoticeLog>()).await?;
    let Some(told) = found else {
        return Ok(Some(Delivery::Nothing));
    };
    let Some(deferred) = &told.deferred else {
        return Ok(None);
    };
    let free_at = told.free_at(now);
    if free_at > now {
        return Ok(Some(Delivery::Nothing));
    }
    let id = format!("{}-{}", key.pk.trim_start_matches("OUTBOX#"), told.version);
    let writes = vec![
        told.take_in(key.clone(), now).into(),
        outbox::standalone(&id, OutboxMessage::new(deferred.mail.clone(), now), now)?.into(),
    ];
    match app.table.transact_with_retries(writes, &app.entropy).await {
        Ok(()) => outbox::deliver(app, courier, &keys::outbox(&id))
            .await
            .map(Some),
        // A condition that did not hold: another run was faster, or another change is to be told as
        // well. Whoever asked looks again.
        Err(failure) => Err(failure),
    }
}
