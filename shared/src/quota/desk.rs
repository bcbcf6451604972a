//! A step by itself: planned, written, and tried again where others were faster. What stands beside other things in one transaction
//! is planned by whoever writes that.

use super::balance::{Snapshot, snapshot};
use super::entry::Entry;
use super::plan::{Plan, Refusal};
use crate::account::Account;
use crate::dynamo::{Failure, Patience, Table, Write, read};
use crate::entropy::Entropy;

/// What came of a step.
#[derive(Debug)]
pub enum Done {
    /// It was made.
    Now(Plan),
    /// It had been made before, by a request with the same id: this is what was recorded then.
    Before(Entry),
}

/// How a step is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With nothing read: for steps that need no more than their own condition.
    Blindly,
    /// With the balance as it stands.
    Seeing,
}

/// Makes the step that `plan` plans, in one transaction with the writes that `beside` adds.
pub async fn make(
    (table, entropy): (&Table, &Entropy),
    account: &Account,
    begin: Begin,
    plan: impl Fn(Option<&Snapshot>) -> Result<Plan, Refusal>,
    beside: impl Fn(&Plan, Option<&Snapshot>) -> Result<Vec<Write>, Failure>,
) -> Result<Done, Refusal> {
    let mut patience = Patience::default();
    let mut seen = match begin {
        Begin::Blindly => None,
        Begin::Seeing => Some(snapshot(table, entropy, account).await?),
    };
    loop {
        let planned = plan(seen.as_ref())?;
        let mut writes = planned.writes.clone();
        writes.extend(beside(&planned, seen.as_ref())?);
        match table.transact(writes).await {
            Ok(()) => return Ok(Done::Now(planned)),
            Err(failure) => {
                if let Some(stood) = failure.stood_at(0) {
                    let before: Entry = read(stood.clone())?;
                    return if before.is_same_step(&planned.entry) { Ok(Done::Before(before)) } else { Err(Refusal::Reused) };
                }
                match failure {
                    // What was assumed does not hold: look.
                    Failure::Condition(_) => {
                        patience.wait(entropy).await?;
                        seen = Some(snapshot(table, entropy, account).await?);
                    }
                    Failure::Conflict => patience.wait(entropy).await?,
                    unavailable @ Failure::Unavailable(_) => return Err(unavailable.into()),
                }
            }
        }
    }
}
