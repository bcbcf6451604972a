//! Once the storm is over: whatever is owed or due is let come to its end, and everything is read
//! that anybody with a key may read.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;
use shared::kernel::clock::Span;

use crate::Stranded;
use crate::desk::{Ask, Desk, Told};
use crate::ground::Account;

/// Longer than anything lives that was sent.
const FOR_EVERYTHING: Span = Span::days(32);
/// How often the clean-up is run at most: with a pause each time, so that what waits for its next
/// try is tried.
const RUNS_MAX: u32 = 60;
const PAUSE: Span = Span::hours(1);
/// How many are read at once.
const AT_ONCE: usize = 8;

/// Lets everything end, and reads it.
pub(crate) async fn settle(desk: &Desk) -> Result<(), Stranded> {
    let front = &desk.place.front;
    front.pass_time(Span::seconds(1)).await;
    run_dry(desk).await?;
    front.pass_time(FOR_EVERYTHING).await;
    run_dry(desk).await?;
    for account in desk.place.ground.accounts() {
        read(desk, account).await?;
    }
    good(desk, Ask::new("GET /.well-known/jwks.json"))
        .await
        .map(drop)
}

/// Runs the clean-up until there is nothing left for it.
async fn run_dry(desk: &Desk) -> Result<(), Stranded> {
    for _ in 0..RUNS_MAX {
        let report = good(desk, Ask::new("POST /_local/cleanup")).await?;
        let count = |name: &str| {
            report
                .value(name)
                .and_then(Value::as_u64)
                .unwrap_or_default()
        };
        if report.value("/more").and_then(Value::as_bool) != Some(true)
            && count("/mails_owed") == 0
            && count("/examined") == 0
        {
            return Ok(());
        }
        desk.place.front.pass_time(PAUSE).await;
    }
    Err(Stranded::new("the clean-up comes to no end"))
}

/// Everything of an account.
async fn read(desk: &Desk, account: &Account) -> Result<(), Stranded> {
    let own = |ask: Ask| ask.by(&account.key).about(&account.id);
    good(desk, own(Ask::new("GET /v1/quota"))).await?;
    pages(
        desk,
        own(Ask::new("GET /v1/quota/entries")),
        "/v1/quota/entries?",
    )
    .await?;
    audit(desk, account, &account.id).await?;
    pages(desk, own(Ask::new("GET /v1/users")), "/v1/users?").await?;
    each(desk.place.ground.ever(account), |id| async move {
        audit(desk, account, &id).await
    })
    .await?;
    let agreements = ids(
        &pages(desk, own(Ask::new("GET /v1/agreements")), "/v1/agreements?").await?,
        "/agreements",
    );
    each(agreements, |id| async move {
        let ask = Ask::new("GET /v1/agreements/{id}")
            .at(format!("/v1/agreements/{id}"))
            .by(&account.key)
            .about(&id);
        good(desk, ask).await?;
        let ask = Ask::new("GET /v1/agreements/{id}/audit")
            .at(format!("/v1/agreements/{id}/audit"))
            .by(&account.key)
            .about(&id);
        good(desk, ask.header("accept", "application/json"))
            .await
            .map(drop)
    })
    .await
}

async fn audit(desk: &Desk, account: &Account, subject: &str) -> Result<(), Stranded> {
    let path = format!("/v1/audit?subject={subject}");
    let ask = Ask::new("GET /v1/audit")
        .at(path.as_str())
        .by(&account.key)
        .about(subject);
    pages(desk, ask, &format!("{path}&")).await.map(drop)
}

/// Every page of a list.
async fn pages(desk: &Desk, first: Ask, more: &str) -> Result<Vec<Told>, Stranded> {
    let mut pages = vec![good(desk, first.clone()).await?];
    while let Some(cursor) = pages.last().and_then(|page| page.text("/next_cursor")) {
        pages.push(good(desk, first.clone().at(format!("{more}cursor={cursor}"))).await?);
    }
    Ok(pages)
}

/// The ids of what pages list.
fn ids(pages: &[Told], pointer: &str) -> Vec<Arc<str>> {
    let listed = pages
        .iter()
        .filter_map(|page| page.value(pointer)?.as_array())
        .flatten();
    listed
        .filter_map(|item| item.pointer("/id")?.as_str().map(Arc::from))
        .collect()
}

async fn each<F>(ids: Vec<Arc<str>>, read: impl Fn(Arc<str>) -> F) -> Result<(), Stranded>
where
    F: Future<Output = Result<(), Stranded>>,
{
    let mut reading = stream::iter(ids.into_iter().map(read)).buffer_unordered(AT_ONCE);
    while let Some(read) = reading.next().await {
        read?;
    }
    Ok(())
}

async fn good(desk: &Desk, ask: Ask) -> Result<Told, Stranded> {
    let told = desk.insist(ask.clone()).await;
    if told.status() == 200 {
        Ok(told)
    } else {
        Err(Stranded::new(format!(
            "{ask:?} was answered with {:?}",
            told.answer
        )))
    }
}
