//! The rules of signing in, said a second time and in the plainest way: no table, no races, no
//! keys. What the handlers answer is held against this.

mod afterwards;
mod contacts;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::rules::{
    Budget, CHALLENGE, CODE, Codes, Count, Expected, LINK, Moments, Requester, STEP, code_delay,
    password_delay, resend_wait,
};

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

/// Whether a person is known where something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Stranger,
    Known,
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

enum ModelVerdict {
    Right,
    Wrong,
    Used(&'static str),
    Superseded,
    Expired,
}

/// Somebody who signs in.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a reference is as plain as it can be"
)]
pub struct Person {
    pub internal: bool,
    pub has_email: bool,
    pub has_phone: bool,
    pub in_group: bool,
    /// Which password is theirs.
    pub password: u32,
    /// The last step of which the app's code was taken.
    pub app: Option<i64>,
    pub recovery_used: Option<[bool; 10]>,
    pub had_factor: bool,
    pub was_reset: bool,
    pub disabled: bool,
    pub generation: u32,
    pub spared: Option<usize>,
    pub wrong_passwords: BTreeMap<Origin, Count>,
    pub wrong_codes: BTreeMap<(Channel, Origin), Count>,
    /// The places from which a sign-in was completed.
    pub known: BTreeSet<usize>,
    pub codes: Codes,
    pub codes_to: BTreeMap<Channel, Codes>,
    /// How often the phone was changed by its user: none of it is a day ago.
    pub phone_changes: u32,
}

/// A challenge, with the texts of the codes that were sent for it.
#[derive(Debug, Default)]
pub struct Challenge {
    pub person: usize,
    /// The link that opened it, if one did.
    pub link: Option<usize>,
    pub attempts: u64,
    pub codes: BTreeMap<Channel, Vec<String>>,
    enrols: bool,
    /// Where it was opened, and where its person was known then.
    place: usize,
    known: BTreeSet<usize>,
    opened_at: i64,
    used: bool,
    ended: bool,
    /// How many codes were sent, and when the last was.
    sent: BTreeMap<Channel, (u32, i64)>,
    texts: Vec<i64>,
    code_sent_at: BTreeMap<Channel, i64>,
}

/// A link that was mailed.
#[derive(Debug)]
struct Link {
    person: usize,
    made_at: i64,
    used: bool,
    ended: bool,
}

/// A token that was handed out.
#[derive(Debug)]
struct Token {
    person: usize,
    generation: u32,
    proved_at: i64,
    second: bool,
}

/// Which second factors are on.
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

    /// These, with what a group has otherwise.
    pub fn with(self, group: &BTreeMap<&'static str, bool>) -> Self {
        let of = |name, account| group.get(name).copied().unwrap_or(account);
        Self {
            sms: of("sms", self.sms),
            email: of("email", self.email),
            totp: of("totp", self.totp),
        }
    }
}

/// The state that the rules speak of.
#[derive(Debug)]
pub struct Reference {
    pub now: i64,
    /// The place that everybody is at.
    pub here: usize,
    pub methods: Methods,
    pub group: BTreeMap<&'static str, bool>,
    pub internal_required: bool,
    pub allowlisted: bool,
    pub people: Vec<Person>,
    pub challenges: Vec<Challenge>,
    pub budget: Budget,
    links: Vec<Link>,
    tokens: Vec<Token>,
    /// The failed sign-ins from each place, and the codes sent at its wish.
    pub failures: [Moments; PLACES],
    pub sends: [Moments; PLACES],
}

/// How many places there are.
pub const PLACES: usize = 4;

impl Reference {
    pub fn new(people: Vec<Person>) -> Self {
        Self {
            now: 0,
            here: 0,
            methods: Methods {
                sms: true,
                email: false,
                totp: true,
            },
            group: BTreeMap::new(),
            internal_required: true,
            allowlisted: false,
            people,
            challenges: Vec::new(),
            budget: Budget::default(),
            links: Vec::new(),
            tokens: Vec::new(),
            failures: Default::default(),
            sends: Default::default(),
        }
    }

    fn methods_of(&self, who: usize) -> Methods {
        if self.people[who].in_group {
            self.methods.with(&self.group)
        } else {
            self.methods
        }
    }

