//! The ledger's protocol as a model, explored exhaustively: two clients that reserve, consume and
//! release, a clean-up that expires and an operator who tops up, each of whose requests may take
//! effect and lose its answer, be sent twice, or die before it is sent.
//!
//! A transaction is atomic, which DynamoDB gives; everything between two transactions may happen in
//! any order. A client decides from what it knows, and its write repeats what it assumed.

use std::collections::BTreeMap;
use std::io::Write as _;

use stateright::{Checker, Model, Property};

/// How many transactions are bought at first, and how many by each top-up.
const BOUGHT: i8 = 2;
/// What each of the two agreements reserves: together more than there is before the top-up.
const WANTED: i8 = 2;

/// What the table holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Table {
    available: i8,
    reserved: i8,
    consumed: i8,
    /// Entries by name, with what they did.
    entries: BTreeMap<Name, i8>,
    /// Of each agreement: how it stands.
    agreements: [Agreement; 2],
}

/// What an entry is named by: the same step has the same name, whoever makes it, and however often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Name {
    Bought,
    Topup,
    Reserve(u8),
    Consume(u8, u8),
    Release(u8),
}

/// An agreement: none yet, or out with so many recipients that have not used theirs, or over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
enum Agreement {
    #[default]
    None,
    Out {
        used: [bool; 2],
    },
    Over,
}

/// What a process is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Send(u8),
    Consume(u8, u8),
    End(u8),
    Topup,
}

/// Where a process is in its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// It has not sent anything, or does not know what came of it: it will (again) send.
    Asking,
    /// It knows what came of it.
    Done,
    /// It refused for want of transactions.
    Refused,
    /// It died, and nobody repeats its step.
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    table: Table,
    processes: Vec<(Step, At)>,
    crashes: u8,
    losses: u8,
}

/// What may happen to a process's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    /// It takes effect, and the answer arrives.
    Answered(usize),
    /// It takes effect, and the answer is lost.
    Lost(usize),
    /// The process dies before it asks.
    Crashed(usize),
    /// A request that was answered arrives a second time.
    Duplicate(usize),
}

/// What the table says to a request.
#[derive(PartialEq, Eq)]
enum Answer {
    Made,
    Before,
    TooFew,
    Moved,
}

impl Table {
    /// One transaction: all of it, or nothing.
    fn ask(&mut self, step: Step) -> Answer {
        match step {
            Step::Topup => self.enter(Name::Topup, (BOUGHT, 0, 0)),
            Step::Send(number) => {
                let answer = self.enter(Name::Reserve(number), (-WANTED, WANTED, 0));
                if answer == Answer::Made {
                    self.agreements[usize::from(number)] = Agreement::Out { used: [false; 2] };
                }
                answer
            }
            Step::Consume(number, recipient) => {
                let Agreement::Out { mut used } = self.agreements[usize::from(number)] else {
                    let before = self.entries.contains_key(&Name::Consume(number, recipient));
                    return if before {
                        Answer::Before
                    } else {
                        Answer::Moved
                    };
                };
                let answer = self.enter(Name::Consume(number, recipient), (0, -1, 1));
                if answer == Answer::Made {
                    used[usize::from(recipient)] = true;
                    self.agreements[usize::from(number)] = Agreement::Out { used };
                }
                answer
            }
            Step::End(number) => {
                let Agreement::Out { used } = self.agreements[usize::from(number)] else {
                    return Answer::Moved;
                };
                let left = i8::try_from(used.iter().filter(|used| !**used).count()).unwrap();
                let answer = if left == 0 {
                    Answer::Made
                } else {
                    self.enter(Name::Release(number), (left, -left, 0))
                };
                if answer == Answer::Made {
                    self.agreements[usize::from(number)] = Agreement::Over;
                }
                answer
            }
        }
    }

    /// An entry and what it does: created once, and nothing below zero.
    fn enter(&mut self, name: Name, (available, reserved, consumed): (i8, i8, i8)) -> Answer {
        if self.entries.contains_key(&name) {
            return Answer::Before;
        }
        if self.available + available < 0 {
            return Answer::TooFew;
        }
        assert!(
            self.reserved + reserved >= 0,
            "a condition of the write holds this off"
        );
        self.entries.insert(
            name,
            available.abs().max(reserved.abs()).max(consumed.abs()),
        );
        self.available += available;
        self.reserved += reserved;
        self.consumed += consumed;
        Answer::Made
    }
}

struct Ledger {
    crashes: u8,
    losses: u8,
}

