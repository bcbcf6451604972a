//! An agreement that is about to end, with all of its recipients.

use super::{Agreement, Closure, FullAgreement, Status, whole};
use crate::kernel::clock::Timestamp;
use crate::store::audit::Event;
use crate::store::dynamo::{Failure, Stored, Table, Write};

/// An agreement and all of its recipients, who were read after it: every change of a recipient
/// moves the agreement's chain, and where that stands still when the end is written, so do all of
/// them. A [`FullAgreement`] is read in another order, and is for showing.
#[derive(Clone, Debug)]
pub struct Ending(FullAgreement);

impl Ending {
    /// The end of an agreement, over its recipients as they stand now.
    pub async fn of(table: &Table, agreement: Agreement) -> Result<Self, Failure> {
        let recipients = whole::recipients(table, agreement.id).await?;
        Ok(Self(FullAgreement {
            agreement,
            recipients,
        }))
    }

    /// What ends, as it was read.
    pub const fn whole(&self) -> &FullAgreement {
        &self.0
    }

    /// The writes that end the agreement so, and give back what was reserved and not consumed. The
    /// agreement's is the first.
    ///
    /// A recipient's reservation is not taken from the recipient: an agreement that has ended has
    /// none. It is told of `now`, which may be later than it ended.
    pub fn writes(
        &self,
        status: Status,
        closure: &Closure,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let FullAgreement {
            agreement,
            recipients,
        } = &self.0;
        let mut writes = agreement.change(agreement.end(status, closure)?, [event], now)?;
        writes.extend(whole::release(agreement, recipients, now)?);
        Ok(writes)
    }

    /// The same as `writes` leave it, which are its own.
    pub fn after(&self, writes: &[Write]) -> Result<FullAgreement, Failure> {
        let FullAgreement {
            agreement,
            recipients,
        } = &self.0;
        let recipients = recipients.iter().map(|recipient| recipient.after(writes));
        Ok(FullAgreement {
            agreement: agreement.after(writes)?,
            recipients: recipients.collect::<Result<_, _>>()?,
        })
    }
}
