//! Nobody's mailbox or phone is flooded, whoever asks for it.

use std::collections::{HashMap, HashSet};

use local::{Mode, Service, Struck};
use shared::kernel::clock::{Span, Timestamp};

use super::index::Index;
use crate::ground::ORGANISATION;
use crate::history::{Call, Mail};

const CLEANUP: &str = "POST /_local/cleanup";
/// Where the operators themselves are told that a balance is low.
const OPERATORS: &str = "ops@storm.example";
/// Of notices in the name of an account five an hour: the rest comes as one, once there is room for
/// it.
const NOTICES: (usize, Span) = (5, Span::hours(1));
/// Of codes twenty an hour over all accounts; beside them ten an hour, five in ten minutes, of
/// one's own account to a contact that is proved.
const CODES: [(usize, Span); 2] = [(30, Span::hours(1)), (25, Span::minutes(10))];
/// Of codes at the wish of one user, wherever they go: before the user is known at some address,
/// when everybody has all of them, and from then on.
const CODES_OF_USER: [(usize, Span); 2] = [(10, Span::hours(1)), (30, Span::days(1))];

/// What a mail says that answers that a password was forgotten, in the languages of the storm.
const FORGOTTEN: [&str; 3] = [
    " was forgotten. ",
    " als vergessen gemeldet. ",
    " l’oubli du mot de passe ",
];

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut notices = HashMap::<(&str, Option<&str>), Vec<&Mail>>::new();
    let mut codes = HashMap::<&str, Vec<Counted>>::new();
    let mut of_user = HashMap::<(&str, bool), Vec<Counted>>::new();
    for mail in index
        .history
        .mails
        .iter()
        .filter(|mail| mail.to != OPERATORS)
    {
        // What was said to have failed does not count against who asked.
        let counted = index
            .history
            .sender_of(mail)
            .filter(|call| call.succeeded());
        match (mail.code().is_some(), mail.link().is_some()) {
            (true, _) => {
                let Some(call) = counted else { continue };
                let counted = Counted {
                    not_before: call.asked.at,
                    not_after: mail.at.at,
                };
                codes.entry(&mail.to).or_default().push(counted);
                if let Some(wish) = wish(index, call) {
                    of_user.entry(wish).or_default().push(counted);
                }
            }
            (false, false) if is_notice(mail) => notices
                .entry((&mail.to, in_whose_name(mail)))
                .or_default()
                .push(mail),
            _ => {}
        }
    }
    let told = notices
        .into_iter()
        .filter_map(|((to, _), notices)| Told { index, to, notices }.broken());
    let mut broken: Vec<String> = told.collect();
    broken.sort();
    broken.extend(
        CODES
            .into_iter()
            .flat_map(|limit| over("codes", &codes, limit)),
    );
    for ((user, _), moments) in of_user {
        let alone = HashMap::from([(user, moments)]);
        broken.extend(
            CODES_OF_USER
                .into_iter()
                .flat_map(|limit| over("codes sent", &alone, limit)),
        );
    }
    broken
}

/// Whose wish a call was, and whether the user was known somewhere then; nobody's where that is
/// uncertain.
fn wish<'a>(index: &Index<'_>, call: &'a Call) -> Option<(&'a str, bool)> {
    let user = call
        .about
        .as_deref()
        .filter(|about| about.starts_with("usr_"))?;
    let (possible, certain) = index.first_sign_ins(user);
    let is_known = certain.is_some_and(|first| first.precedes(call));
    let is_unknown = possible.is_none_or(|first| call.precedes(first));
    (is_known || is_unknown).then_some((user, is_known))
}

/// The organisation that a notice names: each has the five of its own, or one that says of
/// somebody's mailbox that a user of its own has it would keep that user's notices from them.
fn in_whose_name(mail: &Mail) -> Option<&str> {
    let (before, rest) = mail.text.split_once(ORGANISATION)?;
    let number = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    mail.text
        .get(before.len()..before.len() + ORGANISATION.len() + number)
}

/// Whether it tells of a change: what is of an agreement tells of that one, and what answers that a
/// password was forgotten is limited as the links are that others get.
fn is_notice(mail: &Mail) -> bool {
    let says = |words: &&str| mail.text.contains(*words);
    !says(&"Lease ") && !FORGOTTEN.iter().any(says)
}

/// The notices that somebody got.
struct Told<'a> {
    index: &'a Index<'a>,
    to: &'a str,
    notices: Vec<&'a Mail>,
}

