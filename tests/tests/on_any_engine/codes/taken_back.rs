//! A code that was no guess takes its count on the factor back, and never one that was counted
//! after the counts were cleared: by a success, by an administrator, by the sender, or by another
//! app in the place of the one before.

use local::{Held, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::signin::user::User;
use shared::store::dynamo::{keys, read};
use tests::agreements::{agreement, open_last, person, recipient_path, send_with};
use tests::{Answer, Authenticator, Person, World};

/// How many wrong codes in a row bring a delay on.
const FREE: usize = 10;

/// Whose codes they are.
enum Holder {
    User(Person),
    Recipient(Answer),
}

/// A code that is no guess: whoever attempts it had it from us.
#[derive(Clone, Copy, Debug, PartialEq)]
enum NoGuess {
    Superseded,
    Expired,
}

/// What clears the counts while the attempt is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cleared {
    ByARightCode,
    ByWhoMayUnlock,
}

struct HolderCase {
    world: World,
    holder: Holder,
}

impl HolderCase {
    async fn of(is_recipient: bool) -> Self {
        let world = World::new().await;
        let holder = if is_recipient {
            Holder::Recipient(
                send_with(&world, "k", &agreement(&json!([person(1, "sms")])))
                    .await
                    .expect(201),
            )
        } else {
            let ann = world.user("ann", json!({})).await;
            // Where the attempts come from, somebody has signed in before.
            let _ = world.token(&ann).await;
            world.advance(3_600);
            Holder::User(ann)
        };
        Self { world, holder }
    }

    /// Another challenge.
    async fn open(&self) -> String {
        match &self.holder {
            Holder::User(person) => self.world.challenge(person).await,
            Holder::Recipient(_) => open_last(&self.world, "r1@example.com")
                .await
                .expect(200)
                .text("challenge"),
        }
    }

    async fn code(&self, challenge: &str) -> String {
        let _ = self.world.issue(challenge, "sms").await.expect(202);
        self.world.last_code().await
    }

    /// A challenge and a code of it that is no guess.
    async fn no_guess(&self, why: NoGuess) -> (String, String) {
        let challenge = self.open().await;
        let code = self.code(&challenge).await;
        self.world
            .advance(if why == NoGuess::Expired { 301 } else { 61 });
        if why == NoGuess::Superseded {
            let _ = self.code(&challenge).await;
        }
        (challenge, code)
    }

    async fn guess(&self, challenge: &str) -> Answer {
        self.world.verify(challenge, "sms", "000000").await
    }

    /// So many wrong codes.
    async fn guesses(&self, count: usize) {
        let mut challenge = String::new();
        for number in 0..count {
            if number % 5 == 0 {
                challenge = self.open().await;
            }
            let _ = self.guess(&challenge).await.refused(401, "code-invalid");
        }
    }

    /// How many wrong codes there may be until the factor is delayed.
    async fn guesses_left(&self) -> usize {
        for left in 0.. {
            let challenge = self.open().await;
            for place in 0..5 {
                let answer = self.guess(&challenge).await;
                if answer.status == 429 {
                    return left * 5 + place;
                }
                let _ = answer.refused(401, "code-invalid");
            }
        }
        unreachable!()
    }

    /// Lifts what keeps the holder out, as far as the counts go.
    async fn unlock(&self) {
        let path = match &self.holder {
            Holder::User(person) => format!("/v1/users/{}/unlock", person.id),
            Holder::Recipient(sent) => format!("{}/reopen", recipient_path(sent, 0)),
        };
        let _ = self
            .world
            .backend(Method::POST, &path, None)
            .await
            .expect(200);
    }
}

/// Holds the answers of what an attempt begins with: its count, and what is read beside it.
fn hold_the_count(world: &World) -> [Held; 2] {
    [0, 1].map(|after| world.stack.faults().hold(Service::Dynamodb, after))
}

