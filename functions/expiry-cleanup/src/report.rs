//! What a run of the clean-up did.

use serde::Serialize;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Items it looked at.
    pub examined: u32,
    /// Challenges that were over.
    pub challenges: u32,
    /// Apps that nobody confirmed in time.
    pub enrolments: u32,
    /// Counts of wrong passwords, failed sign-ins and sends that no limit looks at any more.
    pub counters: u32,
    /// Answers kept for `Idempotency-Key`.
    pub idempotency_records: u32,
    /// Links, and their one-time codes, that nobody needs to be told of any more.
    pub links: u32,
    /// Sessions of knowledge-based authentication that nobody answered in time, or that were looked
    /// at when their time was over.
    pub kba_sessions_expired: u32,
    /// Sessions that nobody will ask for any more.
    pub kba_sessions: u32,
    /// Audit entries of names that nobody has.
    pub passing_entries: u32,
    /// Agreements whose time was over.
    pub agreements: u32,
    /// Messages of the outbox that were sent.
    pub mails_sent: u32,
    /// Mails that nobody has a use for any more.
    pub mails_dropped: u32,
    /// Messages that could not be sent and remain in the outbox.
    pub mails_owed: u32,
    /// Items that turned out to be due later.
    pub rescheduled: u32,
    /// Items that could not be dealt with, and are due still: the log says why.
    pub failed: u32,
    /// Items that others were at each time that they were tried: due still, and for the next run.
    pub left: u32,
    /// Whether more is due.
    pub more: bool,
}

impl Report {
    /// How many things it removed.
    pub const fn removed(&self) -> u32 {
        self.challenges
            + self.enrolments
            + self.counters
            + self.idempotency_records
            + self.links
            + self.kba_sessions
            + self.kba_sessions_expired
            + self.passing_entries
            + self.agreements
            + self.mails_sent
            + self.mails_dropped
    }

    /// How many things it is done with for now: removed, or put off until they are due.
    pub const fn done(&self) -> u32 {
        self.removed() + self.rescheduled + self.mails_owed
    }

    /// Whether it could deal with nothing that it tried: not a bad item among good ones, but a
    /// right, a key or a service that is gone.
    pub const fn is_a_failure(&self) -> bool {
        self.failed > 0 && self.done() == 0
    }

    /// Adds up what was done. What is left, and whether more is due, only the last of several
    /// sweeps knows.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.examined += other.examined;
        self.challenges += other.challenges;
        self.enrolments += other.enrolments;
        self.counters += other.counters;
        self.idempotency_records += other.idempotency_records;
        self.links += other.links;
        self.kba_sessions_expired += other.kba_sessions_expired;
        self.kba_sessions += other.kba_sessions;
        self.passing_entries += other.passing_entries;
        self.agreements += other.agreements;
        self.mails_sent += other.mails_sent;
        self.mails_dropped += other.mails_dropped;
        self.mails_owed += other.mails_owed;
        self.rescheduled += other.rescheduled;
        self.failed += other.failed;
        self.left += other.left;
    }
}
