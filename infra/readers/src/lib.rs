//! Whatever reads bytes that strangers write, each as a function of bytes. It ends whatever they
//! are, and holds what is so of anything: what is taken is what it says that it is, what is shown
//! for it reads back as the same, and nothing is taken for what nobody of ours has signed.
//!
//! `infra/fuzz` has a target for each, and `infra/fuzz/seeds` what each begins with. The test
//! `workspace` runs each over its seeds, and holds that whatever decodes something is among
//! [`ALL`]'s files.

mod files;
mod requests;
mod texts;
mod tokens;

pub use files::{json, keyring, provider_answer, report};
pub use requests::{body, callback, event, settings, webhook};
pub use texts::{address, allowlist, client_ip, code, config, contact, id, name, text_message};
pub use tokens::{access_token, challenge, id_token, issuer_keys, link, report_link};

/// A reader of foreign bytes.
#[derive(Debug)]
pub struct Reader {
    /// What its target and the folder of its seeds are called.
    pub name: &'static str,
    /// The files of the workspace in which it is read.
    pub files: &'static [&'static str],
    /// Reads.
    pub read: fn(&[u8]),
}

macro_rules! readers {
    ($($name:ident [$($file:literal),+];)+) => {
        /// All of them.
        pub const ALL: &[Reader] = &[$(Reader {
            name: stringify!($name),
            files: &[$($file),+],
            read: $name,
        }),+];
    };
}

readers! {
    access_token ["shared/src/signin/access_token.rs"];
    address ["shared/src/kernel/outbound/mod.rs", "shared/src/signin/exchange.rs", "shared/src/account/rules.rs"];
    allowlist ["shared/src/account/allowlist.rs"];
    body ["shared/src/web/http/call.rs", "functions/agreements/src/draft.rs", "functions/users/src/patch.rs"];
    callback ["shared/src/agreement/kba/callback.rs"];
    challenge ["shared/src/signin/challenge.rs", "shared/src/signin/challenge/seal.rs", "shared/src/agreement/token.rs"];
    client_ip ["shared/src/kernel/client_ip.rs"];
    code ["shared/src/signin/totp.rs", "shared/src/signin/recovery.rs"];
    config ["shared/src/kernel/config.rs"];
    contact ["shared/src/kernel/contact.rs"];
    event ["shared/src/web/http/call.rs", "shared/src/web/http/cursor.rs", "shared/src/web/http/accept.rs", "shared/src/web/idempotency.rs"];
    id ["shared/src/kernel/ids.rs"];
    id_token ["shared/src/signin/sso/token.rs"];
    issuer_keys ["shared/src/signin/sso/keys.rs"];
    json ["shared/src/kernel/json.rs"];
    keyring ["shared/src/kernel/keyring/mod.rs", "shared/src/kernel/keyring/document.rs"];
    link ["shared/src/signin/link.rs", "shared/src/signin/exchange.rs", "shared/src/agreement/token.rs"];
    name ["shared/src/signin/user/username.rs", "shared/src/signin/user/password.rs"];
    provider_answer ["shared/src/agreement/provider/mod.rs"];
    report ["shared/src/agreement/report/verify.rs", "shared/src/agreement/report/shape.rs", "shared/src/agreement/report/statement.rs", "shared/src/agreement/report/join.rs"];
    report_link ["shared/src/agreement/report/link.rs"];
    settings ["shared/src/account/overrides.rs", "shared/src/account/rules.rs"];
    text_message ["shared/src/messaging/courier/code.rs", "shared/src/messaging/courier/gsm7.rs"];
    webhook ["shared/src/agreement/kba/webhook.rs"];
}

/// The text, cut into its lines; what is no UTF-8 is replaced.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split('\n').map(str::to_owned).collect()
}
