//! A history, with what belongs together found.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde_json::Value;
use shared::kernel::clock::Span;

use crate::history::{Call, History, Mail};

/// For how long an address is known.
const KNOWN_FOR: Span = Span::days(90);
/// How many of them are.
const KNOWN_MAX: usize = 8;

/// A code that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code<'a> {
    pub digits: &'a str,
    pub mail: &'a Mail,
    /// The call that asked for it.
    pub call: &'a Call,
}

/// A history, and where things are in it.
pub(super) struct Index<'a> {
    pub history: &'a History,
    about: HashMap<&'a str, Vec<&'a Call>>,
    by_challenge: HashMap<&'a str, Vec<&'a Call>>,
    opened: HashMap<&'a str, &'a Call>,
    codes: HashMap<&'a str, HashMap<&'a str, Vec<Code<'a>>>>,
    by_source: HashMap<String, Vec<&'a Call>>,
    /// The last report of each agreement.
    pub reports: BTreeMap<&'a str, &'a Call>,
    /// The entries of the users' and accounts' chains, as they were read last, page by page.
    pub audits: BTreeMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Index<'a> {
    /// Finds what belongs together.
    pub fn of(history: &'a History) -> Self {
        let (about, by_challenge, opened, codes, by_source) = Default::default();
        let (reports, audits) = (BTreeMap::new(), BTreeMap::new());
        let mut index = Self {
            history,
            about,
            by_challenge,
            opened,
            codes,
            by_source,
            reports,
            audits,
        };
        history.calls.iter().for_each(|call| index.add(call));
        for mail in &history.mails {
            let sent = mail.code().zip(history.sender_of(mail));
            if let Some((code, call)) = sent
                && let Some((challenge, method)) = call.sent("/challenge").zip(call.sent("/method"))
            {
                index
                    .codes
                    .entry(challenge)
                    .or_default()
                    .entry(method)
                    .or_default()
                    .push(Code {
                        digits: code,
                        mail,
                        call,
                    });
            }
        }
        index
    }

    fn add(&mut self, call: &'a Call) {
        if let Some(about) = call.about.as_deref() {
            self.about.entry(about).or_default().push(call);
        }
        if let Some(challenge) = call.sent("/challenge") {
            self.by_challenge.entry(challenge).or_default().push(call);
        } else if let Some(challenge) = call.told("/challenge") {
            self.opened.insert(challenge, call);
        }
        self.by_source
            .entry(network(call.source))
            .or_default()
            .push(call);
        match (call.route, call.about.as_deref(), call.status()) {
            ("GET /v1/agreements/{id}/audit", Some(about), 200) => {
                let _ = self.reports.insert(about, call);
            }
            ("GET /v1/audit", Some(about), 200) => self.add_page(about, call),
            _ => {}
        }
    }

    fn add_page(&mut self, subject: &'a str, call: &'a Call) {
        let entries = call
            .value("/entries")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let pages = self.audits.entry(subject).or_default();
        // A first page begins the reading anew.
        if !call.path.contains("cursor=") {
            pages.clear();
        }
        pages.extend(entries);
    }

    /// The calls about somebody or something, in their order.
    pub fn about(&self, about: &str) -> &[&'a Call] {
        self.about.get(about).map(Vec::as_slice).unwrap_or_default()
    }

    /// The calls that were made with a challenge.
    pub fn with(&self, challenge: &str) -> &[&'a Call] {
        self.by_challenge
            .get(challenge)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The challenges with which something was asked.
    pub fn challenges(&self) -> impl Iterator<Item = (&'a str, &[&'a Call])> {
        self.by_challenge
            .iter()
            .map(|(challenge, calls)| (*challenge, calls.as_slice()))
    }

    /// The call that opened a challenge.
    pub fn opening(&self, challenge: &str) -> Option<&'a Call> {
        self.opened.get(challenge).copied()
    }

    /// The codes that were sent for a challenge by a method.
    pub fn codes(&self, challenge: &str, method: &str) -> &[Code<'a>] {
        self.codes
            .get(challenge)
            .and_then(|by_method| by_method.get(method))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The calls from the same address, or the same network of IPv6.
    pub fn at_source_of(&self, call: &Call) -> &[&'a Call] {
        self.by_source
            .get(&network(call.source))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Whether `call` comes from an address that its user is known from, for certain: a sign-in
    /// from there was answered as completed before it, within ninety days, and is not older than
    /// the latest of so many others.
    ///
    /// A code is judged by the addresses that were known when its challenge was opened.
    pub fn is_known(&self, call: &Call) -> bool {
        let Some(user) = call.about.as_deref() else {
            return false;
        };
        let judged = match call.route {
            "POST /v1/codes/verify" => self.opening(call.sent("/challenge").unwrap_or_default()),
            _ => Some(call),
        };
        let Some(judged) = judged else { return false };
        let mut latest: Vec<(String, &Call)> = Vec::new();
        for other in self
            .about(user)
            .iter()
            .filter(|other| other.asked < judged.asked && signs_in(other))
        {
            latest.retain(|(network_of, _)| *network_of != network(other.source));
            latest.push((network(other.source), other));
        }
        let kept = latest.iter().rev().take(KNOWN_MAX);
        let own = network(call.source);
        kept.into_iter().any(|(network, other)| {
            *network == own
                && other.precedes(judged)
                && other.asked.at.plus(KNOWN_FOR) > call.latest()
        })
    }

    /// The first call that may have completed a sign-in of a user; and the first that is answered
    /// to have done so. Before the one nothing is known of the user, and after the other's answer
    /// something is.
    pub fn first_sign_ins(&self, user: &str) -> (Option<&'a Call>, Option<&'a Call>) {
        let calls = || {
            self.about(user)
                .iter()
                .copied()
                .filter(|call| completes(call))
        };
        let possible = calls().find(|call| call.lets_in() || !(200..500).contains(&call.status()));
        (
            possible,
            calls()
                .filter(|call| signs_in(call))
                .min_by_key(|call| call.answered),
        )
    }

    /// Whether the user of `call` may be known at its address, for all that anybody can say.
    pub fn may_be_known(&self, call: &Call) -> bool {
        let Some(user) = call.about.as_deref() else {
            return true;
        };
        let same = |other: &&&Call| network(other.source) == network(call.source);
        self.about(user).iter().filter(same).any(|other| {
            completes(other) && (other.lets_in() || other.status() == 0 || other.status() >= 500)
        })
    }
}

/// Whether a call may complete a sign-in at the address that it comes from.
fn completes(call: &Call) -> bool {
    call.route == "POST /v1/login" || proves_factor(call)
}

/// Whether a call may complete a sign-in by a second factor, or by one that is set up.
pub(super) fn proves_factor(call: &Call) -> bool {
    let sets_up = matches!(
        call.route,
        "POST /v1/factors/totp/confirm" | "POST /v1/factors/sms/confirm"
    );
    call.route == "POST /v1/codes/verify" || (sets_up && call.sent("/challenge").is_some())
}

/// Whether a call is answered to have completed a sign-in: what only lets a password be set is
/// none.
fn signs_in(call: &Call) -> bool {
    completes(call) && call.lets_in() && call.leads_to() != "new_password_required"
}

/// An address, as far as limits tell addresses apart.
pub(super) fn network(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!(
            "{:?}",
            address.segments().iter().take(4).collect::<Vec<_>>()
        ),
    }
}

/// A text in a value.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A number in a value.
pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}
