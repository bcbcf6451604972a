//! A link of a user: proves the mailbox, and asks for a second factor, whoever the user is and
//! wherever the request comes from.
//!
//! Three waits: the link; its user and account; one transaction opens the challenge.

use shared::account::{Account, PrefetchedGroup, Settings};
use shared::kernel::clock::Timestamp;
use shared::kernel::secret::Secret;
use shared::signin::challenge::{Asks, Challenge, PrimaryFactor};
use shared::signin::link::{Link, LinkRefusal, Token};
use shared::signin::opening;
use shared::signin::sign_in::{Answer, Next, Offer, next_after_link};
use shared::signin::user::User;
use shared::signin::user::known::HashedIp;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::keys;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::settle::{Decision, Unsettled, settle};

/// A link, and what it leads to as that stands now.
struct UserLinkCase {
    link: Link,
    primary: PrimaryFactor,
    user: User,
    settings: Settings,
}

/// Opens a challenge for the user that the link was mailed to.
pub async fn redeem(app: &App, call: &Call, text: &Secret<String>) -> Outcome {
    let token = Token::read(text)?;
    let decide = || async {
        let case = UserLinkCase::read(app, call, &token, call.arrived_at).await?;
        case.open(app, call).await
    };
    let settled = settle(app, decide).await;
    let answer = settled.map_err(Unsettled::of_a_sign_in)?;
    Ok(Reply::json(&answer))
}

impl UserLinkCase {
    /// Reads what the rules look at, and holds the link against them.
    async fn read(app: &App, call: &Call, token: &Token, now: Timestamp) -> Result<Self, Problem> {
        let found = app.table.find(token.key().holding::<Link>()).await?;
        let link = found.ok_or(LinkRefusal::Unknown)?;
        let wanted = (
            keys::user(link.user).holding::<User>(),
            Account::concerned(call, link.account),
            PrefetchedGroup::wanted(link.account, link.group.clone()),
        );
        let (user, account, group) = app.table.find(wanted).await?;
        let account = account.ok_or(LinkRefusal::Expired)?;
        link.opens(user.as_ref(), now)?;
        let user = user.ok_or(LinkRefusal::Expired)?;
        let of_user = user.group.as_deref();
        let case = Self {
            settings: account.settings_in(of_user, group, &app.table).await?,
            primary: PrimaryFactor::Link(link.opened(token)),
            link,
            user,
        };
        let leads_on = case.primary.leads_on(&case.settings);
        leads_on.then_some(case).ok_or(LinkRefusal::Expired.into())
    }

    /// The writes that open a challenge, and what it asks for.
    async fn open(&self, app: &App, call: &Call) -> Result<Decision<Answer>, Problem> {
        let (user, now) = (&self.user, call.arrived_at);
        let keyring = app.keyrings.current(now).await;
        let hashed_ip = HashedIp::of(user.id, call.client_ip, &keyring, now)?;
        let (challenge, offers) = self.asks(&hashed_ip, now)?;
        let asks = challenge.asks;
        let drawn_from = (&*keyring, &app.entropy, now);
        let (update, asked) = opening::open(user, challenge, offers, &hashed_ip, drawn_from)?;
        let update = update.when(User::is_enabled());
        let writes = user.change(update, [self.event(call)], now)?;
        let answer = match asks {
            Asks::Enrolment => Answer::EnrolmentRequired(asked),
            Asks::SecondFactor => Answer::SecondFactorRequired(asked),
        };
        Ok(Decision::Write(writes, answer))
    }

    /// What is asked for once the link was opened from `hashed_ip`, and the challenge of it.
    fn asks(
        &self,
        hashed_ip: &HashedIp,
        now: Timestamp,
    ) -> Result<(Challenge, Vec<Offer>), Problem> {
        let (user, methods) = (&self.user, self.settings.second_factor.methods);
        let challenge = Challenge::after(self.primary.clone(), now);
        match next_after_link(
            user,
            &self.primary,
            methods,
            user.known.origin(hashed_ip),
            now,
        ) {
            Next::SecondFactor(offers) => Ok((challenge, offers)),
            Next::Enrolment(offers) => Ok((challenge.to_enrol(), offers)),
            Next::Done(_) | Next::NoUsableFactor => Err(Problem::new(Slug::NoUsableFactor)),
        }
    }

    fn event(&self, call: &Call) -> Event {
        Event::new(Action::LinkOpened, Actor::User(self.user.id))
            .from(call.client_ip)
            .with("link", self.link.id.to_string())
            .with("purpose", self.link.purpose.name())
    }
}
