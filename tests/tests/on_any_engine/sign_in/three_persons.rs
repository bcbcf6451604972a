//! What limits guesses can be filled by who guesses: for each counter, who can fill it, and who
//! suffers.
//!
//! There are three who mean no good: one knows the username, one the password as well, one has a
//! token of the user's (and none of them is where the user is known). A fourth is another
//! organisation, which says of a user of its own that the mailbox is theirs. Each fills what can be
//! filled from there until it is refused. Whatever it is, the user signs in from a known address as
//! if nothing was, and is mailed a link there; and the row says what the user meets at an address
//! that nobody knows.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::issuer::Issuer;
use tests::{Answer, PASSWORD, Person, World};

const HOME: &str = "203.0.113.7";
const AWAY: &str = "198.51.100.9";
/// Where the user was never before, and nobody else is.
const HOTEL: &str = "192.0.2.77";
const WRONG: &str = "a wrong password";

/// Who means no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knows {
    TheUsername,
    ThePassword,
    AToken,
    TheMailbox,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    /// The wrong passwords of a username.
    Passwords,
    /// The same, shown beside a new one by who has a token.
    CurrentPasswords,
    /// The failures of a client IP, by passwords for many names.
    Failures,
    /// The failures of a client IP, by ID tokens that the issuer has not signed.
    IdTokens,
    /// A user's challenges.
    Challenges,
    /// The attempts of a challenge.
    Tries,
    /// A factor's wrong codes.
    Codes,
    /// The attempts of an app that is to be set up.
    Enrolment,
    /// What the audit tells of passwords that were refused.
    Told,
    /// The links asked for with a username.
    Links,
    /// The links mailed to a mailbox in the name of an account.
    Mailbox,
}