impl Model for Ledger {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let mut table = Table {
            available: BOUGHT,
            ..Table::default()
        };
        table.entries.insert(Name::Bought, BOUGHT);
        let steps = [
            // Two clients, each with an agreement of two recipients; both recipients of the first
            // may answer.
            Step::Send(0),
            Step::Consume(0, 0),
            Step::Consume(0, 1),
            Step::Send(1),
            Step::Consume(1, 0),
            // A cancellation and the clean-up's expiry, of the same agreement; and of the other.
            Step::End(0),
            Step::End(0),
            Step::End(1),
            // The same top-up from two.
            Step::Topup,
            Step::Topup,
        ];
        let processes = steps.into_iter().map(|step| (step, At::Asking)).collect();
        vec![World {
            table,
            processes,
            crashes: self.crashes,
            losses: self.losses,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Event>) {
        for (place, (step, at)) in world.processes.iter().enumerate() {
            match at {
                At::Asking if Self::ready(world, *step) => {
                    actions.push(Event::Answered(place));
                    if world.losses > 0 {
                        actions.push(Event::Lost(place));
                    }
                    if world.crashes > 0 {
                        actions.push(Event::Crashed(place));
                    }
                }
                At::Done if world.losses > 0 => actions.push(Event::Duplicate(place)),
                _ => {}
            }
        }
    }

    #[expect(clippy::match_same_arms, reason = "each event is told by itself")]
    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut world = world.clone();
        match event {
            Event::Answered(place) => {
                let answer = world.table.ask(world.processes[place].0);
                world.processes[place].1 = if answer == Answer::TooFew {
                    At::Refused
                } else {
                    At::Done
                };
            }
            Event::Lost(place) => {
                world.losses -= 1;
                let _ = world.table.ask(world.processes[place].0);
            }
            Event::Duplicate(place) => {
                world.losses -= 1;
                let _ = world.table.ask(world.processes[place].0);
            }
            Event::Crashed(place) => {
                world.crashes -= 1;
                world.processes[place].1 = At::Dead;
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what was bought is available, reserved or consumed",
                |_, world: &World| {
                    let Table {
                        available,
                        reserved,
                        consumed,
                        entries,
                        ..
                    } = &world.table;
                    let bought = BOUGHT
                        * i8::try_from(
                            entries
                                .keys()
                                .filter(|name| matches!(name, Name::Bought | Name::Topup))
                                .count(),
                        )
                        .unwrap();
                    available + reserved + consumed == bought
                },
            ),
            Property::always("nothing is negative", |_, world: &World| {
                world.table.available >= 0 && world.table.reserved >= 0 && world.table.consumed >= 0
            }),
            Property::always(
                "what is reserved is what open agreements have not used",
                |_, world: &World| {
                    let unused = |agreement: &Agreement| match agreement {
                        Agreement::Out { used } => used.iter().filter(|used| !**used).count(),
                        Agreement::None | Agreement::Over => 0,
                    };
                    usize::try_from(world.table.reserved)
                        == Ok(world.table.agreements.iter().map(unused).sum())
                },
            ),
            Property::always(
                "a recipient's transaction is consumed once",
                |_, world: &World| {
                    let consumed = world
                        .table
                        .entries
                        .iter()
                        .filter(|(name, _)| matches!(name, Name::Consume(..)));
                    consumed.map(|(_, count)| *count).sum::<i8>() == world.table.consumed
                },
            ),
            Property::sometimes("a sending is refused", |_, world: &World| {
                world.processes.iter().any(|(_, at)| *at == At::Refused)
            }),
            Property::sometimes(
                "both agreements end, all is accounted for, and something was consumed",
                |_, world: &World| {
                    world.table.agreements == [Agreement::Over; 2]
                        && world.table.reserved == 0
                        && world.table.consumed == 3
                },
            ),
            Property::sometimes(
                "a release and a consumption of one agreement stand side by side",
                |_, world: &World| {
                    world.table.entries.contains_key(&Name::Release(0)) && world.table.consumed == 1
                },
            ),
        ]
    }
}

impl Ledger {
    /// A recipient and a canceller act on an agreement that is there; whoever finds it over is
    /// answered so.
    fn ready(world: &World, step: Step) -> bool {
        match step {
            Step::Send(_) | Step::Topup => true,
            Step::Consume(number, _) | Step::End(number) => {
                world.table.agreements[usize::from(number)] != Agreement::None
            }
        }
    }
}

#[test]
fn no_order_of_steps_losses_duplicates_and_crashes_breaks_a_sum() {
    let checker = Ledger {
        crashes: 2,
        losses: 2,
    }
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    checker.assert_properties();
    // Said whatever becomes of the test: `println!` is kept for one that fails.
    let said = writeln!(
        std::io::stdout(),
        "{} states, {} of them different, {} deep: every sum holds",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    said.expect("standard output");
    assert!(
        checker.unique_state_count() > 10_000,
        "{}",
        checker.unique_state_count()
    );
}
