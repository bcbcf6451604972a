//! What is known of a forgotten password when it is decided, what it counts in, and the writes that
//! put a mail in the outbox.
//!
//! | counter | limit | stands at | who can fill it | who suffers |
//! | --- | --- | --- | --- | --- |
//! | the name's | [`FORGOTTEN`] | `NAME#…`, `SENDS` | whoever knows the username: not the kept part | the user, at an address that nobody knows |
//! | the account's, for a mailbox that its user has not proved | the same | `DESTINATION#…`, `LINKS#<account>` | whoever knows the usernames of those of whom the account says that it is theirs | these, but for the kept part, which is one for all of them |
//! | the client IP's | [`PER_CLIENT_IP`] | `SOURCE#…`, `LINKS` | whoever asks from it | who shares it |
//!
//! A mailbox is mailed no more than these let through. One that its user has proved is counted by
//! that user's name alone: no other name uses it up, and its owner has said whose it is. One that
//! nobody has proved is mailed ten times an hour in the name of an account at the wish of
//! strangers, and twenty times at all, however many of its users are said to have it. There is no
//! count over all accounts: one account would fill it for the users of another.

use shared::account::{Account, Locale, PrefetchedGroup, Settings};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::AccountId;
use shared::messaging::courier::Message;
use shared::messaging::outbox::{self, Mail, OutboxMessage};
use shared::signin::code::PER_CLIENT_IP;
use shared::signin::link::{self, Envelope, FORGOTTEN, Link, Purpose, Token};
use shared::signin::reserved::{Log, Requester};
use shared::signin::user::credential::Credential;
use shared::signin::user::known::{HashedIp, Origin};
use shared::signin::user::subject::Subject;
use shared::signin::user::{Method, User, username};
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Item, Key, Write, keys};
use shared::store::rate_limit::{Limit, Window};
use shared::web::http::{Call, Problem, Reply, refusals};
use shared::web::idempotency::IdempotencyKey;

use super::Request;
use crate::State;

/// What is known of a request before it is decided.
pub enum Known {
    /// It was carried out before, and this was the answer.
    Answered(Reply),
    /// It is to be decided.
    Open(Box<ForgottenPasswordCase>),
    /// The name has reached its limit: that comes no sooner than any other answer about a name.
    Full(Problem),
    /// What was read is not of one moment: it is to be read again.
    Moved,
}

/// What is known of a request when it is decided.
pub struct ForgottenPasswordCase {
    account: Option<Account>,
    id: AccountId,
    settings: Settings,
    username: String,
    subject: Subject,
    has_password: bool,
    requester: Requester,
    /// Where the requests of the client IP are counted.
    client_ip: Key,
    pub now: Timestamp,
}

/// The logs that have to be trimmed before anything is entered, and whether the mailbox has had its
/// share.
#[derive(Default)]
pub struct Limits {
    name: Option<Log>,
    client_ip: Option<Vec<Timestamp>>,
    mailbox: Option<Log>,
    mailbox_full: bool,
}

/// A mail in the outbox: where it stands, what the audit tells of it, and the writes that put it
/// there.
struct Outgoing {
    mail: Key,
    event: Event,
    writes: Vec<Write>,
}

/// What a name leads to, and what is counted of it.
struct Found {
    account: Option<Account>,
    credential: Option<Credential>,
    sends_of_name: Log,
    sends_of_client_ip: Vec<Timestamp>,
    record: Option<Item>,
}

impl Found {
    async fn read(
        state: &State,
        call: &Call,
        (account, username): (AccountId, &str),
        key: Option<&IdempotencyKey>,
    ) -> Result<Self, Problem> {
        let wanted = (
            Account::concerned(call, account),
            keys::name(account, username).holding::<Credential>(),
            keys::name_sends(account, username),
            keys::client_ip_links(&client_ip_key(call.client_ip)),
            key.map(IdempotencyKey::record),
        );
        let (account, credential, sends_of_name, sends_of_client_ip, record) =
            state.app.table.find(wanted).await?;
        let credential = credential.filter(|_| account.is_some());
        let moments = sends_of_client_ip.as_ref().map(Window::moments);
        Ok(Self {
            account,
            credential,
            sends_of_name: Log::of(sends_of_name.as_ref()),
            sends_of_client_ip: moments.unwrap_or_default(),
            record,
        })
    }