/// Waits until an attempt is counted, does something, and lets the attempt go on.
async fn once_counted(held: [Held; 2], meanwhile: impl AsyncFnOnce()) {
    for each in &held {
        each.arrived().await;
    }
    meanwhile().await;
    held.iter().for_each(Held::let_go);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_after_the_counts_were_cleared_is_counted_whatever_is_taken_back_then() {
    for is_recipient in [false, true] {
        for why in [NoGuess::Superseded, NoGuess::Expired] {
            for cleared in [Cleared::ByARightCode, Cleared::ByWhoMayUnlock] {
                let case = HolderCase::of(is_recipient).await;
                let (challenge, code) = case.no_guess(why).await;
                let (right, other) = (case.open().await, case.open().await);
                let right_code = case.code(&right).await;
                // The attempt that is no guess is one more: as many as it takes to be locked, where
                // somebody is to unlock.
                case.guesses(if cleared == Cleared::ByARightCode {
                    3
                } else {
                    FREE - 1
                })
                .await;
                let meanwhile = async || {
                    match cleared {
                        Cleared::ByARightCode => drop(
                            case.world
                                .verify(&right, "sms", &right_code)
                                .await
                                .expect(200),
                        ),
                        Cleared::ByWhoMayUnlock => case.unlock().await,
                    }
                    let _ = case.guess(&other).await.refused(401, "code-invalid");
                };
                let held = hold_the_count(&case.world);
                let (answer, ()) = tokio::join!(
                    case.world.verify(&challenge, "sms", &code),
                    once_counted(held, meanwhile)
                );
                let told = if why == NoGuess::Superseded {
                    "code-superseded"
                } else {
                    "code-expired"
                };
                assert_eq!(
                    answer.slug(),
                    told,
                    "{is_recipient} {cleared:?}: {}",
                    answer.body
                );
                assert_eq!(
                    case.guesses_left().await,
                    FREE - 1,
                    "{is_recipient} {why:?} {cleared:?}"
                );
            }
        }
    }
}

/// Somebody with a phone and an app, a fresh token, and a recovery code and a code of the app that
/// were used.
struct WithApp {
    world: World,
    ann: Person,
    token: String,
    used: [(&'static str, String); 2],
}

async fn with_app() -> WithApp {
    let world = World::new().await;
    let ann = world.user("ann", json!({"email": null})).await;
    let (app, recovery) = world.enrol(&world.token(&ann).await).await;
    world.advance(60);
    let code = app.code(&world);
    let challenge = world.challenge(&ann).await;
    let _ = world
        .verify(&challenge, "recovery_code", &recovery[0])
        .await
        .expect(200);
    let challenge = world.challenge(&ann).await;
    let token = world
        .verify(&challenge, "totp", &code)
        .await
        .expect(200)
        .text("access_token");
    WithApp {
        world,
        ann,
        token,
        used: [("totp", code), ("recovery_code", recovery[0].clone())],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_code_is_refused_as_one_when_the_app_goes_meanwhile() {
    for act in ["remove", "replace", "reset"] {
        for place in 0..2 {
            let WithApp {
                world,
                ann,
                token,
                used,
            } = with_app().await;
            let (method, code) = &used[place];
            if act == "replace" && *method == "recovery_code" {
                // The new codes are other codes, and their count goes on.
                continue;
            }
            let challenge = world.challenge(&ann).await;
            let begun = world
                .as_user(&token, Method::POST, "/v1/factors/totp", None)
                .await
                .expect(201);
            let shown = Authenticator::reading(&begun).code(&world);
            let confirm = json!({"factor": begun.text("factor"), "code": shown});
            let meanwhile = async || {
                let request = |method, path: &'static str, body: Option<Value>| {
                    world.as_user(&token, method, path, body)
                };
                let done = match act {
                    "remove" => request(Method::DELETE, "/v1/factors/totp", None).await,
                    "replace" => {
                        request(Method::POST, "/v1/factors/totp/confirm", Some(confirm)).await
                    }
                    _ => {
                        world
                            .backend(
                                Method::DELETE,
                                &format!("/v1/users/{}/factors/totp", ann.id),
                                None,
                            )
                            .await
                    }
                };
                assert!(done.status < 300, "{}", done.body);
            };
            let held = hold_the_count(&world);
            let (answer, ()) = tokio::join!(
                world.verify(&challenge, method, code),
                once_counted(held, meanwhile)
            );
            assert_eq!(
                (answer.status, answer.slug()),
                (401, "code-invalid"),
                "{act} {method}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_code_that_another_took_the_place_of_meanwhile_is_no_guess() {
    for is_recipient in [false, true] {
        let case = HolderCase::of(is_recipient).await;
        let challenge = case.open().await;
        let code = case.code(&challenge).await;
        case.world.advance(61);
        case.guesses(FREE - 2).await;
        let held = hold_the_count(&case.world);
        let meanwhile = async || drop(case.code(&challenge).await);
        let (answer, ()) = tokio::join!(
            case.world.verify(&challenge, "sms", &code),
            once_counted(held, meanwhile)
        );
        let _ = answer.refused(401, "code-superseded");
        assert_eq!(case.guesses_left().await, 2, "{is_recipient}");
    }
}

#[tokio::test]
async fn a_count_that_is_taken_back_takes_the_delay_back_with_it() {
    for is_recipient in [false, true] {
        for why in [NoGuess::Superseded, NoGuess::Expired] {
            let case = HolderCase::of(is_recipient).await;
            let (challenge, code) = case.no_guess(why).await;
            let right = case.open().await;
            let right_code = case.code(&right).await;
            case.guesses(FREE).await;
            let _ = case
                .world
                .verify(&right, "sms", &right_code)
                .await
                .refused(429, "too-many-attempts");
            case.world.advance(30);
            let refused = case.world.verify(&challenge, "sms", &code).await;
            assert!(
                ["code-superseded", "code-expired"].contains(&refused.slug()),
                "{}",
                refused.body
            );
            let _ = case
                .world
                .verify(&right, "sms", &right_code)
                .await
                .expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_of_a_challenge_is_the_try_itself() {
    let WithApp { world, ann, .. } = with_app().await;
    world.advance(600);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    world.advance(301);
    let expired = || world.verify(&challenge, "sms", &code);
    let guess = async |left: u32| {
        let wrong = world
            .verify(&challenge, "totp", "0000000")
            .await
            .refused(401, "code-invalid");
        assert_eq!(wrong.body["attempts_left"], left);
    };
    // Two attempts compare nothing, and are taken back; between the second and its end somebody
    // guesses.
    let first = hold_the_count(&world);
    let then = async {
        for each in &first {
            each.arrived().await;
        }
        let second = hold_the_count(&world);
        let (refused, ()) = tokio::join!(
            expired(),
            once_counted(second, async || {
                guess(2).await;
                first.iter().for_each(Held::let_go);
                while attempts(&world, &ann).await > 2 {
                    tokio::task::yield_now().await;
                }
            })
        );
        refused
    };
    let (one, other) = tokio::join!(expired(), then);
    assert_eq!((one.slug(), other.slug()), ("code-expired", "code-expired"));
    // The second had moved to another place by then: it stays counted, and the guess does as well.
    guess(2).await;
}

/// How many attempts stand counted on the challenge of somebody who has one.
async fn attempts(world: &World, person: &Person) -> usize {
    let item = world
        .stack
        .table()
        .get(keys::user(person.id.parse().unwrap()))
        .await
        .unwrap()
        .unwrap();
    let user: User = read(item).unwrap();
    user.challenges
        .values()
        .filter(|challenge| challenge.stage.is_open())
        .map(|challenge| challenge.attempts.len())
        .max()
        .unwrap()
}

/// The keyring without the key that sealed the app: it has leaked, and was taken out.
#[tokio::test]
async fn a_code_of_an_app_whose_key_is_gone_is_no_try() {
    use shared::kernel::entropy::Entropy;
    use shared::kernel::keyring::{self, KeyKind, Keyring};
    let world = World::new().await;
    let now = world.stack.clock().now();
    let made = keyring::make(now, &Entropy::seeded(1)).unwrap();
    world
        .stack
        .app()
        .keyrings
        .replace(Keyring::parse(made.expose()).unwrap());
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    let (app, _) = world.enrol(&token).await;
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let challenge = world.challenge(&ann).await;
    let data = keyring::list(made.expose(), now)
        .unwrap()
        .into_iter()
        .filter(|key| key.kind == KeyKind::Data)
        .map(|key| key.id);
    let without = keyring::revoke(
        made.expose(),
        &data.collect::<Vec<_>>(),
        now,
        &Entropy::seeded(2),
    )
    .unwrap();
    world
        .stack
        .app()
        .keyrings
        .replace(Keyring::parse(without.expose()).unwrap());

    let tried = async || {
        let user = world.stored(&ann).await;
        let challenges = user
            .challenges
            .values()
            .map(|challenge| challenge.attempts.len())
            .sum::<usize>();
        let factor = &user.factors["totp"];
        let enrolment = user.enrolment.map(|enrolment| enrolment.attempts.len());
        (
            challenges,
            factor.failures,
            factor.known_failures.unwrap_or_default(),
            enrolment,
        )
    };
    let before = tried().await;
    let confirm = json!({"factor": begun.text("factor"), "code": "000000"});
    for _ in 0..6 {
        assert_eq!(
            world
                .verify(&challenge, "totp", &app.code(&world))
                .await
                .status,
            500
        );
        let confirmed = world
            .as_user(
                &token,
                Method::POST,
                "/v1/factors/totp/confirm",
                Some(confirm.clone()),
            )
            .await;
        assert_eq!(confirmed.status, 500);
    }
    assert_eq!(tried().await, before);
    // The other methods go on as if nothing was.
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
}