impl Told<'_> {
    /// The first hour in which there were too many, whatever was late of them.
    fn broken(&self) -> Option<String> {
        let (most, span) = NOTICES;
        let (number, of_hour) = self.notices.iter().enumerate().find_map(|(start, first)| {
            let until = self.sent_from(first).plus(span);
            let of_hour: Vec<&Mail> = self
                .notices
                .iter()
                .skip(start)
                .copied()
                .take_while(|mail| mail.at.at < until)
                .collect();
            let late = of_hour
                .iter()
                .filter(|mail| self.is_by_cleanup(mail))
                .count()
                .min(self.owed(of_hour.last()?));
            let number = of_hour.len() - late;
            (number > most).then_some((number, of_hour))
        })?;
        let (to, span) = (self.to, span.as_secs());
        let each: Vec<String> = of_hour.iter().map(|mail| self.told_by(mail)).collect();
        Some(format!(
            "{to} got {number} notices within {span} s: {}",
            each.join(", ")
        ))
    }

    /// When a mail came, and the call that sent it.
    fn told_by(&self, mail: &Mail) -> String {
        let (at, sender) = (mail.at.at.to_rfc3339(), self.index.history.sender_of(mail));
        sender.map_or_else(
            || format!("{at} by nobody"),
            |call| format!("{at} by #{} {}", call.number, call.route),
        )
    }

    /// The first moment at which it may have been counted.
    fn sent_from(&self, mail: &Mail) -> Timestamp {
        self.index
            .history
            .sender_of(mail)
            .map_or(mail.at.at, |call| call.asked.at)
    }

    fn is_by_cleanup(&self, mail: &Mail) -> bool {
        self.index
            .history
            .sender_of(mail)
            .is_none_or(|call| call.route == CLEANUP)
    }

    /// How many may have been owed when `last` came: of a change whose worker was cut short, or
    /// whose sender was down, the clean-up sends it later; and what the clean-up itself could not
    /// send, the next one does.
    fn owed(&self, last: &Mail) -> usize {
        let named =
            |call: &&Call| [call.sent("/email"), call.sent("/phone")].contains(&Some(self.to));
        let owners: HashSet<&str> = self
            .index
            .history
            .calls
            .iter()
            .filter(named)
            .filter_map(|call| call.about.as_deref())
            .collect();
        let theirs = |call: &&Call| {
            call.route == CLEANUP
                || call
                    .about
                    .as_deref()
                    .is_some_and(|about| owners.contains(about))
        };
        let earlier = self
            .index
            .history
            .calls
            .iter()
            .filter(|call| call.asked < last.at && Some(call.number) != last.call);
        earlier
            .filter(theirs)
            .filter(|call| !call.was_refused() && may_owe(call))
            .count()
    }
}

/// Whether a call may have left a message to the next clean-up. Whatever it was that failed: it
/// sends several messages at a time, and one may be given up while the others go on.
fn may_owe(call: &Call) -> bool {
    let fails = |struck: &Struck| match struck.service {
        Service::Dynamodb => struck.mode != Mode::Torn,
        Service::Ses | Service::Sns => struck.mode != Mode::Slow,
        Service::Provider | Service::Issuer => false,
    };
    call.died || call.struck.iter().any(fails)
}

/// When a code was counted: as its request arrived, which is some time between when it was asked
/// for and when it was sent.
#[derive(Clone, Copy)]
struct Counted {
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Whoever got more than so many within so long, beyond doubt.
fn over(what: &str, got: &HashMap<&str, Vec<Counted>>, (most, span): (usize, Span)) -> Vec<String> {
    let mut broken = Vec::new();
    for (to, counted) in got {
        let within = |first: &Counted| {
            let until = first.not_before.plus(span);
            counted
                .iter()
                .filter(|one| one.not_before >= first.not_before && one.not_after < until)
                .count()
        };
        let worst = counted.iter().map(within).max().unwrap_or_default();
        if worst > most {
            broken.push(format!(
                "{to} got {worst} {what} within {} s",
                span.as_secs()
            ));
        }
    }
    broken.sort();
    broken
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story, let_in};
    use crate::ground::{ORGANISATION, another_name};
    use local::{Mode, Service, Struck};
    use serde_json::json;
    use shared::account::Locale;
    use shared::messaging::courier::languages;

    #[test]
    fn notices_are_few_within_an_hour() {
        let noticed = |times: usize, gap: i64| {
            let mut story = Story::new();
            for _ in 0..times {
                notice(&mut story, "POST /v1/factors/recovery-codes");
                story.wait(gap);
            }
            story.breaks(Promise::Floods).len()
        };
        assert_eq!(
            (
                noticed(5, 1),
                noticed(6, 1),
                noticed(40, 720),
                noticed(40, 719)
            ),
            (0, 1, 0, 1)
        );
    }

