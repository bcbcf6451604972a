//! Every key string of the table. `infra/table.md` is the same list, with the reasons.
//!
//! The partition key begins with the noun, because IAM's `dynamodb:LeadingKeys` grants by that
//! beginning.

use crate::kernel::ids::{AccountId, AgreementId, KeyId, RecipientId, SessionId, UserId};
use crate::kernel::secret::Fingerprint;

/// The partition key's attribute.
pub const PK: &str = "pk";
/// The sort key's attribute.
pub const SK: &str = "sk";
/// When DynamoDB may delete the item by itself, in seconds. Never what decides whether it is still
/// good.
pub const TTL: &str = "ttl";
/// The sparse index of what an account lists, by age.
pub const LISTING: &str = "listing";
/// Partition key of [`LISTING`].
pub const LISTING_PK: &str = "list";
/// Sort key of [`LISTING`].
pub const LISTING_SK: &str = "list_id";
/// The sparse index of what the clean-up will have to look at.
pub const DUE: &str = "due";
/// Partition key of [`DUE`].
pub const DUE_PK: &str = "due_shard";
/// Sort key of [`DUE`]: milliseconds.
pub const DUE_SK: &str = "due_at";
/// How many partitions of [`DUE`] there are: what is due is spread, so that no partition is hot.
pub const DUE_SHARDS: u8 = 8;

/// How many partitions an account's ledger has: a partition takes a thousand units a second. It
/// never changes.
pub const LEDGER_PARTITIONS: u8 = 8;

/// Where an item stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    pub(super) fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// What kind of item it is: the first part of its partition key.
    pub fn noun(&self) -> &str {
        self.pk.split('#').next().unwrap_or_default()
    }

    /// The partition of [`DUE`] in which this item is entered.
    pub fn due_shard(&self) -> String {
        due_shard(Fingerprint::of(self.pk.as_bytes()).short()[0] % DUE_SHARDS)
    }
}

/// An account: its plan, its settings, and the head of its audit chain.
pub fn account(account: AccountId) -> Key {
    Key::new(format!("ACCOUNT#{account}"), "ACCOUNT")
}

/// What a group overrides of its account's settings.
pub fn group(account: AccountId, group: &str) -> Key {
    Key::new(format!("ACCOUNT#{account}"), format!("GROUP#{group}"))
}

/// An account's API key; without an account, an operator's.
pub fn api_key(account: Option<AccountId>, key: KeyId) -> Key {
    Key::new(api_keys(account), format!("KEY#{key}"))
}

/// The partition of an account's API keys, or of the operators'.
pub fn api_keys(account: Option<AccountId>) -> String {
    account.map_or_else(
        || "KEYS#operator".to_owned(),
        |account| format!("KEYS#{account}"),
    )
}

/// A user: profile, factors, open challenges, and the head of the user's audit chain.
pub fn user(user: UserId) -> Key {
    Key::new(format!("USER#{user}"), "USER")
}

/// The decoy: what stands for a username that nobody has, under the id that the name comes to.
pub fn decoy(user: UserId) -> Key {
    Key {
        sk: "DECOY".into(),
        ..self::user(user)
    }
}

/// A username of an account: whose it is, and the password.
pub fn name(account: AccountId, username: &str) -> Key {
    Key::new(
        format!(
            "NAME#{account}#{}",
            Fingerprint::of(username.as_bytes()).encode()
        ),
        "NAME",
    )
}

/// Strangers' wrong passwords for a username. It stands for unknown names as well.
pub fn name_failures(account: AccountId, username: &str) -> Key {
    Key {
        sk: "FAILURES".into(),
        ..name(account, username)
    }
}

/// The wrong passwords for a username from addresses that its user is known at.
pub fn name_known_failures(account: AccountId, username: &str) -> Key {
    Key {
        sk: "KNOWN-FAILURES".into(),
        ..name(account, username)
    }
}

/// The passwords for a username that were refused without a comparison. It stands for unknown names
/// as well.
pub fn name_refused(account: AccountId, username: &str) -> Key {
    Key {
        sk: "REFUSED".into(),
        ..name(account, username)
    }
}

/// The links asked for with a username. It stands for unknown names as well.
pub fn name_sends(account: AccountId, username: &str) -> Key {
    Key {
        sk: "SENDS".into(),
        ..name(account, username)
    }
}

