//! People who sign in. Each has two addresses of their own, and lives for some thirty requests; then the client is somebody else.

use std::net::IpAddr;

use local::Channel;
use serde_json::{Value, json};

use super::proof::{Prover, another, offered};
use crate::desk::{Ask, Desk, Told};
use crate::ground::{Account, PORTAL, Prey, address, email, phone};

/// What a password is good for here: long enough for whoever it alone may let in.
const PASSWORD: &str = "correct horse battery staple";

/// Lives one life after another.
pub(crate) async fn go(desk: Desk, number: u32) {
    while desk.goes_on() {
        let Some(account) = desk.place.ground.home(number) else { return };
        let Some(mut person) = Person::arrive(&desk, account).await else { continue };
        desk.place.ground.settle(person.prey.clone());
        for _ in 0..10 + desk.below(16) {
            if desk.goes_on() {
                person.step().await;
            }
        }
        desk.place.ground.leave(&person.prey.id);
        if desk.happens(20) {
            person.by_back_end(Ask::new("DELETE /v1/users/{id}"), "").await;
        }
    }
}

/// Somebody.
pub(crate) struct Person {
    pub desk: Desk,
    pub prey: Prey,
    number: u32,
    token: Option<String>,
    /// The secret of their app, and the step that it was used in last.
    app: Option<(String, i64)>,
    recovery: Vec<String>,
}

