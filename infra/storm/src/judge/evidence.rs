//! Nobody is let in but by a code that was sent for that challenge, in its time, that none newer
//! has taken the place of; and after five wrong ones by none.

use shared::kernel::clock::Span;

use super::index::{Code, Index, proves_factor};
use crate::history::Call;

/// How long a code is good.
const CODE: Span = Span::minutes(5);
/// What makes who has proved a factor begin anew, or may.
const RESETS: [&str; 1] = ["DELETE /v1/users/{id}/factors/totp"];
/// How many wrong codes a challenge takes.
const ATTEMPTS_MAX: usize = 5;

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let let_in = index
        .history
        .of("POST /v1/codes/verify")
        .filter(|call| call.lets_in());
    let let_in = let_in.filter_map(|call| Some(format!("#{}: {}", call.number, why(index, call)?)));
    let_in
        .chain(contacts(index))
        .chain(first_factors(index))
        .collect()
}

/// Who has proved a factor before sets up none with a password, or with what an issuer says: never
/// as a way round one that exists. Once an administrator has reset the app it takes a mailed link,
/// or no mailbox.
fn first_factors(index: &Index<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let set_up = index
        .history
        .calls
        .iter()
        .filter(|call| call.route != "POST /v1/codes/verify" && proves_factor(call));
    for call in set_up.filter(|call| call.lets_in()) {
        let opening = call
            .sent("/challenge")
            .and_then(|challenge| index.opening(challenge));
        let of_user = || {
            index
                .about(call.about.as_deref().unwrap_or_default())
                .iter()
                .copied()
        };
        let Some(proved) =
            of_user().find(|other| proves_factor(other) && other.lets_in() && other.precedes(call))
        else {
            continue;
        };
        let may_be_reset = of_user().any(|other| {
            RESETS.contains(&other.route) && other.may_have_succeeded() && other.asked < call.asked
        });
        let by_password = opening.is_some_and(|opening| opening.route == "POST /v1/login");
        if !may_be_reset || (by_password && keeps_a_mailbox(index, call)) {
            broken.push(format!(
                "#{}: a first factor was set up, and one had been proved in #{}",
                call.number, proved.number
            ));
        }
    }
    broken
}

/// Whether the user had a mailbox from the beginning, and nobody may have taken it away.
fn keeps_a_mailbox(index: &Index<'_>, call: &Call) -> bool {
    let of_user = index.about(call.about.as_deref().unwrap_or_default());
    let had = of_user.iter().any(|other| {
        other.route == "POST /v1/users" && other.succeeded() && other.sent("/email").is_some()
    });
    let taken = ["DELETE /v1/factors/email", "PATCH /v1/users/{id}"];
    had && !of_user
        .iter()
        .any(|other| taken.contains(&other.route) && other.may_have_succeeded())
}

/// A contact counts by a code that was sent for it at the wish of the same user, in its time.
fn contacts(index: &Index<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (ask, confirm) in [
        ("POST /v1/factors/sms", "POST /v1/factors/sms/confirm"),
        ("POST /v1/factors/email", "POST /v1/factors/email/confirm"),
    ] {
        let sent = |call: &Call| {
            let typed = digits(call.sent("/code").unwrap_or_default());
            index.history.mails.iter().any(|mail| {
                let asked = index
                    .history
                    .sender_of(mail)
                    .is_some_and(|other| other.route == ask && other.about == call.about);
                asked
                    && mail.code() == Some(typed.as_str())
                    && mail.at.at.plus(CODE) >= call.asked.at
            })
        };
        for call in index
            .history
            .of(confirm)
            .filter(|call| call.succeeded() && !sent(call))
        {
            broken.push(format!(
                "#{}: a contact was taken without a code that was sent to it, in its time",
                call.number
            ));
        }
    }
    broken
}

