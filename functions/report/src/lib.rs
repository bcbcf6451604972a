//! `GET /v1/agreements/{id}/audit`: the audit report of an agreement, for a program, a spreadsheet or a person.

mod form;
mod page;
mod table;
mod told;

use std::sync::Arc;

use shared::agreement::{Agreement, Whole};
use shared::api_key::{self, Scope};
use shared::app::App;
use shared::audit::{Entry, Head, first_broken};
use shared::dynamo::{Failure, Patience, keys, read};
use shared::http::{Call, Operation, Outcome, Problem, Reply, Slug};
use shared::ids::AgreementId;
use shared::report::{NoReport, Report};

use form::Form;

/// How many entries are asked for at once: DynamoDB answers with 1 MB at most, whatever is asked.
const PAGE: i32 = 1000;

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call.route.is_none_or(|route| route.operation != Operation::ReportAgreement) {
        return Err(Problem::new(Slug::NotFound));
    }
    let caller = api_key::caller(&app, &call, Scope::AuditRead).await?;
    call.allow_origins(&caller.account.settings()?.origins);
    call.only_query(&["account"])?;
    call.no_body()?;
    let form = Form::wanted(call.header("accept"))?;
    let id: AgreementId = call.path_id("id")?;
    let whole = Whole::read(&app.table, id).await?;
    let whole = whole.filter(|whole| whole.agreement.account == caller.account.id);
    let whole = whole.ok_or_else(|| Problem::new(Slug::NotFound))?;
    // What is signed is of one instant: a query may see a recipient as an entry left them that the agreement does not count yet.
    let whole = whole.at_one_instant(&app.table, &app.entropy).await.map_err(busy)?;
    let whole = whole.ok_or_else(|| Problem::new(Slug::NotFound))?;
    // Read after the agreement: it holds all that the agreement's head counts. What has come since is left to the next report.
    let entries = entries(&app, &whole).await?;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let report = Report::of(&whole, entries, &keyring, now).map_err(|none| match none {
        NoReport::Hashing(failure) => Problem::from(failure),
        NoReport::Signing(error) => Problem::from(error),
    })?;
    let reply: Reply = form.reply(&report)?;
    Ok(reply.header("vary", "accept".into()))
}

/// An agreement that was written on each time that it was looked at: the report is to be asked for again.
fn busy(failure: Failure) -> Problem {
    match failure {
        Failure::Conflict => Problem::new(Slug::ServiceUnavailable).header("retry-after", "1".into()),
        failure => failure.into(),
    }
}

/// The entries of the agreement's chain, up to where it says that the chain stands.
async fn entries(app: &App, whole: &Whole) -> Result<Vec<Entry>, Failure> {
    let agreement = &whole.agreement;
    let reaches_head = |entries: &[Entry]| entries.last().is_some_and(|last| last.sequence == agreement.head.sequence);
    let mut entries = chain(app, agreement).await?;
    if !reaches_head(&entries) {
        // The last entry was written with the head that counts it; one may be seen a moment before the other.
        Patience::default().wait(&app.entropy).await?;
        entries = chain(app, agreement).await?;
    }
    let last = entries.last().map(|last| Head { sequence: last.sequence, hash: last.hash.clone() }).unwrap_or_default();
    if last != agreement.head || first_broken(&entries).is_some() {
        // It is told as it stands: whoever verifies the report finds the place.
        tracing::error!(agreement = %agreement.id, "an audit chain in the table is not whole");
    }
    Ok(entries)
}

/// What is to be read of the agreement's chain now.
async fn chain(app: &App, agreement: &Agreement) -> Result<Vec<Entry>, Failure> {
    let chain = keys::audit_chain(agreement.account, &agreement.id.to_string());
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let page = app.table.query(chain.clone(), after, PAGE).await?;
        for item in page.items {
            entries.push(read::<Entry>(item)?);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    entries.retain(|entry| entry.sequence <= agreement.head.sequence);
    Ok(entries)
}