/// The failed sign-ins of a client IP.
pub fn client_ip_failures(client_ip: &str) -> Key {
    Key::new(format!("SOURCE#{client_ip}"), "FAILURES")
}

/// The codes sent at the wish of a client IP.
pub fn client_ip_sends(client_ip: &str) -> Key {
    Key::new(format!("SOURCE#{client_ip}"), "SENDS")
}

/// A subject of an account's issuer: whose it is.
pub fn sso_subject(account: AccountId, issuer: &str, subject: &str) -> Key {
    let named = Fingerprint::of(format!("{issuer}\n{subject}").as_bytes()).encode();
    Key::new(format!("SSO#{account}#{named}"), "SSO")
}

/// An ID token that was used, by the fingerprint of what was signed.
pub fn used_id_token(account: AccountId, fingerprint: &str) -> Key {
    Key::new(format!("IDTOKEN#{account}#{fingerprint}"), "IDTOKEN")
}

/// The SMS that an account may still send to a country in an hour.
pub fn send_budget(account: AccountId, country: &str, hour: i64) -> Key {
    Key::new(
        format!("BUDGET#{account}#{country}"),
        format!("HOUR#{hour:012}"),
    )
}

/// The codes sent to a destination, in the name of whichever account. In whichever case an address
/// is written, it is one mailbox: of the domain that is so by rule, of what stands before it nearly
/// everywhere. What is mailed goes to the address as it was given.
pub fn destination_sends(destination: &str) -> Key {
    let one_mailbox = destination.to_ascii_lowercase();
    Key::new(
        format!(
            "DESTINATION#{}",
            Fingerprint::of(one_mailbox.as_bytes()).encode()
        ),
        "SENDS",
    )
}

/// The codes sent to a destination in the name of an account.
pub fn account_sends(destination: &str, account: AccountId) -> Key {
    Key {
        sk: format!("SENDS#{account}"),
        ..destination_sends(destination)
    }
}

/// The codes sent to a contact that waits for its first one, in the name of an account.
pub fn pending_sends(destination: &str, account: AccountId) -> Key {
    Key {
        sk: format!("PENDING#{account}"),
        ..destination_sends(destination)
    }
}

/// The links after a forgotten password that a client IP asked for. Anybody may ask for them:
/// they use up nobody's codes.
pub fn client_ip_links(client_ip: &str) -> Key {
    Key {
        sk: "LINKS".into(),
        ..client_ip_sends(client_ip)
    }
}

/// The links after a forgotten password that were mailed to a destination in the name of an
/// account.
pub fn account_links(destination: &str, account: AccountId) -> Key {
    Key {
        sk: format!("LINKS#{account}"),
        ..destination_sends(destination)
    }
}

/// An entry of a subject's audit chain. The subject is a user, or the account itself.
pub fn audit_entry(account: AccountId, subject: &str, sequence: u64) -> Key {
    Key::new(audit_chain(account, subject), format!("{sequence:012}"))
}

/// The partition of a subject's audit chain.
pub fn audit_chain(account: AccountId, subject: &str) -> String {
    format!("AUDIT#{account}#{subject}")
}

/// What was answered to a request with an `Idempotency-Key`.
pub fn idempotency(caller: &str, key: &str) -> Key {
    let named = Fingerprint::of(format!("{caller}\n{key}").as_bytes()).encode();
    Key::new(format!("IDEMPOTENCY#{named}"), "IDEMPOTENCY")
}

/// A one-time link, by its token's fingerprint.
pub fn link(fingerprint: &str) -> Key {
    Key::new(format!("LINK#{fingerprint}"), "LINK")
}

/// The one-time code that a link's `redirect_uri` is given, by its fingerprint.
pub fn exchange(fingerprint: &str) -> Key {
    Key::new(format!("EXCHANGE#{fingerprint}"), "EXCHANGE")
}

/// An account's claim to a web origin: what a CORS preflight, which names no account, is answered
/// from.
pub fn origin(origin: &str, account: AccountId) -> Key {
    Key::new(origins(origin), account.to_string())
}

/// The partition of the accounts that claim an origin.
pub fn origins(origin: &str) -> String {
    format!("ORIGIN#{origin}")
}

/// A message of the outbox, on an item of its own.
pub fn outbox(id: &str) -> Key {
    Key::new(format!("OUTBOX#{id}"), "MAIL")
}

