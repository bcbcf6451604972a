//! The rules of signing in, said a second time and in the plainest way: no table, no races, no keys. What the handlers answer is
//! held against this.

use std::collections::BTreeMap;

/// A second factor that a code is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Sms,
    Email,
}

impl Channel {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

/// What is typed as a code.
#[derive(Clone, Copy, Debug)]
pub enum Typed {
    /// The code that was sent last.
    Last,
    /// The one before it.
    Before,
    /// Another than both.
    Wrong,
}

/// What is expected of an answer: the status, and the slugs of which it may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    pub slugs: Vec<&'static str>,
    pub attempts_left: Option<u64>,
}

impl Expected {
    const fn ok(status: u16) -> Self {
        Self { status, slugs: Vec::new(), attempts_left: None }
    }

    fn refused(status: u16, slug: &'static str) -> Self {
        Self { status, slugs: vec![slug], attempts_left: None }
    }
}

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    failed_at: i64,
}

/// Somebody who signs in.
#[derive(Debug)]
pub struct Person {
    pub internal: bool,
    pub has_email: bool,
    disabled: bool,
    wrong_passwords: Count,
    wrong_codes: BTreeMap<Channel, Count>,
    sent_at: BTreeMap<Channel, Vec<i64>>,
}

/// A challenge, with the texts of the codes that were sent for it.
#[derive(Debug)]
pub struct Challenge {
    pub person: usize,
    opened_at: i64,
    used: bool,
    ended: bool,
    tries: u64,
    sends: u32,
    sent_at: i64,
    pub codes: BTreeMap<Channel, Vec<String>>,
    code_sent_at: BTreeMap<Channel, i64>,
}

/// The state that the rules speak of.
#[derive(Debug)]
pub struct Reference {
    pub now: i64,
    pub sms: bool,
    pub email: bool,
    pub internal_required: bool,
    pub people: Vec<Person>,
    pub challenges: Vec<Challenge>,
}

/// After the 5th wrong password a delay of a second, which doubles up to a quarter of an hour.
fn password_delay(failures: u32) -> i64 {
    if failures < 5 { 0 } else { (1_i64 << (failures - 5).min(20)).min(900) }
}

/// From the 10th wrong code on, min(30 s · 2^(n−10), 1 h).
fn code_delay(failures: u32) -> i64 {
    if failures < 10 { 0 } else { (30_i64 << (failures - 10).min(20)).min(3_600) }
}

impl Count {
    fn is_delayed(&self, delay: fn(u32) -> i64, now: i64) -> bool {
        now < self.failed_at + delay(self.failures)
    }

    fn add(&mut self, now: i64) {
        self.failures += 1;
        self.failed_at = now;
    }
}

impl Person {
    pub fn new(internal: bool, has_email: bool) -> Self {
        let by_channel = || BTreeMap::from([(Channel::Sms, Count::default()), (Channel::Email, Count::default())]);
        Self {
            internal,
            has_email,
            disabled: false,
            wrong_passwords: Count::default(),
            wrong_codes: by_channel(),
            sent_at: BTreeMap::new(),
        }
    }
}

impl Reference {
    pub fn new(people: Vec<Person>) -> Self {
        Self { now: 0, sms: true, email: false, internal_required: true, people, challenges: Vec::new() }
    }

