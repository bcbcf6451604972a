//! Nothing that a user may do from a known address is refused for what a stranger did, or somebody
//! signed in, or another account.
//!
//! A refusal there has to be explained by what was done at addresses that may be known, or from the
//! very address: as many calls as the limit has, of those that may have counted.
//!
//! | module | what is asked for |
//! | --- | --- |
//! | `contacts` | a phone or mail address that is to be the user's |

mod contacts;

use std::collections::HashMap;

use shared::kernel::clock::Span;

use super::chains::CONFIRMATIONS;
use super::evidence::was_wrong;
use super::index::Index;
use crate::history::{Call, Moment};

/// Wrong passwords until there is a delay, and wrong codes.
const PASSWORDS: usize = 5;
const WRONG_CODES: usize = 10;
const TRIES_OF_A_CHALLENGE: usize = 5;
/// Failures from one address.
const FAILURES_OF_SOURCE: (usize, Span) = (100, Span::minutes(5));
/// Sends asked for from one address.
const SENDS_OF_SOURCE: (usize, Span) = (25, Span::minutes(5));
/// Challenges opened from one address, and of a user.
const OPENED_OF_SOURCE: (usize, Span) = (20, Span::minutes(10));
const OPENED: Reserved = Reserved {
    most: 60,
    kept: 30,
    span: Span::minutes(10),
};
/// A user's sends, wherever they go.
const SENDS: [Reserved; 2] = [
    Reserved {
        most: 10,
        kept: 5,
        span: Span::hours(1),
    },
    Reserved {
        most: 30,
        kept: 15,
        span: Span::days(1),
    },
];
/// The links after a forgotten password that are mailed for a username.
const LINKS: [Reserved; 2] = [
    Reserved {
        most: 10,
        kept: 5,
        span: Span::minutes(10),
    },
    Reserved {
        most: 20,
        kept: 10,
        span: Span::hours(1),
    },
];
/// The longest wait until a code is sent again.
const RESEND: Span = Span::minutes(4);
/// SMS of an account in an hour that nobody verified; and how many of them can be one user's.
const BUDGET: usize = 100;
const TEXTS_OF_USER: usize = 10;

/// So many within so long, of which some are kept for known addresses.
#[derive(Clone, Copy)]
struct Reserved {
    most: usize,
    kept: usize,
    span: Span,
}

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let refused = index
        .history
        .calls
        .iter()
        .filter(|call| call.status() == 429 && is_of_user(call) && index.is_known(call));
    let told = |call: &Call| {
        let Call {
            number,
            route,
            source,
            ..
        } = call;
        let why = call.told("/detail").unwrap_or_default();
        format!(
            "#{number} {route} was refused at {source}, and what was done there does not explain it: {} {why}",
            call.slug()
        )
    };
    refused
        .filter(|call| !explained(index, call))
        .map(told)
        .collect()
}

fn is_of_user(call: &Call) -> bool {
    call.about
        .as_deref()
        .is_some_and(|about| about.starts_with("usr_"))
}

fn explained(index: &Index<'_>, call: &Call) -> bool {
    let own = Own { index, call };
    match (call.route, call.slug()) {
        ("POST /v1/login", _) => own.passwords() || own.failures_here() || own.opened(),
        ("POST /v1/links/redeem", _) => own.opened(),
        ("POST /v1/codes", "resend-too-soon") => own.sent_of_late(),
        ("POST /v1/codes", "too-many-sends") => {
            own.sends_here()
                || own.sends()
                || own.sends_to_own()
                || own.budget()
                || !own.is_verified()
        }
        ("POST /v1/codes" | "POST /v1/codes/verify" | "POST /v1/factors/totp", _) => {
            own.wrong_codes()
        }
        ("POST /v1/password/forgotten", _) => own.links_here() || own.links(),
        ("PATCH /v1/me", _) => own.passwords() || own.failures_here(),
        ("POST /v1/factors/sms" | "POST /v1/factors/email", slug) => own.contact(slug),
        ("DELETE /v1/factors/sms" | "DELETE /v1/factors/email", _) => own.changes(),
        (confirm, _) if CONFIRMATIONS.contains(&confirm) => own.attempts() || own.wrong_codes(),
        // No other route has a limit.
        _ => false,
    }
}

/// A refusal, and what the user did before it.
struct Own<'a> {
    index: &'a Index<'a>,
    call: &'a Call,
}

