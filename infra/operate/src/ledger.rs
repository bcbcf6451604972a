//! The ledger of prepaid transactions: held against itself, set right, and spread over more shards.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use clap::Subcommand;
use shared::account::Account;
use shared::account::{SHARDS_MAX, Shards};
use shared::agreement::reconcile::checkpoint::{Checkpoint, Progress};
use shared::agreement::reconcile::{self, Finding};
use shared::kernel::clock::Clock;
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::AccountId;
use shared::ledger::upkeep::{Done, Tools};
use shared::ledger::{EntryId, LedgerRefusal};
use shared::store::dynamo::{Failure, Table, read};

use crate::{Complaint, complaint};

/// What is done to an account's ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum QuotaCommand {
    /// Enters a correction of what was bought. The same --id is one correction, however often it is
    /// run.
    Correct {
        /// The stack's table: its output TableName.
        #[arg(long)]
        table: String,
        /// The account.
        #[arg(long)]
        account: String,
        /// What names the correction: a ticket's number, say.
        #[arg(long)]
        id: String,
        /// How many transactions more were bought than was entered; negative for fewer.
        #[arg(long, allow_negative_numbers = true)]
        transactions: i64,
        /// Why: it is shown to the account, and stands in its audit.
        #[arg(long)]
        reason: String,
    },
    /// Spreads a busy account's balance over more shards, each of which bears some 20 reservations
    /// a second. Who buys 1,000 at once has 8 by that. It never shrinks.
    Shards {
        /// The stack's table: its output TableName.
        #[arg(long)]
        table: String,
        /// The account.
        #[arg(long)]
        account: String,
        /// How many: at most 8.
        #[arg(long)]
        shards: u8,
    },
}

/// Recomputes the balance of one account, or of all, from the entries.
pub(crate) async fn reconcile(
    sdk: &SdkConfig,
    table: String,
    account: Option<String>,
) -> Result<String, Complaint> {
    let entropy = Entropy::system();
    let table = Table::new(Client::new(sdk), table, entropy.clone());
    let accounts = match account {
        Some(account) => vec![the_account(&table, &account).await?],
        None => accounts(&table).await?,
    };
    if accounts.is_empty() {
        return Err(Complaint::new(
            "the table has no accounts; check that it is the table of the stack",
        ));
    }
    let mut findings = Vec::new();
    let mut busy = Vec::new();
    for account in &accounts {
        match reconcile::account(&table, &entropy, account)
            .await
            .map_err(|failure| complaint(&failure))?
        {
            Some(finding) => findings.push((account, finding)),
            None => busy.push((account, Checkpoint::of(&table, &entropy, account))),
        }
    }
    findings.extend(at_a_point(busy).await?);
    summary(&findings)
}

/// What is found of accounts that do not stand still, each at a point in time: it takes two
/// minutes, or some more where it is looked at again.
async fn at_a_point<'a>(
    mut busy: Vec<(&'a Account, Checkpoint<'a>)>,
) -> Result<Vec<(&'a Account, Finding)>, Complaint> {
    let clock = Clock::system();
    let mut findings = Vec::new();
    while !busy.is_empty() {
        let (mut waiting, mut until) = (Vec::new(), None);
        for (account, mut checkpoint) in busy {
            match checkpoint
                .advance(clock.now())
                .await
                .map_err(|failure| complaint(&failure))?
            {
                Progress::Done(finding) => findings.push((account, finding)),
                Progress::Wait(then) => {
                    // The first of them: who is looked at too soon is looked at again.
                    until = until.into_iter().chain([then]).min();
                    waiting.push((account, checkpoint));
                }
            }
        }
        busy = waiting;
        let left = until.map_or(0, |until| until.until(clock.now()).as_secs());
        tokio::time::sleep(Duration::from_secs(u64::try_from(left).unwrap_or_default())).await;
    }
    Ok(findings)
}

fn summary(findings: &[(&Account, Finding)]) -> Result<String, Complaint> {
    let mut told = String::new();
    for (account, finding) in findings {
        tell(&mut told, account, finding);
    }
    let wrong = findings
        .iter()
        .filter(|(_, finding)| !finding.differences.is_empty())
        .count();
    let summary = format!(
        "{told}{} accounts, {wrong} that do not agree",
        findings.len()
    );
    if wrong == 0 {
        Ok(summary)
    } else {
        Err(Complaint::new(summary))
    }
}

