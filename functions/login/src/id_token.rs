//! An attempt at an ID token, from the first read to the proof. Nothing is counted beforehand: a
//! signature cannot be guessed.

use shared::account::{Account, Foreseen, Settings};
use shared::kernel::client_ip::client_ip_key;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, UserId};
use shared::kernel::secret::Secret;
use shared::signin::rejection::refuse_source;
use shared::signin::sso::{self, Denied, Identity, KeysUnavailable, Refused, Said};
use shared::signin::user::subject::Subject;
use shared::store::dynamo::{keys, read};
use shared::web::http::{Call, Problem, Slug};

use crate::State;
use crate::attempt::{Attempt, PrimaryFactor, Verdict};

/// Whose the subject is that a token names, as far as is known.
struct Owner {
    subject: sso::Subject,
    /// Whether the subject is still to be bound to the issuer.
    unbound: bool,
}

impl Attempt {
    /// Reads what an attempt needs to know, refuses it where a limit says so, and proves the token.
    pub async fn begin_by_token(
        state: &State,
        call: &Call,
        account_id: AccountId,
        token: &Secret<String>,
        nonce: Option<&str>,
        step_up: bool,
    ) -> Result<(Self, Verdict), Problem> {
        let app = &state.app;
        let now = call.arrived_at;
        let said = Said::read(token.expose());
        let mut wanted = vec![
            keys::account(account_id),
            keys::client_ip_failures(&client_ip_key(call.client_ip)),
        ];
        if let Some(said) = &said {
            wanted.push(sso::Subject::key(
                account_id,
                Some(said.issuer()),
                said.subject(),
            ));
            wanted.push(sso::Subject::key(account_id, None, said.subject()));
        }
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let account: Option<Account> = items.next().flatten().map(read).transpose()?;
        let issuer = account
            .as_ref()
            .map(Account::settings)
            .transpose()?
            .unwrap_or_default();
        call.allow_origins(&issuer.origins);
        refuse_source(items.next().flatten().as_ref(), now)?;
        let bound: Option<sso::Subject> = items.next().flatten().map(read).transpose()?;
        let unbound: Option<sso::Subject> = items.next().flatten().map(read).transpose()?;

        let proved = prove(state, token, said.clone(), &issuer, nonce, now).await;
        let proved = proved.map_err(|KeysUnavailable| {
            Problem::new(Slug::ServiceUnavailable).header("retry-after", "5".into())
        })?;
        // Only what the issuer has signed names somebody: anybody writes tokens.
        let is_signed = proved
            .as_ref()
            .map_or_else(|denied| denied.is_signed, |_| true);
        let named = said.filter(|_| is_signed && account.is_some());
        let id = named.as_ref().map_or_else(
            || unproved(account_id, call),
            |said| unknown(account_id, said),
        );
        let owner = named.and_then(|_| owner(bound, unbound));

        let (id, group) = match &owner {
            Some(owner) => (owner.subject.user, owner.subject.group.clone()),
            None => (id, None),
        };
        let group_key = group.as_deref().map(|name| keys::group(account_id, name));
        let wanted = std::iter::once(Subject::key(id, owner.is_some())).chain(group_key);
        let mut items = app.table.get_all(wanted.collect()).await?.into_iter();
        let subject = Subject::read(id, owner.is_some(), items.next().flatten())?;
        let subject = subject.unwrap_or_else(|| Subject::unheard_of(unproved(account_id, call)));
        let settings = match &account {
            Some(account) => {
                account
                    .settings_in(
                        subject.group(),
                        Foreseen::new(group, items.next().flatten()),
                        &app.table,
                    )
                    .await?
            }
            None => Settings::default(),
        };
        let verdict = match &proved {
            Ok(_) => Verdict::Right,
            Err(denied) => Verdict::Wrong(denied.reason.reason()),
        };
        let first = PrimaryFactor::IdToken {
            identity: proved.ok(),
            unbound: owner.is_some_and(|owner| owner.unbound),
        };
        Ok((
            Self {
                account: account_id,
                settings,
                subject,
                source: call.client_ip,
                now,
                step_up,
                first,
            },
            verdict,
        ))
    }
}

async fn prove(
    state: &State,
    token: &Secret<String>,
    said: Option<Said>,
    settings: &Settings,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<Result<Identity, Denied>, KeysUnavailable> {
    match (said, &settings.sso) {
        (_, None) => Ok(Err(Refused::NotConfigured.into())),
        (None, Some(_)) => Ok(Err(Refused::Malformed.into())),
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
fn unknown(account: AccountId, said: &Said) -> UserId {
    Subject::decoy(account, &format!("{}\n{}", said.issuer(), said.subject()))
}

/// Under which those of tokens that nobody vouches for are kept: by where they come from.
fn unproved(account: AccountId, call: &Call) -> UserId {
    Subject::decoy(account, &format!("\n{}", client_ip_key(call.client_ip)))
}
