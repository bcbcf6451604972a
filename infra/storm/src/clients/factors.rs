//! How people come by their factors, and lose them: signed in, with the access token; and a first
//! one with the challenge of the sign-in that it completes. Who lost the app is helped by the
//! account's back end, and begins anew.

use std::net::IpAddr;

use local::Channel;
use serde_json::{Value, json};

use super::proof::{another, offered};
use super::user::{Person, by_back_end};
use crate::desk::{Ask, Told};
use crate::ground::{email, phone};

/// An app: its secret, and the step that it was used in last.
type App = (String, i64);

impl Person {
    /// Sets up one of the factors that are offered to who has none; now and then all of them at
    /// once, with the one challenge.
    pub(super) async fn set_up_first(&mut self, told: &Told, challenge: &str, source: IpAddr) {
        let Some(method) = self.desk.one_of(&offered(told)).cloned() else {
            return;
        };
        let all = self.desk.happens(15);
        let (with_app, with_phone) = (all || method == "totp", all || method == "sms");
        let by_app = async {
            if with_app {
                self.set_up_app(Some(challenge), source).await
            } else {
                None
            }
        };
        let by_phone = async {
            if with_phone {
                self.prove_phone(&self.prey.phone, Some(challenge), source)
                    .await
            } else {
                None
            }
        };
        let (by_app, by_phone) = tokio::join!(by_app, by_phone);
        let confirmed = [by_app.map(|(told, app)| self.has_app(told, app)), by_phone];
        for answer in confirmed
            .iter()
            .flatten()
            .filter_map(|told| told.value("/authenticated"))
        {
            self.enter(answer, source).await;
        }
    }

    /// Another app takes the place of the one before, if there was one.
    pub(super) async fn change_app(&mut self, source: IpAddr) {
        if let Some((told, app)) = self.set_up_app(None, source).await {
            self.has_app(told, app);
        }
    }

    /// Notes the app that was confirmed, and its recovery codes.
    fn has_app(&mut self, told: Told, app: App) -> Told {
        self.app = Some(app);
        self.recovery = codes(&told);
        told
    }

    /// Has an app shown its secret, and types what it shows: now and then twice at once.
    async fn set_up_app(&self, challenge: Option<&str>, source: IpAddr) -> Option<(Told, App)> {
        let begun = self
            .with_either(
                Ask::new("POST /v1/factors/totp"),
                json!({}),
                challenge,
                source,
            )
            .await?;
        let (factor, secret) = (begun.good("/factor")?, begun.text("/secret")?);
        let (code, step) = (code_of(&secret, self.now())?, self.now().div_euclid(30));
        let told = self
            .confirms(
                "POST /v1/factors/totp/confirm",
                (&factor, &code),
                challenge,
                source,
            )
            .await?;
        Some((told, (secret, step)))
    }

    /// Has recovery codes made: what was there before is over, and the person is told so.
    pub async fn make_recovery_codes(&mut self, source: IpAddr) {
        let Some(told) = self
            .with_token(Ask::new("POST /v1/factors/recovery-codes"), source)
            .await
        else {
            return;
        };
        if told.status() == 201 {
            self.recovery = codes(&told);
        }
    }

    /// What the app shows, where that was not used.
    pub(super) fn app_code(&mut self) -> Option<String> {
        let (now, step) = (self.now(), self.now().div_euclid(30));
        let (secret, used) = self.app.as_mut().filter(|(_, used)| *used < step)?;
        *used = step;
        code_of(secret, now)
    }

    /// Has another phone, or proves the own one again.
    pub(super) async fn change_phone(&mut self, source: IpAddr) {
        let again = self.desk.happens(25);
        let new = if again {
            self.prey.phone.clone()
        } else {
            phone(self.desk.place.ground.next())
        };
        if self.prove_phone(&new, None, source).await.is_some() {
            self.prey.phone = new;
            self.desk.place.ground.change(self.prey.clone());
        }
    }

    async fn prove_phone(
        &self,
        new: &str,
        challenge: Option<&str>,
        source: IpAddr,
    ) -> Option<Told> {
        let begun = self
            .with_either(
                Ask::new("POST /v1/factors/sms"),
                json!({"phone": new}),
                challenge,
                source,
            )
            .await?;
        self.proves(
            &begun,
            "POST /v1/factors/sms/confirm",
            Channel::Sms,
            challenge,
            source,
        )
        .await
    }