    fn usable(&self, person: usize, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.sms,
            Channel::Email => self.email && self.people[person].has_email,
        }
    }

    /// A password. What a right one opens is entered by [`Reference::opened`].
    pub fn login(&mut self, who: usize, right: bool) -> Expected {
        let now = self.now;
        let usable = self.usable(who, Channel::Sms) || self.usable(who, Channel::Email);
        let person = &mut self.people[who];
        if person.wrong_passwords.is_delayed(password_delay, now) {
            return Expected::refused(429, "too-many-attempts");
        }
        if !right || person.disabled {
            person.wrong_passwords.add(now);
            return Expected::refused(401, "invalid-credentials");
        }
        person.wrong_passwords = Count::default();
        if usable || (person.internal && !self.internal_required) {
            Expected::ok(200)
        } else {
            Expected::refused(403, "no-usable-factor")
        }
    }

    /// Whether a right password of this person is all that is asked for.
    pub fn needs_no_second(&self, who: usize) -> bool {
        self.people[who].internal && !self.internal_required
    }

    pub fn opened(&mut self, who: usize) {
        self.challenges.push(Challenge {
            person: who,
            opened_at: self.now,
            used: false,
            ended: false,
            tries: 0,
            sends: 0,
            sent_at: 0,
            codes: BTreeMap::new(),
            code_sent_at: BTreeMap::new(),
        });
    }

    /// Why nothing can be done with a challenge and a channel, if so.
    fn refusal(&self, which: usize, channel: Channel) -> Option<Expected> {
        let challenge = &self.challenges[which];
        let person = &self.people[challenge.person];
        let over = challenge.opened_at + 600 <= self.now;
        if over || person.disabled || challenge.ended {
            // A used one that is over may have been forgotten.
            let slugs = if challenge.used { vec!["challenge-expired", "challenge-used"] } else { vec!["challenge-expired"] };
            return Some(Expected { status: 410, slugs, attempts_left: None });
        }
        if challenge.used {
            return Some(Expected::refused(410, "challenge-used"));
        }
        let delayed = person.wrong_codes[&channel].is_delayed(code_delay, self.now);
        (challenge.tries >= 5 || delayed).then(|| Expected::refused(429, "too-many-attempts"))
    }

    /// A wish for a code. What was sent is entered by [`Reference::sent`].
    pub fn send(&self, which: usize, channel: Channel) -> Expected {
        if let Some(refusal) = self.refusal(which, channel) {
            return refusal;
        }
        let challenge = &self.challenges[which];
        if !self.usable(challenge.person, channel) {
            return Expected::refused(403, "method-not-enabled");
        }
        if challenge.sends > 0 && self.now < challenge.sent_at + (60_i64 << (challenge.sends - 1)) {
            return Expected::refused(429, "resend-too-soon");
        }
        let sends = self.people[challenge.person].sent_at.get(&channel).map(Vec::as_slice).unwrap_or_default();
        let within = |span: i64| sends.iter().filter(|at| **at + span > self.now).count();
        if within(600) >= 5 || within(3_600) >= 10 {
            return Expected::refused(429, "too-many-sends");
        }
        Expected::ok(202)
    }

    pub fn sent(&mut self, which: usize, channel: Channel, code: String) {
        let challenge = &mut self.challenges[which];
        challenge.sends += 1;
        challenge.sent_at = self.now;
        challenge.codes.entry(channel).or_default().push(code);
        challenge.code_sent_at.insert(channel, self.now);
        self.people[challenge.person].sent_at.entry(channel).or_default().push(self.now);
    }

    /// A try at a code.
    pub fn verify(&mut self, which: usize, channel: Channel, typed: Typed) -> Expected {
        if let Some(refusal) = self.refusal(which, channel) {
            return refusal;
        }
        let now = self.now;
        if !self.usable(self.challenges[which].person, channel) {
            return Expected::refused(403, "method-not-enabled");
        }
        let challenge = &mut self.challenges[which];
        let count = self.people[challenge.person].wrong_codes.get_mut(&channel).unwrap();
        let sent = challenge.codes.get(&channel).map_or(0, Vec::len);
        if challenge.code_sent_at.get(&channel).is_some_and(|at| at + 300 <= now) {
            return Expected::refused(410, "code-expired");
        }
        let slug = match typed {
            Typed::Last if sent > 0 => {
                challenge.used = true;
                *count = Count::default();
                return Expected::ok(200);
            }
            Typed::Before if sent > 1 => "code-superseded",
            Typed::Last | Typed::Before | Typed::Wrong => {
                count.add(now);
                "code-invalid"
            }
        };
        challenge.tries += 1;
        Expected { attempts_left: Some(5 - challenge.tries), ..Expected::refused(401, slug) }
    }

    /// An administrator lifts the delays.
    pub fn unlock(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.wrong_passwords = Count::default();
        person.wrong_codes.values_mut().for_each(|count| *count = Count::default());
    }

    /// An administrator disables somebody, or takes that back: what was open is over.
    pub fn disable(&mut self, who: usize, disabled: bool) {
        self.people[who].disabled = disabled;
        if disabled {
            self.challenges.iter_mut().filter(|challenge| challenge.person == who).for_each(|challenge| challenge.ended = true);
        }
    }
}
