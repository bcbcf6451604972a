//! A sign-in that was begun can be finished: a right code, in its time, of a challenge that nothing
//! has ended, is not refused. And a password that is right is not called wrong.

use std::collections::HashMap;

use serde_json::Value;
use shared::kernel::clock::Span;

use super::evidence::digits;
use super::index::{Index, proves_factor, text};
use crate::history::Call;

/// How long a challenge lives, and a code.
const CHALLENGE: Span = Span::minutes(10);
const CODE: Span = Span::minutes(5);
const ATTEMPTS_MAX: usize = 5;
/// What ends the sign-ins of a user that are under way, or may.
const ENDS: [&str; 12] = [
    "DELETE /v1/users/{id}",
    "PATCH /v1/users/{id}",
    "POST /v1/password",
    "PATCH /v1/me",
    "POST /v1/factors/totp/confirm",
    "POST /v1/factors/sms/confirm",
    "POST /v1/factors/email/confirm",
    "DELETE /v1/factors/totp",
    "DELETE /v1/factors/sms",
    "DELETE /v1/factors/email",
    "POST /v1/factors/recovery-codes",
    "DELETE /v1/users/{id}/factors/totp",
];

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for call in index
        .history
        .of("POST /v1/codes/verify")
        .filter(|call| is_refused(call) && was_good(index, call))
    {
        broken.push(format!(
            "#{}: a code was right, in its time, and refused ({})",
            call.number,
            call.slug()
        ));
    }
    for call in index
        .history
        .of("POST /v1/factors/sms/confirm")
        .filter(|call| is_refused(call) && would_be_first(index, call))
    {
        broken.push(format!(
            "#{}: a code for a first phone was right, in its time, and refused ({})",
            call.number,
            call.slug()
        ));
    }
    for call in index
        .history
        .of("POST /v1/codes")
        .filter(|call| is_refused(call) && asks_for(index, call, call.sent("/method")))
    {
        broken.push(format!(
            "#{}: a challenge was good, and no code was sent for it ({})",
            call.number,
            call.slug()
        ));
    }
    broken.extend(passwords(index));
    broken
}

/// Refused, and not for having asked too often.
fn is_refused(call: &Call) -> bool {
    let is_of_user = call
        .about
        .as_deref()
        .is_some_and(|about| about.starts_with("usr_"));
    is_of_user
        && call.was_refused()
        && call.status() != 429
        && call.slug() != "idempotency-conflict"
}

/// Whether the challenge of a call was opened and offered this method, had not come to its end, and
/// nothing else had ended it, or may have.
fn lives(index: &Index<'_>, call: &Call, method: Option<&str>) -> bool {
    let challenge = call.sent("/challenge").unwrap_or_default();
    let Some(opening) = index.opening(challenge) else {
        return false;
    };
    let offered = opening
        .value("/methods")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let is_offered = offered
        .map(|offer| text(offer, "/method"))
        .any(|offered| Some(offered) == method);
    let in_time = opening.asked.at.plus(CHALLENGE) > call.latest();
    let done = |other: &&Call| other.number != call.number && is_before(other, call);
    let used = siblings(index, opening)
        .iter()
        .flat_map(|sibling| index.with(sibling))
        .copied()
        .filter(done)
        .any(may_complete);
    let ended = index
        .about(call.about.as_deref().unwrap_or_default())
        .iter()
        .copied()
        .filter(done)
        .any(|other| {
            ENDS.contains(&other.route)
                && other.may_have_succeeded()
                && (is_uncertain(other) || !other.precedes(opening))
        });
    is_offered && in_time && !used && !ended
}

/// Whether a code that was refused was good beyond doubt.
fn was_good(index: &Index<'_>, call: &Call) -> bool {
    let Some((challenge, method)) = call.sent("/challenge").zip(call.sent("/method")) else {
        return false;
    };
    let typed = digits(call.sent("/code").unwrap_or_default());
    let Some(code) = index
        .codes(challenge, method)
        .iter()
        .find(|code| code.digits == typed)
    else {
        return false;
    };
    let others = || {
        index
            .with(challenge)
            .iter()
            .copied()
            .filter(|other| other.number != call.number && is_before(other, call))
    };
    let is_newer = |other: &Call| {
        other.route == "POST /v1/codes"
            && other.sent("/method") == Some(method)
            && other.number != code.call.number
            && !other.precedes(code.call)
            && other.may_have_succeeded()
    };
    let attempts = others()
        .filter(|other| other.route == "POST /v1/codes/verify" && !other.lets_in())
        .count();
    // Where it was said that the code could not be sent, it is not good, whether it arrived or not.
    let was_said = code.call.succeeded();
    was_said
        && code.call.asked.at.plus(CODE) > call.latest()
        && !others().any(is_newer)
        && attempts < ATTEMPTS_MAX
        && asks_for(index, call, Some(method))
}

