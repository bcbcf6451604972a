//! Nobody's mailbox or phone is flooded, whoever asks for it.

use std::collections::HashMap;

use shared::clock::{Span, Timestamp};

use super::index::Index;
use crate::history::{Call, Mail};

/// Where the operators themselves are told that a balance is low.
const OPERATORS: &str = "ops@storm.example";
/// Of notices five an hour, and the rest as one; those that were owed while the senders were down come with the next hour's.
const NOTICES: (usize, Span) = (11, Span::hours(1));
/// Of codes twenty an hour over all accounts; beside them ten an hour, five in ten minutes, of one's own account to a contact that is proved.
const CODES: [(usize, Span); 2] = [(30, Span::hours(1)), (25, Span::minutes(10))];
/// Of codes at the wish of one user, wherever they go: before the user is known at some address, when everybody has all of them, and from then on.
const CODES_OF_USER: [(usize, Span); 2] = [(10, Span::hours(1)), (30, Span::days(1))];

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut notices = HashMap::<&str, Vec<Timestamp>>::new();
    let mut codes = HashMap::<&str, Vec<Timestamp>>::new();
    let mut of_user = HashMap::<(&str, bool), Vec<Timestamp>>::new();
    for mail in index.history.mails.iter().filter(|mail| mail.to != OPERATORS) {
        // What was said to have failed does not count against who asked.
        let counted = index.history.sender_of(mail).filter(|call| call.succeeded());
        match (mail.code().is_some(), mail.link().is_some()) {
            (true, _) => {
                let Some(call) = counted else { continue };
                codes.entry(&mail.to).or_default().push(call.asked.at);
                if let Some(wish) = wish(index, call) {
                    of_user.entry(wish).or_default().push(call.asked.at);
                }
            }
            (false, false) if is_notice(mail) => notices.entry(&mail.to).or_default().push(mail.at.at),
            _ => {}
        }
    }
    let mut broken = over("notices", &notices, NOTICES);
    broken.extend(CODES.into_iter().flat_map(|limit| over("codes", &codes, limit)));
    for ((user, _), moments) in of_user {
        let alone = HashMap::from([(user, moments)]);
        broken.extend(CODES_OF_USER.into_iter().flat_map(|limit| over("codes sent", &alone, limit)));
    }
    broken
}

/// Whose wish a call was, and whether the user was known somewhere then; nobody's where that is uncertain.
fn wish<'a>(index: &Index<'_>, call: &'a Call) -> Option<(&'a str, bool)> {
    let user = call.about.as_deref().filter(|about| about.starts_with("usr_"))?;
    let (possible, certain) = index.first_sign_ins(user);
    let is_known = certain.is_some_and(|first| first.precedes(call));
    let is_unknown = possible.is_none_or(|first| call.precedes(first));
    (is_known || is_unknown).then_some((user, is_known))
}

/// Whether it tells of a change: what is of an agreement tells of that one.
fn is_notice(mail: &Mail) -> bool {
    !mail.text.contains("Lease ")
}

/// Whoever got more than so many within so long.
fn over(what: &str, got: &HashMap<&str, Vec<Timestamp>>, (most, span): (usize, Span)) -> Vec<String> {
    let mut broken = Vec::new();
    for (to, moments) in got {
        let mut moments = moments.clone();
        moments.sort_unstable();
        let within = |start: usize| {
            let first = moments.get(start).copied().unwrap_or_default();
            moments.iter().skip(start).take_while(|moment| **moment < first.plus(span)).count()
        };
        let worst = (0..moments.len()).map(within).max().unwrap_or_default();
        if worst > most {
            broken.push(format!("{to} got {worst} {what} within {} s", span.as_secs()));
        }
    }
    broken.sort();
    broken
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story, let_in};
    use serde_json::json;

    #[test]
    fn notices_are_few_within_an_hour() {
        let noticed = |times: usize, gap: i64| {
            let mut story = Story::new();
            for _ in 0..times {
                let number = story.call("POST /v1/factors/recovery-codes", "usr_ann", HOME, json!({}), 201, json!({}));
                story.mail(number, "ann@example.com", "You have new recovery codes.");
                story.wait(gap);
            }
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((noticed(11, 1), noticed(12, 1), noticed(40, 400)), (0, 1, 0));
    }

    #[test]
    fn codes_are_few_at_the_wish_of_a_user() {
        let sent = |times: usize, gap: i64| {
            let mut story = Story::new();
            for _ in 0..times {
                story.send(HOME, "chl_1", "123456");
                story.wait(gap);
            }
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((sent(10, 1), sent(11, 1), sent(30, 400), sent(31, 400)), (0, 1, 0, 1));
    }

    #[test]
    fn codes_before_the_first_sign_in_take_nothing_from_those_after_it() {
        let sent = |before: usize, after: usize| {
            let mut story = Story::new();
            for _ in 0..before {
                story.send(HOME, "chl_1", "123456");
            }
            story.verify(HOME, "chl_1", "123456", 200, let_in());
            for _ in 0..after {
                story.send(HOME, "chl_2", "123456");
            }
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((sent(10, 10), sent(11, 0), sent(1, 11)), (0, 1, 1));
    }

    #[test]
    fn codes_are_few_to_a_destination_whoever_wishes() {
        let sent = |people: usize| {
            let mut story = Story::new();
            for person in 0..people {
                let user = format!("usr_{person}");
                let number = story.ask("POST /v1/factors/email", &user, HOME, json!({"email": "ann@example.com"}));
                story.mail(number, "ann@example.com", "12345678 is your code.");
                story.answer(number, 202, json!({"factor": "fac_1"}));
            }
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((sent(25), sent(26)), (0, 1));
    }
}