    #[test]
    fn notices_are_counted_for_each_account_by_itself() {
        let noticed = |of_one: usize, of_other: usize| {
            let mut story = Story::new();
            let mut told = |text: &str| {
                let number = story.call(
                    "POST /v1/factors/recovery-codes",
                    "usr_ann",
                    HOME,
                    json!({}),
                    201,
                    json!({}),
                );
                story.mail(number, "ann@example.com", text);
            };
            (0..of_one).for_each(|_| told("You have new recovery codes for Storm 1."));
            (0..of_other).for_each(|_| told("You have new recovery codes for Storm 12."));
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((noticed(5, 5), noticed(6, 5), noticed(5, 6)), (0, 1, 1));
    }

    #[test]
    fn an_answer_that_a_password_was_forgotten_tells_of_no_change() {
        for locale in [Locale::En, Locale::De, Locale::Fr] {
            let letter = languages::of(locale).no_password_link("Storm 1");
            let mut story = Story::new();
            (0..5).for_each(|_| notice(&mut story, "POST /v1/factors/recovery-codes"));
            let number = story.call(
                "POST /v1/password/forgotten",
                "usr_ann",
                HOME,
                json!({}),
                202,
                json!({}),
            );
            story.mail(number, "ann@example.com", &letter.paragraphs.join("\n\n"));
            assert_eq!(story.breaks(Promise::Floods), Vec::<String>::new());
        }
    }

    #[test]
    fn an_account_that_is_renamed_is_the_same_one() {
        let noticed = |names: [&str; 2]| {
            let mut story = Story::new();
            for name in names.iter().cycle().take(6) {
                let number = story.call(
                    "POST /v1/factors/recovery-codes",
                    "usr_ann",
                    HOME,
                    json!({}),
                    201,
                    json!({}),
                );
                let text = format!("You have new recovery codes for {name}.");
                story.mail(number, "ann@example.com", &text);
            }
            story.breaks(Promise::Floods).len()
        };
        let renamed = |number: usize| another_name(&format!("{ORGANISATION}{number}"), 316);
        assert_eq!(
            (
                noticed(["Storm 1", &renamed(1)]),
                noticed([&renamed(1), &renamed(2)])
            ),
            (1, 0)
        );
    }

    fn notice(story: &mut Story, route: &'static str) {
        let number = story.call(route, "usr_ann", HOME, json!({}), 201, json!({}));
        story.mail(number, "ann@example.com", "You have new recovery codes.");
    }

    #[test]
    fn a_notice_that_is_late_is_of_the_hour_of_its_change() {
        let late = |trouble: Option<(Service, Mode)>, owner: &str, times: usize| {
            let mut story = Story::new();
            story.call(
                "POST /v1/users",
                "usr_ann",
                HOME,
                json!({"email": "ann@example.com"}),
                201,
                json!({}),
            );
            for _ in 0..times {
                let number = story.call(
                    "POST /v1/factors/recovery-codes",
                    owner,
                    HOME,
                    json!({}),
                    201,
                    json!({}),
                );
                let struck = trouble.map(|(service, mode)| Struck {
                    service,
                    mode,
                    was_last: false,
                });
                story.history.calls[number].struck = struck.into_iter().collect();
            }
            story.wait(7_200);
            (0..5).for_each(|_| notice(&mut story, "POST /v1/factors/recovery-codes"));
            (0..times).for_each(|_| notice(&mut story, "POST /_local/cleanup"));
            story.breaks(Promise::Floods).len()
        };
        let refused = (Service::Ses, Mode::Refused);
        assert_eq!(
            (
                late(None, "usr_ann", 1),
                late(Some(refused), "usr_ann", 1),
                late(Some(refused), "usr_ann", 3)
            ),
            (1, 0, 0)
        );
        assert_eq!(
            (
                late(Some((Service::Ses, Mode::Slow)), "usr_ann", 1),
                late(Some(refused), "usr_bob", 1)
            ),
            (1, 1)
        );
        // One of several that were sent at a time: another went on after it.
        let conflict = (Service::Dynamodb, Mode::Conflict);
        assert_eq!(late(Some(conflict), "usr_ann", 1), 0);
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
        assert_eq!(
            (sent(10, 1), sent(11, 1), sent(30, 400), sent(31, 400)),
            (0, 1, 0, 1)
        );
    }

    #[test]
    fn a_code_is_of_the_hour_in_which_its_request_arrived_which_may_be_later_than_it_was_asked_for()
    {
        let sent = |late: i64| {
            let mut story = Story::new();
            (0..10).for_each(|_| {
                story.send(HOME, "chl_1", "123456");
            });
            story.wait(3_590);
            let number = story.ask(
                "POST /v1/codes",
                "usr_ann",
                HOME,
                json!({"challenge": "chl_1", "method": "sms"}),
            );
            story.wait(late);
            story.mail(
                number,
                "+12025550100",
                "123456 is your code.\n@sign.example #123456",
            );
            story.answer(number, 202, json!({"method": "sms"}));
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((sent(9), sent(10)), (1, 0));
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
                let number = story.ask(
                    "POST /v1/factors/email",
                    &user,
                    HOME,
                    json!({"email": "ann@example.com"}),
                );
                story.mail(number, "ann@example.com", "12345678 is your code.");
                story.answer(number, 202, json!({"factor": "fac_1"}));
            }
            story.breaks(Promise::Floods).len()
        };
        assert_eq!((sent(25), sent(26)), (0, 1));
    }
}