/// Whether it lives, and what it offered is what it asks for: one that asks for a first factor to
/// be set up offers the methods for that.
fn asks_for(index: &Index<'_>, call: &Call, method: Option<&str>) -> bool {
    let opening = index.opening(call.sent("/challenge").unwrap_or_default());
    opening.is_some_and(|opening| opening.told("/status") == Some("second_factor_required"))
        && lives(index, call, method)
}

/// Whether a code that was refused would have set up a first phone, beyond doubt: it was the last
/// that was sent there, with the challenge.
fn would_be_first(index: &Index<'_>, call: &Call) -> bool {
    let typed = digits(call.sent("/code").unwrap_or_default());
    let of_user = || {
        index
            .about(call.about.as_deref().unwrap_or_default())
            .iter()
            .copied()
    };
    let earlier =
        || of_user().filter(|other| other.number != call.number && is_before(other, call));
    let begins =
        |other: &&Call| other.route == "POST /v1/factors/sms" && other.may_have_succeeded();
    let Some(begun) = earlier().rfind(begins).filter(|begun| begun.succeeded()) else {
        return false;
    };
    let was_sent = index
        .history
        .mails
        .iter()
        .any(|mail| mail.call == Some(begun.number) && mail.code() == Some(typed.as_str()));
    let attempts = earlier()
        .filter(|other| other.route == call.route && other.sent("/factor") == call.sent("/factor"))
        .count();
    call.sent("/challenge").is_some()
        && begun.told("/factor") == call.sent("/factor")
        && begun.asked.at.plus(CODE) > call.latest()
        && begun.precedes(call)
        && was_sent
        && attempts < ATTEMPTS_MAX
        && lives(index, call, Some("sms"))
}

/// The challenges that were opened by the same link, if it was one.
fn siblings<'i>(index: &'i Index<'_>, opening: &'i Call) -> Vec<&'i str> {
    let Some(token) = opening.sent("/token") else {
        return opening.told("/challenge").into_iter().collect();
    };
    let opened = index
        .history
        .of("POST /v1/links/redeem")
        .filter(|call| call.sent("/token") == Some(token));
    opened.filter_map(|call| call.told("/challenge")).collect()
}

fn may_complete(call: &Call) -> bool {
    proves_factor(call) && call.may_have_succeeded()
}

fn is_before(other: &Call, call: &Call) -> bool {
    call.answered
        .is_some_and(|answered| other.asked.tick < answered.tick)
}

fn is_uncertain(call: &Call) -> bool {
    !(200..500).contains(&call.status())
}

/// What is known of a user's password.
struct Password<'a> {
    current: &'a str,
    /// The call that set it.
    set: &'a Call,
}

/// A password that was set, and that nothing may have replaced, is right.
fn passwords(index: &Index<'_>) -> Vec<String> {
    let mut known = HashMap::<&str, Option<Password<'_>>>::new();
    let mut broken = Vec::new();
    for call in &index.history.calls {
        let Some(user) = call.about.as_deref() else {
            continue;
        };
        let sets = match call.route {
            "POST /v1/users" | "PATCH /v1/me" | "POST /v1/password" | "PATCH /v1/users/{id}" => {
                call.sent("/password")
            }
            "DELETE /v1/users/{id}" => Some(""),
            _ => None,
        };
        if let Some(current) = sets.filter(|_| call.may_have_succeeded()) {
            let certain = call.succeeded() && !current.is_empty();
            known.insert(user, certain.then_some(Password { current, set: call }));
        }
        let Some(Some(password)) = known.get(user) else {
            continue;
        };
        let is_login = call.route == "POST /v1/login" && call.status() == 401;
        if is_login
            && call.sent("/password") == Some(password.current)
            && password.set.precedes(call)
            && !is_replaced(index, user, call)
        {
            broken.push(format!(
                "#{}: a password was right, and called wrong",
                call.number
            ));
        }
    }
    broken
}