    /// Who has the name, and the group's settings if they are in one; `None` where what was read is
    /// not of one moment.
    ///
    /// The credential was read before its user, and it is the user that is written over. Whatever
    /// changes a password, or takes the name away, does so on both.
    async fn subject(
        &self,
        state: &State,
        account: AccountId,
        username: &str,
    ) -> Result<Option<(Subject, PrefetchedGroup)>, Problem> {
        let credential = self.credential.as_ref();
        let id = credential.map_or_else(
            || Subject::decoy(account, username),
            |credential| credential.user,
        );
        let group = credential.and_then(|credential| credential.group.clone());
        let subject = Subject::wanted(id, credential.is_some());
        let wanted = (subject, PrefetchedGroup::wanted(account, group));
        let (subject, group) = state.app.table.find_batch(wanted).await?;
        let subject = subject.unwrap_or_else(|| Subject::new_decoy(account, username));
        let version = credential.map(|credential| credential.password_version);
        let moved = matches!(&subject, Subject::User(user) if (Some(user.password_version), user.username.as_str()) != (version, username));
        Ok((!moved).then_some((subject, group)))
    }
}

impl Found {
    /// The settings in force for the subject; the defaults, where there is no account.
    async fn settings(
        &self,
        state: &State,
        subject: &Subject,
        group: PrefetchedGroup,
    ) -> Result<Settings, Failure> {
        match &self.account {
            Some(account) => {
                account
                    .settings_in(subject.group(), group, &state.app.table)
                    .await
            }
            None => Ok(Settings::default()),
        }
    }

    fn has_password(&self) -> bool {
        let credential = self.credential.as_ref();
        credential.is_some_and(|credential| credential.password_hash.is_some())
    }
}

/// The refusal of a window that is full; or what was answered to the same request, where that was
/// faster: the items were not read at one instant.
async fn refused(
    state: &State,
    key: Option<&IdempotencyKey>,
    (until, limit): (Timestamp, Limit),
    now: Timestamp,
) -> Result<Known, Problem> {
    let answered = match key {
        Some(key) => key.answer_again(state.app.table.find(key.record()).await?, now)?,
        None => None,
    };
    answered
        .map(Known::Answered)
        .ok_or_else(|| refusals::too_many_sends(until, limit, now))
}

/// Who asks. Who is known nowhere yet is asked for by strangers, as nobody is: what they are left
/// of a window tells nothing of whom they name.
fn requester(subject: &Subject, hashed_ip: &HashedIp) -> Requester {
    match subject {
        Subject::User(user) if user.known.origin(hashed_ip) == Origin::Known => Requester::Known,
        Subject::User(_) | Subject::Decoy { .. } => Requester::Stranger,
    }
}

impl ForgottenPasswordCase {
    pub async fn read(
        state: &State,
        call: &Call,
        request: &Request,
        key: Option<&IdempotencyKey>,
    ) -> Result<Known, Problem> {
        let (id, now) = (request.account, call.arrived_at);
        let username = username::looked_up(&request.username);
        let mut found = Found::read(state, call, (id, &username), key).await?;
        let answered = key.map(|key| key.answer_again(found.record.take(), now));
        if let Some(reply) = answered.transpose()?.flatten() {
            return Ok(Known::Answered(reply));
        }
        if let Some(full) = PER_CLIENT_IP.full_until(&found.sends_of_client_ip, now) {
            return refused(state, key, full, now).await;
        }
        let Some((subject, group)) = found.subject(state, id, &username).await? else {
            return Ok(Known::Moved);
        };
        let keyring = state.app.keyrings.current(now).await;
        let hashed_ip = HashedIp::of(subject.id(), call.client_ip, &keyring, now)?;
        let requester = requester(&subject, &hashed_ip);
        if let Some(full) = FORGOTTEN.full_until(&found.sends_of_name, requester, now) {
            let refused = refused(state, key, full, now).await;
            return refused.or_else(|problem| Ok(Known::Full(problem)));
        }
        let case = Self {
            settings: found.settings(state, &subject, group).await?,
            has_password: found.has_password(),
            account: found.account,
            id,
            username,
            subject,
            requester,
            client_ip: keys::client_ip_links(&client_ip_key(call.client_ip)),
            now,
        };
        Ok(Known::Open(Box::new(case)))
    }