fn tell(told: &mut String, account: &Account, finding: &Finding) {
    let Finding {
        at,
        stands,
        entries,
        differences,
    } = finding;
    let sum = format!(
        "{} = {} + {} + {}",
        stands.purchased(),
        stands.available,
        stands.reserved,
        stands.consumed
    );
    let verdict = if differences.is_empty() {
        "agrees"
    } else {
        "DOES NOT AGREE"
    };
    let at = at
        .map(|at| format!(" before {}", at.to_rfc3339()))
        .unwrap_or_default();
    // Writing to a string does not fail.
    let _ = writeln!(
        told,
        "{}: {sum}, {entries} entries{at}: {verdict}",
        account.id
    );
    for difference in differences {
        let _ = writeln!(told, "  {difference:?}");
    }
}

/// Corrects, or grows.
pub(crate) async fn change(sdk: &SdkConfig, command: QuotaCommand) -> Result<String, Complaint> {
    let (entropy, clock) = (Entropy::system(), Clock::system());
    match command {
        QuotaCommand::Correct {
            table,
            account,
            id,
            transactions,
            reason,
        } => {
            let table = Table::new(Client::new(sdk), table, entropy.clone());
            let tools = Tools {
                table: &table,
                entropy: &entropy,
                clock: &clock,
            };
            correct(tools, &account, &id, transactions, reason.trim()).await
        }
        QuotaCommand::Shards {
            table,
            account,
            shards,
        } => {
            let table = Table::new(Client::new(sdk), table, entropy.clone());
            let tools = Tools {
                table: &table,
                entropy: &entropy,
                clock: &clock,
            };
            let wanted = Shards::new(shards).ok_or_else(|| {
                Complaint::new(format!("an account must have 1 to {SHARDS_MAX} shards"))
            })?;
            let grown = tools
                .grow(account_id(&account)?, wanted)
                .await
                .map_err(|failure| complaint(&failure))?;
            let grown = grown.ok_or_else(|| Complaint::new("the account does not exist"))?;
            Ok(format!("{account} has {} shards", grown.count()))
        }
    }
}

async fn correct(
    tools: Tools<'_>,
    account: &str,
    id: &str,
    change: i64,
    reason: &str,
) -> Result<String, Complaint> {
    if change == 0 || reason.is_empty() || id.trim().is_empty() {
        return Err(Complaint::new(
            "a correction needs an id, a reason, and a number of transactions other than zero",
        ));
    }
    let named = EntryId::named(format!("correction.{}", id.trim()));
    match tools
        .correct(account_id(account)?, &named, change, reason)
        .await
    {
        Ok(Some(Done::Now(_))) => Ok(format!(
            "{account}: {change:+} transactions, entered as {named}"
        )),
        Ok(Some(Done::Before(_))) => Ok(format!(
            "{account}: {named} was entered before; nothing was changed"
        )),
        Ok(None) => Err(Complaint::new("the account does not exist")),
        Err(LedgerRefusal::Exhausted(few)) => Err(Complaint::new(format!(
            "only {} transactions are available",
            few.available
        ))),
        Err(LedgerRefusal::Reused) => Err(Complaint::new(format!(
            "{named} already exists with another number or reason"
        ))),
        Err(LedgerRefusal::Failure(failure)) => Err(complaint(&failure)),
    }
}

fn account_id(text: &str) -> Result<AccountId, Complaint> {
    text.parse()
        .map_err(|_| Complaint::new("an account id must begin with acc_"))
}

async fn the_account(table: &Table, id: &str) -> Result<Account, Complaint> {
    let tools = Tools {
        table,
        entropy: &Entropy::system(),
        clock: &Clock::system(),
    };
    let account = tools
        .account(account_id(id)?)
        .await
        .map_err(|failure| complaint(&failure))?;
    account.ok_or_else(|| Complaint::new("the account does not exist"))
}

/// All accounts: no route lists them, and no role may scan. Whoever runs this may.
async fn accounts(table: &Table) -> Result<Vec<Account>, Complaint> {
    let mut accounts = Vec::new();
    let mut after = None;
    loop {
        let request = table
            .client()
            .scan()
            .table_name(table.name())
            .consistent_read(true);
        let request = request
            .filter_expression("#sk = :account")
            .expression_attribute_names("#sk", "sk");
        let request =
            request.expression_attribute_values(":account", AttributeValue::S("ACCOUNT".into()));
        let page = request.set_exclusive_start_key(after).send().await;
        let page = page
            .map_err(|error| Complaint::new(format!("the accounts could not be read: {error}")))?;
        for item in page.items.unwrap_or_default() {
            accounts.push(read_account(item).map_err(|failure| complaint(&failure))?);
        }
        after = page.last_evaluated_key;
        if after.is_none() {
            return Ok(accounts);
        }
    }
}

fn read_account(item: HashMap<String, AttributeValue>) -> Result<Account, Failure> {
    read(item)
}
