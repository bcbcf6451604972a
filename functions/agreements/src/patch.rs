//! `PATCH /v1/agreements/{id}/recipients/{recipient}`: another method, until that recipient has
//! completed. The quota follows.

use serde::Deserialize;
use shared::account::Settings;
use shared::account::api_key::Caller;
use shared::agreement::{Authentication, Recipient, Reservation, Standing};
use shared::kernel::clock::Timestamp;
use shared::ledger::plan::{self, Plan, ReservationRequest};
use shared::ledger::{self, EntryId, Hold, Snapshot, Watch, watch};
use shared::messaging::outbox;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Stored, Write};
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

/// Another method that is asked for.
struct Asked<'a> {
    state: &'a State,
    call: &'a Call,
    caller: &'a Caller,
    to: Authentication,
    if_match: Option<u64>,
}

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let request: Request = Body::read(call.merge_patch()?)?;
    let asked = Asked {
        state,
        call,
        caller,
        to: request.authentication,
        if_match: call.if_match()?,
    };
    asked.make().await
}

impl Asked<'_> {
    /// Makes the change, of the recipient as they stand.
    async fn make(&self) -> Outcome {
        let (app, now) = (&self.state.app, self.call.arrived_at);
        let (mut retries, mut doubt) = (RetryPolicy::default(), Doubt::default());
        let mut sighted = false;
        loop {
            let standing = find::standing(app, self.call, self.caller.account.id).await?;
            let version = standing.agreement().head.sequence;
            if self.if_match.is_some_and(|asked| asked != version) {
                return Err(Problem::new(Slug::PreconditionFailed));
            }
            match standing.changeable(now) {
                Ok(()) => {}
                Err(_) if doubt.is_raised() => continue,
                Err(refusal) => return Err(refusal.problem()),
            }
            let recipient = standing.recipient();
            if recipient.authentication == self.to {
                return Ok(Reply::json(&shown::Recipient::from(recipient)).etag(version));
            }
            let (plan, writes) = self.decide(&standing, sighted).await?;
            let changed = recipient.after(&writes)?;
            let version = standing.agreement().after(&writes)?.head.sequence;
            let written = app.table.transact(writes).await;
            if let (Some(plan), Err(failure)) = (&plan, &written) {
                sighted |= plan.failed(failure);
            }
            let settled = retries.settled(written, &app.entropy).await;
            if settled.map_err(contended)? {
                self.tell(plan.as_ref()).await;
                return Ok(Reply::json(&shown::Recipient::from(&changed)).etag(version));
            }
        }
    }

    /// What the change does to the quota, and its writes; the ledger is looked at on all shards
    /// where it is to be `sighted`.
    async fn decide(
        &self,
        standing: &Standing,
        sighted: bool,
    ) -> Result<(Option<Plan>, Vec<Write>), Problem> {
        let (app, account, now) = (&self.state.app, &self.caller.account, self.call.arrived_at);
        let group = standing.agreement().group.as_deref();
        let settings = send::settings(app, account, group).await?;
        permit(self.caller, &settings, standing.recipient(), self.to)?;
        let change = Change {
            standing,
            to: self.to,
            now,
        };
        let watch = Watch::of(account, &settings);
        let seen = send::look(app, account, sighted).await?;
        let plan = match change.plan(self.caller, &watch, seen.as_ref()) {
            Ok(plan) => plan,
            Err(refusal) => {
                send::tell_overdue(self.state, &watch, account.id, seen.as_ref(), now).await;
                return Err(refusal.into());
            }
        };
        let event = Event::new(Action::RecipientChanged, self.caller.actor);
        let event = change.event(event.from(self.call.client_ip));
        let writes = change.writes(event, plan.as_ref())?;
        Ok((plan, writes))
    }

    /// Tells that the balance is low, where the change has made it so.
    async fn tell(&self, plan: Option<&Plan>) {
        let crossing = plan.and_then(|plan| plan.crossing.as_ref());
        let mails = watch::tell(crossing, self.call.arrived_at);
        outbox::deliver_all(&self.state.app, &self.state.courier, mails).await;
    }
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
            "needs the recipient's phone, which is missing",
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
    ) -> Result<Option<Plan>, ledger::LedgerRefusal> {
        let (agreement, recipient) = (self.standing.agreement(), self.standing.recipient());
        // Where the chain goes on tells one change from another.
        let number = agreement.head.sequence + 1;
        let about = agreement.about(Some(recipient.id));
        if let Some(hold) = self.given_back() {
            let id = EntryId::release(recipient.id, number);
            let step = plan::release(agreement.account, id, &about, &[hold], self.now);
            return Ok(Some(step.plan()?));
        }
        if self.to != Authentication::Kba || recipient.kba.consumed {
            return Ok(None);
        }
        let id = EntryId::reserve_again(recipient.id, number);
        let order = ReservationRequest {
            account: &caller.account,
            id,
            about,
            count: 1,
            watch,
            at: self.now,
        };
        plan::reserve(&order, seen).map(Some)
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
