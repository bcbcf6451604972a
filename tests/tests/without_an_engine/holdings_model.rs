//! What recipients hold, as a model that is explored exhaustively: each process reads the agreement
//! and the recipients one after another, in any order in which the service may, decides from what
//! it read, and writes one transaction under conditions. Everything may happen between any two of
//! these; an answer may be lost, after which the process begins anew; and a process that is never
//! gone on with has died.
//!
//! The same model without the recipients' version, or with an end that reads the recipients before
//! the agreement, breaks: so it sees what these are for.

use std::io::Write as _;

use stateright::{Checker, Model, Property};

/// Two are reserved, one for each recipient.
const BOUGHT: i8 = 3;

/// A recipient as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Recipient {
    kba: bool,
    held: bool,
    consumed: bool,
    version: u8,
}

/// What the table holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Table {
    available: i8,
    reserved: i8,
    consumed: i8,
    /// How far the agreement's chain goes, and whether it is out for signature.
    agreement: (u8, bool),
    recipients: [Recipient; 2],
    /// The messages of the provider that were taken.
    taken: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// The sender changes the first recipient's method: to KBA, or away from it.
    Change { to_kba: bool },
    /// The provider's message of this number: a recipient failed, and it was not the last attempt.
    Failed { message: u8, recipient: usize },
    /// The second recipient's last attempt: the agreement is cancelled.
    LastFailed { message: u8 },
    /// The sender cancels, or the clean-up expires it.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Process {
    saw_agreement: Option<(u8, bool)>,
    saw: [Option<Recipient>; 2],
    over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    table: Table,
    processes: Vec<Process>,
    losses: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    ReadAgreement(usize),
    ReadRecipient(usize, usize),
    Write(usize),
    /// It takes effect where its conditions hold, and nobody is told: the process begins anew.
    Lost(usize),
}

struct Service {
    steps: Vec<Step>,
    /// Whether each decided write of a recipient has its version as a condition, and not its method
    /// alone.
    versioned: bool,
    /// Whether what ends an agreement reads the recipients after it.
    ordered: bool,
    losses: u8,
}

impl Step {
    fn wants(self, recipient: usize) -> bool {
        match self {
            Self::Change { .. } => recipient == 0,
            Self::Failed { recipient: own, .. } => recipient == own,
            Self::LastFailed { .. } | Self::End => true,
        }
    }

    /// Whether this recipient is read only after the agreement, where the service sees to the
    /// order.
    fn after_the_agreement(self, recipient: usize) -> bool {
        self == Self::End || (matches!(self, Self::LastFailed { .. }) && recipient == 0)
    }
}

/// What a process decides: the table as it would leave it, over what it saw; none where there is
/// nothing to do.
fn decide(step: Step, process: &Process, table: &Table) -> Option<Table> {
    let mut next = table.clone();
    let agreement = |next: &mut Table, open: bool| {
        let (chain, _) = process.saw_agreement.unwrap();
        next.agreement = (chain + 1, open);
    };
    let is_open = process.saw_agreement.is_some_and(|(_, open)| open);
    match step {
        Step::Change { to_kba } => {
            let before = process.saw[0].unwrap();
            if !is_open || before.kba == to_kba {
                return None;
            }
            let mut after = Recipient {
                kba: to_kba,
                version: before.version + 1,
                ..before
            };
            if before.held && !to_kba {
                after.held = false;
                (next.available, next.reserved) = (next.available + 1, next.reserved - 1);
            } else if to_kba && !before.consumed {
                after.held = true;
                (next.available, next.reserved) = (next.available - 1, next.reserved + 1);
            }
            // What a write does not name stays as it stands: only what it names is as it was seen.
            after.consumed = table.recipients[0].consumed;
            next.recipients[0] = after;
            agreement(&mut next, true);
        }
        Step::Failed { message, recipient } => {
            if table.taken & (1 << message) != 0 {
                return None;
            }
            next.taken |= 1 << message;
            let before = process.saw[recipient].unwrap();
            if is_open && before.kba {
                use_up(&mut next, recipient, before);
            }
            agreement(&mut next, is_open);
        }
        Step::LastFailed { message } => {
            if table.taken & (1 << message) != 0 {
                return None;
            }
            next.taken |= 1 << message;
            let before = process.saw[1].unwrap();
            if is_open && before.kba {
                use_up(&mut next, 1, before);
                release(&mut next, i8::from(process.saw[0].unwrap().held));
            }
            agreement(&mut next, is_open && !before.kba);
        }
        Step::End => {
            if !is_open {
                return None;
            }
            release(
                &mut next,
                process
                    .saw
                    .iter()
                    .flatten()
                    .map(|recipient| i8::from(recipient.held))
                    .sum(),
            );
            agreement(&mut next, false);
        }
    }
    Some(next)
}

/// A recipient's transaction is consumed, if it is held still.
fn use_up(next: &mut Table, recipient: usize, before: Recipient) {
    let mut after = Recipient {
        version: before.version + 1,
        ..before
    };
    if before.held {
        (after.held, after.consumed) = (false, true);
        (next.reserved, next.consumed) = (next.reserved - 1, next.consumed + 1);
    }
    next.recipients[recipient] = after;
}

fn release(next: &mut Table, count: i8) {
    (next.available, next.reserved) = (next.available + count, next.reserved - count);
}

impl Service {
    fn new(versioned: bool, ordered: bool, losses: u8) -> Self {
        let steps = vec![
            Step::Change { to_kba: false },
            Step::Change { to_kba: true },
            Step::Failed {
                message: 0,
                recipient: 0,
            },
            Step::LastFailed { message: 1 },
            Step::End,
        ];
        Self {
            steps,
            versioned,
            ordered,
            losses,
        }
    }