/// What the user meets at the hotel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtTheHotel {
    /// A sign-in like any other.
    Nothing,
    /// No password is looked at for a while: the policy.
    LoginRefused(&'static str),
    /// A sign-in begins, and no code is looked at for a while: the policy.
    CodeRefused(&'static str),
    /// No link is mailed for a while: the policy.
    LinkRefused(&'static str),
}

struct Row {
    counter: Counter,
    filled_by: Knows,
    /// The policy by which whoever fills it is refused in the end, or that nothing is mailed any
    /// more, of which nobody is told.
    ends: &'static str,
    suffers: AtTheHotel,
}

use AtTheHotel::{CodeRefused, LinkRefused, LoginRefused, Nothing};
use Knows::{AToken, TheMailbox, ThePassword, TheUsername};

const PASSWORD_DELAY: &str = "\"password\";q=5;w=900";
const SOURCE: &str = "\"source\";q=100;w=300";
const CHALLENGES: &str = "\"challenges\";q=60;w=600";
const CHALLENGE: &str = "\"challenge\";q=5;w=600";
const FACTOR: &str = "\"factor\";q=10;w=3600";
const LINKS: &str = "\"sends\";q=20;w=3600";
const SILENCE: &str = "nothing is mailed";

#[rustfmt::skip]
const ROWS: [Row; 11] = [
    Row { counter: Counter::Passwords,        filled_by: TheUsername, ends: PASSWORD_DELAY, suffers: LoginRefused(PASSWORD_DELAY) },
    Row { counter: Counter::CurrentPasswords, filled_by: AToken,      ends: PASSWORD_DELAY, suffers: LoginRefused(PASSWORD_DELAY) },
    Row { counter: Counter::Failures,         filled_by: TheUsername, ends: SOURCE,         suffers: Nothing },
    Row { counter: Counter::IdTokens,         filled_by: TheUsername, ends: SOURCE,         suffers: Nothing },
    Row { counter: Counter::Challenges,       filled_by: ThePassword, ends: CHALLENGES,     suffers: LoginRefused(CHALLENGES) },
    Row { counter: Counter::Tries,            filled_by: ThePassword, ends: CHALLENGE,      suffers: Nothing },
    Row { counter: Counter::Codes,            filled_by: ThePassword, ends: FACTOR,         suffers: CodeRefused(FACTOR) },
    Row { counter: Counter::Enrolment,        filled_by: AToken,      ends: CHALLENGE,      suffers: Nothing },
    Row { counter: Counter::Told,             filled_by: TheUsername, ends: PASSWORD_DELAY, suffers: LoginRefused(PASSWORD_DELAY) },
    Row { counter: Counter::Links,            filled_by: TheUsername, ends: LINKS,          suffers: LinkRefused(LINKS) },
    Row { counter: Counter::Mailbox,          filled_by: TheMailbox,  ends: SILENCE,        suffers: Nothing },
];

/// A user who is known at home, and what each of the three has.
struct Scene {
    world: World,
    ann: Person,
    /// The token that somebody has, fresh enough to change things with.
    token: String,
    issuer: Issuer,
}

impl Scene {
    async fn set() -> Self {
        let world = World::of_many_places().await;
        let issuer = Issuer::of(&world, env!("CARGO_BIN_EXE_issuer")).await;
        let ann = world.user("ann", json!({"sso_subject": "subject"})).await;
        let token = world.at(HOME).sign_in(&ann).await;
        world.advance(60);
        Self {
            world,
            ann,
            token,
            issuer,
        }
    }

    /// Fills a counter, and answers with what refuses it then.
    async fn fill(&self, counter: Counter) -> Answer {
        let world = &self.world;
        match counter {
            Counter::Passwords => {
                until_refused(async |_| world.at(AWAY).login("ann", WRONG).await).await
            }
            Counter::CurrentPasswords => {
                let body = json!({"password": "another horse battery", "current_password": WRONG});
                until_refused(async |_| self.as_ann(Method::PATCH, "/v1/me", body.clone()).await)
                    .await
            }
            Counter::Failures => {
                until_refused(async |number| {
                    world
                        .at(AWAY)
                        .login(&format!("nobody{number}"), WRONG)
                        .await
                })
                .await
            }
            Counter::IdTokens => self.forge().await,
            Counter::Challenges => {
                until_refused(async |number| {
                    let address = format!("198.51.100.{}", number / 15);
                    world.at(&address).login("ann", PASSWORD).await
                })
                .await
            }
            Counter::Tries => self.guess(&world.at(AWAY).challenge(&self.ann).await).await,
            Counter::Codes => {
                for _ in 0..2 {
                    let _ = self.guess(&world.at(AWAY).challenge(&self.ann).await).await;
                }
                self.guess(&world.at(AWAY).challenge(&self.ann).await).await
            }
            Counter::Enrolment => {
                let begun = self
                    .as_ann(Method::POST, "/v1/factors/totp", Value::Null)
                    .await
                    .expect(201)
                    .text("factor");
                let body = json!({"factor": begun, "code": "000000"});
                until_refused(async |_| {
                    self.as_ann(Method::POST, "/v1/factors/totp/confirm", body.clone())
                        .await
                })
                .await
            }
            Counter::Told => {
                // One series after the other: the user signs in between, which tells their number,
                // and the next begins.
                for _ in 0..15 {
                    let _ = until_refused(async |_| world.at(AWAY).login("ann", WRONG).await).await;
                    world.advance(61);
                    let _ = world.at(HOME).challenge(&self.ann).await;
                }
                until_refused(async |_| world.at(AWAY).login("ann", WRONG).await).await
            }
            Counter::Links => {
                for _ in 0..2 {
                    world.advance(600);
                    self.forget_at_once(&world.account, &["ann"; 5]).await;
                }
                forget(world, AWAY, &world.account, "ann").await
            }
            Counter::Mailbox => self.fill_the_mailbox().await,
        }
    }

    /// Has links mailed to the user's mailbox, in the name of another account, until none is.
    async fn fill_the_mailbox(&self) -> Answer {
        let world = &self.world;
        let (account, key) = world.open_account("business").await;
        let names: Vec<String> = (0..11).map(|number| format!("mallory{number}")).collect();
        for username in &names {
            let body = json!({"username": username, "kind": "external", "password": PASSWORD, "email": "ann@example.com", "phone": "+12025550177"});
            let _ = world
                .send(
                    world
                        .request(Method::POST, "/v1/users")
                        .bearer_auth(&key)
                        .json(&body),
                )
                .await
                .expect(201);
        }
        let made = links(world).await;
        for some in names[..10].chunks(5) {
            world.advance(600);
            self.forget_at_once(&account, some).await;
        }
        assert_eq!(links(world).await, made + 10);
        let answer = forget(world, AWAY, &account, &names[10]).await;
        assert_eq!(links(world).await, made + 10, "one more is mailed");
        answer
    }

    async fn forget_at_once<N: AsRef<str>>(&self, account: &str, names: &[N]) {
        let answers = join_all(
            names
                .iter()
                .map(|username| forget(&self.world, AWAY, account, username.as_ref())),
        )
        .await;
        assert!(
            answers.iter().all(|answer| answer.status == 202),
            "{answers:?}"
        );
    }

    async fn as_ann(&self, method: Method, path: &str, body: Value) -> Answer {
        self.world
            .at(AWAY)
            .send(
                method,
                path,
                Some(&self.token),
                (!body.is_null()).then_some(body),
            )
            .await
    }

    async fn guess(&self, challenge: &str) -> Answer {
        until_refused(async |_| self.world.at(AWAY).verify(challenge, "sms", "000000").await).await
    }

    /// Tokens that name the user's subject, the issuer and the account, signed by somebody else.
    async fn forge(&self) -> Answer {
        let other = Issuer::start(env!("CARGO_BIN_EXE_issuer"));
        until_refused(async |_| {
            let token = other.sign(json!({}), self.issuer.claims("subject")).await;
            self.world
                .at(AWAY)
                .post(
                    "/v1/login",
                    json!({"account": self.world.account, "id_token": token}),
                )
                .await
        })
        .await
    }
}

/// Says that a password was forgotten.
async fn forget(world: &World, from: &str, account: &str, username: &str) -> Answer {
    world
        .at(from)
        .post(
            "/v1/password/forgotten",
            json!({"account": account, "username": username}),
        )
        .await
}

fn policy(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit-policy")
}

/// Asks until that is refused for too much of it.
async fn until_refused(ask: impl AsyncFn(usize) -> Answer) -> Answer {
    for number in 0..500 {
        let answer = ask(number).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("no limit says anything");
}

// Whoever says that a password was forgotten waits for the answer: the rows wait at once.
#[tokio::test]
async fn whoever_fills_a_counter_the_user_signs_in_from_a_known_address() {
    let _ = join_all(ROWS.map(signs_in_from_a_known_address)).await;
}

async fn signs_in_from_a_known_address(
    Row {
        counter,
        filled_by,
        ends,
        suffers,
    }: Row,
) {
    let scene = Scene::set().await;
    let refused = scene.fill(counter).await;
    assert_eq!(
        policy(&refused).unwrap_or(SILENCE),
        ends,
        "{counter:?}, filled by who knows {filled_by:?}"
    );
    assert_eq!(
        refused.status,
        if ends == SILENCE { 202 } else { 429 },
        "{counter:?}: {}",
        refused.body
    );
    let _ = scene
        .world
        .at(HOTEL)
        .login("nobody else", WRONG)
        .await
        .refused(401, "invalid-credentials");
    assert_eq!(met_at_the_hotel(&scene).await, suffers, "{counter:?}");
    let _ = scene.world.at(HOME).sign_in(&scene.ann).await;
    assert_eq!(link_at(&scene, HOME).await, Nothing, "{counter:?}");
    let told = scene.world.actions(&scene.ann.id).await;
    let told = told
        .iter()
        .filter(|action| action.starts_with("password-refused"))
        .count();
    assert!(
        told <= 20,
        "{counter:?}: {told} entries tell of what was refused"
    );
}

async fn met_at_the_hotel(scene: &Scene) -> AtTheHotel {
    let world = &scene.world;
    let answer = world.at(HOTEL).login("ann", PASSWORD).await;
    if answer.status == 429 {
        return LoginRefused(name(&answer));
    }
    let challenge = answer.expect(200).text("challenge");
    let answer = world.at(HOTEL).verify(&challenge, "sms", "000000").await;
    if answer.status == 429 {
        CodeRefused(name(&answer))
    } else {
        link_at(scene, HOTEL).await
    }
}

/// What the user meets who has forgotten the password.
async fn link_at(scene: &Scene, address: &str) -> AtTheHotel {
    let Scene { world, .. } = scene;
    let made = links(world).await;
    let answer = forget(world, address, &world.account, "ann").await;
    if answer.status == 429 {
        return LinkRefused(name(&answer));
    }
    let _ = answer.expect(202);
    assert_eq!(
        links(world).await,
        made + 1,
        "a link is mailed to who asks at {address}"
    );
    Nothing
}

/// How many links were made. A mail of each is owed, and goes as soon as this machine comes to it.
async fn links(world: &World) -> usize {
    world
        .content()
        .await
        .keys()
        .filter(|key| key.starts_with("LINK#"))
        .count()
}

/// The policy that an answer names.
fn name(answer: &Answer) -> &'static str {
    let known = [PASSWORD_DELAY, CHALLENGES, FACTOR, LINKS];
    known
        .into_iter()
        .find(|name| policy(answer) == Some(name))
        .unwrap()
}

/// What only a lie names is not told of whom it names.
#[tokio::test]
async fn what_the_issuer_has_not_signed_is_told_of_nobody_and_counts_where_it_comes_from() {
    let scene = Scene::set().await;
    let before = scene.world.audit(&scene.ann.id).await;
    let _ = scene.fill(Counter::IdTokens).await;
    assert_eq!(scene.world.audit(&scene.ann.id).await, before);
    let nobody = scene
        .world
        .content()
        .await
        .into_values()
        .filter(|item| item["details"]["reason"] == "token-signature")
        .count();
    assert_eq!(nobody, 100);
    // What it has signed names somebody, whatever else is wrong with it.
    let mut claims = scene.issuer.claims("subject");
    claims["aud"] = json!("another");
    let token = scene.issuer.sign(json!({}), claims).await;
    let body = json!({"account": scene.world.account, "id_token": token});
    let _ = scene
        .world
        .at(HOTEL)
        .post("/v1/login", body)
        .await
        .refused(401, "invalid-credentials");
    assert_eq!(
        scene.world.audit(&scene.ann.id).await.len(),
        before.len() + 1
    );
}