    /// The user and the account, if a mail can be sent. Who has no password signs in by other means
    /// alone, and cannot have forgotten one.
    fn reached(&self, limits: &Limits) -> Option<(&User, &Account)> {
        let Subject::User(user) = &self.subject else {
            return None;
        };
        let reachable =
            !user.disabled && user.account == self.id && user.email.is_some() && self.has_password;
        let reachable = reachable && !(limits.mailbox_full && self.mailbox(user).is_some());
        self.account
            .as_ref()
            .filter(|_| reachable)
            .map(|account| (&**user, account))
    }

    /// The window of the user's mailbox, where nobody has proved that it is the user's.
    fn mailbox(&self, user: &User) -> Option<Key> {
        let to = user
            .destination(Method::Email)
            .filter(|_| !user.is_verified(Method::Email))?;
        Some(keys::account_links(to, self.id))
    }

    /// The writes, and where the mail stands that they put in the outbox.
    pub async fn plan(
        &self,
        state: &State,
        call: &Call,
        limits: &Limits,
    ) -> Result<(Option<Key>, Vec<Write>), Problem> {
        let mut writes = self.counts(limits);
        let event = Event::new(Action::PasswordForgotten, Actor::User(self.subject.id()))
            .from(call.client_ip);
        let Some((user, account)) = self.reached(limits) else {
            let event = event.failed().with("reason", self.reason(limits));
            writes.extend(self.subject.tell(self.id, None, [event], self.now)?);
            return Ok((None, writes));
        };
        let outgoing = if self.is_led_on(user) {
            self.mail_link(state, call, (user, account), event).await?
        } else {
            self.mail_notice((user, account), event)?
        };
        let events = [outgoing.event];
        writes.extend(self.subject.tell(self.id, None, events, self.now)?);
        writes.extend(self.count_of_mailbox(user, limits));
        writes.extend(outgoing.writes);
        Ok((Some(outgoing.mail), writes))
    }

    /// The write that counts the request, of the user's mailbox, where that is counted.
    fn count_of_mailbox(&self, user: &User, limits: &Limits) -> Option<Write> {
        let key = self.mailbox(user)?;
        let entered = FORGOTTEN.enter(key, self.requester, self.now, limits.mailbox.as_ref());
        Some(entered.into())
    }

    /// The writes that count the request, of the name and of the client IP.
    fn counts(&self, limits: &Limits) -> Vec<Write> {
        let name = keys::name_sends(self.id, &self.username);
        let of_name = FORGOTTEN.enter(name, self.requester, self.now, limits.name.as_ref());
        let of_client_ip = PER_CLIENT_IP.enter(
            self.client_ip.clone(),
            self.now,
            limits.client_ip.as_deref(),
        );
        vec![of_name.into(), of_client_ip.into()]
    }