    /// Whether what the write assumes still stands.
    fn holds(&self, process: &Process, before: &Table, after: &Table) -> bool {
        let chain = process
            .saw_agreement
            .is_none_or(|saw| saw == before.agreement);
        let recipients = (0..2)
            .filter(|place| before.recipients[*place] != after.recipients[*place])
            .all(|place| {
                let (saw, stands) = (process.saw[place].unwrap(), before.recipients[place]);
                if self.versioned {
                    saw.version == stands.version
                } else {
                    saw.kba == stands.kba
                }
            });
        let sums = after.available >= 0 && after.reserved >= 0;
        chain && recipients && sums
    }

    fn has_read(step: Step, process: &Process) -> bool {
        process.saw_agreement.is_some()
            && (0..2).all(|place| !step.wants(place) || process.saw[place].is_some())
    }

    /// Carries out a process's write, and says where that leaves the process.
    fn write(&self, world: &mut World, place: usize) {
        let (step, process) = (self.steps[place], world.processes[place].clone());
        let over = match decide(step, &process, &world.table) {
            None => true,
            Some(after) if self.holds(&process, &world.table, &after) => {
                world.table = after;
                true
            }
            // Too few are left, which a reservation finds out for good; anything else is decided
            // anew.
            Some(after) => after.available < 0,
        };
        world.processes[place] = Process {
            over,
            ..Process::default()
        };
    }
}

impl Model for Service {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let asked = Recipient {
            kba: true,
            held: true,
            consumed: false,
            version: 0,
        };
        let table = Table {
            available: BOUGHT - 2,
            reserved: 2,
            consumed: 0,
            agreement: (0, true),
            recipients: [asked; 2],
            taken: 0,
        };
        let processes = vec![Process::default(); self.steps.len()];
        vec![World {
            table,
            processes,
            losses: self.losses,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Event>) {
        for (place, (step, process)) in self.steps.iter().zip(&world.processes).enumerate() {
            if process.over {
                continue;
            }
            if Self::has_read(*step, process) {
                actions.push(Event::Write(place));
                if world.losses > 0 {
                    actions.push(Event::Lost(place));
                }
                continue;
            }
            if process.saw_agreement.is_none() {
                actions.push(Event::ReadAgreement(place));
            }
            for recipient in 0..2 {
                let early = process.saw_agreement.is_none()
                    && self.ordered
                    && step.after_the_agreement(recipient);
                if step.wants(recipient) && process.saw[recipient].is_none() && !early {
                    actions.push(Event::ReadRecipient(place, recipient));
                }
            }
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut world = world.clone();
        match event {
            Event::ReadAgreement(place) => {
                world.processes[place].saw_agreement = Some(world.table.agreement);
            }
            Event::ReadRecipient(place, recipient) => {
                world.processes[place].saw[recipient] = Some(world.table.recipients[recipient]);
            }
            Event::Write(place) => self.write(&mut world, place),
            Event::Lost(place) => {
                world.losses -= 1;
                self.write(&mut world, place);
                world.processes[place] = Process::default();
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what was bought is available, reserved or consumed",
                |_, world: &World| {
                    world.table.available + world.table.reserved + world.table.consumed == BOUGHT
                },
            ),
            Property::always(
                "what is reserved is what recipients hold",
                |_, world: &World| {
                    let Table {
                        agreement,
                        recipients,
                        reserved,
                        ..
                    } = &world.table;
                    let held: i8 = recipients
                        .iter()
                        .map(|recipient| i8::from(recipient.held && agreement.1))
                        .sum();
                    *reserved == held
                },
            ),
            Property::always(
                "who has used a transaction holds none",
                |_, world: &World| {
                    let used: i8 = world
                        .table
                        .recipients
                        .iter()
                        .map(|recipient| i8::from(recipient.consumed))
                        .sum();
                    used == world.table.consumed
                        && world
                            .table
                            .recipients
                            .iter()
                            .all(|one| !(one.held && one.consumed))
                },
            ),
            Property::sometimes("one was given back, and taken again", |_, world: &World| {
                world.table.recipients[0].held && world.table.recipients[0].version == 2
            }),
            Property::sometimes("both are used, and it ends", |_, world: &World| {
                world.table.consumed == 2 && !world.table.agreement.1
            }),
            Property::sometimes("all is given back", |_, world: &World| {
                world.table.available == BOUGHT
            }),
        ]
    }
}

#[test]
fn what_is_reserved_is_what_recipients_hold_in_every_order_of_reads_and_writes() {
    let checker = Service::new(true, true, 1)
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    checker.assert_properties();
    // Said whatever becomes of the test: `println!` is kept for one that fails.
    let said = writeln!(
        std::io::stdout(),
        "{} states, {} of them different, {} deep: every holding is right",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    said.expect("standard output");
    assert!(
        checker.unique_state_count() > 100_000,
        "{}",
        checker.unique_state_count()
    );
}

#[test]
fn without_the_version_one_that_was_used_is_given_back() {
    let checker = Service::new(false, true, 0)
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    // A recipient is read, its failure is written, the agreement is read, and the change of method
    // is made.
    assert!(
        checker
            .discovery("what is reserved is what recipients hold")
            .is_some()
    );
}

#[test]
fn an_end_that_reads_the_recipients_first_gives_back_what_was_used() {
    let checker = Service::new(true, false, 0)
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    assert!(
        checker
            .discovery("what is reserved is what recipients hold")
            .is_some()
    );
}
