//! The agreement, and the recipient, that the path names, if they are the caller's account's.

use shared::agreement::{Agreement, Ending, FullAgreement, Standing};
use shared::kernel::ids::{AccountId, AgreementId, RecipientId};
use shared::store::app::App;
use shared::store::dynamo::{Item, Key, keys};
use shared::web::http::{Call, Problem, Slug};

fn not_found() -> Problem {
    Problem::new(Slug::NotFound)
}

/// The agreement and all of its recipients.
pub async fn whole(app: &App, call: &Call, account: AccountId) -> Result<FullAgreement, Problem> {
    let id: AgreementId = call.path_id("id")?;
    let whole = FullAgreement::read(&app.table, id).await?;
    whole
        .filter(|whole| whole.agreement.account == account)
        .ok_or_else(not_found)
}

/// The agreement by itself.
pub async fn agreement(app: &App, call: &Call, account: AccountId) -> Result<Agreement, Problem> {
    let id: AgreementId = call.path_id("id")?;
    let wanted = keys::agreement(id).holding::<Agreement>();
    let agreement = app.table.find(wanted).await?.ok_or_else(not_found)?;
    if agreement.account == account {
        Ok(agreement)
    } else {
        Err(not_found())
    }
}

/// The agreement, and then all of its recipients: what ends it is decided from these.
pub async fn ending(app: &App, call: &Call, account: AccountId) -> Result<Ending, Problem> {
    let agreement = agreement(app, call, account).await?;
    Ok(Ending::of(&app.table, agreement).await?)
}

/// The agreement and one recipient, in one request.
pub async fn standing(app: &App, call: &Call, account: AccountId) -> Result<Standing, Problem> {
    let (standing, _) = standing_beside(app, call, account, None).await?;
    Ok(standing)
}

/// The same, and what stands at another key.
pub async fn standing_beside(
    app: &App,
    call: &Call,
    account: AccountId,
    other: Option<Key>,
) -> Result<(Standing, Option<Item>), Problem> {
    let id: AgreementId = call.path_id("id")?;
    let recipient: RecipientId = call.path_id("recipient")?;
    let wanted = (Standing::wanted(id, recipient), other);
    let (standing, beside) = app.table.find(wanted).await?;
    let standing = standing.filter(|standing| standing.agreement().account == account);
    Ok((standing.ok_or_else(not_found)?, beside))
}
