//! A step of the ledger by itself, for tests of the ledger alone: planned as the functions plan it,
//! blindly first where they do, and over a snapshot once its condition has failed.

use shared::account::Account;
use shared::kernel::entropy::Entropy;
use shared::ledger::balance::snapshot;
use shared::ledger::upkeep::Done;
use shared::ledger::{Entry, LedgerRefusal, Plan, Snapshot};
use shared::store::dynamo::{Failure, RetryPolicy, Table, read};

/// How a step is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With nothing read: for steps that need no more than their own condition.
    Blindly,
    /// With the balance as it stands.
    Seeing,
}

/// Makes the step that `plan` plans.
///
/// # Errors
/// Why it is not made.
pub async fn make(
    (table, entropy): (&Table, &Entropy),
    account: &Account,
    begin: Begin,
    plan: impl Fn(Option<&Snapshot>) -> Result<Plan, LedgerRefusal>,
) -> Result<Done, LedgerRefusal> {
    let mut retries = RetryPolicy::default();
    let mut seen = match begin {
        Begin::Blindly => None,
        Begin::Seeing => Some(snapshot(table, entropy, account).await?),
    };
    loop {
        let planned = plan(seen.as_ref())?;
        match table.transact(planned.writes.clone()).await {
            Ok(()) => return Ok(Done::Now(planned)),
            Err(failure) => {
                if let Some(stood) = failure.stood_at(planned.writes[0].key()) {
                    let before: Entry = read(stood.clone())?;
                    return if before.is_same_step(&planned.entry) {
                        Ok(Done::Before(before))
                    } else {
                        Err(LedgerRefusal::Reused)
                    };
                }
                match failure {
                    // What was assumed does not hold: look.
                    Failure::Condition(_) => {
                        retries.wait(entropy).await?;
                        seen = Some(snapshot(table, entropy, account).await?);
                    }
                    Failure::Conflict => retries.wait(entropy).await?,
                    unavailable @ Failure::Unavailable(_) => return Err(unavailable.into()),
                }
            }
        }
    }
}
