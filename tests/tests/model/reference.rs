//! The rules of signing in, said a second time and in the plainest way: no table, no races, no keys. What the handlers answer is
//! held against this.

use std::collections::BTreeMap;

/// A second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Sms,
    Email,
    App,
    Recovery,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Sms, Self::Email, Self::App, Self::Recovery];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::App => "totp",
            Self::Recovery => "recovery_code",
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
    /// What the app shows so many steps from now.
    Shown(i64),
    /// The recovery code of this number, of ten.
    Noted(usize),
    /// None that there ever was.
    Wrong,
}

/// The length of a step of an app.
pub const STEP: i64 = 30;

enum Verdict {
    Right,
    Wrong,
    Used,
    Superseded,
    Expired,
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
#[expect(clippy::struct_excessive_bools, reason = "a reference is as plain as it can be")]
pub struct Person {
    pub internal: bool,
    pub has_email: bool,
    pub has_phone: bool,
    /// The last step of which the app's code was taken.
    pub app: Option<i64>,
    recovery_used: [bool; 10],
    disabled: bool,
    wrong_passwords: Count,
    wrong_codes: BTreeMap<Channel, Count>,
    sent_at: BTreeMap<Channel, Vec<i64>>,
}

/// A challenge, with the texts of the codes that were sent for it.
#[derive(Debug)]
pub struct Challenge {
    pub person: usize,
    /// The link that opened it, if one did.
    pub link: Option<usize>,
    opened_at: i64,
    used: bool,
    ended: bool,
    tries: u64,
    sends: u32,
    sent_at: i64,
    pub codes: BTreeMap<Channel, Vec<String>>,
    code_sent_at: BTreeMap<Channel, i64>,
}

/// A link that was mailed.
#[derive(Debug)]
pub struct Link {
    person: usize,
    made_at: i64,
    used: bool,
    ended: bool,
}

/// Which second factors the account has on.
#[derive(Clone, Copy, Debug)]
pub struct Methods {
    pub sms: bool,
    pub email: bool,
    pub totp: bool,
}

impl Methods {
    pub const fn any(self) -> bool {
        self.sms || self.email || self.totp
    }
}

/// The state that the rules speak of.
#[derive(Debug)]
pub struct Reference {
    pub now: i64,
    pub methods: Methods,
    pub internal_required: bool,
    pub people: Vec<Person>,
    pub challenges: Vec<Challenge>,
    pub links: Vec<Link>,
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
        let by_channel = || Channel::ALL.into_iter().map(|channel| (channel, Count::default())).collect();
        Self {
            internal,
            has_email,
            has_phone: false,
            app: None,
            recovery_used: [false; 10],
            disabled: false,
            wrong_passwords: Count::default(),
            wrong_codes: by_channel(),
            sent_at: BTreeMap::new(),
        }
    }
}

impl Reference {
    pub fn new(people: Vec<Person>) -> Self {
        Self {
            now: 0,
            methods: Methods { sms: true, email: false, totp: true },
            internal_required: true,
            people,
            challenges: Vec::new(),
            links: Vec::new(),
        }
    }

