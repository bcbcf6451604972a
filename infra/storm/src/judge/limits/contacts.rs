//! A phone or mail address that is to be the user's: when no code is sent to it, and none taken.

use shared::kernel::clock::Span;

use super::super::chains::CONFIRMATIONS;
use super::{Own, RESEND, Reserved, is_text, is_uncertain, sends};
use crate::history::{Call, Mail};

/// Wrong codes of a contact, or of an app, that waits.
const TRIES_OF_WHAT_WAITS: usize = 5;
/// What an account may send to a destination that is the user's: its other limit is a user's.
const SENDS_TO_OWN: Reserved = Reserved {
    most: 5,
    kept: 3,
    span: Span::minutes(10),
};
/// What an account may send to a contact that waits for its first code, whoever says that it is
/// theirs; over all accounts it is more.
const SENDS_TO_WAITING: (usize, Span) = (5, Span::hours(1));
/// How often a user changes the own phone, or the own mail address.
const CHANGES: (usize, Span) = (3, Span::days(1));

impl<'a> Own<'a> {
    /// A code for a contact is refused like one of a sign-in where the contact is the user's, and
    /// proved. Where nobody has proved it, it may be anybody's, and what was sent there at whose
    /// wish ever explains a refusal.
    pub(super) fn contact(&self, slug: &str) -> bool {
        match slug {
            "resend-too-soon" => self.began_of_late(),
            "too-many-changes" => self.changes(),
            "too-many-sends" => {
                let there = if self.is_own() {
                    self.sends_to_own()
                } else {
                    self.sends_to_waiting()
                };
                there || self.sends_here() || self.sends() || (is_text(self.call) && self.budget())
            }
            _ => self.wrong_codes(),
        }
    }

    /// Whether a code was typed that was sent by the same method: twenty an hour over all accounts
    /// refuse no contact of which that is so.
    pub(super) fn is_verified(&self) -> bool {
        let method = self.call.sent("/method");
        self.of_user().iter().any(|other| {
            let proves = match other.route {
                "POST /v1/codes/verify" => other.sent("/method") == method && other.lets_in(),
                "POST /v1/factors/sms/confirm" => method == Some("sms") && other.succeeded(),
                "POST /v1/factors/email/confirm" => method == Some("email") && other.succeeded(),
                _ => false,
            };
            proves && other.precedes(self.call)
        })
    }

    /// Whether the contact that is asked for is the user's, and a code that was sent there was
    /// typed. Where nobody can say, it is not.
    fn is_own(&self) -> bool {
        let method = method_of(self.call);
        let named = |call: &'a Call| call.sent(if method == "sms" { "/phone" } else { "/email" });
        let begun = |factor: Option<&str>| {
            self.of_user()
                .iter()
                .find(|other| begins(other) && other.told("/factor") == factor)
        };
        let (mut current, mut is_proved) = (None, false);
        for other in self
            .of_user()
            .iter()
            .copied()
            .filter(|other| other.number < self.call.number && !other.was_refused())
        {
            match other.route {
                "POST /v1/users" => (current, is_proved) = (named(other), false),
                "PATCH /v1/users/{id}" => (current, is_proved) = (None, false),
                "DELETE /v1/factors/sms" | "DELETE /v1/factors/email"
                    if method_of(other) == method =>
                {
                    current = None;
                }
                confirm if CONFIRMATIONS.contains(&confirm) && method_of(other) == method => {
                    let contact = begun(other.sent("/factor")).and_then(|begun| named(begun));
                    (current, is_proved) = (contact.filter(|_| other.succeeded()), true);
                }
                "POST /v1/codes/verify" if other.sent("/method") == Some(method) => {
                    is_proved |= other.lets_in();
                }
                _ => {}
            }
        }
        is_proved && current.is_some() && current == named(self.call)
    }

    pub(super) fn sends_to_own(&self) -> bool {
        self.fill(SENDS_TO_OWN, |other| sends(other))
    }

    /// Whether the contact was sent as much as an account may, at whose wish ever.
    fn sends_to_waiting(&self) -> bool {
        let (most, span) = SENDS_TO_WAITING;
        let contact = named(self.call);
        let (since, history) = (self.call.asked.at.minus(span), self.index.history);
        let lately = |mail: &&Mail| {
            Some(mail.to.as_str()) == contact
                && mail.code().is_some()
                && mail.at.at > since
                && mail.at < self.until()
        };
        let uncertain = self
            .within_all(span)
            .filter(|other| begins(other) && is_uncertain(other) && named(other) == contact);
        history.mails.iter().filter(lately).count() + uncertain.count() >= most
    }

    /// Whether the user may have changed the own contact as often as is allowed. One who is signed
    /// in does it, wherever they are.
    pub(super) fn changes(&self) -> bool {
        let ((most, span), method) = (CHANGES, method_of(self.call));
        let changes =
            |other: &&Call| method_of(other) == method && !begins(other) && !other.was_refused();
        self.within(self.of_user(), span).filter(changes).count() >= most
    }

