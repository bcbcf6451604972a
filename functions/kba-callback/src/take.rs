//! What comes of a genuine message.

use shared::agreement::kba::session::{KEPT, LIFETIME};
use shared::agreement::kba::webhook::VerifiedCallback;
use shared::agreement::kba::writes::CallbackCase;
use shared::agreement::kba::{Answer, Effect, Session, rules};
use shared::agreement::{Recipient, Standing};
use shared::kernel::clock::Timestamp;
use shared::ledger::Hold;
use shared::messaging::outbox;
use shared::store::app::App;
use shared::store::dynamo::{Failure, RetryPolicy, keys};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::State;

/// How often the retries over a busy agreement begin anew: forty recipients may pass at the same
/// moment.
const PATIENCE: u32 = 3;

/// Carries a message out, once.
pub async fn take(
    state: &State,
    call: &Call,
    message: &VerifiedCallback,
    answer: &Answer,
) -> Outcome {
    let (app, now) = (&state.app, call.arrived_at);
    let (mut retries, mut renewed) = (RetryPolicy::default(), 0);
    loop {
        let Some(session) = unseen(app, message, answer, now).await? else {
            return Ok(Reply::empty());
        };
        let standing = standing(app, &session).await?;
        let over_at = rules::over_at(&session, answer, message.sent_at, now);
        let (agreement, recipient) = (standing.agreement(), standing.recipient());
        let judged = (answer.outcome, over_at);
        let effect = rules::decide(&session, agreement, recipient, judged, now);
        let case = CallbackCase {
            message: &message.id,
            answer,
            client_ip: call.client_ip,
            session: &session,
            standing: &standing,
            others: &others(app, &standing, effect).await?,
            now,
        };
        match app.table.transact(case.writes(effect)?).await {
            Ok(()) => {
                tell(state, &case, effect).await;
                return Ok(Reply::empty());
            }
            Err(failure) if case.was_taken(&failure) => return Ok(Reply::empty()),
            Err(failure @ Failure::Unavailable(_)) => return Err(failure.into()),
            Err(_) => match retries.wait(&app.entropy).await {
                Ok(()) => {}
                Err(_) if renewed < PATIENCE => {
                    renewed += 1;
                    retries = RetryPolicy::default();
                }
                Err(failure) => return Err(failure.into()),
            },
        }
    }
}

/// The session of a message of which anything can come yet: it was not taken before, and the
/// session is there.
async fn unseen(
    app: &App,
    message: &VerifiedCallback,
    answer: &Answer,
    now: Timestamp,
) -> Result<Option<Session>, Problem> {
    let wanted = (
        keys::webhook(&message.id.about(answer.session)),
        keys::session(answer.session).holding::<Session>(),
    );
    let (seen, session) = app.table.find(wanted).await?;
    if seen.is_some() {
        return Ok(None);
    }
    match session {
        Some(session) => Ok(Some(session)),
        None if answer.session.made_at().plus(LIFETIME).plus(KEPT) <= now => {
            // It was cleaned up, and all is said of it: the provider need not go on.
            tracing::warn!(kba.session = %answer.session, "KBA callback for a session that was already deleted; it was acknowledged and ignored; no action needed");
            Ok(None)
        }
        None => Err(Problem::new(Slug::NotFound)),
    }
}

/// The agreement of a session, and its recipient, as they stand.
async fn standing(app: &App, session: &Session) -> Result<Standing, Problem> {
    let wanted = Standing::wanted(session.agreement, session.recipient);
    let found = app.table.find(wanted).await?;
    found.ok_or_else(|| Problem::internal("reading a session", "its agreement does not exist"))
}

/// What is reserved for the other recipients, where the agreement is cancelled.
async fn others(app: &App, standing: &Standing, effect: Effect) -> Result<Vec<Hold>, Failure> {
    let Effect::Cancel(_) = effect else {
        return Ok(Vec::new());
    };
    let others = standing.others(&app.table).await?;
    Ok(others.iter().filter_map(Recipient::reserved).collect())
}

/// Tells the sender, and only the sender. What cannot be sent now remains in the outbox, and the
/// clean-up sends it.
async fn tell(state: &State, case: &CallbackCase<'_>, effect: Effect) {
    tracing::info!(
        kba.session = %case.session.id,
        kba.outcome = case.answer.outcome.name(),
        kba.effect = ?effect,
        "KBA callback processed"
    );
    if let Effect::Cancel(_) = effect {
        outbox::deliver_all(&state.app, &state.courier, [case.mail_key()]).await;
    }
}
