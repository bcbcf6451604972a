//! What makes a code right, and what consumes it: a code that was sent, one of an app, or a
//! recovery code.

use shared::kernel::clock::Timestamp;
use shared::kernel::ids::FactorId;
use shared::signin::challenge::{Challenge, Refusal};
use shared::signin::code;
use shared::signin::recovery::{self, NEVER};
use shared::signin::totp::{self, Key};
use shared::signin::user::{Method, User};
use shared::store::dynamo::Write;
use shared::web::http::{Problem, Slug};

use crate::Try;

/// What a tried code turns out to be.
#[derive(Debug)]
pub enum Verdict {
    /// It is right, for this reason.
    Right(Evidence),
    /// It is none that there ever was.
    Wrong,
    /// It was right once, and was used.
    Used,
    /// A newer one was sent since.
    Superseded,
    /// Its time is over.
    Expired,
}

/// What makes a code right.
#[derive(Debug)]
pub enum Evidence {
    /// It was sent: this is the digest of its MAC.
    Sent(String),
    /// The app shows it.
    App {
        /// Which app.
        id: FactorId,
        /// The step that it is the code of.
        step: u64,
        /// The secret under the newest key, where it was sealed by an older one.
        resealed: Option<String>,
    },
    /// It is a recovery code with this digest.
    Recovery(String),
}

impl Try {
    /// Compares the code with what stood before the attempt was counted.
    pub(crate) fn judge(&self, code: &str) -> Result<Verdict, Problem> {
        match self.method {
            Method::Sms | Method::Email => self.judge_sent(code),
            Method::Totp => self.judge_app(code),
            Method::RecoveryCode => Ok(
                match recovery::judge(self.before.id, self.before.recovery.as_ref(), code) {
                    recovery::Verdict::Right(digest) => Verdict::Right(Evidence::Recovery(digest)),
                    recovery::Verdict::Used => Verdict::Used,
                    recovery::Verdict::Wrong => Verdict::Wrong,
                },
            ),
        }
    }

    fn judge_sent(&self, code: &str) -> Result<Verdict, Problem> {
        let challenge = self.before.challenges.get(&self.ticket.name);
        let challenge = challenge.ok_or_else(|| Refusal::Expired.problem(self.now))?;
        Ok(
            match code::judge(
                &self.ticket,
                challenge,
                self.method,
                code,
                &self.keyring,
                self.now,
            ) {
                code::Verdict::Right => {
                    let live = challenge.codes.get(self.method.name());
                    Verdict::Right(Evidence::Sent(
                        live.map(|code| code.mac.digest.clone()).unwrap_or_default(),
                    ))
                }
                code::Verdict::Wrong => Verdict::Wrong,
                code::Verdict::Superseded => Verdict::Superseded,
                code::Verdict::Expired => Verdict::Expired,
            },
        )
    }

    fn judge_app(&self, code: &str) -> Result<Verdict, Problem> {
        let Some(app) = &self.before.app else {
            return Ok(Verdict::Wrong);
        };
        let key = Key::open(&app.sealed, self.before.id, app.id, &self.keyring)?;
        Ok(match key.judge(code, Some(app.last_step), self.now) {
            totp::Verdict::Right(step) => {
                let aged = !self.keyring.is_current(&app.sealed, self.now);
                let resealed = aged
                    .then(|| key.seal(self.before.id, app.id, &self.keyring, self.now))
                    .transpose()?;
                Verdict::Right(Evidence::App {
                    id: app.id,
                    step,
                    resealed,
                })
            }
            totp::Verdict::Used => Verdict::Used,
            totp::Verdict::Wrong => Verdict::Wrong,
        })
    }
}

impl Evidence {
    /// Adds to an update what consumes the code, under the condition that nothing else has.
    pub fn consume(&self, update: Write, now: Timestamp) -> Write {
        match self {
            Self::Sent(digest) => update
                .when("#challenges.#c.#codes.#m.#mac.#h = :digest")
                .value("digest", digest.as_str()),
            Self::App { id, step, resealed } => {
                let update = update
                    .and(", #app.#last_step = :step")
                    .when("#app.#id = :app AND #app.#last_step < :step")
                    .value("app", id.to_string())
                    .value("step", *step);
                match resealed {
                    Some(sealed) => update
                        .and(", #app.#sealed = :sealed")
                        .value("sealed", sealed.as_str()),
                    None => update,
                }
            }
            Self::Recovery(digest) => update
                .and(", #recovery.#used.#r = :taken_at")
                .when("#recovery.#used.#r = :never")
                .name("r", digest.as_str())
                .value("taken_at", now)
                .value("never", NEVER),
        }
    }

    /// Whether the code is still right on the user's item as it stands; if not, why.
    pub fn holds(&self, user: &User, challenge: &Challenge, method: Method) -> Result<(), Slug> {
        let (holds, otherwise) = match self {
            Self::Sent(digest) => {
                let live = challenge.codes.get(method.name());
                (
                    live.is_some_and(|code| code.mac.digest == *digest),
                    Slug::CodeSuperseded,
                )
            }
            Self::App { id, step, .. } => (
                user.app
                    .as_ref()
                    .is_some_and(|app| app.id == *id && app.last_step < *step),
                Slug::CodeInvalid,
            ),
            Self::Recovery(digest) => {
                let used_at = user
                    .recovery
                    .as_ref()
                    .and_then(|codes| codes.used.get(digest));
                (used_at == Some(&NEVER), Slug::CodeInvalid)
            }
        };
        if holds { Ok(()) } else { Err(otherwise) }
    }
}
