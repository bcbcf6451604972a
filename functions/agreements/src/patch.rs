//! `PATCH /v1/agreements/{id}/recipients/{recipient}`: another method, until that recipient has
//! completed. The quota follows.

use serde::Deserialize;
use shared::account::Settings;
use shared::account::api_key::Caller;
use shared::agreement::{Authentication, Recipient, RecipientStatus, Reservation, Standing};
use shared::kernel::clock::Timestamp;
use shared::ledger::plan::{self, Order, Plan};
use shared::ledger::{self, EntryId, Hold, Snapshot, Watch, balance, watch};
use shared::messaging::outbox;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Write};
use shared::web::http::refusals::contended;
use shared::web::http::{Body, Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::choice::{self, Choice};
use crate::doubt::Doubt;
use crate::{State, find, send, shown};

/// A JSON Merge Patch of a recipient.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchRecipient)]
pub struct Request {
    /// What the recipient is to prove from now on. What they have proved so far counts no more.
    pub authentication: Authentication,
}

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let app = &state.app;
    let request: Request = Body::read(call.merge_patch()?)?;
    let if_match = call.if_match()?;
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    let mut sighted = false;
    let mut doubt = Doubt::default();
    loop {
        let standing = find::standing(app, call, caller.account.id).await?;
        let (agreement, recipient) = (standing.agreement(), standing.recipient());
        if if_match.is_some_and(|version| version != agreement.head.sequence) {
            return Err(Problem::new(Slug::PreconditionFailed));
        }
        match standing.changeable(now) {
            Ok(()) => {}
            Err(_) if doubt.is_raised() => continue,
            Err(refusal) => return Err(refusal.problem()),
        }
        if recipient.authentication == request.authentication {
            return Ok(Reply::ok(&shown::Recipient::from(recipient)).etag(agreement.head.sequence));
        }
        let settings = send::settings(app, &caller.account, agreement.group.as_deref()).await?;
        permit(caller, &settings, recipient, request.authentication)?;
        let change = Change {
            standing: &standing,
            to: request.authentication,
            now,
        };
        let watch = Watch::of(&caller.account, &settings);
        let seen = if sighted {
            Some(balance::snapshot(&app.table, &app.entropy, &caller.account).await?)
        } else {
            None
        };
        let plan = match change.plan(caller, &watch, seen.as_ref()) {
            Ok(plan) => plan,
            Err(refusal) => {
                send::tell_overdue(state, &watch, caller.account.id, seen.as_ref(), now).await;
                return Err(refusal.into());
            }
        };
        let event =
            change.event(Event::new(Action::RecipientChanged, caller.actor).from(call.client_ip));
        let writes = change.writes(event, plan.as_ref())?;
        let written = app.table.transact(writes).await;
        if let (Some(plan), Err(failure)) = (&plan, &written) {
            sighted |= plan.failed(failure);
        }
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            let mails = watch::tell(plan.as_ref().and_then(|plan| plan.crossing.as_ref()), now);
            outbox::deliver_all(app, &state.courier, mails).await;
            return Ok(changed(
                recipient.clone(),
                request.authentication,
                agreement.head.sequence + 1,
            ));
        }
    }
}

/// The answer where the recipient's method has been changed to this one.
fn changed(recipient: Recipient, authentication: Authentication, version: u64) -> Reply {
    let changed = Recipient {
        authentication,
        status: RecipientStatus::Pending,
        ..recipient
    };
    Reply::ok(&shown::Recipient::from(&changed)).etag(version)
}

fn permit(
    caller: &Caller,
    settings: &Settings,
    recipient: &Recipient,
    to: Authentication,
) -> Result<(), Problem> {
    if to == Authentication::Sms && recipient.phone.is_none() {
        return Err(Problem::invalid_field(
            "/authentication",
            "needs the recipient's phone, which the sender did not give",
        ));
    }
    let (name, country) = (recipient.name.as_deref(), recipient.country.as_deref());
    choice::permit(
        &caller.account,
        settings,
        &[Choice {
            pointer: "",
            authentication: to,
            name,
            country,
        }],
    )
}

/// A change of a recipient's method.
struct Change<'a> {
    standing: &'a Standing,
    to: Authentication,
    now: Timestamp,
}

impl Change<'_> {
    /// What it does to the quota. A transaction that was consumed is consumed: the same recipient
    /// costs no second one.
    fn plan(
        &self,
        caller: &Caller,
        watch: &Watch,
        seen: Option<&Snapshot>,
    ) -> Result<Option<Plan>, ledger::Refusal> {
        let (agreement, recipient, now) = (
            self.standing.agreement(),
            self.standing.recipient(),
            self.now,
        );
        // Where the chain goes on tells one change from another.
        let number = agreement.head.sequence + 1;
        let about = agreement.about(Some(recipient.id));
        if let Some(hold) = self.given_back() {
            let id = EntryId::release(recipient.id, number);
            return Ok(Some(
                plan::release(agreement.account, id, &about, &[hold], now).plan()?,
            ));
        }
        if self.to != Authentication::Kba || recipient.kba.consumed {
            return Ok(None);
        }
        let id = EntryId::reserve_again(recipient.id, number);
        plan::reserve(
            &Order {
                account: &caller.account,
                id,
                about,
                count: 1,
                watch,
                at: now,
            },
            seen,
        )
        .map(Some)
    }

    /// The reserved transaction that is not needed any more.
    fn given_back(&self) -> Option<Hold> {
        self.standing
            .recipient()
            .reserved()
            .filter(|_| self.to != Authentication::Kba)
    }

    fn event(&self, event: Event) -> Event {
        let recipient = self.standing.recipient();
        let event = event
            .with("recipient", recipient.id.to_string())
            .with("from", recipient.authentication.name());
        event.with("to", self.to.name())
    }

    fn reservation(&self, plan: Option<&Plan>) -> Reservation {
        let made = plan.and_then(|plan| plan.holds.first());
        match (made, self.given_back()) {
            (Some(hold), _) => Reservation::Made(*hold),
            (None, Some(_)) => Reservation::GivenBack,
            (None, None) => Reservation::Stays,
        }
    }

    fn writes(&self, event: Event, plan: Option<&Plan>) -> Result<Vec<Write>, Failure> {
        let Self { standing, to, now } = *self;
        let recipient = standing.recipient();
        let update = recipient.change_method(standing.update(), to, self.reservation(plan))?;
        let mut writes = standing.step(update, [event], now)?;
        writes.extend(
            plan.into_iter()
                .flat_map(|plan| plan.writes.iter().cloned()),
        );
        Ok(writes)
    }
}