impl<'a> Own<'a> {
    /// What may have been done within `span` before the refusal, of these.
    fn within<'c>(&self, calls: &'c [&'c Call], span: Span) -> impl Iterator<Item = &'c Call> {
        let (number, until) = (self.call.number, self.until());
        let since = self.call.asked.at.minus(span);
        let came_before = move |other: &&Call| other.number != number && other.asked < until;
        calls
            .iter()
            .copied()
            .filter(came_before)
            .filter(move |other| is_uncertain(other) || other.latest() > since)
    }

    /// The same of everybody's.
    fn within_all(&self, span: Span) -> impl Iterator<Item = &'a Call> {
        let (number, until) = (self.call.number, self.until());
        let since = self.call.asked.at.minus(span);
        let calls = self
            .index
            .history
            .calls
            .iter()
            .filter(move |other| other.number != number && other.asked < until);
        calls.filter(move |other| is_uncertain(other) || other.latest() > since)
    }

    /// When it was refused at the latest.
    fn until(&self) -> Moment {
        self.call.answered.unwrap_or(self.call.asked)
    }

    fn of_user(&self) -> &'a [&'a Call] {
        self.index
            .about(self.call.about.as_deref().unwrap_or_default())
    }

    fn here(&self) -> &'a [&'a Call] {
        self.index.at_source_of(self.call)
    }

    /// What the user may have done at addresses that may be known.
    fn known(&self, span: Span) -> impl Iterator<Item = &'a Call> {
        let index = self.index;
        self.within(self.of_user(), span)
            .filter(move |other| index.may_be_known(other))
    }

    /// Whether what the user did fills a limit for a known address: strangers fill no more of it
    /// than they are left, unless it was done while nothing was known, when everybody has all of
    /// it.
    fn fill(&self, limit: Reserved, counts: impl Fn(&&Call) -> bool) -> bool {
        let (_, first) = self
            .index
            .first_sign_ins(self.call.about.as_deref().unwrap_or_default());
        self.fill_but_for(
            limit,
            |other| first.is_none_or(|first| !first.precedes(other)),
            counts,
        )
    }

    /// The same of a limit of which strangers are left no more at any time but for these calls.
    fn fill_but_for(
        &self,
        limit: Reserved,
        spared: impl Fn(&Call) -> bool,
        counts: impl Fn(&&Call) -> bool,
    ) -> bool {
        let is_own = |other: &&Call| self.index.may_be_known(other) || spared(other);
        let (own, strangers): (Vec<&Call>, Vec<&Call>) = self
            .within(self.of_user(), limit.span)
            .filter(counts)
            .partition(is_own);
        own.len() + strangers.len().min(limit.most - limit.kept) >= limit.most
    }

    fn passwords(&self) -> bool {
        if !attempts_password(self.call) {
            return false;
        }
        let logins: Vec<&Call> = self
            .known(Span::days(90))
            .filter(|other| attempts_password(other))
            .collect();
        let cleared = logins
            .iter()
            .rposition(|other| other.status() == 200 && other.precedes(self.call))
            .unwrap_or_default();
        logins
            .iter()
            .skip(cleared)
            .filter(|other| other.status() == 401 || is_uncertain(other))
            .count()
            >= PASSWORDS
    }

    fn failures_here(&self) -> bool {
        let (most, span) = FAILURES_OF_SOURCE;
        let failed = |other: &&Call| matches!(other.status(), 401 | 429) || is_uncertain(other);
        self.within(self.here(), span)
            .filter(|other| other.route == "POST /v1/login")
            .filter(failed)
            .count()
            >= most
    }

    fn opened(&self) -> bool {
        let opens = |other: &&Call| {
            matches!(other.route, "POST /v1/login" | "POST /v1/links/redeem")
                && !other.was_refused()
        };
        let user = self.call.about.as_deref();
        let here = self
            .within(self.here(), OPENED_OF_SOURCE.1)
            .filter(|other| other.about.as_deref() == user)
            .filter(opens);
        here.count() >= OPENED_OF_SOURCE.0 || self.fill(OPENED, opens)
    }

    fn sent_of_late(&self) -> bool {
        let challenge = self.call.sent("/challenge").unwrap_or_default();
        self.within(self.index.with(challenge), RESEND)
            .any(|other| other.route == "POST /v1/codes" && !other.was_refused())
    }

    fn sends_here(&self) -> bool {
        let (most, span) = SENDS_OF_SOURCE;
        self.within(self.here(), span)
            .filter(|other| sends(other))
            .count()
            >= most
    }

    fn sends(&self) -> bool {
        SENDS
            .into_iter()
            .any(|limit| self.fill(limit, |other| sends(other)))
    }

    fn links_here(&self) -> bool {
        let (most, span) = SENDS_OF_SOURCE;
        self.within(self.here(), span)
            .filter(|other| asks_for_link(other))
            .count()
            >= most
    }

    /// Of these strangers are left half from the first on: who is known nowhere yet is treated like
    /// a name that nobody has.
    fn links(&self) -> bool {
        LINKS
            .into_iter()
            .any(|limit| self.fill_but_for(limit, |_| false, |other| asks_for_link(other)))
    }

    /// Whether the SMS of the hour are used up by so many people that nobody alone has done it.
    fn budget(&self) -> bool {
        let mut texts = HashMap::<&str, usize>::new();
        for text in self
            .within_all(Span::hours(1))
            .filter(|other| sends(other) && is_text(other))
        {
            *texts
                .entry(text.about.as_deref().unwrap_or_default())
                .or_default() += 1;
        }
        texts
            .values()
            .map(|texts| (*texts).min(TEXTS_OF_USER))
            .sum::<usize>()
            >= BUDGET
    }

    fn wrong_codes(&self) -> bool {
        let challenge = self.call.sent("/challenge").unwrap_or_default();
        let counts = |other: &&Call| {
            other.route == "POST /v1/codes/verify" && (other.status() == 401 || is_uncertain(other))
        };
        let here = self
            .within(self.index.with(challenge), Span::hours(1))
            .filter(counts)
            .count();
        let wrong = self.known(Span::days(90)).filter(|other| {
            was_wrong(other) || (other.route == "POST /v1/codes/verify" && is_uncertain(other))
        });
        here >= TRIES_OF_A_CHALLENGE || wrong.count() >= WRONG_CODES
    }
}

