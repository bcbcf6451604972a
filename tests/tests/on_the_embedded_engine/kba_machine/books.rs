//! What the reference keeps of the ledger and of the mails: sums, names, and nothing else.

use std::collections::BTreeMap;

/// What the threshold is where there is one.
pub const THRESHOLD: i64 = 5;
/// The account's one contact.
pub const CONTACT: &str = "ops@alder.example";

/// An entry of the ledger, without its id and its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub kind: &'static str,
    pub transactions: i64,
    pub agreement: Option<u8>,
    pub recipient: Option<usize>,
    pub group: Option<&'static str>,
}

/// What a step of the ledger is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    pub agreement: Option<u8>,
    pub recipient: Option<usize>,
    pub group: Option<&'static str>,
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Below so many the contacts are told.
    threshold: i64,
    pub available: i64,
    pub reserved: i64,
    pub consumed: i64,
    /// Reserved and consumed, by group.
    pub shares: BTreeMap<&'static str, (i64, i64)>,
    pub entries: Vec<Entry>,
    topups: BTreeMap<u8, u32>,
    told: bool,
}

impl Ledger {
    pub fn new(threshold: i64) -> Self {
        Self {
            threshold,
            ..Self::default()
        }
    }

    /// Whether the top-up is made; false where its id stands for another.
    pub fn topup(&mut self, id: u8, transactions: u32) -> bool {
        if let Some(before) = self.topups.get(&id) {
            return *before == transactions;
        }
        self.topups.insert(id, transactions);
        self.available += i64::from(transactions);
        self.enter("topup", i64::from(transactions), About::default());
        true
    }

    /// Whether the contacts are told of it.
    pub fn reserve(&mut self, count: i64, about: About) -> bool {
        if count == 0 {
            return false;
        }
        let before = self.available;
        self.available -= count;
        self.reserved += count;
        let tells = self.available < self.threshold && (before >= self.threshold || !self.told);
        self.told |= tells;
        self.enter("reserve", count, about);
        tells
    }

    pub fn consume(&mut self, about: About) {
        self.reserved -= 1;
        self.consumed += 1;
        self.enter("consume", 1, about);
    }

    pub fn release(&mut self, count: i64, about: About) {
        if count > 0 {
            self.reserved -= count;
            self.available += count;
            self.enter("release", count, about);
        }
    }

    fn enter(&mut self, kind: &'static str, transactions: i64, about: About) {
        let About {
            agreement,
            recipient,
            group,
        } = about;
        if let Some(group) = group {
            let (reserved, consumed) = self.shares.entry(group).or_default();
            match kind {
                "reserve" => *reserved += transactions,
                "release" => *reserved -= transactions,
                _ => (*reserved, *consumed) = (*reserved - transactions, *consumed + transactions),
            }
        }
        self.entries.push(Entry {
            kind,
            transactions,
            agreement,
            recipient,
            group,
        });
        // Whatever lifts the balance, below the threshold again is another crossing.
        self.told &= self.available < self.threshold;
    }
}

/// Where a mail stands while it is owed: one after the other on a recipient, one of an agreement to
/// its sender, one of a crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    Recipient(u8, usize),
    Sender(u8),
    Crossing(usize),
}

/// What an invitation is about.
pub const INVITATION: &str = "asks you to sign";

/// Whom a mail goes to, and the beginning of what it is about.
pub type NoticeKind = (String, &'static str);

#[derive(Debug)]
struct Owed {
    kind: NoticeKind,
    until: i64,
    attempts: u32,
    leased_until: i64,
    /// A fault struck while it was made or sent: it may have gone already.
    doubtful: bool,
}

/// The mails: at least, and at most, how often each has gone.
#[derive(Debug, Default)]
pub struct Mails {
    pub sent: BTreeMap<NoticeKind, (u32, u32)>,
    owed: BTreeMap<Slot, Owed>,
    /// Whether SES takes none.
    pub down: bool,
}

fn lease(attempts: u32) -> i64 {
    (60_i64 << attempts.min(10)).min(3_600)
}

impl Mails {
    /// A mail is owed from now on, and tried at once. It takes the place of one that is owed there
    /// still.
    pub fn owe(&mut self, slot: Slot, kind: NoticeKind, (now, until): (i64, i64), doubtful: bool) {
        self.owed.remove(&slot);
        let (least, most) = self.sent.entry(kind.clone()).or_default();
        *most += if doubtful { 2 } else { 1 };
        if self.down || doubtful {
            self.owed.insert(
                slot,
                Owed {
                    kind,
                    until,
                    attempts: 1,
                    leased_until: now + lease(0),
                    doubtful,
                },
            );
        } else {
            *least += 1;
        }
    }

    /// An agreement has ended: nobody is invited to it any more who was not yet.
    pub fn end(&mut self, key: u8) {
        let is_invitation = |slot: &Slot, owed: &Owed| {
            matches!(slot, Slot::Recipient(of, _) if *of == key) && owed.kind.1 == INVITATION
        };
        self.owed.retain(|slot, owed| !is_invitation(slot, owed));
    }

    /// A clean-up at `now`. Where a fault strikes it, whatever it touches is in doubt.
    pub fn clean(&mut self, now: i64, struck: bool) {
        for owed in self.owed.values_mut().filter(|_| struck) {
            owed.doubtful = true;
            self.sent.entry(owed.kind.clone()).or_default().1 += 1;
        }
        let due: Vec<Slot> = self
            .owed
            .iter()
            .filter(|(_, owed)| owed.leased_until <= now && !owed.doubtful)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in due {
            let Some(owed) = self.owed.get_mut(&slot) else {
                continue;
            };
            if owed.until <= now {
                self.owed.remove(&slot);
            } else if self.down {
                owed.leased_until = now + lease(owed.attempts);
                owed.attempts += 1;
            } else {
                self.sent.entry(owed.kind.clone()).or_default().0 += 1;
                self.owed.remove(&slot);
            }
        }
    }

    /// Everything that is of use has gone by now.
    pub fn settle(&mut self, now: i64) {
        for (_, owed) in std::mem::take(&mut self.owed) {
            if owed.until > now {
                self.sent.entry(owed.kind).or_default().0 += 1;
            }
        }
    }
}