    fn usable(&self, who: usize, channel: Channel) -> bool {
        let (person, methods) = (&self.people[who], self.methods_of(who));
        match channel {
            Channel::Sms => methods.sms && person.has_phone,
            Channel::Email => methods.email && person.has_email,
            Channel::App => methods.totp && person.app.is_some(),
            Channel::Recovery => {
                methods.totp
                    && person
                        .recovery_used
                        .is_some_and(|used| used.contains(&false))
            }
        }
    }

    /// Whether this person is known here.
    fn origin(&self, who: usize) -> Origin {
        if self.people[who].known.contains(&self.here) {
            Origin::Known
        } else {
            Origin::Stranger
        }
    }

    /// Whether anything is offered here: a factor that only an administrator can unlock is not.
    fn is_offered_any(&self, who: usize) -> bool {
        let origin = self.origin(who);
        let over = |channel| {
            self.people[who]
                .wrong_codes
                .get(&(channel, origin))
                .is_some_and(Count::is_over)
        };
        Channel::ALL
            .into_iter()
            .any(|channel| self.usable(who, channel) && !over(channel))
    }

    fn can_use_any(&self, who: usize) -> bool {
        Channel::ALL
            .into_iter()
            .any(|channel| self.usable(who, channel))
    }

    /// What can be set up with the first factor alone. Never as a way round a factor that there is,
    /// or was: after a reset by a link, or where no link can be mailed.
    fn may_enrol(&self, who: usize, channel: Channel, by_link: bool) -> bool {
        let person = &self.people[who];
        let has_one = (person.has_phone && !person.was_reset)
            || person.app.is_some()
            || self.can_use_any(who);
        let reset = person.was_reset && (by_link || !person.has_email);
        let methods = self.methods_of(who);
        let on = if channel == Channel::Sms {
            methods.sms
        } else {
            methods.totp
        };
        on && !has_one && (!person.had_factor || reset)
    }

    fn may_enrol_any(&self, who: usize, by_link: bool) -> bool {
        [Channel::App, Channel::Sms]
            .into_iter()
            .any(|channel| self.may_enrol(who, channel, by_link))
    }

    /// A password. What a right one opens is entered by [`Reference::opened`], and a token by
    /// [`Reference::signed`].
    pub fn login(&mut self, who: usize, right: bool, more: bool) -> Expected {
        let now = self.now;
        if self.failures[self.here].is_full(100, 300, now) {
            return Expected::refused(429, "too-many-attempts", "login: source blocked");
        }
        let origin = self.origin(who);
        if let Some(rule) = self.is_refused_unseen(who, origin) {
            return Expected::refused(429, "too-many-attempts", rule);
        }
        if !right || self.people[who].disabled {
            self.typed_wrong(who, origin);
            return Expected::refused(401, "invalid-credentials", "login: password wrong");
        }
        let person = &mut self.people[who];
        person.wrong_passwords.retain(|whose, _| *whose > origin);
        let listed = self.allowlisted && self.here == 0;
        if person.internal && (listed || !self.internal_required) {
            if !more {
                let rule = if listed {
                    "login: nothing more is asked on the allowlist"
                } else {
                    "login: nothing more is asked"
                };
                return Expected::ok(200, rule);
            }
            if self.is_offered_any(who) {
                let asked = Expected::ok(200, "login: a second factor is asked for");
                return self.too_many(who).unwrap_or(asked);
            }
        }
        if self.is_offered_any(who) {
            self.too_many(who)
                .unwrap_or_else(|| Expected::ok(200, "login: password right"))
        } else if self.may_enrol_any(who, false) {
            self.too_many(who)
                .unwrap_or_else(|| Expected::ok(200, "login: a factor is to be set up"))
        } else {
            Expected::refused(403, "no-usable-factor", "login: no usable factor")
        }
    }

