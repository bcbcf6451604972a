//! The steps of making a link.

use shared::account::api_key::Caller;
use shared::account::{Foreseen, Settings};
use shared::kernel::clock::Span;
use shared::messaging::outbox;
use shared::signin::link::{self, Envelope, Link, Purpose, Token};
use shared::signin::user::{Method, User};
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Item, RetryPolicy, keys, read};
use shared::web::http::refusals::contended;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::idempotency::IdempotencyKey;

use crate::{Request, Response, State};

/// Makes a link and mails it, once per `Idempotency-Key` where there is one.
pub async fn create(state: &State, call: &Call, caller: &Caller, request: &Request) -> Outcome {
    let (app, account) = (&state.app, &caller.account);
    let settings = account.settings()?;
    call.allow_origins(&settings.origins);
    let life = life(request)?;
    let key = IdempotencyKey::of(call, &account.id.to_string())?;
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    loop {
        let mut wanted = vec![keys::user(request.user)];
        wanted.extend(key.as_ref().map(IdempotencyKey::record));
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let user = items.next().flatten();
        if let Some(key) = &key
            && let Some(reply) = key.answer_again(items.next().flatten(), now)?
        {
            return Ok(reply);
        }
        let user = reachable(user, caller, request, &settings)?;
        let locale = account
            .settings_in(user.group.as_deref(), Foreseen::default(), &app.table)
            .await?
            .locale;
        let token = Token::draw(&app.entropy);
        let link = Link::new(
            &user,
            Purpose::SignIn,
            request.redirect_uri.clone(),
            life,
            &app.entropy,
            now,
        );
        let answer = Response {
            id: link.id,
            destination: user.masked_destination(Method::Email).unwrap_or_default(),
            expires_in: life.as_secs(),
        };
        let keyring = app.keyrings.current(now).await;
        let base = call.base_url(app.config.base_url.as_deref());
        let envelope = Envelope {
            organisation: &account.name,
            to: user.destination(Method::Email).unwrap_or_default(),
            locale: user.locale.unwrap_or(locale),
            base: &base,
        };
        let (mail, posting) = link.owe(&token, &envelope, &keyring, now)?;
        let event = Event::new(Action::LinkCreated, caller.actor).from(call.client_ip);
        let event = event
            .with("link", answer.id.to_string())
            .with("destination", answer.destination.as_str());
        // What is decided from the user holds while its audit chain has not moved, which is the
        // condition here.
        let mut writes = user.change(user.touch(), [event], now)?;
        writes.extend([link.create(&token)?.into(), posting]);
        if let Some(key) = &key {
            let answer = serde_json::to_string(&answer).unwrap_or_default();
            writes.push(key.keep(&answer, now)?.into());
        }
        let written = app.table.transact(writes).await;
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            outbox::deliver_all(app, &state.courier, [mail]).await;
            return Ok(Reply::json(202, &answer));
        }
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
    item: Option<Item>,
    caller: &Caller,
    request: &Request,
    settings: &Settings,
) -> Result<User, Problem> {
    let user: Option<User> = item.map(read).transpose()?;
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
