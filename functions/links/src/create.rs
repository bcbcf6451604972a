//! The steps of making a link.

use shared::account::api_key::Caller;
use shared::account::{Locale, PrefetchedGroup, Settings};
use shared::kernel::clock::Span;
use shared::messaging::outbox;
use shared::signin::link::{self, Envelope, Link, Purpose, Token};
use shared::signin::user::{Method, User};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Key, Write, keys};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;
use shared::web::settle::{Decision, Unsettled, settle};

use crate::{Request, Response, State};

/// A link that is to be made.
struct Making<'a> {
    app: &'a App,
    call: &'a Call,
    caller: &'a Caller,
    request: &'a Request,
    settings: Settings,
    life: Span,
    key: Option<IdempotencyKey>,
}

/// Makes a link and mails it, once per `Idempotency-Key` where there is one.
pub async fn create(state: &State, call: &Call, caller: &Caller, request: &Request) -> Outcome {
    let (app, account) = (&state.app, &caller.account);
    let settings = account.settings()?;
    let making = Making {
        app,
        call,
        caller,
        request,
        settings,
        life: life(request)?,
        key: IdempotencyKey::of(call, &account.id.to_string())?,
    };
    let (mail, reply) = settle(app, || making.decide())
        .await
        .map_err(Unsettled::of_an_object)?;
    outbox::deliver_all(app, &state.courier, mail).await;
    Ok(reply)
}

impl Making<'_> {
    /// What the same request was answered before; or the writes that make the link, with the mail
    /// that they put in the outbox, and the answer.
    async fn decide(&self) -> Result<Decision<(Option<Key>, Reply)>, Problem> {
        let now = self.call.arrived_at;
        let record = self.key.as_ref().map(IdempotencyKey::record);
        let user = keys::user(self.request.user).holding::<User>();
        let (user, record) = self.app.table.find_batch((user, record)).await?;
        if let Some(key) = &self.key
            && let Some(reply) = key.answer_again(record, now)?
        {
            return Ok(Decision::Stands((None, reply)));
        }
        let user = reachable(user, self.caller, self.request, &self.settings)?;
        let (mail, answer, mut writes) = self.link(&user).await?;
        if let Some(key) = &self.key {
            let answer = serde_json::to_string(&answer).unwrap_or_default();
            writes.push(key.keep(&answer, now)?.into());
        }
        let reply = Reply::json(&answer);
        Ok(Decision::Write(writes, (Some(mail), reply)))
    }

    /// A new link: where its mail stands in the outbox, the answer, and the writes.
    ///
    /// What is decided from the user holds while its audit chain has not moved, which is the
    /// condition here.
    async fn link(&self, user: &User) -> Result<(Key, Response, Vec<Write>), Problem> {
        let (entropy, now) = (&self.app.entropy, self.call.arrived_at);
        let locale = self.locale(user).await?;
        let token = Token::draw(entropy);
        let redirect_uri = self.request.redirect_uri.clone();
        let link = Link::new(user, Purpose::SignIn, redirect_uri, self.life, entropy, now);
        let keyring = self.app.keyrings.current(now).await;
        let envelope = Envelope {
            organisation: &self.caller.account.name,
            to: user.destination(Method::Email).unwrap_or_default(),
            locale,
            base: &self.call.base_url(self.app.config.base_url.as_deref()),
        };
        let (mail, posting) = link.enqueue(&token, &envelope, &keyring, now)?;
        let answer = self.answer(&link, user);
        let mut writes = user.change(user.touch(), [self.event(&answer)], now)?;
        writes.extend([link.create(&token)?.into(), posting]);
        Ok((mail, answer, writes))
    }

    /// The language of the mail: the user's, or the group's or the account's.
    async fn locale(&self, user: &User) -> Result<Locale, Problem> {
        let (account, table) = (&self.caller.account, &self.app.table);
        let settings = account
            .settings_in(user.group.as_deref(), PrefetchedGroup::default(), table)
            .await?;
        Ok(user.locale.unwrap_or(settings.locale))
    }

    fn answer(&self, link: &Link, user: &User) -> Response {
        Response {
            id: link.id,
            destination: user.masked_destination(Method::Email).unwrap_or_default(),
            expires_in: self.life.as_secs(),
        }
    }

    fn event(&self, answer: &Response) -> Event {
        Event::new(Action::LinkCreated, self.caller.actor)
            .from(self.call.client_ip)
            .with("link", answer.id.to_string())
            .with("destination", answer.destination.as_str())
    }
}

/// How long the link is to be good.
fn life(request: &Request) -> Result<Span, Problem> {
    let life = request
        .expires_in
        .map_or(link::LIFETIME, |seconds| Span::seconds(i64::from(seconds)));
    if (Span::seconds(1)..=link::LIFETIME_MAX).contains(&life) {
        Ok(life)
    } else {
        Err(Problem::invalid_field(
            "/expires_in",
            "must be 1 to 86400 seconds",
        ))
    }
}

/// The user, if a link can be mailed there that leads where it is to lead.
fn reachable(
    user: Option<User>,
    caller: &Caller,
    request: &Request,
    settings: &Settings,
) -> Result<User, Problem> {
    let user = user
        .filter(|user| user.account == caller.account.id)
        .ok_or_else(|| Problem::new(Slug::NotFound))?;
    // As it was registered, letter by letter: what only means the same may be somebody else's to a
    // browser.
    if request
        .redirect_uri
        .as_ref()
        .is_some_and(|uri| !settings.links.redirect_uris.contains(uri))
    {
        return Err(Problem::invalid_field(
            "/redirect_uri",
            "is not one of the account's links.redirect_uris",
        ));
    }
    let not_possible = |detail| Err(Problem::new(Slug::LinkNotPossible).field("/user", detail));
    if user.disabled {
        not_possible("is disabled")
    } else if user.email.is_none() {
        not_possible("has no mail address")
    } else {
        Ok(user)
    }
}