    /// Why a password of this origin is not looked at, if so. It counts for the address all the
    /// same.
    fn is_refused_unseen(&mut self, who: usize, origin: Origin) -> Option<&'static str> {
        let count = self.people[who].wrong_passwords.entry(origin).or_default();
        let rule = match (origin, count.is_over()) {
            (_, false) if !count.is_delayed(password_delay, self.now) => return None,
            (Origin::Stranger, false) => "login: password delayed",
            (Origin::Stranger, true) => "login: password disabled",
            (Origin::Known, false) => "login: password delayed at a known address",
            (Origin::Known, true) => "login: password disabled at a known address",
        };
        self.failures[self.here].add(self.now);
        Some(rule)
    }

    fn typed_wrong(&mut self, who: usize, origin: Origin) {
        self.people[who]
            .wrong_passwords
            .entry(origin)
            .or_default()
            .add(self.now);
        self.failures[self.here].add(self.now);
    }

    /// Why no other challenge of this person is opened here, if so. What ended them all has ended
    /// their count as well.
    fn too_many(&self, who: usize) -> Option<Expected> {
        let recent = |challenge: &&Challenge| {
            challenge.person == who && challenge.opened_at + CHALLENGE > self.now
        };
        let recent: Vec<&Challenge> = self
            .challenges
            .iter()
            .filter(recent)
            .filter(|challenge| !challenge.ended)
            .collect();
        let here = recent
            .iter()
            .filter(|challenge| challenge.place == self.here)
            .count();
        let known = recent
            .iter()
            .filter(|challenge| challenge.known.contains(&challenge.place))
            .count();
        let strangers = recent.len() - known;
        let rule = match self.origin(who) {
            _ if here >= 20 => "challenge: twenty from an address",
            Origin::Stranger if recent.len() >= 60 => "challenge: sixty of a user",
            Origin::Stranger if !self.people[who].known.is_empty() && strangers >= 30 => {
                "challenge: half is kept for known addresses"
            }
            Origin::Known if known + strangers.min(30) >= 60 => "challenge: sixty of a user",
            Origin::Stranger | Origin::Known => return None,
        };
        Some(Expected::refused(429, "too-many-attempts", rule))
    }

    /// What a right password of this person, or an opened link, is answered with.
    pub fn status(&self, who: usize) -> &'static str {
        if self.is_offered_any(who) {
            "second_factor_required"
        } else {
            "enrolment_required"
        }
    }

    /// Whether a link can be mailed to this person.
    pub fn can_be_mailed(&self, who: usize) -> bool {
        self.people[who].has_email && !self.people[who].disabled
    }

    pub fn linked(&mut self, who: usize) {
        self.links.push(Link {
            person: who,
            made_at: self.now,
            used: false,
            ended: false,
        });
    }

    pub fn owner(&self, link: usize) -> usize {
        self.links[link].person
    }

    /// A link that is opened: nothing is used up by it.
    pub fn redeem(&self, which: usize) -> Expected {
        let link = &self.links[which];
        if link.used {
            return Expected::refused(410, "link-used", "link: used");
        }
        if link.ended || self.people[link.person].disabled || link.made_at + LINK <= self.now {
            return Expected::refused(410, "link-expired", "link: over");
        }
        if self.is_offered_any(link.person) || self.may_enrol_any(link.person, true) {
            self.too_many(link.person)
                .unwrap_or_else(|| Expected::ok(200, "link: opened"))
        } else {
            Expected::refused(403, "no-usable-factor", "login: no usable factor")
        }
    }

    pub fn opened(&mut self, who: usize, link: Option<usize>) {
        let enrols = !self.is_offered_any(who);
        let (place, known) = (self.here, self.people[who].known.clone());
        self.challenges.push(Challenge {
            person: who,
            link,
            enrols,
            place,
            known,
            opened_at: self.now,
            ..Challenge::default()
        });
    }

    /// Why nothing can be done with a challenge, if so.
    fn over(&self, which: usize) -> Option<Expected> {
        let challenge = &self.challenges[which];
        let used = challenge.used || challenge.link.is_some_and(|link| self.links[link].used);
        let over = challenge.opened_at + CHALLENGE <= self.now;
        if over || self.people[challenge.person].disabled || challenge.ended {
            // A used one that is over may have been forgotten.
            let slugs = if used {
                vec!["challenge-expired", "challenge-used"]
            } else {
                vec!["challenge-expired"]
            };
            return Some(Expected {
                status: 410,
                slugs,
                attempts_left: None,
                rule: "challenge: over",
            });
        }
        if used {
            return Some(Expected::refused(410, "challenge-used", "challenge: used"));
        }
        (challenge.attempts >= 5)
            .then(|| Expected::refused(429, "too-many-attempts", "challenge: five attempts"))
    }

    /// Why nothing can be done with a challenge and a channel by this origin, if so.
    fn refusal(&self, which: usize, channel: Channel, origin: Origin) -> Option<Expected> {
        let delayed = || {
            let count = self.people[self.challenges[which].person]
                .wrong_codes
                .get(&(channel, origin))?;
            let rule = match (origin, channel) {
                (Origin::Known, _) if count.is_over() => "factor disabled at a known address",
                (Origin::Known, _) => "factor delayed at a known address",
                (Origin::Stranger, _) if count.is_over() => "factor disabled",
                (Origin::Stranger, Channel::Sms) => "factor delayed: sms",
                (Origin::Stranger, Channel::Email) => "factor delayed: email",
                (Origin::Stranger, Channel::App) => "factor delayed: totp",
                (Origin::Stranger, Channel::Recovery) => "factor delayed: recovery_code",
            };
            let is_refused = count.is_over() || count.is_delayed(code_delay, self.now);
            is_refused.then(|| Expected::refused(429, "too-many-attempts", rule))
        };
        self.over(which).or_else(delayed)
    }

    /// A wish for a code. What was sent is entered by [`Reference::sent`].
    pub fn send(&mut self, which: usize, channel: Channel) -> Expected {
        let origin = self.origin(self.challenges[which].person);
        if let Some(refusal) = self.refusal(which, channel, origin) {
            return refusal;
        }
        let (now, challenge) = (self.now, &self.challenges[which]);
        if !self.usable(challenge.person, channel) {
            return Expected::refused(403, "method-not-enabled", "send: method off");
        }
        let (count, last_at) = challenge.sent.get(&channel).copied().unwrap_or_default();
        if now < last_at + resend_wait(count) {
            return Expected::refused(429, "resend-too-soon", "send: too soon");
        }
        let (person, requester) = (
            &self.people[challenge.person],
            self.requester(challenge.person),
        );
        if let Some(refusal) = self.refusal_of_counts(challenge.person) {
            return refusal;
        }
        let full = |sends: &Codes| sends.is_full(&[(5, 3, 600), (10, 5, 3_600)], requester, now);
        if person.codes_to.get(&channel).is_some_and(full) {
            return Expected::refused(429, "too-many-sends", "send: destination");
        }
        if channel == Channel::Sms && *self.budget.left(now) < 1 {
            return Expected::refused(429, "too-many-sends", "send: budget");
        }
        Expected::ok(202, "send: sent")
    }

    fn requester(&self, who: usize) -> Requester {
        let known = &self.people[who].known;
        if known.contains(&self.here) {
            Requester::Known
        } else if known.is_empty() {
            Requester::Anybody
        } else {
            Requester::Stranger
        }
    }

    /// Why no code is sent for somebody, wherever it would go.
    fn refusal_of_counts(&self, who: usize) -> Option<Expected> {
        let (person, requester, now) = (&self.people[who], self.requester(who), self.now);
        if person
            .codes
            .is_full(&[(10, 5, 3_600), (30, 15, 86_400)], requester, now)
        {
            return Some(Expected::refused(429, "too-many-sends", "send: person"));
        }
        self.sends[self.here]
            .is_full(25, 300, now)
            .then(|| Expected::refused(429, "too-many-sends", "send: source"))
    }

    pub fn sent(&mut self, which: usize, channel: Channel, code: String) {
        let (now, who) = (self.now, self.challenges[which].person);
        let requester = self.requester(who);
        let challenge = &mut self.challenges[which];
        let (count, last_at) = challenge.sent.entry(channel).or_default();
        (*count, *last_at) = (*count + 1, now);
        challenge.codes.entry(channel).or_default().push(code);
        challenge.code_sent_at.insert(channel, now);
        self.sends[self.here].add(now);
        let person = &mut self.people[who];
        person.codes.add(requester, now);
        person
            .codes_to
            .entry(channel)
            .or_default()
            .add(requester, now);
        if channel == Channel::Sms {
            challenge.texts.push(now);
            *self.budget.left(now) -= 1;
        }
    }

    /// An attempt at a code.
    pub fn verify(&mut self, which: usize, channel: Channel, typed: Typed) -> Expected {
        // Who is known is told by the challenge, as it was when it was opened.
        let known = self.challenges[which].known.contains(&self.here);
        let origin = if known {
            Origin::Known
        } else {
            Origin::Stranger
        };
        if let Some(refusal) = self.refusal(which, channel, origin) {
            return refusal;
        }
        let (now, who) = (self.now, self.challenges[which].person);
        if !self.usable(who, channel) {
            return Expected::refused(403, "method-not-enabled", "verify: method off");
        }
        let (slug, rule) = match self.judge(which, channel, typed) {
            ModelVerdict::Expired => {
                return Expected::refused(410, "code-expired", "verify: expired");
            }
            ModelVerdict::Right => {
                if channel == Channel::Sms {
                    self.budget.complete(&self.challenges[which].texts, now);
                }
                // A success from a known address ends the strangers' count as well.
                let cleared =
                    |counted: Channel, whose: Origin| counted == channel && whose <= origin;
                self.people[who]
                    .wrong_codes
                    .retain(|(counted, whose), _| !cleared(*counted, *whose));
                self.complete(which);
                return Expected::ok(200, "verify: right");
            }
            // What was right once is no guess.
            ModelVerdict::Superseded => ("code-superseded", "verify: superseded"),
            ModelVerdict::Used(rule) => ("code-invalid", rule),
            ModelVerdict::Wrong => {
                self.people[who]
                    .wrong_codes
                    .entry((channel, origin))
                    .or_default()
                    .add(now);
                ("code-invalid", "verify: wrong")
            }
        };
        let challenge = &mut self.challenges[which];
        challenge.attempts += 1;
        Expected {
            attempts_left: Some(5 - challenge.attempts),
            ..Expected::refused(401, slug, rule)
        }
    }

    fn complete(&mut self, which: usize) {
        let origin = self.origin(self.challenges[which].person);
        let challenge = &mut self.challenges[which];
        challenge.used = true;
        let person = &mut self.people[challenge.person];
        if let Some(link) = challenge.link {
            self.links[link].used = true;
            // Without a password, a sign-in from a known address lets strangers try it again all
            // the same.
            if origin == Origin::Known {
                person.wrong_passwords.remove(&Origin::Stranger);
            }
        }
        (person.had_factor, person.was_reset) = (true, false);
    }

    fn judge(&mut self, which: usize, channel: Channel, typed: Typed) -> ModelVerdict {
        let challenge = &self.challenges[which];
        let person = &mut self.people[challenge.person];
        let step = self.now / STEP;
        match (channel, typed) {
            (Channel::Sms | Channel::Email, _) => {
                let sent = challenge.codes.get(&channel).map_or(0, Vec::len);
                let expired = challenge
                    .code_sent_at
                    .get(&channel)
                    .is_some_and(|at| at + CODE <= self.now);
                match typed {
                    _ if expired => ModelVerdict::Expired,
                    Typed::Last if sent > 0 => ModelVerdict::Right,
                    Typed::Before if sent > 1 => ModelVerdict::Superseded,
                    _ => ModelVerdict::Wrong,
                }
            }
            // A step early or late, once, and none before one that was taken.
            (Channel::App, Typed::Shown(away)) if away.abs() <= 1 => {
                if person.app.is_some_and(|last| step + away <= last) {
                    return ModelVerdict::Used("verify: an app's code was used");
                }
                person.app = Some(step + away);
                ModelVerdict::Right
            }
            (Channel::Recovery, Typed::Noted(number)) => {
                let used = person.recovery_used.as_mut().unwrap();
                if used[number] {
                    return ModelVerdict::Used("verify: a recovery code was used");
                }
                used[number] = true;
                ModelVerdict::Right
            }
            (Channel::App | Channel::Recovery, _) => ModelVerdict::Wrong,
        }
    }

    /// An app that is set up with a challenge, and confirmed by the code that it shows.
    pub fn enrol(&mut self, which: usize) -> Expected {
        if let Some(refusal) = self.over(which) {
            return refusal;
        }
        let who = self.challenges[which].person;
        if !self.methods_of(who).totp {
            return Expected::refused(403, "method-not-enabled", "enrol: method off");
        }
        if !self.challenges[which].enrols || !self.may_enrol(who, Channel::App, true) {
            return Expected::refused(
                403,
                "fresh-second-factor-required",
                "enrol: not who has a factor",
            );
        }
        self.complete(which);
        let person = &mut self.people[who];
        person.app = Some(self.now / STEP);
        person.recovery_used = Some([false; 10]);
        person
            .wrong_codes
            .retain(|(channel, _), _| *channel != Channel::App);
        Expected::ok(201, "enrol: set up")
    }
}