    pub(super) async fn change_mailbox(&mut self, source: IpAddr) {
        let new = email(self.desk.place.ground.next());
        let Some(begun) = self
            .with_token(
                Ask::new("POST /v1/factors/email").with(json!({"email": new})),
                source,
            )
            .await
        else {
            return;
        };
        if self
            .proves(
                &begun,
                "POST /v1/factors/email/confirm",
                Channel::Email,
                None,
                source,
            )
            .await
            .is_some()
        {
            self.prey.email = new;
            self.desk.place.ground.change(self.prey.clone());
        }
    }

    /// Types the code that was sent to a new contact: wrong first, now and then. Answers with what
    /// it was taken with.
    async fn proves(
        &self,
        begun: &Told,
        confirm: &'static str,
        channel: Channel,
        challenge: Option<&str>,
        source: IpAddr,
    ) -> Option<Told> {
        let (factor, code) = (
            begun.good("/factor")?,
            self.desk.code(begun, channel).await?,
        );
        if self.desk.happens(20) {
            let body = json!({"factor": factor, "code": another(&code)});
            self.with_either(Ask::new(confirm), body, challenge, source)
                .await;
        }
        self.confirms(confirm, (&factor, &code), challenge, source)
            .await
    }

    /// Types a code that is right: now and then twice at once. Answers with what it was taken with.
    async fn confirms(
        &self,
        confirm: &'static str,
        (factor, code): (&str, &str),
        challenge: Option<&str>,
        source: IpAddr,
    ) -> Option<Told> {
        let typed = || {
            self.with_either(
                Ask::new(confirm),
                json!({"factor": factor, "code": code}),
                challenge,
                source,
            )
        };
        let told = if self.desk.happens(20) {
            let (one, other) = tokio::join!(typed(), typed());
            if one.as_ref().is_some_and(|told| told.status() == 200) {
                one
            } else {
                other
            }
        } else {
            typed().await
        };
        told.filter(|told| told.status() == 200)
    }

    /// A request with this challenge in its body, or with the access token, if there is one.
    async fn with_either(
        &self,
        ask: Ask,
        mut body: Value,
        challenge: Option<&str>,
        source: IpAddr,
    ) -> Option<Told> {
        let Some(challenge) = challenge else {
            return self.with_token(ask.with(body), source).await;
        };
        body.as_object_mut()?
            .insert("challenge".into(), json!(challenge));
        Some(
            self.desk
                .ask(ask.with(body).about(&self.prey.id).from(source))
                .await,
        )
    }

    pub(super) async fn lose_a_factor(&mut self, source: IpAddr) {
        let route = match self.desk.below(3) {
            0 => "DELETE /v1/factors/totp",
            1 => "DELETE /v1/factors/sms",
            _ => "DELETE /v1/factors/email",
        };
        self.with_token(Ask::new(route), source).await;
    }

    /// The back end resets the app of who has lost it, if they had one or have just come by one,
    /// now and then in the very moment in which they sign in with it; they come again by a link,
    /// and set up a first factor where nothing else is left to them.
    pub(super) async fn is_reset(&mut self, source: IpAddr) {
        if self.app.is_none() {
            self.change_app(source).await;
        }
        let (desk, prey) = (self.desk.clone(), self.prey.clone());
        let reset = by_back_end(
            &desk,
            &prey,
            Ask::new("DELETE /v1/users/{id}/factors/totp"),
            "/factors/totp",
        );
        if desk.happens(40) {
            tokio::join!(reset, self.sign_in(source));
        } else {
            reset.await;
        }
        (self.app, self.recovery) = (None, Vec::new());
        self.follow_a_link(source).await;
    }
}

/// The recovery codes of an answer.
fn codes(told: &Told) -> Vec<String> {
    let codes = told
        .value("/recovery_codes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    codes
        .filter_map(|code| code.as_str().map(str::to_owned))
        .collect()
}

/// What an app with this secret shows.
fn code_of(secret: &str, now: i64) -> Option<String> {
    let secret = totp_rs::Secret::try_from_base32(secret).ok()?;
    let app = totp_rs::Builder::new().with_secret(secret).build().ok()?;
    Some(app.generate(u64::try_from(now).ok()?).to_string())
}
