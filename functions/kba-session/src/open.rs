//! `POST /v1/kba/sessions`.

use serde::{Deserialize, Serialize};
use shared::account::Account;
use shared::agreement::kba::session::BEGIN_WITHIN;
use shared::agreement::kba::{LIFETIME, OPENINGS, Session};
use shared::agreement::provider::{NotOpened, Opening};
use shared::agreement::{Authentication, Standing, Ticket};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::SessionId;
use shared::kernel::secret::Secret;
use shared::signin::challenge::{ChallengeRefusal, Place};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write, keys};
use shared::web::http::problem::Policy;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::State;

/// A wish to be asked the questions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OpenKbaSessionRequest)]
pub struct Request {
    /// The challenge that opening the link has made.
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
}

/// A session that was opened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenedKbaSession)]
pub struct Response {
    /// The session's id.
    pub session: SessionId,
    /// The provider's page, to be shown in a frame. What is typed there goes to the provider alone.
    #[schema(example = "https://kba.example/verify/8f1c")]
    pub iframe_url: String,
    /// Seconds until the session ends, and the challenge with it: ten minutes from when the
    /// provider had its page ready.
    #[schema(example = 600)]
    pub expires_in: i64,
    /// How many failed attempts are left; null where there is no limit.
    #[schema(example = 3)]
    pub attempts_left: Option<u32>,
}

/// What the rules look at.
struct SessionCase {
    ticket: Ticket,
    standing: Standing,
    now: Timestamp,
}

/// Opens a session; it takes the place of the recipient's pending one.
pub async fn open(state: &State, call: &Call) -> Outcome {
    let request: Request = call.json()?;
    let (app, now) = (&state.app, call.arrived_at);
    let keyring = app.keyrings.current(now).await;
    let unknown = || ChallengeRefusal::Unknown.problem(now);
    let ticket = Ticket::read(request.challenge.expose(), &keyring).ok_or_else(unknown)?;
    let id = SessionId::new(now, &app.entropy);
    let mut case = SessionCase::read(app, call, &ticket, now).await?;
    case.decide()?;
    let opening = case.opening(id, &call.base_url(app.config.base_url.as_deref()));
    let iframe_url = at_provider(state, &opening, now).await?;
    // The session's time begins when there is something to be shown: asking for that may have taken
    // nine seconds.
    let opens_at = app.clock.now();
    case.enter(app, call, id, opens_at).await?;
    let (agreement, recipient) = (case.standing.agreement(), case.standing.recipient());
    Ok(Reply::json(&Response {
        session: id,
        iframe_url,
        // What is left of it when the browser is told, not when it was written down.
        expires_in: opens_at.plus(LIFETIME).until(app.clock.now()).as_secs(),
        attempts_left: Session::attempts_left(agreement, recipient),
    }))
}

/// Opens the provider's session, and answers with the address of its page.
async fn at_provider(state: &State, opening: &Opening, now: Timestamp) -> Result<String, Problem> {
    let unavailable =
        |NotOpened| Problem::new(Slug::ProviderUnavailable).header("retry-after", "5".into());
    let provider = state
        .provider
        .as_ref()
        .ok_or_else(|| unavailable(NotOpened))?;
    let opened = provider.open(opening, &state.app.entropy, now).await;
    opened.map_err(unavailable)
}

impl SessionCase {
    async fn read(
        app: &App,
        call: &Call,
        ticket: &Ticket,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let wanted = (
            Standing::wanted(ticket.agreement, ticket.recipient),
            Account::concerned(call, ticket.account),
        );
        let (standing, _) = app.table.find(wanted).await?;
        let standing = standing.ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
        Ok(Self {
            ticket: ticket.clone(),
            standing,
            now,
        })
    }

    /// Writes the session down, as one that opened at `opens_at`. It is decided anew where
    /// something else was faster.
    async fn enter(
        &mut self,
        app: &App,
        call: &Call,
        id: SessionId,
        opens_at: Timestamp,
    ) -> Result<(), Problem> {
        let mut retries = RetryPolicy::default();
        loop {
            match app.table.transact(self.writes(id, call, opens_at)?).await {
                Ok(()) => return Ok(()),
                Err(failure @ Failure::Unavailable(_)) => {
                    return unless_there(app, id, failure).await;
                }
                Err(_) => retries.wait(&app.entropy).await?,
            }
            *self = Self::read(app, call, &self.ticket, self.now).await?;
            self.decide()?;
        }
    }

    /// Whether a session may be opened.
    fn decide(&self) -> Result<(), Problem> {
        let (recipient, now) = (self.standing.recipient(), self.now);
        self.standing
            .accessible(now)
            .map_err(shared::agreement::AgreementRefusal::problem_of_recipient)?;
        self.ticket
            .challenge(recipient, now)
            .map_err(|refusal| refusal.problem(now))?;
        if recipient.asked(self.standing.agreement()) != Authentication::Kba {
            return Err(Problem::new(Slug::MethodNotEnabled));
        }
        if let Some((until, limit)) = OPENINGS.full_until(&recipient.kba.sessions, now) {
            let quota = u32::try_from(limit.quota).unwrap_or(u32::MAX);
            let policy = Policy {
                name: "kba-sessions",
                quota,
                window: limit.span,
            };
            return Err(Problem::new(Slug::TooManySessions).retry_after(until.until(now), &policy));
        }
        Ok(())
    }

    fn opening(&self, id: SessionId, base: &str) -> Opening {
        Opening {
            reference: id,
            difficulty: self.standing.agreement().kba.difficulty,
            callback_url: format!("{base}/v1/kba/callback"),
            expires_in: BEGIN_WITHIN,
            name: self.standing.recipient().name.clone(),
        }
    }

    fn writes(
        &self,
        id: SessionId,
        call: &Call,
        opens_at: Timestamp,
    ) -> Result<Vec<Write>, Problem> {
        let recipient = self.standing.recipient();
        let session = Session::open(id, &self.ticket, recipient, opens_at);
        let update = self.standing.update();
        let update = recipient.open_session(update, &session, self.now)?;
        let update = self.ticket.keep_until(update, session.expires_at);
        let event = Event::new(Action::KbaSessionOpened, Actor::Recipient(recipient.id))
            .from(call.client_ip);
        let event = event
            .with("method", "kba")
            .with("session", id.to_string())
            .with("viewing", session.viewing);
        let mut writes = vec![session.create()?.into()];
        writes.extend(self.standing.step(
            self.ticket.guard(update, self.now),
            [event],
            self.now,
        )?);
        Ok(writes)
    }
}

/// The failure to write a session down. It may have taken effect all the same; then the session is
/// there, and counted.
async fn unless_there(app: &App, id: SessionId, failure: Failure) -> Result<(), Problem> {
    let stands = app.table.find(keys::session(id)).await;
    if let Ok(Some(_)) = stands {
        Ok(())
    } else {
        Err(failure.into())
    }
}
