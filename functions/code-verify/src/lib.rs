//! `POST /v1/codes/verify`: the second factor.
//!
//! Two waits. The attempt is counted on the user's item, which tells as it stood before, while the
//! account's settings are read; then the code is compared; then one transaction concludes.

mod conclusion;
mod recipient;

use std::sync::Arc;

use serde::Deserialize;
use shared::account::{Account, PrefetchedGroup, Settings};
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::kernel::secret::{self, Secret};
use shared::signin::challenge::{Attempt, ChallengeRefusal, Ticket};
use shared::signin::code;
use shared::signin::recovery;
use shared::signin::user::known::{HashedIp, Origin};
use shared::signin::user::{Method, User};
use shared::store::app::App;
use shared::store::dynamo::Update;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

/// An attempt at a code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VerifyCodeRequest)]
pub struct Request {
    /// The challenge of the sign-in.
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
    /// The factor that is proved.
    pub method: Method,
    /// The code, as ASCII digits; a recovery code as it was shown, in any case. Spaces and hyphens
    /// make no difference.
    #[schema(value_type = String, example = "048213")]
    pub code: Secret<String>,
}

/// An attempt that was counted, and what it was counted on.
pub(crate) struct Counted {
    pub(crate) ticket: Ticket,
    /// The challenge's token, as it was sent.
    pub(crate) token: Secret<String>,
    pub(crate) method: Method,
    pub(crate) id: String,
    /// The user before the attempt was counted.
    pub(crate) before: User,
    pub(crate) settings: Settings,
    /// Where it comes from.
    pub(crate) hashed_ip: HashedIp,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) now: Timestamp,
}

/// Proves the second factor.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call.route.is_none() {
        return Err(Problem::new(Slug::NotFound));
    }
    call.only_query(&[])?;
    let request: Request = call.json()?;
    let code = read(&request)?;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    if let Some(ticket) = shared::agreement::Ticket::read(request.challenge.expose(), &keyring) {
        return recipient::verify(
            &app,
            &call,
            (request.method, code.expose()),
            ticket,
            keyring,
            now,
        )
        .await;
    }
    let counted = Counted::count(&app, &call, &request).await?;
    let answer = counted.conclude(&app, &call, code.expose()).await?;
    Ok(Reply::json(&answer))
}

/// The code that was typed. What can be no code of its method is refused as malformed, and counts
/// as no attempt.
fn read(request: &Request) -> Result<Secret<String>, Problem> {
    let code = &request.code;
    match request.method {
        Method::RecoveryCode if recovery::is_legible(code.expose()) => Ok(code.clone()),
        Method::RecoveryCode => Err(Problem::invalid_field(
            "/code",
            "must be 1 to 64 ASCII letters, digits, hyphens and spaces",
        )),
        Method::Sms | Method::Email | Method::Totp => code::typed(code)
            .ok_or_else(|| Problem::invalid_field("/code", "must be 1 to 10 ASCII digits")),
    }
}

impl Counted {
    /// Counts an attempt, and reads what it is judged by.
    async fn count(app: &App, call: &Call, request: &Request) -> Result<Self, Problem> {
        let (now, method) = (call.arrived_at, request.method);
        let keyring = app.keyrings.current(now).await;
        let ticket = Ticket::read(request.challenge.expose(), &keyring)
            .map_err(|refusal| refusal.problem(now))?;
        let hashed_ip = HashedIp::of(ticket.user, call.client_ip, &keyring, now)?;
        let id = secret::encode(app.entropy.bytes::<9>());
        let attempt = Attempt {
            place: &ticket,
            method,
            origin: ticket.origin(&hashed_ip),
            id: &id,
            now,
        };
        let (counted, found) = tokio::join!(
            app.table.update_with_retries(attempt.count(), &app.entropy),
            app.table.find_batch(ticket.settings_wanted(call)),
        );
        let beside = found
            .map_err(Problem::from)
            .and_then(|found| account_in(found, now));
        let before = match attempt.counted_on(counted) {
            Ok(before) => before,
            Err(problem) => return Err(beside.err().unwrap_or(problem)),
        };
        let settings = match settings_of(app, &before, beside).await {
            Ok(settings) => settings,
            Err(problem) => {
                take_back(app, attempt.take_back(&before), method).await;
                return Err(problem);
            }
        };
        Ok(Self {
            token: request.challenge.clone(),
            method,
            before,
            settings,
            hashed_ip,
            keyring,
            now,
            ticket,
            id,
        })
    }

    /// Whose count it was counted on.
    pub(crate) fn origin(&self) -> Origin {
        self.ticket.origin(&self.hashed_ip)
    }

    /// The attempt, as it was counted.
    pub(crate) fn attempt(&self) -> Attempt<'_, Ticket> {
        Attempt {
            place: &self.ticket,
            method: self.method,
            origin: self.origin(),
            id: &self.id,
            now: self.now,
        }
    }
}

/// Takes back an attempt that compared nothing, by this update. Where that fails the count stands,
/// which errs on the safe side.
pub(crate) async fn take_back(app: &App, update: Update, method: Method) {
    let taken_back = app.table.update_with_retries(update, &app.entropy).await;
    if taken_back.is_err() {
        tracing::info!(
            challenge.method = method.name(),
            "rollback of an attempt that compared no code did not commit; the attempt remains counted; no action needed"
        );
    }
}

/// The account that was read beside the count, and the group's item.
fn account_in(
    (account, group): (Option<Account>, PrefetchedGroup),
    now: Timestamp,
) -> Result<(Account, PrefetchedGroup), Problem> {
    let account = account.ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
    Ok((account, group))
}

/// The settings in force for the user, by what was read beside the count.
async fn settings_of(
    app: &App,
    user: &User,
    beside: Result<(Account, PrefetchedGroup), Problem>,
) -> Result<Settings, Problem> {
    let (account, group) = beside?;
    let settings = account
        .settings_in(user.group.as_deref(), group, &app.table)
        .await?;
    Ok(settings)
}
