//! What goes wrong on purpose: a plan per service that the SDK's HTTP client asks before each call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::holding::Holdings;
use crate::limits::ItemLimit;
use crate::plan::{Mode, Nature, Plan, Service, Strike};
use crate::refusals;
use crate::watch::{Calls, Watched};
use crate::weather::{Blowing, Weather};

/// The plans and the counts, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    holdings: Holdings,
}

#[derive(Debug, Default)]
struct State {
    plans: BTreeMap<Service, Plan>,
    calls: BTreeMap<Service, u32>,
    struck: u32,
    weather: Option<Blowing>,
    limit: Option<ItemLimit>,
    gates: Vec<Gate>,
    watched: Option<Calls>,
}

/// How long a held call is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A call that waits to be answered: for what happens between a read and the write that was decided
/// from it.
#[derive(Debug)]
struct Gate {
    service: Service,
    after: u32,
    held: Held,
}

/// A call that took effect, and whose answer waits: see [`Faults::hold`] and [`Faults::tear`].
#[derive(Clone, Debug, Default)]
pub struct Held {
    notices: Arc<Notices>,
    /// The item of those that it reads that is younger than the others, where it reads again before
    /// it answers.
    pub(crate) tears: Option<usize>,
}

#[derive(Debug, Default)]
struct Notices {
    operation: OnceLock<String>,
    width: OnceLock<usize>,
    arrived: Notify,
    let_go: Notify,
}

impl Held {
    /// Waits until the call is held.
    ///
    /// # Panics
    ///
    /// If no such call is made within a minute: a test that waits for what does not happen ends,
    /// and says so.
    pub async fn arrived(&self) {
        let arrived = tokio::time::timeout(PATIENCE, self.notices.arrived.notified()).await;
        assert!(
            arrived.is_ok(),
            "no call came to be held within {PATIENCE:?}"
        );
    }

    /// Lets the answer go. The SDK waits two seconds for it before it asks again.
    pub fn let_go(&self) {
        self.notices.let_go.notify_one();
    }

    /// Whether the call that is held decides nothing yet: it reads.
    pub fn is_a_read(&self) -> bool {
        matches!(
            self.operation(),
            Some("GetItem" | "BatchGetItem" | "TransactGetItems" | "Query")
        )
    }

    /// Which of the table's operations is held, once one is.
    pub fn operation(&self) -> Option<&str> {
        self.notices.operation.get().map(String::as_str)
    }

    /// How many items the held call names, where it is a batch.
    pub fn width(&self) -> usize {
        self.notices.width.get().copied().unwrap_or_default()
    }

    pub(crate) async fn wait(&self) {
        self.notices.arrived.notify_one();
        self.notices.let_go.notified().await;
    }
}

/// Plans and counts at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is still to go wrong.
    pub plans: BTreeMap<Service, Plan>,
    /// Calls made to each service since the last reset, retries of the SDK included.
    pub calls: BTreeMap<Service, u32>,
    /// Calls struck since the last reset.
    pub struck: u32,
    /// Calls that met an item which a transaction held, since the faults were last cleared.
    pub conflicts: u32,
}

impl Faults {
    /// After `after` more calls to `service`, the next `count` go wrong, for as long as is usual.
    /// It takes the place of the service's earlier plan and resets the counts.
    pub fn set(&self, service: Service, mode: Mode, after: u32, count: u32) {
        self.follow(service, Plan::new(mode, after, count));
    }

    /// The calls to `service` go wrong by this plan from now on. It takes the place of the
    /// service's earlier plan and resets the counts.
    pub fn follow(&self, service: Service, plan: Plan) {
        let mut state = self.state();
        state.reset_counts();
        state.plans.insert(service, plan);
    }

    /// From now on every transaction takes so long, and holds its items meanwhile: [`Mode::Hold`],
    /// whatever else is planned.
    pub fn hold_items(&self, lasting: Duration) {
        self.holdings.stand(lasting);
    }

    /// Transactions take no longer than they do; answers with how many calls met an item that was
    /// held.
    pub fn let_items_go(&self) -> u32 {
        self.holdings.end();
        self.holdings.take_conflicts()
    }

    /// After `after` more calls to `service`, the next takes effect, and its answer waits to be let
    /// go. Several may be held at once.
    pub fn hold(&self, service: Service, after: u32) -> Held {
        self.gated(service, after, Held::default())
    }

    /// After `after` more calls to the table, the next waits to be let go between two reads, and
    /// answers with something of each, as [`Mode::Torn`] has it.
    pub fn tear(&self, after: u32) -> Held {
        self.tear_at(after, 0)
    }

    /// The same, where of a batch the item at this place in it is the one that is younger than all
    /// others.
    pub fn tear_at(&self, after: u32, place: usize) -> Held {
        self.gated(
            Service::Dynamodb,
            after,
            Held {
                tears: Some(place),
                ..Held::default()
            },
        )
    }

    /// From now on it is noted which items the calls to the table are about.
    pub fn watch(&self) -> Watched {
        self.state().watched = Some(Calls::default());
        Watched(self.clone())
    }

    pub(crate) fn unwatch(&self) -> Calls {
        self.state().watched.take().unwrap_or_default()
    }

    /// Notes a call to the table, if anybody wants to know.
    pub(crate) fn note(&self, request: &HttpRequest) {
        let operation = refusals::operation(request);
        if let (Some(calls), Some(operation)) = (&mut self.state().watched, operation) {
            calls.note(
                operation,
                refusals::invocation(request),
                refusals::body(request),
            );
        }
    }

