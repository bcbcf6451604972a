//! No code, link, session or one-time code counts twice, and a key names one thing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use shared::kernel::clock::Span;

use super::index::Index;
use crate::history::Call;

/// Within how long the same code of an app is the same: it changes every 30 s, and three steps are
/// good at any time.
const APP_CODE: Span = Span::seconds(90);

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    challenges(index, &mut broken);
    links(index, &mut broken);
    portals(index, &mut broken);
    apps(index, &mut broken);
    recovery(index, &mut broken);
    enrolments(index, &mut broken);
    tokens(index, &mut broken);
    sessions(index, &mut broken);
    keys(index, &mut broken);
    broken
}

fn numbers<'a>(calls: impl IntoIterator<Item = &'a Call>) -> String {
    calls
        .into_iter()
        .map(|call| format!("#{}", call.number))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A challenge is completed once, by a code or by a first factor.
fn challenges(index: &Index<'_>, broken: &mut Vec<String>) {
    for (_, calls) in index.challenges() {
        let let_in: Vec<&Call> = calls
            .iter()
            .copied()
            .filter(|call| call.lets_in())
            .collect();
        if let_in.len() > 1 {
            broken.push(format!(
                "one challenge let somebody in {} times: {}",
                let_in.len(),
                numbers(let_in)
            ));
        }
    }
}

/// A user's link is spent by the second factor that completes, whichever of the challenges that it
/// opened that is.
fn links(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut by_link = BTreeMap::<&str, Vec<&Call>>::new();
    for redeemed in index
        .history
        .of("POST /v1/links/redeem")
        .filter(|call| is_of_user(call))
    {
        let Some((token, challenge)) = redeemed.sent("/token").zip(redeemed.told("/challenge"))
        else {
            continue;
        };
        let let_in = index
            .with(challenge)
            .iter()
            .copied()
            .filter(|call| call.lets_in());
        by_link.entry(token).or_default().extend(let_in);
    }
    for let_in in by_link.into_values().filter(|let_in| let_in.len() > 1) {
        broken.push(format!(
            "one link let somebody in {} times: {}",
            let_in.len(),
            numbers(let_in)
        ));
    }
}

fn is_of_user(call: &Call) -> bool {
    call.about
        .as_deref()
        .is_some_and(|about| about.starts_with("usr_"))
}

fn portals(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut by_code = BTreeMap::<&str, Vec<&Call>>::new();
    for call in index
        .history
        .of("POST /v1/tokens")
        .filter(|call| call.succeeded())
    {
        by_code
            .entry(call.sent("/code").unwrap_or_default())
            .or_default()
            .push(call);
    }
    for exchanged in by_code
        .into_values()
        .filter(|exchanged| exchanged.len() > 1)
    {
        broken.push(format!(
            "a one-time code was exchanged {} times: {}",
            exchanged.len(),
            numbers(exchanged)
        ));
    }
}

/// A code of an app is taken once, to sign in or to confirm the app.
fn apps(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut taken = HashMap::<(&str, &str), Vec<&Call>>::new();
    let by_app = |call: &&Call| match call.route {
        "POST /v1/codes/verify" => call.sent("/method") == Some("totp") && call.lets_in(),
        "POST /v1/factors/totp/confirm" => call.succeeded(),
        _ => false,
    };
    for call in index.history.calls.iter().filter(by_app) {
        let Some((user, code)) = call.about.as_deref().zip(call.sent("/code")) else {
            continue;
        };
        let before = taken.entry((user, code)).or_default();
        if let Some(first) = before
            .iter()
            .find(|first| first.asked.at.plus(APP_CODE) > call.latest())
        {
            broken.push(format!(
                "a code of an app was taken twice: {}",
                numbers([*first, call])
            ));
        }
        before.push(call);
    }
}

fn recovery(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut taken = HashMap::<(&str, &str), &Call>::new();
    let by_code = |call: &&Call| call.sent("/method") == Some("recovery_code") && call.lets_in();
    for call in index.history.of("POST /v1/codes/verify").filter(by_code) {
        let Some(named) = call.about.as_deref().zip(call.sent("/code")) else {
            continue;
        };
        if let Some(first) = taken.insert(named, call) {
            broken.push(format!(
                "a recovery code was taken twice: {}",
                numbers([first, call])
            ));
        }
    }
}

/// A contact that waits, or an app, is taken once.
fn enrolments(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut taken = HashMap::<&str, &Call>::new();
    for route in [
        "POST /v1/factors/sms/confirm",
        "POST /v1/factors/email/confirm",
        "POST /v1/factors/totp/confirm",
    ] {
        for call in index.history.of(route).filter(|call| call.succeeded()) {
            if let Some(first) = taken.insert(call.sent("/factor").unwrap_or_default(), call) {
                broken.push(format!(
                    "what waited was confirmed twice: {}",
                    numbers([first, call])
                ));
            }
        }
    }
}

/// An ID token is taken once.
fn tokens(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut before = HashMap::<&str, &Call>::new();
    for call in index
        .history
        .of("POST /v1/login")
        .filter(|call| call.succeeded())
    {
        let Some(token) = call.sent("/id_token") else {
            continue;
        };
        if let Some(first) = before.insert(token, call) {
            broken.push(format!(
                "an ID token was taken twice: {}",
                numbers([first, call])
            ));
        }
    }
}

/// A session that was passed lets in with one token, however often it is asked.
fn sessions(index: &Index<'_>, broken: &mut Vec<String>) {
    let mut tokens = BTreeMap::<&str, BTreeSet<&str>>::new();
    for call in index.history.of("GET /v1/kba/sessions/{session}") {
        if let Some(token) = call.told("/authenticated/access_token") {
            tokens.entry(call.path.as_str()).or_default().insert(token);
        }
    }
    for (path, tokens) in tokens.into_iter().filter(|(_, tokens)| tokens.len() > 1) {
        broken.push(format!("{path} gave {} tokens", tokens.len()));
    }
}

/// A key that must be given names one top-up, or one agreement.
fn keys(index: &Index<'_>, broken: &mut Vec<String>) {
    for route in ["POST /v1/quota/topups", "POST /v1/agreements"] {
        let mut made = BTreeMap::<&str, BTreeSet<&str>>::new();
        for call in index.history.of(route).filter(|call| call.succeeded()) {
            made.entry(call.key.as_deref().unwrap_or_default())
                .or_default()
                .extend(call.told("/id"));
        }
        for (key, ids) in made.into_iter().filter(|(_, ids)| ids.len() > 1) {
            broken.push(format!("{route} with {key} made {ids:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story, let_in, refusal};
    use serde_json::json;

    #[test]
    fn a_challenge_lets_in_once() {
        let mut story = Story::new();
        story.sign_in("chl_1", "123456");
        story.verify(HOME, "chl_1", "123456", 401, refusal("code-invalid"));
        assert_eq!(story.breaks(Promise::Once), Vec::<String>::new());
        story.verify(HOME, "chl_1", "123456", 200, let_in());
        assert_eq!(story.breaks(Promise::Once).len(), 1);
    }

    #[test]
    fn a_link_lets_in_once_whichever_challenge_it_opened() {
        let mut story = Story::new();
        for challenge in ["chl_1", "chl_2"] {
            let opened = json!({"status": "second_factor_required", "challenge": challenge});
            story.call(
                "POST /v1/links/redeem",
                "usr_ann",
                HOME,
                json!({"token": "lnk_1"}),
                200,
                opened,
            );
            story.send(HOME, challenge, "123456");
        }
        story.verify(HOME, "chl_1", "123456", 200, let_in());
        assert_eq!(story.breaks(Promise::Once), Vec::<String>::new());
        story.verify(HOME, "chl_2", "123456", 200, let_in());
        assert_eq!(story.breaks(Promise::Once).len(), 1);
    }

    #[test]
    fn a_one_time_code_is_exchanged_once_and_an_apps_code_taken_once() {
        let mut story = Story::new();
        for _ in 0..2 {
            story.call(
                "POST /v1/tokens",
                "usr_ann",
                HOME,
                json!({"code": "otc_1"}),
                200,
                let_in(),
            );
        }
        for (challenge, wait) in [("chl_1", 20), ("chl_2", 300), ("chl_3", 0)] {
            let body = json!({"challenge": challenge, "method": "totp", "code": "123456"});
            story.call(
                "POST /v1/codes/verify",
                "usr_ann",
                HOME,
                body,
                200,
                let_in(),
            );
            story.wait(wait);
        }
        assert_eq!(
            story.breaks(Promise::Once).len(),
            2,
            "once the portal's, once the app's; the same digits may come again later"
        );
    }

    #[test]
    fn a_contacts_code_is_taken_once() {
        let mut story = Story::new();
        for factor in ["fac_1", "fac_2", "fac_1"] {
            let body = json!({"factor": factor, "code": "123456"});
            story.call(
                "POST /v1/factors/sms/confirm",
                "usr_ann",
                HOME,
                body,
                200,
                json!({"method": "sms"}),
            );
        }
        assert_eq!(story.breaks(Promise::Once).len(), 1);
    }

    #[test]
    fn a_challenge_sets_up_one_factor() {
        let mut story = Story::new();
        for (route, factor) in [
            ("POST /v1/factors/sms/confirm", "fac_1"),
            ("POST /v1/factors/totp/confirm", "fac_2"),
        ] {
            assert_eq!(story.breaks(Promise::Once), Vec::<String>::new());
            let body = json!({"challenge": "chl_1", "factor": factor, "code": "123456"});
            story.call(
                route,
                "usr_ann",
                HOME,
                body,
                200,
                json!({"authenticated": let_in()}),
            );
        }
        assert_eq!(story.breaks(Promise::Once).len(), 1);
    }

    #[test]
    fn an_id_token_is_taken_once() {
        let shown = |status: u16| {
            let mut story = Story::new();
            for status in [200, status] {
                let answer = if status == 200 {
                    let_in()
                } else {
                    refusal("invalid-credentials")
                };
                story.call(
                    "POST /v1/login",
                    "usr_ann",
                    HOME,
                    json!({"id_token": "a.b.c"}),
                    status,
                    answer,
                );
            }
            story.breaks(Promise::Once).len()
        };
        assert_eq!((shown(401), shown(200)), (0, 1));
    }

    #[test]
    fn a_key_names_one_thing() {
        let mut story = Story::new();
        for id in ["top_1", "top_1", "top_2"] {
            let number = story.call(
                "POST /v1/quota/topups",
                "acc_1",
                HOME,
                json!({"transactions": 5}),
                201,
                json!({"id": id}),
            );
            story.history.calls[number].key = Some("order-1".into());
        }
        assert_eq!(story.breaks(Promise::Once).len(), 1);
    }
}
