//! An attempt at an ID token, from the first read to the proof. Nothing is counted beforehand: a
//! signature cannot be guessed.

use shared::account::{Account, PrefetchedGroup, Settings};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, UserId};
use shared::kernel::secret::Secret;
use shared::signin::rejection::refuse_client_ip;
use shared::signin::sso::{
    self, IdTokenRefusal, Identity, KeysUnavailable, RejectedIdToken, UnverifiedIdToken,
};
use shared::signin::user::subject::Subject;
use shared::store::app::App;
use shared::store::dynamo::{Failure, Item, keys};
use shared::web::http::{Call, Problem, Slug};

use crate::State;
use crate::attempt::{PrimaryFactor, PrimaryFactorAttempt, PrimaryFactorVerdict, settings_of};

/// Whose the subject is that a token names, as far as is known.
struct Owner {
    subject: sso::Subject,
    /// Whether the subject is still to be bound to the issuer.
    unbound: bool,
}

impl PrimaryFactorAttempt {
    /// Reads what an attempt needs to know, refuses it where a limit says so, and proves the token.
    pub async fn begin_by_token(
        state: &State,
        call: &Call,
        account_id: AccountId,
        (token, nonce): (&Secret<String>, Option<&str>),
        step_up: bool,
    ) -> Result<(Self, PrimaryFactorVerdict), Problem> {
        let (app, now) = (&state.app, call.arrived_at);
        let said = UnverifiedIdToken::read(token.expose());
        let found = Found::read(app, call, account_id, said.as_ref()).await?;
        let settings = found.account.as_ref().map(Account::settings);
        let settings = settings.transpose()?.unwrap_or_default();
        refuse_client_ip(found.failures_of_source.as_ref(), now)?;
        let proved = prove(state, token, said.clone(), &settings, nonce, now).await;
        let proved = proved.map_err(|KeysUnavailable| {
            Problem::new(Slug::ServiceUnavailable).header("retry-after", "5".into())
        })?;
        let account = found.account.clone();
        let named = Named::of(found, said, &proved, (account_id, call));
        let (subject, group) = named.read(app, account_id).await?;
        let subject = subject.unwrap_or_else(|| Subject::unknown(unproved(account_id, call)));
        let settings = settings_of(app, account.as_ref(), &subject, group).await?;
        let verdict = match &proved {
            Ok(_) => PrimaryFactorVerdict::Right,
            Err(denied) => PrimaryFactorVerdict::Wrong(denied.reason.reason()),
        };
        let attempt = Self {
            account: account_id,
            settings,
            subject,
            client_ip: call.client_ip,
            now,
            step_up,
            primary: PrimaryFactor::IdToken {
                identity: proved.ok(),
                unbound: named.owner.is_some_and(|owner| owner.unbound),
            },
        };
        Ok((attempt, verdict))
    }
}

/// What a token leads to before it is proved.
struct Found {
    account: Option<Account>,
    failures_of_source: Option<Item>,
    /// The subject that is bound to the token's issuer.
    bound: Option<sso::Subject>,
    /// The subject that was given when the account had no issuer.
    unbound: Option<sso::Subject>,
}

impl Found {
    async fn read(
        app: &App,
        call: &Call,
        account: AccountId,
        said: Option<&UnverifiedIdToken>,
    ) -> Result<Self, Failure> {
        let subject = |issuer, said: &UnverifiedIdToken| {
            sso::Subject::key(account, issuer, said.subject()).holding::<sso::Subject>()
        };
        let wanted = (
            Account::concerned(call, account),
            keys::client_ip_failures(&client_ip_key(call.client_ip)),
            said.map(|said| subject(Some(said.issuer()), said)),
            said.map(|said| subject(None, said)),
        );
        let (account, failures_of_source, bound, unbound) = app.table.find(wanted).await?;
        Ok(Self {
            account,
            failures_of_source,
            bound,
            unbound,
        })
    }
}

/// Whom a token names.
struct Named {
    /// The user; a decoy, where the subject is nobody's.
    id: UserId,
    owner: Option<Owner>,
}

impl Named {
    /// Only what the issuer has signed names somebody: anybody writes tokens.
    fn of(
        found: Found,
        said: Option<UnverifiedIdToken>,
        proved: &Result<Identity, RejectedIdToken>,
        (account, call): (AccountId, &Call),
    ) -> Self {
        let is_signed = proved
            .as_ref()
            .map_or_else(|denied| denied.is_signed, |_| true);
        let Some(said) = said.filter(|_| is_signed && found.account.is_some()) else {
            let id = unproved(account, call);
            return Self { id, owner: None };
        };
        let owner = owner(found.bound, found.unbound);
        let id = owner
            .as_ref()
            .map_or_else(|| unknown(account, &said), |owner| owner.subject.user);
        Self { id, owner }
    }

    /// Reads the subject, and its group if it is in one.
    async fn read(
        &self,
        app: &App,
        account: AccountId,
    ) -> Result<(Option<Subject>, PrefetchedGroup), Failure> {
        let owner = self.owner.as_ref();
        let group = owner.and_then(|owner| owner.subject.group.clone());
        let subject = Subject::wanted(self.id, owner.is_some());
        let wanted = (subject, PrefetchedGroup::wanted(account, group));
        app.table.find_batch(wanted).await
    }
}

async fn prove(
    state: &State,
    token: &Secret<String>,
    said: Option<UnverifiedIdToken>,
    settings: &Settings,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<Result<Identity, RejectedIdToken>, KeysUnavailable> {
    match (said, &settings.sso) {
        (_, None) => Ok(Err(IdTokenRefusal::NotConfigured.into())),
        (None, Some(_)) => Ok(Err(IdTokenRefusal::Malformed.into())),
        (Some(said), Some(sso)) => {
            sso::verify(token.expose(), said, sso, nonce, &state.issuers, now).await
        }
    }
}

/// A subject that is bound to the issuer comes before one that was given when the account had none.
fn owner(bound: Option<sso::Subject>, unbound: Option<sso::Subject>) -> Option<Owner> {
    let first = bound.map(|subject| Owner {
        subject,
        unbound: false,
    });
    first.or_else(|| {
        unbound.map(|subject| Owner {
            subject,
            unbound: true,
        })
    })
}

/// Under which the attempts of a subject that nobody has are kept.
fn unknown(account: AccountId, said: &UnverifiedIdToken) -> UserId {
    Subject::decoy(account, &format!("{}\n{}", said.issuer(), said.subject()))
}

/// Under which those of tokens that nobody vouches for are kept: by where they come from.
fn unproved(account: AccountId, call: &Call) -> UserId {
    Subject::decoy(account, &format!("\n{}", client_ip_key(call.client_ip)))
}
