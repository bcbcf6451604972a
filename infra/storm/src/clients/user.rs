//! People who sign in. Each has two addresses of their own, and lives for some thirty requests;
//! then the client is somebody else.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::proof::{Prover, offered};
use crate::desk::{Ask, Desk, Told};
use crate::ground::{Account, PORTAL, Prey, address, email, phone, subject};

/// What a password is good for here: long enough for whoever it alone may let in.
const PASSWORD: &str = "correct horse battery staple";
/// For how many seconds a second factor is fresh enough for a change, with some to spare.
const FRESH: i64 = 270;

/// Lives one life after another.
pub(crate) async fn go(desk: Desk, number: u32) {
    while desk.goes_on() {
        let Some(account) = desk.place.ground.home(number) else {
            return;
        };
        let Some(mut person) = Person::arrive(&desk, account).await else {
            continue;
        };
        desk.place.ground.settle(person.prey.clone());
        for _ in 0..10 + desk.below(16) {
            if desk.goes_on() {
                person.step().await;
            }
        }
        desk.place.ground.leave(&person.prey.id);
        if desk.happens(20) {
            by_back_end(&desk, &person.prey, Ask::new("DELETE /v1/users/{id}"), "").await;
        }
    }
}

/// Somebody.
pub(crate) struct Person {
    pub desk: Desk,
    pub prey: Prey,
    number: u32,
    token: Option<String>,
    /// When that was got, in seconds.
    signed_in_at: i64,
    /// The secret of their app, and the step that it was used in last.
    pub(super) app: Option<(String, i64)>,
    pub(super) recovery: Vec<String>,
}

impl Person {
    /// Somebody new, whom the issuer knows: internal for one in six, without a mailbox for one in
    /// five, and without a phone for more, most of all where no codes go by mail. Who has nothing
    /// that codes go to sets up a first factor.
    pub async fn arrive(desk: &Desk, account: Account) -> Option<Self> {
        let number = desk.place.ground.next();
        let prey = Prey {
            id: String::new(),
            account,
            username: format!("person-{number}"),
            password: PASSWORD.into(),
            phone: phone(number),
            email: email(number),
        };
        let kind = if desk.happens(16) {
            "internal"
        } else {
            "external"
        };
        let mut body = json!({"username": prey.username, "kind": kind, "password": prey.password, "sso_subject": subject(number)});
        let without_phone = if desk.place.ground.mails_codes(&prey.account) {
            30
        } else {
            80
        };
        for (name, contact, without) in [
            ("email", &prey.email, 20),
            ("phone", &prey.phone, without_phone),
        ] {
            if let Some(body) = body.as_object_mut().filter(|_| !desk.happens(without)) {
                body.insert(name.into(), json!(contact));
            }
        }
        let told = desk
            .ask(Ask::new("POST /v1/users").by(&prey.account.key).with(body))
            .await;
        let id = told.good("/id")?;
        desk.place.log.concerns(told.call, &id);
        desk.place.ground.arrived(&id, &prey.account);
        let prey = Prey { id, ..prey };
        Some(Self {
            desk: desk.clone(),
            prey,
            number,
            token: None,
            signed_in_at: 0,
            app: None,
            recovery: Vec::new(),
        })
    }

    /// Where they are: at home, mostly.
    pub fn place(&self) -> IpAddr {
        address(
            self.number,
            u8::from(self.desk.happens(15)),
            &self.desk.entropy,
        )
    }

