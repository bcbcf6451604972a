//! A link of a user: proves the mailbox, and asks for a second factor, whoever the user is and
//! wherever the request comes from.
//!
//! Three waits: the link; its user and account; one transaction opens the challenge.

use shared::account::{Account, Foreseen, Settings};
use shared::kernel::clock::Timestamp;
use shared::kernel::secret::Secret;
use shared::signin::challenge::{Challenge, PrimaryFactor};
use shared::signin::link::{Link, Opened, Refusal, Token};
use shared::signin::opening;
use shared::signin::sign_in::{Answer, Next, next_after_link};
use shared::signin::user::User;
use shared::signin::user::known::Source;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{RetryPolicy, keys, read};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

/// A link, and what it leads to as that stands now.
struct Case {
    link: Link,
    first: PrimaryFactor,
    user: User,
    settings: Settings,
}

/// Opens a challenge for the user that the link was mailed to.
pub async fn redeem(app: &App, call: &Call, text: &Secret<String>) -> Outcome {
    let now = call.arrived_at;
    let token = Token::read(text)?;
    let mut retries = RetryPolicy::default();
    loop {
        let case = Case::read(app, call, &token, now).await?;
        let methods = case.settings.second_factor.methods;
        let challenge = Challenge::after(case.first.clone(), now);
        let keyring = app.keyrings.current(now).await;
        let source = Source::of(case.user.id, call.client_ip, &keyring, now)?;
        let origin = case.user.known.origin(&source);
        let (challenge, offers) =
            match next_after_link(&case.user, &case.first, methods, origin, now) {
                Next::SecondFactor(offers) => (challenge, offers),
                Next::Enrolment(offers) => (challenge.to_enrol(), offers),
                Next::Done(_) | Next::NoUsableFactor => {
                    return Err(Problem::new(Slug::NoUsableFactor));
                }
            };
        let enrols = challenge.enrols;
        let (update, asked) = opening::open(
            &case.user,
            challenge,
            offers,
            &source,
            (&keyring, &app.entropy, now),
        )?;
        let event = Event::new(Action::LinkOpened, Actor::User(case.user.id)).from(call.client_ip);
        let event = event
            .with("link", case.link.id.to_string())
            .with("purpose", case.link.purpose.name());
        let update = update.when(User::is_enabled());
        let written = app
            .table
            .transact(case.user.change(update, [event], now)?)
            .await;
        if retries.settled(written, &app.entropy).await? {
            let answer = if enrols {
                Answer::EnrolmentRequired(asked)
            } else {
                Answer::SecondFactorRequired(asked)
            };
            return Ok(Reply::ok(&answer));
        }
    }
}

impl Case {
    /// Reads what the rules look at, and holds the link against them.
    async fn read(app: &App, call: &Call, token: &Token, now: Timestamp) -> Result<Self, Problem> {
        let item = app.table.get(token.key()).await?.ok_or(Refusal::Unknown)?;
        let link: Link = read(item)?;
        let mut wanted = vec![keys::user(link.user), keys::account(link.account)];
        wanted.extend(
            link.group
                .as_deref()
                .map(|name| keys::group(link.account, name)),
        );
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let user: Option<User> = items.next().flatten().map(read).transpose()?;
        let account: Option<Account> = items.next().flatten().map(read).transpose()?;
        let account = account.ok_or(Refusal::Expired)?;
        call.allow_origins(&account.settings()?.origins);
        link.opens(user.as_ref(), now)?;
        let opened: Opened = link.opened(token);
        let first = PrimaryFactor::Link(opened);
        let user = user.ok_or(Refusal::Expired)?;
        let group = Foreseen::new(link.group.clone(), items.next().flatten());
        let settings = account
            .settings_in(user.group.as_deref(), group, &app.table)
            .await?;
        if !first.leads_on(&settings) {
            return Err(Refusal::Expired.into());
        }
        Ok(Self {
            link,
            first,
            user,
            settings,
        })
    }
}
