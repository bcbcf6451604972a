//! A mail goes once, but where whoever sent it was cut short before they could write that down; a
//! code arrives where it is said to have been sent, and not where it is said that it could not be.

use std::collections::HashMap;

use super::index::Index;
use crate::history::{Call, Mail};

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut broken = repeated(index);
    broken.extend(codes(index));
    broken
}

/// Each link has a token of its own, and each agreement here a title of its own: two such mails
/// with one text are one mail. Each copy but the last has to be one whose sender was cut short.
fn repeated(index: &Index<'_>) -> Vec<String> {
    let mut copies = HashMap::<(&str, &str, &str), Vec<&Mail>>::new();
    for mail in index
        .history
        .mails
        .iter()
        .filter(|mail| is_one_of_a_kind(mail))
    {
        let subject = mail.subject.as_deref().unwrap_or_default();
        copies
            .entry((mail.to.as_str(), subject, mail.text.as_str()))
            .or_default()
            .push(mail);
    }
    let needless = |copies: &Vec<&Mail>| {
        let excused = |mail: &&&Mail| {
            index
                .history
                .sender_of(mail)
                .is_none_or(Call::was_cut_short)
        };
        let before = copies.len().saturating_sub(1);
        before > copies.iter().filter(excused).count()
    };
    let told = |copies: Vec<&Mail>| {
        let senders: Vec<_> = copies
            .iter()
            .map(|mail| format!("#{}", mail.call.unwrap_or_default()))
            .collect();
        let what = copies
            .first()
            .and_then(|mail| mail.subject.clone())
            .unwrap_or_default();
        format!(
            "{} copies of {what:?} to {}, sent in {}",
            copies.len(),
            copies.first().map_or("", |mail| &mail.to),
            senders.join(", ")
        )
    };
    copies.into_values().filter(needless).map(told).collect()
}

fn is_one_of_a_kind(mail: &Mail) -> bool {
    mail.link().is_some() || mail.code().is_some() || mail.text.contains("Lease ")
}

/// Codes go in the request that asks for them.
fn codes(index: &Index<'_>) -> Vec<String> {
    let mut sent = HashMap::<usize, usize>::new();
    for mail in index
        .history
        .mails
        .iter()
        .filter(|mail| mail.code().is_some())
    {
        *sent.entry(mail.call.unwrap_or(usize::MAX)).or_default() += 1;
    }
    let mut broken = Vec::new();
    let asks = [
        "POST /v1/codes",
        "POST /v1/factors/sms",
        "POST /v1/factors/email",
    ]
    .into_iter();
    for call in asks
        .flat_map(|route| index.history.of(route))
        .filter(|call| !call.was_cut_short())
    {
        let messages = sent.get(&call.number).copied().unwrap_or_default();
        match (call.status(), messages) {
            (503, 1..) => broken.push(format!(
                "#{}: a code was sent, and it was said that none could be",
                call.number
            )),
            (202, 0) if call.key.is_none() => {
                broken.push(format!(
                    "#{}: a code was not sent, and it was said that it was",
                    call.number
                ));
            }
            _ => {}
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story, refusal};
    use local::{Mode, Service, Struck};
    use serde_json::{Value, json};

    const LINK: &str = "Open https://sign.example/link#lnk_1 within 60 minutes.";

    fn run(story: &mut Story, died: bool) {
        let number = story.ask("POST /_local/cleanup", "", HOME, Value::Null);
        story.mail(number, "ann@example.com", LINK);
        story.answer(
            number,
            if died { 500 } else { 200 },
            json!({"more": false, "failed": 0}),
        );
        story.history.calls[number].died = died;
    }

    #[test]
    fn a_mail_goes_again_only_where_its_worker_was_cut_short() {
        let mut story = Story::new();
        run(&mut story, true);
        run(&mut story, false);
        assert_eq!(story.breaks(Promise::Mails), Vec::<String>::new());
        run(&mut story, false);
        assert_eq!(story.breaks(Promise::Mails).len(), 1);
    }

    #[test]
    fn a_slow_sender_is_no_excuse_and_one_whose_answer_was_lost_is() {
        for (mode, broken) in [(Mode::Slow, 1), (Mode::Lost, 0)] {
            let mut story = Story::new();
            run(&mut story, false);
            story.history.calls[0].struck = vec![Struck {
                service: Service::Ses,
                mode,
                was_last: true,
            }];
            run(&mut story, false);
            assert_eq!(story.breaks(Promise::Mails).len(), broken, "{mode:?}");
        }
    }

    #[test]
    fn what_is_said_of_a_code_is_so() {
        let mut story = Story::new();
        story.send(HOME, "chl_1", "123456");
        assert_eq!(story.breaks(Promise::Mails), Vec::<String>::new());
        let number = story.send(HOME, "chl_1", "222222");
        story.answer(number, 503, refusal("sender-unavailable"));
        story.call(
            "POST /v1/codes",
            "usr_ann",
            HOME,
            json!({"challenge": "chl_1", "method": "sms"}),
            202,
            json!({}),
        );
        assert_eq!(story.breaks(Promise::Mails).len(), 2);
    }
}