impl Person {
    /// Somebody new: internal for one in six, and with a mailbox for all but one in eight.
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
        let kind = if desk.happens(16) { "internal" } else { "external" };
        let mut body = json!({"username": prey.username, "kind": kind, "password": prey.password, "phone": prey.phone});
        if let Some(body) = body.as_object_mut().filter(|_| !desk.happens(12)) {
            body.insert("email".into(), json!(prey.email));
        }
        let told = desk.ask(Ask::new("POST /v1/users").by(&prey.account.key).with(body)).await;
        let id = told.good("/id")?;
        desk.place.log.concerns(told.call, &id);
        desk.place.ground.arrived(&id, &prey.account);
        let prey = Prey { id, ..prey };
        Some(Self { desk: desk.clone(), prey, number, token: None, app: None, recovery: Vec::new() })
    }

    /// Where they are: at home, mostly.
    pub fn place(&self) -> IpAddr {
        address(self.number, u8::from(self.desk.happens(15)), &self.desk.entropy)
    }

    fn prover(&self, source: IpAddr) -> Prover<'_> {
        Prover { desk: &self.desk, about: &self.prey.id, source }
    }

    async fn step(&mut self) {
        let source = self.place();
        match self.desk.below(100) {
            0..52 => self.sign_in(source).await,
            52..58 => drop(self.login("not the password at all", source).await),
            58..66 => self.look(source).await,
            66..72 => self.set_up_app(source).await,
            72..80 => self.follow_a_link(source).await,
            80..84 => self.change_phone(source).await,
            84..86 => self.change_mailbox(source).await,
            86..89 => self.change_password(source).await,
            89..92 => self.make_recovery_codes(source).await,
            92..93 => self.lose_a_factor(source).await,
            93..94 => self.forget_password(source).await,
            94..97 => self.by_back_end(Ask::new("POST /v1/users/{id}/unlock"), "/unlock").await,
            _ => self.desk.linger(30).await,
        }
    }

    /// The first factor.
    pub async fn login(&self, password: &str, source: IpAddr) -> Told {
        let Prey { id, account, username, .. } = &self.prey;
        let body = json!({"account": account.id, "username": username, "password": password});
        self.desk.ask(Ask::new("POST /v1/login").with(body).about(id).from(source)).await
    }

    /// Signs in, all the way.
    pub async fn sign_in(&mut self, source: IpAddr) {
        let told = self.login(&self.prey.password, source).await;
        self.go_on(told, source).await;
    }

    /// Goes on with what a first factor, or a link, was answered.
    async fn go_on(&mut self, told: Told, source: IpAddr) {
        let status = told.good("/status").unwrap_or_default();
        if status == "authenticated" {
            self.token = told.text("/access_token");
        }
        let Some(challenge) = told.good("/challenge").filter(|_| status == "second_factor_required") else { return };
        let Some(method) = self.desk.one_of(&offered(&told)).cloned() else { return };
        let proved = match method.as_str() {
            "sms" | "email" => self.prover(source).by_sent_code(&challenge, &method).await,
            "totp" => match self.app_code() {
                Some(code) => Some(self.prover(source).by_code(&challenge, "totp", &code).await),
                None => None,
            },
            _ => match self.recovery.pop() {
                Some(code) => Some(self.prover(source).by_code(&challenge, "recovery_code", &code).await),
                None => None,
            },
        };
        if let Some(proved) = proved {
            self.enter(&proved, source).await;
        }
    }

    /// Goes in, wherever the proof leads.
    async fn enter(&mut self, proved: &Told, source: IpAddr) {
        match proved.good("/status").unwrap_or_default().as_str() {
            "authenticated" => self.token = proved.text("/access_token"),
            "redirect" => {
                let Some(code) = proved.text("/code") else { return };
                let exchange =
                    Ask::new("POST /v1/tokens").by(&self.prey.account.key).about(&self.prey.id).with(json!({"code": code}));
                if self.desk.happens(30) {
                    self.desk.twice(exchange).await;
                } else {
                    self.desk.ask(exchange).await;
                }
            }
            "new_password_required" => {
                let Some(challenge) = proved.text("/challenge") else { return };
                let password = format!("{PASSWORD} {}", self.desk.place.ground.next());
                let body = json!({"challenge": challenge, "password": password});
                let told = self.desk.ask(Ask::new("POST /v1/password").with(body).about(&self.prey.id).from(source)).await;
                self.has_password(&told, password);
            }
            _ => {}
        }
    }

    /// Notes a new password. Where nobody knows whether it was set, the person tries the new one first the next time, and is somebody else
    /// soon.
    fn has_password(&mut self, told: &Told, password: String) {
        if told.status() / 100 == 2 {
            self.prey.password = password;
            self.desk.place.ground.change(self.prey.clone());
        }
    }

    /// A request with the access token, if there is one.
    async fn with_token(&self, ask: Ask, source: IpAddr) -> Option<Told> {
        let token = self.token.as_deref()?;
        Some(self.desk.ask(ask.by(token).about(&self.prey.id).from(source)).await)
    }

    async fn look(&self, source: IpAddr) {
        let route = if self.desk.happens(50) { "GET /v1/me" } else { "GET /v1/factors" };
        self.with_token(Ask::new(route), source).await;
    }

    async fn set_up_app(&mut self, source: IpAddr) {
        let Some(begun) = self.with_token(Ask::new("POST /v1/factors/totp").with(json!({})), source).await else { return };
        let (Some(factor), Some(secret)) = (begun.good("/factor"), begun.text("/secret")) else { return };
        let (Some(code), step) = (code_of(&secret, self.now()), self.now().div_euclid(30)) else { return };
        let body = json!({"factor": factor, "code": code});
        let told = self.with_token(Ask::new("POST /v1/factors/totp/confirm").with(body), source).await;
        let Some(told) = told.filter(|told| told.status() == 200) else { return };
        self.app = Some((secret, step));
        self.recovery = codes(&told);
    }

    /// Has recovery codes made: what was there before is over, and the person is told so.
    pub async fn make_recovery_codes(&mut self, source: IpAddr) {
        let Some(told) = self.with_token(Ask::new("POST /v1/factors/recovery-codes"), source).await else { return };
        if told.status() == 201 {
            self.recovery = codes(&told);
        }
    }

    /// What the app shows, where that was not used.
    fn app_code(&mut self) -> Option<String> {
        let (now, step) = (self.now(), self.now().div_euclid(30));
        let (secret, used) = self.app.as_mut().filter(|(_, used)| *used < step)?;
        *used = step;
        code_of(secret, now)
    }

    fn now(&self) -> i64 {
        self.desk.place.log.now().as_secs()
    }

    async fn change_phone(&mut self, source: IpAddr) {
        let new = phone(self.desk.place.ground.next());
        let ask = Ask::new("POST /v1/factors/sms").with(json!({"phone": new}));
        if self.proves(ask, "POST /v1/factors/sms/confirm", Channel::Sms, source).await {
            self.prey.phone = new;
            self.desk.place.ground.change(self.prey.clone());
        }
    }

    async fn change_mailbox(&mut self, source: IpAddr) {
        let new = email(self.desk.place.ground.next());
        let ask = Ask::new("POST /v1/factors/email").with(json!({"email": new}));
        if self.proves(ask, "POST /v1/factors/email/confirm", Channel::Email, source).await {
            self.prey.email = new;
            self.desk.place.ground.change(self.prey.clone());
        }
    }

    /// Has a code sent to a new contact and types it: wrong first, now and then, and now and then twice at once.
    async fn proves(&self, ask: Ask, confirm: &'static str, channel: Channel, source: IpAddr) -> bool {
        let Some(begun) = self.with_token(ask, source).await else { return false };
        let Some(factor) = begun.good("/factor") else { return false };
        let Some(code) = self.desk.code(&begun, channel).await else { return false };
        let typed = |code: &str| Ask::new(confirm).with(json!({"factor": factor, "code": code}));
        if self.desk.happens(20) {
            self.with_token(typed(&another(&code)), source).await;
        }
        let told = if self.desk.happens(20) {
            let (one, other) = tokio::join!(self.with_token(typed(&code), source), self.with_token(typed(&code), source));
            if one.as_ref().is_some_and(|told| told.status() == 200) { one } else { other }
        } else {
            self.with_token(typed(&code), source).await
        };
        told.is_some_and(|told| told.status() == 200)
    }

    async fn lose_a_factor(&mut self, source: IpAddr) {
        let route = match self.desk.below(3) {
            0 => "DELETE /v1/factors/totp",
            1 => "DELETE /v1/factors/sms",
            _ => "DELETE /v1/factors/email",
        };
        self.with_token(Ask::new(route), source).await;
    }

    /// Says that a phone number or a mailbox is the own, of which nothing is known but its name.
    pub async fn claims(&self, ask: Ask, source: IpAddr) -> bool {
        self.with_token(ask, source).await.is_some_and(|told| told.status() == 202)
    }

    async fn change_password(&mut self, source: IpAddr) {
        let new = format!("{PASSWORD} {}", self.desk.place.ground.next());
        let body = json!({"password": new, "current_password": self.prey.password});
        let Some(told) = self.with_token(Ask::new("PATCH /v1/me").with(body), source).await else { return };
        self.has_password(&told, new);
    }

    /// The back end mails a link, and the person follows it: twice at once, now and then.
    async fn follow_a_link(&mut self, source: IpAddr) {
        let mut body = json!({"user": self.prey.id});
        if let Some(body) = body.as_object_mut().filter(|_| self.desk.happens(50)) {
            body.insert("redirect_uri".into(), json!(PORTAL));
        }
        let ask = Ask::new("POST /v1/links").by(&self.prey.account.key).about(&self.prey.id).with(body);
        if self.desk.ask(ask.keyed(self.desk.place.ground.next())).await.status() != 202 {
            return;
        }
        self.redeem(source).await;
    }

    async fn redeem(&mut self, source: IpAddr) {
        let Some(token) = self.desk.link(&self.prey.email).await else { return };
        let redeem = Ask::new("POST /v1/links/redeem").with(json!({"token": token})).about(&self.prey.id).from(source);
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
        let told = self.desk.ask(Ask::new("POST /v1/password/forgotten").with(body).about(&self.prey.id).from(source)).await;
        if told.status() == 202 {
            self.redeem(source).await;
        }
    }

    /// A request of the account's back end about this person.
    async fn by_back_end(&self, ask: Ask, rest: &str) {
        let Prey { id, account, .. } = &self.prey;
        self.desk.ask(ask.at(format!("/v1/users/{id}{rest}")).by(&account.key).about(id)).await;
    }
}

/// The recovery codes of an answer.
fn codes(told: &Told) -> Vec<String> {
    let codes = told.value("/recovery_codes").and_then(Value::as_array).into_iter().flatten();
    codes.filter_map(|code| code.as_str().map(str::to_owned)).collect()
}

/// What an app with this secret shows.
fn code_of(secret: &str, now: i64) -> Option<String> {
    let secret = totp_rs::Secret::try_from_base32(secret).ok()?;
    let app = totp_rs::Builder::new().with_secret(secret).build().ok()?;
    Some(app.generate(u64::try_from(now).ok()?).to_string())
}
