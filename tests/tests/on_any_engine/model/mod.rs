//! The real handlers on the embedded engine, held against a reference of the rules: any sequence of
//! passwords, links, sends, codes, guesses, enrolments, clock jumps, key rotations, settings,
//! help-desk and self-service actions is answered as the reference says.

mod reference;
mod rules;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reference::{Channel, Typed};
use trial::Trial;

/// Something that happens. People are known by their place, challenges, links and tokens by any
/// number.
#[derive(Clone, Debug)]
pub enum Step {
    /// A password, right or wrong; and whether a second factor is asked for.
    Login(usize, bool, bool),
    /// So many wrong passwords in a row.
    WrongPasswords(usize, usize),
    /// So many wrong codes in a row, over as many challenges as that takes.
    Guess(usize, Channel, usize),
    /// A sign-in from the password to the token.
    SignIn(usize, Channel),
    /// A code is asked for.
    Send(Index, Channel),
    /// A code is tried.
    Verify(Index, Channel, Typed),
    /// An app is set up.
    Enrol(Index),
    /// A link is mailed.
    Link(usize),
    /// A link is opened.
    Redeem(Index),
    /// A token is shown.
    Me(Index),
    /// A new password is set with a token, and the one before, right or wrong.
    NewPassword(Index, bool),
    /// A phone is set up with a challenge.
    EnrolPhone(Index),
    /// Another phone is set up with a token.
    NewPhone(Index),
    /// So many seconds go by.
    Wait(i64),
    /// An administrator lifts the delays.
    Unlock(usize),
    /// An administrator disables somebody, or takes that back.
    Disable(usize, bool),
    /// An administrator takes the app away.
    Reset(usize),
    /// A setting of the account.
    Set(&'static str, bool),
    /// A method in the group: on, off, or as the account has it.
    SetGroup(&'static str, Option<bool>),
    /// Everybody goes to another place.
    Move(usize),
    /// The network is on the allowlist, or not.
    Allowlist(bool),
    /// Other people of the account use up the SMS of the hour, but for so many.
    Pump(i64),
    /// The keys rotate.
    Rotate,
    /// The clean-up runs.
    CleanUp,
}

fn any_step() -> impl Strategy<Value = Step> {
    // One of them most of the time: what counts in a row is seldom seen of four who take turns.
    let who = || select(vec![0_usize, 0, 0, 0, 1, 2, 2, 3, 3]);
    let channel = || select(vec![Channel::Sms, Channel::Sms, Channel::Email]);
    let any_channel = || {
        select(vec![
            Channel::Sms,
            Channel::Sms,
            Channel::App,
            Channel::Recovery,
            Channel::Email,
        ])
    };
    let sent = select(vec![
        Typed::Last,
        Typed::Last,
        Typed::Before,
        Typed::Wrong,
        Typed::Wrong,
    ]);
    let shown = select(vec![-2, -1, 0, 0, 1, 2]).prop_map(Typed::Shown);
    let noted = prop_oneof![3 => (0..10_usize).prop_map(Typed::Noted), 1 => Just(Typed::Wrong)];
    // Short ones more often: after a long one all that was open is over.
    let short = select(vec![1, 2, 16, 30, 60, 61, 119, 120]);
    let long = select(vec![240, 299, 300, 301, 599, 600, 900, 3_600, 4 * 3_600]);
    let wait = prop_oneof![4 => short, 1 => long];
    prop_oneof![
        4 => (who(), prop::bool::weighted(0.8), any::<bool>()).prop_map(|(who, right, more)| Step::Login(who, right, more)),
        2 => (who(), 1..9_usize).prop_map(|(who, times)| Step::WrongPasswords(who, times)),
        3 => (who(), any_channel(), 1..14_usize).prop_map(|(who, channel, times)| Step::Guess(who, channel, times)),
        4 => (who(), any_channel()).prop_map(|(who, channel)| Step::SignIn(who, channel)),
        6 => (any::<Index>(), channel()).prop_map(|(which, channel)| Step::Send(which, channel)),
        7 => (any::<Index>(), channel(), sent).prop_map(|(which, channel, typed)| Step::Verify(which, channel, typed)),
        3 => (any::<Index>(), shown).prop_map(|(which, typed)| Step::Verify(which, Channel::App, typed)),
        2 => (any::<Index>(), noted).prop_map(|(which, typed)| Step::Verify(which, Channel::Recovery, typed)),
        3 => any::<Index>().prop_map(Step::Enrol),
        2 => who().prop_map(Step::Link),
        3 => any::<Index>().prop_map(Step::Redeem),
        4 => any::<Index>().prop_map(Step::Me),
        2 => (any::<Index>(), prop::bool::weighted(0.7)).prop_map(|(which, right)| Step::NewPassword(which, right)),
        2 => any::<Index>().prop_map(Step::EnrolPhone),
        2 => any::<Index>().prop_map(Step::NewPhone),
        6 => wait.prop_map(Step::Wait),
        1 => who().prop_map(Step::Unlock),
        1 => (who(), prop::bool::weighted(0.2)).prop_map(|(who, disabled)| Step::Disable(who, disabled)),
        1 => who().prop_map(Step::Reset),
        2 => (select(vec!["sms", "email", "totp", "internal_required"]), prop::bool::weighted(0.9))
            .prop_map(|(name, on)| Step::Set(name, on)),
        2 => (select(vec!["sms", "email", "totp"]), select(vec![None, None, Some(true), Some(true), Some(true), Some(false)]))
            .prop_map(|(name, on)| Step::SetGroup(name, on)),
        1 => any::<bool>().prop_map(Step::Allowlist),
        3 => select(vec![0_usize, 0, 1, 2]).prop_map(Step::Move),
        1 => (0..4_i64).prop_map(Step::Pump),
        1 => Just(Step::Rotate),
        1 => Just(Step::CleanUp),
    ]
}

/// What the rules said, and how often.
type Seen = BTreeMap<&'static str, u32>;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Plays a sequence; answers with the rules that it met.
fn play(steps: &[Step]) -> Seen {
    runtime().block_on(async {
        let mut trial = Trial::begin().await;
        for step in steps {
            trial.take(step).await;
        }
        trial.end().await
    })
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    }
}

/// Every rule that the reference can give as a reason. One that nothing meets is one that no
/// sequence tests.
const RULES: [&str; 57] = [
    "login: password right",
    "login: nothing more is asked",
    "login: nothing more is asked on the allowlist",
    "login: a second factor is asked for",
    "login: a factor is to be set up",
    "login: no usable factor",
    "login: password wrong",
    "login: password delayed",
    "login: password disabled",
    "login: password delayed at a known address",
    "login: password disabled at a known address",
    "login: source blocked",
    "challenge: over",
    "challenge: used",
    "challenge: five attempts",
    "factor delayed: sms",
    "factor delayed: email",
    "factor delayed: totp",
    "factor delayed: recovery_code",
    "factor disabled",
    "factor delayed at a known address",
    "factor disabled at a known address",
    "challenge: twenty from an address",
    "challenge: sixty of a user",
    "challenge: half is kept for known addresses",
    "send: sent",
    "send: too soon",
    "send: destination",
    "send: person",
    "send: source",
    "send: budget",
    "send: method off",
    "verify: right",
    "verify: wrong",
    "verify: superseded",
    "verify: expired",
    "verify: an app's code was used",
    "verify: a recovery code was used",
    "verify: method off",
    "enrol: set up",
    "enrol: phone set up",
    "enrol: not who has a factor",
    "enrol: method off",
    "link: opened",
    "link: used",
    "link: over",
    "token: good",
    "token: over",
    "token: ended",
    "token: spared",
    "password: set",
    "password: not fresh",
    "password: the one before is wrong",
    "password: the one before is refused",
    "phone: changed",
    "phone: not fresh",
    "phone: three times a day",
];

/// What the reference gives as a reason stands in its source as `noun: reason`, or is a factor's
/// end.
#[test]
fn the_list_has_every_rule_that_the_reference_can_give() {
    let sources = [
        include_str!("reference.rs"),
        include_str!("reference/afterwards.rs"),
        include_str!("reference/contacts.rs"),
    ];
    let texts = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter(|line| !line.trim_start().starts_with("//"));
    let texts: Vec<&str> = texts
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect();
    let given: BTreeSet<&str> = texts
        .into_iter()
        .filter(|text| text.contains(": ") || text.starts_with("factor "))
        .collect();
    assert_eq!(given, RULES.into_iter().collect());
}

#[test]
fn the_service_answers_as_the_rules_say_and_every_rule_is_met() {
    let mut seen = runtime().block_on(trial::stories::play());
    // The same sequences each time: that they meet every rule is part of the test.
    let mut runner = TestRunner::new_with_rng(
        config(6),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    let seen_by_all = std::cell::RefCell::new(&mut seen);
    let held = runner.run(&prop::collection::vec(any_step(), 60..110), |steps| {
        for (rule, times) in play(&steps) {
            *seen_by_all.borrow_mut().entry(rule).or_default() += times;
        }
        Ok(())
    });
    held.unwrap_or_else(|failed| panic!("{failed}"));
    let unmet: Vec<&str> = RULES
        .into_iter()
        .filter(|rule| !seen.contains_key(rule))
        .collect();
    assert!(unmet.is_empty(), "nothing meets {unmet:?}, but {seen:?}");
    let unknown: Vec<&&str> = seen.keys().filter(|rule| !RULES.contains(rule)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not in the list");
}

/// How many sequences are drawn anew each time.
fn drawn() -> u32 {
    shared::kernel::config::env("COUNTERSIGN_SIGN_IN_CASES")
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(4)
}

proptest! {
    #![proptest_config(config(drawn()))]

    #[test]
    fn the_service_answers_as_the_rules_say(steps in prop::collection::vec(any_step(), 20..90)) {
        let _ = play(&steps);
    }
}