    fn gated(&self, service: Service, after: u32, held: Held) -> Held {
        self.state().gates.push(Gate {
            service,
            after,
            held: held.clone(),
        });
        held
    }

    /// Whether the answer of this call waits, and for what.
    pub(crate) fn gate(
        &self,
        service: Service,
        operation: Option<&str>,
        width: impl FnOnce() -> usize,
    ) -> Option<Held> {
        let mut state = self.state();
        let reached = state
            .gates
            .iter()
            .position(|gate| gate.service == service && gate.after == 0);
        let reached = reached.map(|place| state.gates.remove(place).held);
        for gate in state
            .gates
            .iter_mut()
            .filter(|gate| gate.service == service)
        {
            gate.after = gate.after.saturating_sub(1);
        }
        reached.inspect(|held| {
            held.notices
                .operation
                .set(operation.unwrap_or_default().to_owned())
                .unwrap_or_default();
            held.notices.width.set(width()).unwrap_or_default();
        })
    }

    /// From now on calls go wrong as `weather` has it, drawn from `seed`, whatever else is planned.
    /// What was struck, [`Faults::calm`] tells.
    pub fn blow(&self, seed: u64, weather: Weather) {
        self.state().weather = Some(Blowing::new(seed, weather));
    }

    /// From now on an item of the table takes so many write units a second in transactions, as
    /// DynamoDB has it.
    pub fn limit_items(&self, units_per_second: u32) {
        self.state().limit = Some(ItemLimit::new(units_per_second));
    }

    /// Lifts that limit; answers with how many transactions it refused.
    pub fn lift_limit(&self) -> u32 {
        self.state()
            .limit
            .take()
            .map(|limit| limit.refused())
            .unwrap_or_default()
    }

    /// The places of the items in a transaction that have had their share of write units.
    #[expect(
        clippy::disallowed_methods,
        reason = "it is this machine's time that a benchmark under this limit measures"
    )]
    pub(crate) fn short_of_units(&self, body: impl FnOnce() -> Value) -> Vec<usize> {
        self.state()
            .limit
            .as_mut()
            .map(|limit| limit.spend(&body(), Instant::now()))
            .unwrap_or_default()
    }

    /// Ends the weather; answers with how many calls to each service it struck, and how.
    pub fn calm(&self) -> BTreeMap<(Service, Mode), u32> {
        self.state()
            .weather
            .take()
            .map(|blowing| blowing.struck)
            .unwrap_or_default()
    }

    /// Nothing goes wrong any more, and the counts begin anew.
    pub fn clear(&self) {
        *self.state() = State::default();
        self.let_items_go();
    }

    /// How many calls were struck since the last [`Faults::set`] or [`Faults::clear`].
    pub fn struck(&self) -> u32 {
        self.state().struck
    }

    /// How many calls were made to `service` since the last [`Faults::set`] or [`Faults::clear`]; a
    /// retry is a call.
    pub fn calls(&self, service: Service) -> u32 {
        self.state()
            .calls
            .get(&service)
            .copied()
            .unwrap_or_default()
    }

    /// Plans and counts.
    pub fn report(&self) -> Report {
        let state = self.state();
        let conflicts = self.holdings.conflicts();
        Report {
            plans: state.plans.clone(),
            calls: state.calls.clone(),
            struck: state.struck,
            conflicts,
        }
    }

    /// Counts a call to `service`, and says how it goes wrong, if it does. A plan does not meet a
    /// call that cannot go wrong so.
    pub(crate) fn meet(&self, service: Service, nature: Nature) -> Option<Strike> {
        let mut state = self.state();
        *state.calls.entry(service).or_default() += 1;
        if let Some(blowing) = state.weather.as_mut() {
            return blowing.strike(service, nature);
        }
        let plan = state.plans.get_mut(&service)?;
        let strike = plan.meet(nature);
        if plan.count == 0 {
            state.plans.remove(&service);
        }
        strike.inspect(|_| state.struck += 1)
    }

    /// The items that transactions hold.
    pub(crate) const fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reset_counts(&mut self) {
        self.calls.clear();
        self.struck = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_struck_is_counted() {
        let faults = Faults::default();
        faults.set(Service::Dynamodb, Mode::Lost, 2, 2);
        let met = (0..6)
            .filter_map(|_| faults.meet(Service::Dynamodb, Nature::default()))
            .count();
        assert_eq!(
            (met, faults.struck(), faults.calls(Service::Dynamodb)),
            (2, 2, 6)
        );
    }

    #[test]
    fn one_service_does_not_fail_for_another() {
        let faults = Faults::default();
        faults.set(Service::Ses, Mode::Refused, 0, 1);
        assert_eq!(faults.meet(Service::Sns, Nature::default()), None);
        assert_eq!(
            faults
                .meet(Service::Ses, Nature::default())
                .map(|strike| strike.mode),
            Some(Mode::Refused)
        );
    }

    #[test]
    fn clearing_forgets_plans_and_counts() {
        let faults = Faults::default();
        faults.set(Service::Sns, Mode::Slow, 0, 9);
        faults.meet(Service::Sns, Nature::default());
        faults.clear();
        assert_eq!(faults.meet(Service::Sns, Nature::default()), None);
        assert_eq!((faults.struck(), faults.calls(Service::Sns)), (0, 1));
    }
}
