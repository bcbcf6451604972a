//! The rules of agreements and of knowledge-based authentication, said a second time and in the
//! plainest way: no table, no races, no keys. What the handlers answer, and what they leave behind,
//! is held against this.

use std::collections::BTreeMap;

use crate::kba_machine::books::{About, CONTACT, INVITATION, Ledger, Mails, Slot};
use crate::kba_machine::nouns::{
    Agreement, Challenge, Expected, Method, Recipient, Request, Session, Settings, no, ok,
};

pub const DAY: i64 = 86_400;
/// How long a session, and its challenge, lives.
pub const SESSION: i64 = 600;

/// All there is.
#[derive(Debug)]
pub struct Reference {
    pub now: i64,
    pub settings: Settings,
    pub ledger: Ledger,
    pub mails: Mails,
    pub agreements: BTreeMap<u8, Agreement>,
    pub challenges: Vec<Challenge>,
    pub sessions: Vec<Session>,
    /// The provider's messages that were taken, and until when that is remembered.
    pub messages: BTreeMap<usize, i64>,
    crossings: usize,
    /// Whether a fault strikes this step: then nobody knows which of its mails have gone.
    pub struck: bool,
}

/// How many of these moments are in the last `span`, and whether one more is too many.
pub fn full(moments: &[i64], now: i64, most: usize, span: i64) -> bool {
    moments
        .iter()
        .filter(|moment| **moment + span > now)
        .count()
        >= most
}

impl Reference {
    pub fn new(settings: Settings, threshold: i64) -> Self {
        Self {
            now: 0,
            settings,
            ledger: Ledger::new(threshold),
            mails: Mails::default(),
            agreements: BTreeMap::new(),
            challenges: Vec::new(),
            sessions: Vec::new(),
            messages: BTreeMap::new(),
            crossings: 0,
            struck: false,
        }
    }