/// Whether somebody may be replacing the password, or deleting the user, while it is tried.
fn is_replaced(index: &Index<'_>, user: &str, call: &Call) -> bool {
    index.about(user).iter().any(|other| {
        let sets = matches!(
            other.route,
            "PATCH /v1/me" | "POST /v1/password" | "PATCH /v1/users/{id}" | "DELETE /v1/users/{id}"
        );
        sets && other.may_have_succeeded()
            && is_before(other, call)
            && (is_uncertain(other) || !other.precedes(call))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{ELSEWHERE, HOME, Story, let_in, refusal};
    use serde_json::json;

    fn broken<T>(tell: impl FnOnce(&mut Story) -> T) -> usize {
        let mut story = Story::new();
        story.login(HOME, "chl_1");
        story.send(HOME, "chl_1", "123456");
        tell(&mut story);
        story.verify(HOME, "chl_1", "123456", 410, refusal("challenge-expired"));
        story.breaks(Promise::Challenges).len()
    }

    #[test]
    fn a_right_code_is_not_refused_for_what_others_opened() {
        assert_eq!(broken(|_| {}), 1);
        let crowd = |story: &mut Story| {
            (0..64)
                .map(|number| story.login(ELSEWHERE, &format!("chl_x{number}")))
                .count()
        };
        assert_eq!(broken(crowd), 1);
    }

    #[test]
    fn it_is_refused_when_its_time_is_over_or_something_ended_it() {
        assert_eq!(broken(|story| story.wait(301)), 0);
        assert_eq!(broken(|story| story.send(HOME, "chl_1", "222222")), 0);
        assert_eq!(
            broken(|story| story.verify(HOME, "chl_1", "123456", 200, let_in())),
            0
        );
        assert_eq!(
            broken(|story| story.verify(HOME, "chl_1", "123456", 0, json!({}))),
            0,
            "nobody knows"
        );
        let changed = |status: u16| {
            move |story: &mut Story| {
                story.call(
                    "PATCH /v1/me",
                    "usr_ann",
                    HOME,
                    json!({}),
                    status,
                    json!({}),
                )
            }
        };
        assert_eq!(
            (
                broken(changed(200)),
                broken(changed(503)),
                broken(changed(403))
            ),
            (0, 0, 1)
        );
        let wrong = |story: &mut Story| {
            (0..5)
                .map(|_| story.verify(HOME, "chl_1", "000000", 401, refusal("code-invalid")))
                .count()
        };
        assert_eq!(broken(wrong), 0);
    }

    #[test]
    fn a_challenge_is_sent_codes_by_what_it_offers_and_none_while_a_first_factor_is_to_be_set_up() {
        let refused = |status: &str, method: &str| {
            let mut story = Story::new();
            let opened =
                json!({"status": status, "challenge": "chl_1", "methods": [{"method": "sms"}]});
            story.call(
                "POST /v1/login",
                "usr_ann",
                HOME,
                json!({"password": "right"}),
                200,
                opened,
            );
            let body = json!({"challenge": "chl_1", "method": method});
            story.call(
                "POST /v1/codes",
                "usr_ann",
                HOME,
                body,
                403,
                refusal("method-not-enabled"),
            );
            story.breaks(Promise::Challenges).len()
        };
        assert_eq!(
            (
                refused("second_factor_required", "sms"),
                refused("second_factor_required", "email")
            ),
            (1, 0)
        );
        assert_eq!(refused("enrolment_required", "sms"), 0);
    }

    #[test]
    fn a_first_phone_can_be_set_up_until_something_ends_that() {
        let refused = |code: &str, wait: i64, reset: Option<u16>| {
            let mut story = Story::new();
            let opened = json!({"status": "enrolment_required", "challenge": "chl_1", "methods": [{"method": "sms"}]});
            story.call(
                "POST /v1/login",
                "usr_ann",
                HOME,
                json!({"password": "right"}),
                200,
                opened,
            );
            let begun = story.ask(
                "POST /v1/factors/sms",
                "usr_ann",
                HOME,
                json!({"challenge": "chl_1", "phone": "+12025550100"}),
            );
            story.mail(begun, "+12025550100", "123456 is your code.");
            story.answer(begun, 202, json!({"factor": "fac_1"}));
            story.wait(wait);
            if let Some(status) = reset {
                story.call(
                    "DELETE /v1/users/{id}/factors/totp",
                    "usr_ann",
                    HOME,
                    json!({}),
                    status,
                    json!({}),
                );
            }
            let body = json!({"challenge": "chl_1", "factor": "fac_1", "code": code});
            story.call(
                "POST /v1/factors/sms/confirm",
                "usr_ann",
                HOME,
                body,
                404,
                refusal("not-found"),
            );
            story.breaks(Promise::Challenges).len()
        };
        assert_eq!(
            (
                refused("123456", 10, None),
                refused("123456", 10, Some(403))
            ),
            (1, 1)
        );
        assert_eq!(
            (
                refused("123457", 10, None),
                refused("123456", 301, None),
                refused("123456", 10, Some(204))
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_right_password_is_not_called_wrong_unless_it_may_have_been_replaced() {
        let tried = |change: Option<u16>| {
            let mut story = Story::new();
            story.call(
                "POST /v1/users",
                "usr_ann",
                HOME,
                json!({"password": "right"}),
                201,
                json!({}),
            );
            if let Some(status) = change {
                story.call(
                    "PATCH /v1/me",
                    "usr_ann",
                    HOME,
                    json!({"password": "new"}),
                    status,
                    json!({}),
                );
            }
            story.call(
                "POST /v1/login",
                "usr_ann",
                HOME,
                json!({"password": "right"}),
                401,
                refusal("invalid-credentials"),
            );
            story.breaks(Promise::Challenges).len()
        };
        assert_eq!(
            (
                tried(None),
                tried(Some(200)),
                tried(Some(0)),
                tried(Some(403))
            ),
            (1, 0, 0, 1)
        );
    }
}
