//! `GET /v1/kba/sessions/{session}`: how it went, and for a minute after a pass the access token.
//!
//! The token is made of what stands on the session, and of nothing that is drawn: it is the same
//! each time.

use serde::Serialize;
use shared::account::Account;
use shared::agreement::kba::session::RESULT_SHOWN_FOR;
use shared::agreement::kba::{Session, Status};
use shared::agreement::{Authentication, Standing, Ticket};
use shared::kernel::clock::Timestamp;
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::SessionId;
use shared::kernel::keyring::Keyring;
use shared::signin::access_token::{self, Proof, RecipientSubject};
use shared::signin::challenge::ChallengeRefusal;
use shared::signin::sign_in::Authenticated;
use shared::store::app::App;
use shared::store::dynamo::keys;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

/// How a session went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KbaSession)]
pub struct State {
    /// Where it stands.
    pub status: Status,
    /// How many failed attempts are left; null where there is no limit.
    #[schema(example = 2)]
    pub attempts_left: Option<u32>,
    /// Why the agreement is not open to the recipient any more, as the link would be answered:
    /// `agreement-closed` or `viewing-locked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "agreement-closed")]
    pub closed: Option<&'static str>,
    /// The access token, for 60 seconds from the pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub authenticated: Option<Authenticated>,
}

/// Answers whoever opened the session, also when its time and that of the challenge is over.
pub async fn show(app: &App, call: &Call) -> Outcome {
    let now = call.arrived_at;
    let bearer = call.bearer()?;
    let id: SessionId = call.path_id("session")?;
    let keyring = app.keyrings.current(now).await;
    let ticket = Ticket::read(bearer.expose(), &keyring)
        .ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
    let (session, standing) = find(app, call, id, &ticket).await?;
    let closed = standing
        .accessible(now)
        .err()
        .map(|refusal| refusal.problem_of_recipient().slug().name());
    let (agreement, recipient) = (standing.agreement(), standing.recipient());
    // What ended, was locked or asks for something else by now lets nobody in, whatever was passed
    // before.
    let lets_in = closed.is_none() && recipient.authentication == Authentication::Kba;
    let authenticated = if lets_in {
        let issuer = call.base_url(app.config.base_url.as_deref());
        authenticated(&session, &issuer, &keyring, now)?
    } else {
        None
    };
    let status = match session.status(recipient, now) {
        // Nobody waits for it any more.
        Status::Pending if !lets_in => Status::Expired,
        status => status,
    };
    Ok(Reply::json(&State {
        status,
        attempts_left: Session::attempts_left(agreement, recipient),
        closed,
        authenticated,
    }))
}

/// The session that the path names, if the ticket opened it, and what it is about; the account's
/// pages may read the answer.
async fn find(
    app: &App,
    call: &Call,
    id: SessionId,
    ticket: &Ticket,
) -> Result<(Session, Standing), Problem> {
    let wanted = (
        keys::session(id).holding::<Session>(),
        Standing::wanted(ticket.agreement, ticket.recipient),
        Account::concerned(call, ticket.account),
    );
    let (session, standing, _) = app.table.find(wanted).await?;
    let is_theirs = |session: &Session| {
        session.challenge == ticket.name && session.recipient == ticket.recipient
    };
    let found = session.filter(is_theirs).zip(standing);
    found.ok_or_else(|| Problem::new(Slug::NotFound))
}

/// The token of a pass, while it is told.
fn authenticated(
    session: &Session,
    issuer: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Option<Authenticated>, Problem> {
    let passed_at = session
        .answered_at
        .filter(|_| session.status == Status::Passed);
    let Some(passed_at) = passed_at.filter(|passed_at| now < passed_at.plus(RESULT_SHOWN_FOR))
    else {
        return Ok(None);
    };
    let subject = RecipientSubject {
        account: session.account,
        agreement: session.agreement,
        recipient: session.recipient,
    };
    let proof = Proof::recipients_answers(passed_at);
    // What is drawn from it is the token's id, which is no secret and has to be the same each time.
    let id = session.id.to_bytes();
    let drawn = Entropy::seeded(
        id.iter()
            .skip(8)
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
    );
    let token =
        access_token::sign_for_recipient(&subject, &proof, issuer, keyring, &drawn, passed_at)?;
    let mut authenticated = Authenticated::new(token, &proof);
    authenticated.expires_in = passed_at.plus(access_token::LIFETIME).until(now).as_secs();
    Ok(Some(authenticated))
}