/// The sort key of a log of notices.
pub const NOTICES: &str = "NOTICES";

/// The log of the notices to a destination in the name of an account, and those that are held.
pub fn notices(destination: &str, account: AccountId) -> Key {
    let one_mailbox = destination.to_ascii_lowercase();
    Key::new(
        format!(
            "OUTBOX#notices#{account}#{}",
            Fingerprint::of(one_mailbox.as_bytes()).encode()
        ),
        NOTICES,
    )
}

/// The listing of an account's users.
pub fn users(account: AccountId) -> String {
    format!("ACCOUNT#{account}#USERS")
}

/// An agreement, and the head of its audit chain.
pub fn agreement(agreement: AgreementId) -> Key {
    Key::new(agreement_partition(agreement), "AGREEMENT")
}

/// What was first asked and answered when the agreement was sent: its idempotency record, kept for
/// ever.
pub fn agreement_request(agreement: AgreementId) -> Key {
    Key::new(agreement_partition(agreement), "REQUEST")
}

/// A recipient of an agreement.
pub fn recipient(agreement: AgreementId, recipient: RecipientId) -> Key {
    Key::new(
        agreement_partition(agreement),
        format!("RECIPIENT#{recipient}"),
    )
}

/// A link that was mailed to a recipient besides those that the recipient's item names. Apart from
/// the agreement's own partition, which is read as a whole.
pub fn agreement_link(agreement: AgreementId, fingerprint: &str) -> Key {
    Key::new(
        format!("{}#LINKS", agreement_partition(agreement)),
        fingerprint,
    )
}

/// The partition of an agreement and its recipients.
pub fn agreement_partition(agreement: AgreementId) -> String {
    format!("AGREEMENT#{agreement}")
}

/// The listing of an account's agreements.
pub fn agreements(account: AccountId) -> String {
    format!("ACCOUNT#{account}#AGREEMENTS")
}

/// A shard of an account's balance of prepaid transactions.
pub fn balance(account: AccountId, shard: u8) -> Key {
    Key::new(format!("BALANCE#{account}#{shard}"), "BALANCE")
}

/// What was told of an account's balance being low.
pub fn balance_notice(account: AccountId) -> Key {
    Key::new(format!("BALANCE#{account}#0"), "NOTICE")
}

/// A group's part in a shard of its account's balance. A partition of its own: the shard's takes a
/// thousand units a second.
pub fn quota_share(account: AccountId, shard: u8, group: &str) -> Key {
    Key::new(quota_shares(account, shard), group)
}

/// The partition of the groups' parts in a shard.
pub fn quota_shares(account: AccountId, shard: u8) -> String {
    format!("SHARE#{account}#{shard}")
}

/// An entry of an account's ledger: where it stands follows from its id alone, so that the same id
/// is found again.
pub fn ledger_entry(account: AccountId, id: &str) -> Key {
    let [first, ..] = Fingerprint::of(id.as_bytes()).short();
    Key::new(ledger(account, first % LEDGER_PARTITIONS), id)
}

/// One of the partitions of an account's ledger.
pub fn ledger(account: AccountId, partition: u8) -> String {
    format!("LEDGER#{account}#{partition}")
}

/// The listing of the entries that began at a shard.
pub fn ledger_listing(account: AccountId, shard: u8) -> String {
    format!("ACCOUNT#{account}#LEDGER#{shard}")
}

/// What was answered to a top-up: kept for ever.
pub fn topup(key: &str) -> Key {
    Key::new(
        format!("TOPUP#{}", Fingerprint::of(key.as_bytes()).encode()),
        "TOPUP",
    )
}

/// A session of knowledge-based authentication.
pub fn session(session: SessionId) -> Key {
    Key::new(format!("SESSION#{session}"), "SESSION")
}

/// That a message of the provider was taken: `message` names it, and the session that it is about.
pub fn webhook(message: &str) -> Key {
    Key::new(format!("WEBHOOK#{message}"), "WEBHOOK")
}

/// The agreement of the recipient whose item stands at `recipient`.
pub fn agreement_beside(recipient: &Key) -> Key {
    Key::new(recipient.pk.clone(), "AGREEMENT")
}

/// A partition of what is due.
pub fn due_shard(shard: u8) -> String {
    format!("DUE#{shard}")
}