    /// The mail with the link.
    async fn mail_link(
        &self,
        state: &State,
        call: &Call,
        (user, account): (&User, &Account),
        event: Event,
    ) -> Result<Outgoing, Problem> {
        let (app, now, life) = (&state.app, self.now, link::PASSWORD_LIFETIME);
        let token = Token::draw(&app.entropy);
        let link = Link::new(user, Purpose::Password, None, life, &app.entropy, now);
        let keyring = app.keyrings.current(now).await;
        let (to, locale) = self.addressee(user);
        let envelope = Envelope {
            organisation: &account.name,
            to,
            locale,
            base: &call.base_url(app.config.base_url.as_deref()),
        };
        let (mail, message) = link.enqueue(&token, &envelope, &keyring, now)?;
        Ok(Outgoing {
            mail,
            event: event.with("link", link.id.to_string()),
            writes: vec![link.create(&token)?.into(), message],
        })
    }

    /// The mail that says that no link would lead on. It is named by the place of its entry in the
    /// user's chain: it is put in the outbox once.
    fn mail_notice(
        &self,
        (user, account): (&User, &Account),
        event: Event,
    ) -> Result<Outgoing, Problem> {
        let (to, locale) = self.addressee(user);
        let (organisation, to) = (account.name.clone(), to.to_owned());
        let mail = Mail {
            account: account.id,
            organisation,
            to,
            locale,
            message: Message::NoPasswordLink,
        };
        let id = format!("forgotten#{}-{}", user.id, user.head.sequence + 1);
        let message =
            OutboxMessage::new(mail, self.now).good_until(self.now.plus(link::PASSWORD_LIFETIME));
        let event = event.failed().with("reason", "no-usable-factor");
        Ok(Outgoing {
            mail: keys::outbox(&id),
            event,
            writes: vec![outbox::standalone(&id, message, self.now)?.into()],
        })
    }

    /// Where the mail goes, and in which language.
    fn addressee<'a>(&self, user: &'a User) -> (&'a str, Locale) {
        (
            user.destination(Method::Email).unwrap_or_default(),
            user.locale.unwrap_or(self.settings.locale),
        )
    }

    /// Whether a link would lead the user on: it takes a factor beside the mailbox.
    fn is_led_on(&self, user: &User) -> bool {
        // From where it will be opened, nobody knows yet.
        let usable = |method: &Method| {
            user.can_use(*method, self.settings.second_factor.methods)
                && Purpose::Password.admits(*method)
        };
        Method::ALL
            .iter()
            .filter(|method| usable(method))
            .any(|method| user.factor(*method).is_of_use(self.now))
    }

    /// Why no mail is sent, for the audit alone.
    fn reason(&self, limits: &Limits) -> &'static str {
        match &self.subject {
            Subject::Decoy { .. } => "unknown-user",
            Subject::User(user) if user.disabled => "disabled",
            Subject::User(_) if !self.has_password => "no-password",
            Subject::User(_) if limits.mailbox_full => "too-many-sends",
            Subject::User(_) => "no-mail-address",
        }
    }

    /// What stood in the way of a transaction: a limit that refuses, or logs to be trimmed. A
    /// mailbox that has reached its limit is told to nobody: it gets no mail.
    pub fn limits(&self, failure: &Failure, before: &Limits) -> Result<Limits, Problem> {
        let log = |key: &Key| failure.stood_at(key).map(|item| Log::of(Some(item)));
        let full =
            |log: &Option<Log>| FORGOTTEN.full_until(log.as_ref()?, self.requester, self.now);
        let name = log(&keys::name_sends(self.id, &self.username));
        let client_ip = failure.stood_at(&self.client_ip).map(Window::moments);
        let client_ip_full = || PER_CLIENT_IP.full_until(client_ip.as_ref()?, self.now);
        if let Some((until, limit)) = full(&name).or_else(client_ip_full) {
            return Err(refusals::too_many_sends(until, limit, self.now));
        }
        let mailbox = self
            .reached(before)
            .and_then(|(user, _)| self.mailbox(user))
            .and_then(|mailbox| log(&mailbox));
        let mailbox_full = before.mailbox_full || full(&mailbox).is_some();
        Ok(Limits {
            name,
            client_ip,
            mailbox,
            mailbox_full,
        })
    }
}