fn sends(call: &Call) -> bool {
    [
        "POST /v1/codes",
        "POST /v1/factors/sms",
        "POST /v1/factors/email",
    ]
    .contains(&call.route)
        && !call.was_refused()
}

fn asks_for_link(call: &Call) -> bool {
    call.route == "POST /v1/password/forgotten" && !call.was_refused()
}

fn is_text(call: &Call) -> bool {
    call.sent("/method") == Some("sms") || call.route == "POST /v1/factors/sms"
}

/// A password is tried at a sign-in, and where a new one takes its place.
fn attempts_password(call: &Call) -> bool {
    let signs_in = call.route == "POST /v1/login" && call.sent("/password").is_some();
    signs_in || (call.route == "PATCH /v1/me" && call.sent("/current_password").is_some())
}

fn is_uncertain(call: &Call) -> bool {
    !(200..500).contains(&call.status())
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{ELSEWHERE, HOME, Story, refusal};
    use serde_json::{Value, json};

    fn wrong(story: &mut Story, source: &str, times: usize) {
        for _ in 0..times {
            let body = json!({"username": "ann", "password": "wrong"});
            story.call(
                "POST /v1/login",
                "usr_ann",
                source,
                body,
                401,
                refusal("invalid-credentials"),
            );
        }
    }

    fn refused_login(story: &mut Story, source: &str) -> usize {
        let body = json!({"username": "ann", "password": "right"});
        story.call(
            "POST /v1/login",
            "usr_ann",
            source,
            body,
            429,
            refusal("too-many-attempts"),
        );
        story.breaks(Promise::Limits).len()
    }

    #[test]
    fn what_strangers_did_explains_nothing_at_home() {
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        wrong(&mut story, ELSEWHERE, 60);
        assert_eq!(refused_login(&mut story, HOME), 1);
    }

    #[test]
    fn what_was_done_at_home_does_and_elsewhere_nothing_is_promised() {
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        wrong(&mut story, HOME, 5);
        assert_eq!(refused_login(&mut story, HOME), 0);
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        wrong(&mut story, ELSEWHERE, 5);
        assert_eq!(refused_login(&mut story, ELSEWHERE), 0);
        // Nobody has signed in anywhere yet.
        let mut story = Story::new();
        wrong(&mut story, ELSEWHERE, 5);
        assert_eq!(refused_login(&mut story, HOME), 0);
    }

    #[test]
    fn a_success_clears_what_was_wrong_before_it_and_an_address_is_forgotten_after_ninety_days() {
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        wrong(&mut story, HOME, 5);
        story.wait(3_600);
        story.sign_in("chl_2", "222222");
        assert_eq!(refused_login(&mut story, HOME), 1);
        story.wait(91 * 86_400);
        assert_eq!(refused_login(&mut story, HOME), 1, "no more than before");
    }

    #[test]
    fn a_contact_and_a_new_password_are_refused_for_what_the_user_did_and_nobody_else() {
        let refused = |route: &'static str, slug: &str, own: bool| {
            let mut story = Story::new();
            story.sign_in("chl_1", "123456");
            story.wait(3_600);
            let source = if own { HOME } else { ELSEWHERE };
            wrong(&mut story, source, 5);
            let about = if own { "usr_ann" } else { "usr_bob" };
            story.call(
                "POST /v1/factors/sms",
                about,
                source,
                json!({"phone": "+12025550101"}),
                202,
                Value::Null,
            );
            story.call(
                route,
                "usr_ann",
                HOME,
                json!({"current_password": "x", "phone": "+12025550102"}),
                429,
                refusal(slug),
            );
            story.breaks(Promise::Limits).len()
        };
        let both = |route, slug| (refused(route, slug, true), refused(route, slug, false));
        assert_eq!(both("PATCH /v1/me", "too-many-attempts"), (0, 1));
        assert_eq!(both("POST /v1/factors/sms", "resend-too-soon"), (0, 1));
    }

    #[test]
    fn what_has_no_limit_is_refused_for_none() {
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        story.call(
            "POST /v1/factors/recovery-codes",
            "usr_ann",
            HOME,
            Value::Null,
            429,
            refusal("too-many-attempts"),
        );
        assert_eq!(story.breaks(Promise::Limits).len(), 1);
    }

    #[test]
    fn wrong_passwords_explain_no_refusal_of_an_id_token() {
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        wrong(&mut story, HOME, 9);
        story.call(
            "POST /v1/login",
            "usr_ann",
            HOME,
            json!({"id_token": "a.b.c"}),
            429,
            refusal("too-many-attempts"),
        );
        assert_eq!(story.breaks(Promise::Limits).len(), 1);
    }

    fn refused_code(story: &mut Story, challenge: &str) -> usize {
        let body = json!({"challenge": challenge, "method": "sms"});
        story.call(
            "POST /v1/codes",
            "usr_ann",
            HOME,
            body,
            429,
            refusal("too-many-sends"),
        );
        story.breaks(Promise::Limits).len()
    }

    #[test]
    fn texts_that_others_had_sent_explain_nothing_but_those_of_many_do() {
        let texts = |people: usize, each: usize| {
            let mut story = Story::new();
            story.sign_in("chl_1", "123456");
            story.wait(7_200);
            for person in 0..people {
                for _ in 0..each {
                    let about = format!("usr_{person}");
                    story.call(
                        "POST /v1/codes",
                        &about,
                        ELSEWHERE,
                        json!({"challenge": about, "method": "sms"}),
                        202,
                        Value::Null,
                    );
                }
            }
            story.login(HOME, "chl_2");
            refused_code(&mut story, "chl_2")
        };
        assert_eq!((texts(1, 120), texts(12, 10)), (1, 0));
    }

    #[test]
    fn links_that_strangers_asked_for_explain_no_refusal_at_home() {
        let refused = |own: usize, strangers: usize, known: bool| {
            let mut story = Story::new();
            let forget = |story: &mut Story, source, status, answer| {
                let body = json!({"username": "ann"});
                story.call(
                    "POST /v1/password/forgotten",
                    "usr_ann",
                    source,
                    body,
                    status,
                    answer,
                );
            };
            if known {
                story.sign_in("chl_1", "123456");
                story.wait(86_400);
            }
            for (source, times) in [(HOME, own), (ELSEWHERE, strangers)] {
                (0..times).for_each(|_| forget(&mut story, source, 202, Value::Null));
            }
            if !known {
                story.sign_in("chl_1", "123456");
            }
            forget(&mut story, HOME, 429, refusal("too-many-sends"));
            story.breaks(Promise::Limits).len()
        };
        assert_eq!(
            (
                refused(0, 5, true),
                refused(0, 30, true),
                refused(4, 30, true)
            ),
            (1, 1, 1)
        );
        assert_eq!(
            (refused(0, 30, false), refused(4, 30, false)),
            (1, 1),
            "nor what they did before anything was known"
        );
        assert_eq!((refused(5, 5, true), refused(10, 0, true)), (0, 0));
    }

    #[test]
    fn ones_own_sends_explain_a_refusal_with_what_strangers_are_left() {
        let refused = |own: usize, strangers: usize| {
            let mut story = Story::new();
            story.sign_in("chl_1", "123456");
            story.wait(86_400);
            for (source, times) in [(HOME, own), (ELSEWHERE, strangers)] {
                for _ in 0..times {
                    story.send(source, "chl_2", "222222");
                }
            }
            refused_code(&mut story, "chl_3")
        };
        assert_eq!((refused(5, 0), refused(3, 2)), (0, 0));
        assert_eq!((refused(4, 0), refused(2, 4)), (1, 1));
    }
}
