//! One request of each route that is not worth a measurement of its time: what it costs at
//! DynamoDB.

use serde_json::{Value, json};
use shared::kernel::clock::Clock;

use crate::Fault;
use crate::agreements;
use crate::bootstraps::Bootstraps;
use crate::event::Event;
use crate::lambda::Answer;
use crate::report::Report;
use crate::world::{Person, Way, World};

const PORTAL: &str = "https://portal.example/in";

/// The requests of one world, one after the other.
struct Story<'a> {
    world: &'a World,
    report: &'a mut Report,
}

/// Asks each, in a world of its own: what others left in the table is no part of what a request
/// costs.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Fault> {
    let world = World::build(Bootstraps::none(), false).await?;
    let mut story = Story {
        world: &world,
        report,
    };
    story.accounts().await?;
    story.settings().await?;
    story.users().await?;
    story.links().await?;
    story.factors().await?;
    story.recipients().await
}

impl Story<'_> {
    /// Asks, and notes what was spent under the name of the row.
    async fn ask(
        &mut self,
        name: &'static str,
        status: u64,
        event: Event,
    ) -> Result<Answer, Fault> {
        self.world.stack.meter().take();
        let answer = self.world.ask(&event).await?.expect(status)?;
        self.report.route(name).cost = self.world.stack.meter().take();
        Ok(answer)
    }

    /// The same with the account's key.
    async fn backend(
        &mut self,
        name: &'static str,
        status: u64,
        event: Event,
    ) -> Result<Answer, Fault> {
        self.ask(name, status, event.bearer(&self.world.key)).await
    }

    async fn accounts(&mut self) -> Result<(), Fault> {
        let operator = self.world.stack.operator_key().expose().clone();
        let made = Event::post("/v1/accounts", json!({ "name": "Elm", "plan": "business" }))
            .bearer(&operator);
        let id = self.ask("POST /v1/accounts", 201, made).await?.text("id")?;
        let (account, keys) = (
            format!("/v1/accounts/{id}"),
            format!("/v1/accounts/{id}/api-keys"),
        );
        let patch = Event::patch(account, json!({ "plan": "enterprise" })).bearer(&operator);
        self.ask("PATCH /v1/accounts/{account}", 200, patch).await?;
        let key = Event::post(
            keys.clone(),
            json!({ "name": "back end", "scopes": ["audit:read"] }),
        )
        .bearer(&operator);
        let key = self
            .ask("POST /v1/accounts/{account}/api-keys", 201, key)
            .await?
            .text("id")?;
        self.ask(
            "GET /v1/accounts/{account}/api-keys",
            200,
            Event::get(keys.clone()).bearer(&operator),
        )
        .await?;
        let delete = Event::delete(format!("{keys}/{key}")).bearer(&operator);
        self.ask("DELETE /v1/accounts/{account}/api-keys/{id}", 204, delete)
            .await
            .map(drop)
    }

    async fn settings(&mut self) -> Result<(), Fault> {
        const GROUP: &str = "/v1/groups/escrow/settings";
        let french = || json!({ "locale": "fr" });
        self.backend(
            "PATCH /v1/settings",
            200,
            Event::patch("/v1/settings", french()),
        )
        .await?;
        self.backend(
            "PATCH /v1/groups/{group}/settings",
            200,
            Event::patch(GROUP, french()),
        )
        .await?;
        self.backend("GET /v1/groups/{group}/settings", 200, Event::get(GROUP))
            .await?;
        let explain = Event::get("/v1/ip-allowlist/explain?ip=203.0.113.7");
        self.backend("GET /v1/ip-allowlist/explain", 200, explain)
            .await
            .map(drop)
    }

    async fn users(&mut self) -> Result<(), Fault> {
        let path = format!("/v1/users/{}", self.world.person().await?.id);
        self.backend(
            "PATCH /v1/users/{id}",
            200,
            Event::patch(path.clone(), json!({ "locale": "fr" })),
        )
        .await?;
        let unlock = Event::post(format!("{path}/unlock"), json!({}));
        self.backend("POST /v1/users/{id}/unlock", 200, unlock)
            .await?;
        self.backend(
            "DELETE /v1/users/{id}/factors/totp",
            204,
            Event::delete(format!("{path}/factors/totp")),
        )
        .await?;
        self.backend("DELETE /v1/users/{id}", 204, Event::delete(path))
            .await
            .map(drop)
    }

    /// A link that leads to a portal, and one to a new password.
    async fn links(&mut self) -> Result<(), Fault> {
        let way = Way::Handlers(self.world);
        let person = self.reached("linked@example.com").await?;
        let portal = Event::patch(
            "/v1/settings",
            json!({ "links": { "redirect_uris": [PORTAL] } }),
        );
        self.world
            .ask(&portal.bearer(&self.world.key))
            .await?
            .expect(200)?;

        let link = Event::post(
            "/v1/links",
            json!({ "user": person.id, "redirect_uri": PORTAL }),
        );
        self.backend("POST /v1/links", 202, link).await?;
        let redeem = Event::post(
            "/v1/links/redeem",
            json!({ "token": way.link_to("linked@example.com")? }),
        );
        let challenge = self
            .ask("POST /v1/links/redeem", 200, redeem)
            .await?
            .text("challenge")?;
        let done = self
            .proved("POST /v1/codes/verify, after a link", &person, &challenge)
            .await?;
        let exchange = Event::post("/v1/tokens", json!({ "code": done.text("code")? }));
        self.backend("POST /v1/tokens", 200, exchange).await?;

        let person = self.reached("forgetful@example.com").await?;
        let forgotten = json!({ "account": self.world.account, "username": person.username });
        let forgotten = Event::post("/v1/password/forgotten", forgotten).from(person.number);
        self.ask("POST /v1/password/forgotten", 202, forgotten)
            .await?;
        let redeem = Event::post(
            "/v1/links/redeem",
            json!({ "token": way.link_to("forgetful@example.com")? }),
        );
        let challenge = self
            .world
            .ask(&redeem)
            .await?
            .expect(200)?
            .text("challenge")?;
        self.proved(
            "POST /v1/codes/verify, before a new password",
            &person,
            &challenge,
        )
        .await?;
        let password = Event::post(
            "/v1/password",
            json!({ "challenge": challenge, "password": "another horse battery" }),
        );
        self.ask("POST /v1/password", 204, password).await.map(drop)
    }

    /// Somebody new who can be mailed.
    async fn reached(&self, mailbox: &str) -> Result<Person, Fault> {
        let person = self.world.person().await?;
        let mailbox = Event::patch(
            format!("/v1/users/{}", person.id),
            json!({ "email": mailbox }),
        );
        self.world
            .ask(&mailbox.bearer(&self.world.key))
            .await?
            .expect(200)?;
        Ok(person)
    }

    /// Has a code sent for a challenge, and proves it.
    async fn proved(
        &mut self,
        name: &'static str,
        person: &Person,
        challenge: &str,
    ) -> Result<Answer, Fault> {
        self.world.ask(&person.code(challenge)).await?.expect(202)?;
        let code = Way::Handlers(self.world).code_to(person)?;
        self.ask(name, 200, person.verify(challenge, &code)).await
    }

    /// Somebody is asked questions, and let in again whom nothing keeps out.
    async fn recipients(&mut self) -> Result<(), Fault> {
        let mut way = Way::Handlers(self.world);
        let opening = agreements::opening(&mut way, "questioned").await?;
        let challenge = self
            .world
            .ask(&opening)
            .await?
            .expect(200)?
            .text("challenge")?;
        let session = Event::post("/v1/kba/sessions", json!({ "challenge": challenge }));
        self.ask("POST /v1/kba/sessions", 201, session).await?;
        let path = agreements::one(&mut way, "reopened").await?;
        let sent = self
            .world
            .ask(&Event::get(path.clone()).bearer(&self.world.key))
            .await?
            .expect(200)?;
        let sent: Value = serde_json::from_str(&sent.body)?;
        let recipient = sent
            .pointer("/recipients/0/id")
            .and_then(Value::as_str)
            .ok_or("there is no recipient")?;
        let reopen = Event::post(format!("{path}/recipients/{recipient}/reopen"), json!({}));
        let name = "POST /v1/agreements/{id}/recipients/{recipient}/reopen, nothing locked";
        self.backend(name, 200, reopen).await.map(drop)
    }

    /// Somebody sets up an app and takes it away again; somebody else keeps it, and changes the
    /// rest.
    async fn factors(&mut self) -> Result<(), Fault> {
        let token = self.app().await?;
        self.ask(
            "DELETE /v1/factors/totp",
            204,
            Event::delete("/v1/factors/totp").bearer(&token),
        )
        .await?;
        let token = self.app().await?;
        let codes = Event::post("/v1/factors/recovery-codes", json!({})).bearer(&token);
        self.ask("POST /v1/factors/recovery-codes", 201, codes)
            .await?;
        let me = Event::patch("/v1/me", json!({ "locale": "fr" })).bearer(&token);
        self.ask("PATCH /v1/me", 200, me).await?;
        self.ask(
            "DELETE /v1/factors/sms",
            204,
            Event::delete("/v1/factors/sms").bearer(&token),
        )
        .await?;
        self.contacts().await
    }

    /// Somebody sets up an app: the token.
    async fn app(&mut self) -> Result<String, Fault> {
        let token = Way::Handlers(self.world).token().await?;
        let begun = Event::post("/v1/factors/totp", json!({})).bearer(&token);
        let begun = self.ask("POST /v1/factors/totp", 201, begun).await?;
        let secret = totp_rs::Secret::try_from_base32(begun.text("secret")?)
            .map_err(|_| "the secret is none")?;
        let totp = totp_rs::Builder::new()
            .with_secret(secret)
            .build()
            .map_err(|_| "the secret is none")?;
        let code = totp
            .generate(u64::try_from(Clock::system().now().as_secs())?)
            .to_string();
        let confirm = Event::post(
            "/v1/factors/totp/confirm",
            json!({ "factor": begun.text("factor")?, "code": code }),
        );
        self.ask("POST /v1/factors/totp/confirm", 200, confirm.bearer(&token))
            .await?;
        Ok(token)
    }

    /// Somebody proves another phone; somebody else another mailbox, and takes it away again. An
    /// item that has more on it costs more.
    async fn contacts(&mut self) -> Result<(), Fault> {
        let token = &Way::Handlers(self.world).token().await?;
        let phone = json!({ "phone": "+12025550146" });
        let begun = self
            .ask(
                "POST /v1/factors/sms",
                202,
                Event::post("/v1/factors/sms", phone).bearer(token),
            )
            .await?;
        let confirm = json!({ "factor": begun.text("factor")?, "code": Way::Handlers(self.world).code_sent_to("+12025550146")? });
        let confirm = Event::post("/v1/factors/sms/confirm", confirm).bearer(token);
        self.ask("POST /v1/factors/sms/confirm", 200, confirm)
            .await?;
        let token = &Way::Handlers(self.world).token().await?;
        let mailbox = json!({ "email": "proved@example.com" });
        let begun = self
            .ask(
                "POST /v1/factors/email",
                202,
                Event::post("/v1/factors/email", mailbox).bearer(token),
            )
            .await?;
        let confirm = json!({ "factor": begun.text("factor")?, "code": Way::Handlers(self.world).code_sent_to("proved@example.com")? });
        let confirm = Event::post("/v1/factors/email/confirm", confirm).bearer(token);
        self.ask("POST /v1/factors/email/confirm", 200, confirm)
            .await?;
        self.ask(
            "DELETE /v1/factors/email",
            204,
            Event::delete("/v1/factors/email").bearer(token),
        )
        .await
        .map(drop)
    }
}