    fn usable(&self, person: usize, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.methods.sms && self.people[person].has_phone,
            Channel::Email => self.methods.email && self.people[person].has_email,
            Channel::App | Channel::Recovery => self.methods.totp && self.people[person].app.is_some(),
        }
    }

    /// A password. What a right one opens is entered by [`Reference::opened`].
    pub fn login(&mut self, who: usize, right: bool) -> Expected {
        let now = self.now;
        let usable = Channel::ALL.into_iter().any(|channel| self.usable(who, channel));
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

    /// Whether a link can be mailed to this person.
    pub fn can_be_mailed(&self, who: usize) -> bool {
        self.people[who].has_email && !self.people[who].disabled
    }

    pub fn linked(&mut self, who: usize) {
        self.links.push(Link { person: who, made_at: self.now, used: false, ended: false });
    }

    /// A link that is opened: nothing is used up by it.
    pub fn redeem(&self, which: usize) -> Expected {
        let link = &self.links[which];
        if link.used {
            return Expected::refused(410, "link-used");
        }
        if link.ended || self.people[link.person].disabled || link.made_at + 3_600 <= self.now {
            return Expected::refused(410, "link-expired");
        }
        if Channel::ALL.into_iter().any(|channel| self.usable(link.person, channel)) {
            Expected::ok(200)
        } else {
            Expected::refused(403, "no-usable-factor")
        }
    }

    pub fn opened_by(&mut self, which: usize) {
        self.opened(self.links[which].person, Some(which));
    }

    pub fn opened(&mut self, who: usize, link: Option<usize>) {
        self.challenges.push(Challenge {
            person: who,
            link,
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
        let used = challenge.used || challenge.link.is_some_and(|link| self.links[link].used);
        if over || person.disabled || challenge.ended {
            // A used one that is over may have been forgotten.
            let slugs = if used { vec!["challenge-expired", "challenge-used"] } else { vec!["challenge-expired"] };
            return Some(Expected { status: 410, slugs, attempts_left: None });
        }
        if used {
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
        let verdict = match channel {
            Channel::Sms | Channel::Email => self.judge_sent(which, channel, typed),
            Channel::App => self.judge_shown(which, typed),
            Channel::Recovery => self.judge_noted(which, typed),
        };
        let challenge = &mut self.challenges[which];
        let count = self.people[challenge.person].wrong_codes.get_mut(&channel).unwrap();
        let slug = match verdict {
            Verdict::Expired => return Expected::refused(410, "code-expired"),
            Verdict::Right => {
                challenge.used = true;
                *count = Count::default();
                if let Some(link) = challenge.link {
                    self.links[link].used = true;
                }
                return Expected::ok(200);
            }
            // What was right once is no guess.
            Verdict::Superseded => "code-superseded",
            Verdict::Used => "code-invalid",
            Verdict::Wrong => {
                count.add(now);
                "code-invalid"
            }
        };
        challenge.tries += 1;
        Expected { attempts_left: Some(5 - challenge.tries), ..Expected::refused(401, slug) }
    }

    fn judge_sent(&self, which: usize, channel: Channel, typed: Typed) -> Verdict {
        let challenge = &self.challenges[which];
        let sent = challenge.codes.get(&channel).map_or(0, Vec::len);
        let expired = challenge.code_sent_at.get(&channel).is_some_and(|at| at + 300 <= self.now);
        match typed {
            _ if expired => Verdict::Expired,
            Typed::Last if sent > 0 => Verdict::Right,
            Typed::Before if sent > 1 => Verdict::Superseded,
            _ => Verdict::Wrong,
        }
    }

    /// A step early or late, once, and none before one that was taken.
    fn judge_shown(&mut self, which: usize, typed: Typed) -> Verdict {
        let step = self.now / STEP;
        let last = self.people[self.challenges[which].person].app.as_mut().unwrap();
        match typed {
            Typed::Shown(away) if away.abs() <= 1 && step + away > *last => {
                *last = step + away;
                Verdict::Right
            }
            Typed::Shown(away) if away.abs() <= 1 => Verdict::Used,
            _ => Verdict::Wrong,
        }
    }

    fn judge_noted(&mut self, which: usize, typed: Typed) -> Verdict {
        let used = &mut self.people[self.challenges[which].person].recovery_used;
        match typed {
            Typed::Noted(number) if used[number] => Verdict::Used,
            Typed::Noted(number) => {
                used[number] = true;
                Verdict::Right
            }
            _ => Verdict::Wrong,
        }
    }

    /// An administrator lifts the delays.
    pub fn unlock(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.wrong_passwords = Count::default();
        person.wrong_codes.values_mut().for_each(|count| *count = Count::default());
    }

    /// An administrator disables somebody, or takes that back: what was open, or mailed, is over.
    pub fn disable(&mut self, who: usize, disabled: bool) {
        self.people[who].disabled = disabled;
        if disabled {
            self.challenges.iter_mut().filter(|challenge| challenge.person == who).for_each(|challenge| challenge.ended = true);
            self.links.iter_mut().filter(|link| link.person == who).for_each(|link| link.ended = true);
        }
    }
}