/// Why nobody should have been let in.
fn why(index: &Index<'_>, call: &Call) -> Option<&'static str> {
    let challenge = call.sent("/challenge")?;
    let wrong = index
        .with(challenge)
        .iter()
        .filter(|other| was_wrong(other) && other.precedes(call))
        .count();
    if wrong >= ATTEMPTS_MAX {
        return Some("a code was taken after five wrong ones");
    }
    let method = call
        .sent("/method")
        .filter(|method| matches!(*method, "sms" | "email"))?;
    let typed = digits(call.sent("/code")?);
    let sent = index.codes(challenge, method);
    let same: Vec<&Code<'_>> = sent.iter().filter(|code| code.digits == typed).collect();
    if same.is_empty() {
        return Some("a code was taken that was not sent");
    }
    if same
        .iter()
        .all(|code| code.mail.at.at.plus(CODE) < call.asked.at)
    {
        return Some("a code was taken that was too old");
    }
    let newer = |code: &Code<'_>, other: &Code<'_>| {
        code.call.precedes(other.call)
            && other.call.succeeded()
            && other.call.precedes(call)
            && other.digits != typed
    };
    let superseded = same
        .iter()
        .all(|code| sent.iter().any(|other| newer(code, other)));
    superseded.then_some("a code was taken that another had taken the place of")
}

/// Whether it is answered that the code was wrong.
pub(super) fn was_wrong(call: &Call) -> bool {
    call.route == "POST /v1/codes/verify" && call.status() == 401 && call.slug() == "code-invalid"
}

/// A code without what people put between its digits.
pub(super) fn digits(code: &str) -> String {
    code.chars()
        .filter(|letter| !matches!(letter, ' ' | '-'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story, let_in, refusal};
    use serde_json::json;

    fn broken(tell: impl FnOnce(&mut Story)) -> usize {
        let mut story = Story::new();
        story.login(HOME, "chl_1");
        tell(&mut story);
        story.breaks(Promise::Evidence).len()
    }

    #[test]
    fn a_code_that_was_sent_lets_in_while_it_is_good() {
        let good = |story: &mut Story| {
            story.send(HOME, "chl_1", "123456");
            story.wait(290);
            story.verify(HOME, "chl_1", "123 456", 200, let_in());
        };
        assert_eq!(broken(good), 0);
        let late = |story: &mut Story| {
            story.send(HOME, "chl_1", "123456");
            story.wait(301);
            story.verify(HOME, "chl_1", "123456", 200, let_in());
        };
        assert_eq!(broken(late), 1);
    }

    #[test]
    fn no_other_code_does() {
        let made_up = |story: &mut Story| {
            story.send(HOME, "chl_1", "123456");
            story.verify(HOME, "chl_1", "654321", 200, let_in());
        };
        assert_eq!(broken(made_up), 1);
        let superseded = |story: &mut Story| {
            story.send(HOME, "chl_1", "123456");
            story.send(HOME, "chl_1", "222222");
            story.verify(HOME, "chl_1", "123456", 200, let_in());
        };
        assert_eq!(broken(superseded), 1);
    }

    #[test]
    fn a_contact_counts_by_the_code_that_was_sent_to_it() {
        let taken = |code: &str, user: &str, wait: i64| {
            let mut story = Story::new();
            let number = story.ask(
                "POST /v1/factors/sms",
                "usr_ann",
                HOME,
                json!({"phone": "+12025550101"}),
            );
            story.mail(number, "+12025550101", "123456 is your code.");
            story.answer(number, 202, json!({"factor": "fac_1"}));
            story.wait(wait);
            let body = json!({"factor": "fac_1", "code": code});
            story.call(
                "POST /v1/factors/sms/confirm",
                user,
                HOME,
                body,
                200,
                json!({"method": "sms"}),
            );
            story.breaks(Promise::Evidence).len()
        };
        assert_eq!(taken("123456", "usr_ann", 10), 0);
        assert_eq!(taken("123457", "usr_ann", 10), 1);
        assert_eq!(taken("123456", "usr_eve", 10), 1);
        assert_eq!(taken("123456", "usr_ann", 301), 1);
    }

    #[test]
    fn a_first_factor_is_the_first_or_comes_after_a_reset_by_a_link() {
        let set_up = |proved: bool, reset: bool, by: &'static str, mailbox: bool| {
            let mut story = Story::new();
            let user = if mailbox {
                json!({"email": "ann@example.com"})
            } else {
                json!({})
            };
            story.call("POST /v1/users", "usr_ann", HOME, user, 201, json!({}));
            if proved {
                let body = json!({"challenge": "chl_1", "method": "totp", "code": "123456"});
                story.call(
                    "POST /v1/codes/verify",
                    "usr_ann",
                    HOME,
                    body,
                    200,
                    let_in(),
                );
            }
            if reset {
                story.call(
                    "DELETE /v1/users/{id}/factors/totp",
                    "usr_ann",
                    HOME,
                    json!({}),
                    204,
                    json!({}),
                );
            }
            story.call(
                by,
                "usr_ann",
                HOME,
                json!({}),
                200,
                json!({"status": "enrolment_required", "challenge": "chl_2"}),
            );
            let body = json!({"challenge": "chl_2", "factor": "fac_1", "code": "123456"});
            story.call(
                "POST /v1/factors/totp/confirm",
                "usr_ann",
                HOME,
                body,
                200,
                json!({"authenticated": let_in()}),
            );
            story.breaks(Promise::Evidence).len()
        };
        let (password, link) = ("POST /v1/login", "POST /v1/links/redeem");
        assert_eq!(
            (
                set_up(false, false, password, true),
                set_up(true, false, password, true)
            ),
            (0, 1)
        );
        assert_eq!(
            (
                set_up(true, false, link, true),
                set_up(true, true, link, true)
            ),
            (1, 0)
        );
        assert_eq!(
            (
                set_up(true, true, password, true),
                set_up(true, true, password, false)
            ),
            (1, 0)
        );
    }

    #[test]
    fn nor_a_right_one_after_five_wrong_ones() {
        let guessed = |wrong: usize| {
            move |story: &mut Story| {
                story.send(HOME, "chl_1", "123456");
                for _ in 0..wrong {
                    story.verify(HOME, "chl_1", "000000", 401, refusal("code-invalid"));
                }
                story.verify(HOME, "chl_1", "123456", 200, let_in());
            }
        };
        assert_eq!((broken(guessed(4)), broken(guessed(5))), (0, 1));
    }
}