    pub fn status(&self, key: u8) -> &'static str {
        let agreement = &self.agreements[&key];
        let over = agreement.status == "out_for_signature" && agreement.expires_at <= self.now;
        if over { "expired" } else { agreement.status }
    }

    /// Whether the agreement was cancelled or has expired.
    pub fn is_shut(&self, key: u8) -> bool {
        ["cancelled", "expired"].contains(&self.status(key))
    }

    pub fn open(&self, key: u8) -> bool {
        self.status(key) == "out_for_signature"
    }

    pub fn recipient(&self, (key, place): (u8, usize)) -> &Recipient {
        &self.agreements[&key].recipients[place]
    }

    pub fn recipient_mut(&mut self, (key, place): (u8, usize)) -> &mut Recipient {
        &mut self.agreements.get_mut(&key).unwrap().recipients[place]
    }

    pub fn about(&self, key: u8, recipient: Option<usize>) -> About {
        About {
            agreement: Some(key),
            recipient,
            group: self.agreements[&key].request.group,
        }
    }

    pub fn owe(&mut self, slot: Slot, to: String, subject: &'static str, until: i64) {
        let struck = self.struck;
        self.mails
            .owe(slot, (to, subject), (self.now, until), struck);
    }

    fn invite(&mut self, key: u8, place: usize) {
        let (subject, until) = if self.agreements[&key].status == "completed" {
            ("Signed:", self.now + 30 * DAY)
        } else {
            (INVITATION, self.agreements[&key].expires_at)
        };
        self.owe(
            Slot::Recipient(key, place),
            email(key, place),
            subject,
            until,
        );
    }

    fn reserve(&mut self, count: i64, about: About) {
        if self.ledger.reserve(count, about) {
            self.crossings += 1;
            self.owe(
                Slot::Crossing(self.crossings),
                CONTACT.into(),
                "verifications left",
                self.now + 3 * DAY,
            );
        }
    }

    /// What is refused of a choice of `kba`, in order.
    fn refused(&self, named: bool, in_us: bool) -> Option<Expected> {
        match self.settings {
            Settings { enabled: false, .. } => Some(no(403, "method-not-enabled")),
            Settings {
                name_required: true,
                ..
            } if !named => Some(no(422, "recipient-name-required")),
            _ if !in_us => Some(no(422, "recipient-not-in-us")),
            _ => None,
        }
    }

    pub fn send(&mut self, key: u8, request: &Request) -> Expected {
        if let Some(before) = self.agreements.get(&key) {
            return if before.request == *request {
                ok(201)
            } else {
                no(422, "idempotency-key-reused")
            };
        }
        let premium = i64::try_from(
            request
                .methods
                .iter()
                .filter(|method| **method == Method::Kba)
                .count(),
        )
        .unwrap();
        if premium > 0 {
            if let Some(refused) = self.refused(request.named, request.in_us) {
                return refused;
            }
            if self.ledger.available < premium {
                return no(402, "quota-exhausted");
            }
        }
        let recipient = |method: &Method| Recipient {
            method: *method,
            status: "pending",
            locked: false,
            attempts: 0,
            reserved: *method == Method::Kba,
            consumed: false,
            session: None,
            sessions: Vec::new(),
            passed: 0,
            openings: Vec::new(),
            resends: Vec::new(),
        };
        let agreement = Agreement {
            request: request.clone(),
            status: "out_for_signature",
            expires_at: self.now + request.life,
            max_attempts: self.settings.max_attempts,
            on_view: self.settings.on_view,
            recipients: request.methods.iter().map(recipient).collect(),
        };
        self.agreements.insert(key, agreement);
        self.reserve(premium, self.about(key, None));
        (0..request.methods.len()).for_each(|place| self.invite(key, place));
        ok(201)
    }

    /// Why a recipient may not come to the agreement by a link, if so.
    pub fn shut(&self, of: (u8, usize)) -> Option<Expected> {
        match self.status(of.0) {
            "cancelled" | "expired" => Some(no(410, "agreement-closed")),
            _ if self.recipient(of).locked => Some(no(403, "viewing-locked")),
            _ => None,
        }
    }

    /// What is asked of whoever opens the link.
    pub fn asked(&self, of: (u8, usize)) -> Method {
        let recipient = self.recipient(of);
        match recipient.method {
            Method::Kba if recipient.status == "completed" && !self.agreements[&of.0].on_view => {
                Method::Email
            }
            Method::Sms if recipient.status == "completed" => Method::Email,
            method => method,
        }
    }

    /// The answer, and the challenge's number where one is made.
    pub fn redeem(&mut self, of: (u8, usize)) -> (Expected, &'static str) {
        if let Some(shut) = self.shut(of) {
            return (shut, "");
        }
        let openings = &self.recipient(of).openings;
        if full(openings, self.now, 20, 600) || full(openings, self.now, 60, DAY) {
            return (no(429, "too-many-attempts"), "");
        }
        let (asked, now) = (self.asked(of), self.now);
        let recipient = self.recipient_mut(of);
        recipient.openings.push(now);
        match asked {
            Method::None | Method::Email => {
                if recipient.status == "pending" {
                    recipient.status = "verified";
                }
                (ok(200), "authenticated")
            }
            Method::Sms => (ok(200), "second_factor_required"),
            Method::Kba => (ok(200), "identity_verification_required"),
        }
    }

    /// Somebody was told of the challenge that opening the link made.
    pub fn challenged(&mut self, of: (u8, usize)) {
        self.challenges.push(Challenge {
            of,
            expires_at: self.now + SESSION,
            used: false,
            dropped: false,
        });
    }

    /// An agreement ends: what was reserved and not used goes back.
    pub fn end(&mut self, key: u8, status: &'static str) {
        let agreement = self.agreements.get_mut(&key).unwrap();
        agreement.status = status;
        self.mails.end(key);
        let unused = agreement
            .recipients
            .iter_mut()
            .filter_map(|recipient| std::mem::take(&mut recipient.reserved).then_some(()))
            .count();
        self.ledger
            .release(i64::try_from(unused).unwrap(), self.about(key, None));
    }

    pub fn complete(&mut self, of: (u8, usize)) -> Expected {
        match self.recipient(of).status {
            "completed" => return ok(200),
            _ if !self.open(of.0) => return no(409, "agreement-not-open"),
            "verified" => self.recipient_mut(of).status = "completed",
            _ => return no(409, "recipient-not-verified"),
        }
        let recipients = &self.agreements[&of.0].recipients;
        if recipients
            .iter()
            .all(|recipient| recipient.status == "completed")
        {
            let count = recipients.len();
            self.end(of.0, "completed");
            (0..count).for_each(|place| self.invite(of.0, place));
        }
        ok(200)
    }

    pub fn cancel(&mut self, key: u8) -> Expected {
        if !self.open(key) {
            return no(409, "agreement-not-open");
        }
        self.end(key, "cancelled");
        ok(200)
    }

    pub fn reopen(&mut self, of: (u8, usize)) -> Expected {
        if !self.recipient(of).locked {
            return ok(200);
        }
        if self.is_shut(of.0) {
            return no(409, "agreement-not-open");
        }
        let recipient = self.recipient_mut(of);
        (recipient.locked, recipient.attempts) = (false, 0);
        ok(200)
    }

    pub fn resend(&mut self, of: (u8, usize)) -> Expected {
        if self.is_shut(of.0) {
            return no(409, "agreement-not-open");
        }
        let (now, resends) = (self.now, &self.recipient(of).resends);
        if full(resends, now, 5, 600) || full(resends, now, 10, 3_600) {
            return no(429, "too-many-sends");
        }
        self.recipient_mut(of).resends.push(now);
        self.invite(of.0, of.1);
        ok(202)
    }

    pub fn change(&mut self, of: (u8, usize), to: Method) -> Expected {
        if !self.open(of.0) {
            return no(409, "agreement-not-open");
        }
        let Recipient {
            status,
            method,
            reserved,
            consumed,
            ..
        } = *self.recipient(of);
        if status == "completed" {
            return no(409, "recipient-completed");
        }
        if method == to {
            return ok(200);
        }
        let about = self.about(of.0, Some(of.1));
        if to == Method::Kba {
            let request = &self.agreements[&of.0].request;
            if let Some(refused) = self.refused(request.named, request.in_us) {
                return refused;
            }
            if !consumed {
                if self.ledger.available < 1 {
                    return no(402, "quota-exhausted");
                }
                self.reserve(1, about);
                self.recipient_mut(of).reserved = true;
            }
        } else if reserved {
            self.recipient_mut(of).reserved = false;
            self.ledger.release(1, about);
        }
        let recipient = self.recipient_mut(of);
        (recipient.method, recipient.status, recipient.session) = (to, "pending", None);
        self.challenges
            .iter_mut()
            .filter(|challenge| challenge.of == of)
            .for_each(|challenge| challenge.dropped = true);
        ok(200)
    }

    pub fn clean(&mut self) {
        let over: Vec<u8> = self
            .agreements
            .keys()
            .copied()
            .filter(|key| self.status(*key) == "expired")
            .collect();
        for key in over
            .into_iter()
            .filter(|key| self.agreements[key].status == "out_for_signature")
            .collect::<Vec<_>>()
        {
            self.end(key, "expired");
        }
        for id in 0..self.sessions.len() {
            let standing = self.standing(id);
            let session = &mut self.sessions[id];
            session.removed |= session.expires_at + 30 * DAY <= self.now;
            if standing == "expired" {
                session.status = "expired";
            }
        }
        let now = self.now;
        self.messages.retain(|_, until| *until > now);
        self.mails.clean(now, self.struck);
    }
}

/// The address of a recipient.
pub fn email(key: u8, place: usize) -> String {
    format!("r{place}.a{key}@example.com")
}

/// The address of an agreement's sender.
pub fn sender(key: u8) -> String {
    format!("sender{key}@alder.example")
}