    fn prover(&self, source: IpAddr) -> Prover<'_> {
        Prover {
            desk: &self.desk,
            about: &self.prey.id,
            source,
        }
    }

    async fn step(&mut self) {
        let source = self.place();
        match self.desk.below(100) {
            0..35 => self.sign_in(source).await,
            35..42 => self.sign_in_by_token(source).await,
            42..46 => self.is_reset(source).await,
            46..50 => drop(self.login("not the password at all", source).await),
            50..54 => self.look(source).await,
            54..62 => self.follow_a_link(source).await,
            62..64 => self.forget_password(source).await,
            64..67 => {
                by_back_end(
                    &self.desk,
                    &self.prey,
                    Ask::new("POST /v1/users/{id}/unlock"),
                    "/unlock",
                )
                .await;
            }
            67..70 => self.desk.linger(30).await,
            _ => self.change_something(source).await,
        }
    }

    /// Changes how they sign in: most people sign in for it, where they have not just done so.
    async fn change_something(&mut self, source: IpAddr) {
        let is_fresh = self.token.is_some() && self.now() < self.signed_in_at + FRESH;
        if !is_fresh && self.desk.happens(75) {
            self.sign_in(source).await;
        }
        match self.desk.below(30) {
            0..8 => self.change_app(source).await,
            8..15 => self.change_phone(source).await,
            15..19 => self.change_mailbox(source).await,
            19..23 => self.change_password(source).await,
            23..26 => self.make_recovery_codes(source).await,
            _ => self.lose_a_factor(source).await,
        }
    }

    /// The first factor.
    pub async fn login(&self, password: &str, source: IpAddr) -> Told {
        let Prey {
            id,
            account,
            username,
            ..
        } = &self.prey;
        let body = json!({"account": account.id, "username": username, "password": password});
        self.desk
            .ask(Ask::new("POST /v1/login").with(body).about(id).from(source))
            .await
    }

    /// Signs in, all the way.
    pub async fn sign_in(&mut self, source: IpAddr) {
        let told = self.login(&self.prey.password, source).await;
        self.go_on(told, source).await;
    }

    /// Signs in by what the issuer says, all the way: now and then the token is shown twice at
    /// once.
    async fn sign_in_by_token(&mut self, source: IpAddr) {
        let Prey { id, account, .. } = &self.prey;
        let Desk { place, entropy, .. } = &self.desk;
        let Some(token) =
            place
                .ground
                .issuer
                .token(&subject(self.number), entropy, place.log.now())
        else {
            return;
        };
        let ask = Ask::new("POST /v1/login")
            .with(json!({"account": account.id, "id_token": token}))
            .about(id)
            .from(source);
        if self.desk.happens(20) {
            let (one, other) = self.desk.twice(ask).await;
            self.go_on(other, source).await;
            self.go_on(one, source).await;
        } else {
            let told = self.desk.ask(ask).await;
            self.go_on(told, source).await;
        }
    }

    /// Goes on with what a first factor, or a link, was answered.
    pub(super) async fn go_on(&mut self, told: Told, source: IpAddr) {
        let (status, challenge) = (
            told.good("/status").unwrap_or_default(),
            told.good("/challenge"),
        );
        match (status.as_str(), challenge) {
            ("authenticated", _) => self.has_token(told.text("/access_token")),
            ("second_factor_required", Some(challenge)) => {
                self.prove(&told, &challenge, source).await;
            }
            ("enrolment_required", Some(challenge)) => {
                self.set_up_first(&told, &challenge, source).await;
            }
            _ => {}
        }
    }

    /// Proves one of the factors that are offered.
    async fn prove(&mut self, told: &Told, challenge: &str, source: IpAddr) {
        let Some(method) = self.desk.one_of(&offered(told)).cloned() else {
            return;
        };
        let proved = match method.as_str() {
            "sms" | "email" => self.prover(source).by_sent_code(challenge, &method).await,
            "totp" => match self.app_code() {
                Some(code) => Some(self.prover(source).by_code(challenge, "totp", &code).await),
                None => None,
            },
            _ => match self.recovery.pop() {
                Some(code) => Some(
                    self.prover(source)
                        .by_code(challenge, "recovery_code", &code)
                        .await,
                ),
                None => None,
            },
        };
        if let Some(answer) = proved.as_ref().and_then(|proved| proved.value("")) {
            self.enter(answer, source).await;
        }
    }

    /// Goes in, wherever the proof leads.
    pub(super) async fn enter(&mut self, answer: &Value, source: IpAddr) {
        let text = |name: &str| answer.pointer(name)?.as_str().map(str::to_owned);
        match text("/status").unwrap_or_default().as_str() {
            "authenticated" => self.has_token(text("/access_token")),
            "redirect" => {
                let Some(code) = text("/code") else { return };
                let exchange = Ask::new("POST /v1/tokens")
                    .by(&self.prey.account.key)
                    .about(&self.prey.id)
                    .with(json!({"code": code}));
                if self.desk.happens(30) {
                    self.desk.twice(exchange).await;
                } else {
                    self.desk.ask(exchange).await;
                }
            }
            "new_password_required" => {
                let Some(challenge) = text("/challenge") else {
                    return;
                };
                let password = format!("{PASSWORD} {}", self.desk.place.ground.next());
                let body = json!({"challenge": challenge, "password": password});
                let told = self
                    .desk
                    .ask(
                        Ask::new("POST /v1/password")
                            .with(body)
                            .about(&self.prey.id)
                            .from(source),
                    )
                    .await;
                self.has_password(&told, password);
            }
            _ => {}
        }
    }

    fn has_token(&mut self, token: Option<String>) {
        (self.token, self.signed_in_at) = (token, self.now());
    }

    /// Notes a new password. Where nobody knows whether it was set, the person attempts the new one
    /// first the next time, and is somebody else soon.
    fn has_password(&mut self, told: &Told, password: String) {
        if told.status() / 100 == 2 {
            self.prey.password = password;
            self.desk.place.ground.change(self.prey.clone());
        }
    }

    /// A request with the access token, if there is one.
    pub(super) async fn with_token(&self, ask: Ask, source: IpAddr) -> Option<Told> {
        let token = self.token.as_deref()?;
        Some(
            self.desk
                .ask(ask.by(token).about(&self.prey.id).from(source))
                .await,
        )
    }

    async fn look(&self, source: IpAddr) {
        let route = if self.desk.happens(50) {
            "GET /v1/me"
        } else {
            "GET /v1/factors"
        };
        self.with_token(Ask::new(route), source).await;
    }

    pub(super) fn now(&self) -> i64 {
        self.desk.place.log.now().as_secs()
    }

    /// Says that a phone number or a mailbox is the own, of which nothing is known but its name.
    pub async fn claims(&self, ask: Ask, source: IpAddr) -> bool {
        self.with_token(ask, source)
            .await
            .is_some_and(|told| told.status() == 202)
    }

    async fn change_password(&mut self, source: IpAddr) {
        let new = format!("{PASSWORD} {}", self.desk.place.ground.next());
        let body = json!({"password": new, "current_password": self.prey.password});
        let Some(told) = self
            .with_token(Ask::new("PATCH /v1/me").with(body), source)
            .await
        else {
            return;
        };
        self.has_password(&told, new);
    }

    /// The back end mails a link, and the person follows it: twice at once, now and then.
    pub(super) async fn follow_a_link(&mut self, source: IpAddr) {
        let mut body = json!({"user": self.prey.id});
        if let Some(body) = body.as_object_mut().filter(|_| self.desk.happens(50)) {
            body.insert("redirect_uri".into(), json!(PORTAL));
        }
        let ask = Ask::new("POST /v1/links")
            .by(&self.prey.account.key)
            .about(&self.prey.id)
            .with(body);
        if self
            .desk
            .ask(ask.keyed(self.desk.place.ground.next()))
            .await
            .status()
            != 202
        {
            return;
        }
        self.redeem(source).await;
    }

    async fn redeem(&mut self, source: IpAddr) {
        let Some(token) = self.desk.link(&self.prey.email).await else {
            return;
        };
        let redeem = Ask::new("POST /v1/links/redeem")
            .with(json!({"token": token}))
            .about(&self.prey.id)
            .from(source);
        if self.desk.happens(25) {
            let (one, other) = self.desk.twice(redeem).await;
            self.go_on(other, source).await;
            self.go_on(one, source).await;
        } else {
            let told = self.desk.ask(redeem).await;
            self.go_on(told, source).await;
        }
    }

    async fn forget_password(&mut self, source: IpAddr) {
        let body = json!({"account": self.prey.account.id, "username": self.prey.username});
        let told = self
            .desk
            .ask(
                Ask::new("POST /v1/password/forgotten")
                    .with(body)
                    .about(&self.prey.id)
                    .from(source),
            )
            .await;
        if told.status() == 202 {
            self.redeem(source).await;
        }
    }
}

/// A request of the account's back end about a person.
pub(super) async fn by_back_end(desk: &Desk, prey: &Prey, ask: Ask, rest: &str) {
    let Prey { id, account, .. } = prey;
    desk.ask(
        ask.at(format!("/v1/users/{id}{rest}"))
            .by(&account.key)
            .about(id),
    )
    .await;
}