    /// Whether what waits has had its attempts.
    pub(super) fn attempts(&self) -> bool {
        let factor = self.call.sent("/factor");
        let tried = |other: &&Call| {
            CONFIRMATIONS.contains(&other.route)
                && other.sent("/factor") == factor
                && (other.status() == 401 || is_uncertain(other))
        };
        self.within(self.of_user(), Span::hours(1))
            .filter(tried)
            .count()
            >= TRIES_OF_WHAT_WAITS
    }

    /// Whether a code was sent to a contact of the user's own choice: whichever it is, the next
    /// waits.
    fn began_of_late(&self) -> bool {
        self.within(self.of_user(), RESEND)
            .any(|other| begins(other) && !other.was_refused())
    }
}

fn begins(call: &Call) -> bool {
    matches!(
        call.route,
        "POST /v1/factors/sms" | "POST /v1/factors/email"
    )
}

/// The contact that a call names.
fn named(call: &Call) -> Option<&str> {
    call.sent("/phone").or_else(|| call.sent("/email"))
}

/// By which method codes go to the contact that a call is about.
fn method_of(call: &Call) -> &'static str {
    match call.route {
        "POST /v1/factors/sms" | "POST /v1/factors/sms/confirm" | "DELETE /v1/factors/sms" => "sms",
        "POST /v1/factors/email"
        | "POST /v1/factors/email/confirm"
        | "DELETE /v1/factors/email" => "email",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Promise;
    use super::super::super::told::{ELSEWHERE, HOME, Story, let_in, refusal};
    use serde_json::{Value, json};

    /// A code for the own number is refused, after so many for it at home, and after others had so
    /// many sent there.
    fn refused_contact(is_proved: bool, own: usize, others: usize) -> usize {
        let mut story = Story::new();
        story.call(
            "POST /v1/users",
            "usr_ann",
            HOME,
            json!({"phone": "+12025550100"}),
            201,
            Value::Null,
        );
        let method = if is_proved { "sms" } else { "totp" };
        let body = json!({"challenge": "chl_1", "method": method, "code": "123456"});
        story.call(
            "POST /v1/codes/verify",
            "usr_ann",
            HOME,
            body,
            200,
            let_in(),
        );
        story.wait(86_400);
        let body = || json!({"phone": "+12025550100"});
        for (about, times) in [("usr_ann", own), ("usr_eve", others)] {
            for _ in 0..times {
                let source = if about == "usr_ann" { HOME } else { ELSEWHERE };
                let number = story.ask("POST /v1/factors/sms", about, source, body());
                story.mail(number, "+12025550100", "123456 is your code.");
                story.answer(number, 202, json!({"factor": "fac_1"}));
            }
        }
        story.call(
            "POST /v1/factors/sms",
            "usr_ann",
            HOME,
            body(),
            429,
            refusal("too-many-sends"),
        );
        story.breaks(Promise::Limits).len()
    }

    #[test]
    fn a_code_for_the_own_number_is_not_refused_for_what_others_had_sent_there() {
        assert_eq!(
            (refused_contact(true, 0, 0), refused_contact(true, 0, 20)),
            (1, 1)
        );
        assert_eq!(
            (refused_contact(true, 4, 20), refused_contact(true, 5, 0)),
            (1, 0)
        );
        // What nobody has proved may be anybody's.
        assert_eq!(
            (refused_contact(false, 0, 4), refused_contact(false, 0, 5)),
            (1, 0)
        );
    }

    #[test]
    fn a_change_is_refused_after_three_and_what_waits_after_five_wrong_codes() {
        let changed = |route: &'static str, times: usize, wait: i64| {
            let mut story = Story::new();
            story.sign_in("chl_1", "123456");
            for number in 0..times {
                let body = json!({"factor": format!("fac_{number}")});
                story.call(
                    "POST /v1/factors/email/confirm",
                    "usr_ann",
                    HOME,
                    body,
                    200,
                    json!({"method": "email"}),
                );
            }
            story.wait(wait);
            story.call(
                route,
                "usr_ann",
                HOME,
                json!({}),
                429,
                refusal("too-many-changes"),
            );
            story.breaks(Promise::Limits).len()
        };
        for route in ["POST /v1/factors/email", "DELETE /v1/factors/email"] {
            assert_eq!(
                (
                    changed(route, 3, 0),
                    changed(route, 2, 0),
                    changed(route, 3, 86_401)
                ),
                (0, 1, 1),
                "{route}"
            );
        }
        assert_eq!(
            changed("DELETE /v1/factors/sms", 3, 0),
            1,
            "it is another contact"
        );
        let tried = |factor: &str| {
            let mut story = Story::new();
            story.sign_in("chl_1", "123456");
            let confirm = "POST /v1/factors/sms/confirm";
            for _ in 0..5 {
                story.call(
                    confirm,
                    "usr_ann",
                    HOME,
                    json!({"factor": factor}),
                    401,
                    refusal("code-invalid"),
                );
            }
            story.call(
                confirm,
                "usr_ann",
                HOME,
                json!({"factor": "fac_1"}),
                429,
                refusal("too-many-attempts"),
            );
            story.breaks(Promise::Limits).len()
        };
        assert_eq!((tried("fac_1"), tried("fac_2")), (0, 1));
    }
}
