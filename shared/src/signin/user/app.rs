//! A user's authenticator app, and the recovery codes that stand in for it, as they come and go.

use super::attribute::{APP, ENROLMENT, RECOVERY, RESET_AT, VERSION};
use super::factor::clear;
use super::known::Origin;
use super::{Method, User};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::FactorId;
use crate::signin::recovery::Codes;
use crate::signin::totp::{ATTEMPTS_MAX, App, Enrolment, app_is};
use crate::store::dynamo::{Condition, Failure, Path, Update, document};

/// The ids of the attempts at the app that is to be confirmed.
fn attempts() -> Path {
    ENROLMENT.member("attempts")
}

/// When it is over.
fn expires_at() -> Path {
    ENROLMENT.member("expires_at")
}

/// That this app is the one that is to be confirmed ([`User::awaits_app`]).
fn is_awaited(app: FactorId) -> Condition {
    ENROLMENT.member("id").is(app.to_string())
}

impl User {
    /// The app that is to be confirmed, if it is this one and not over.
    pub fn unconfirmed_app(&self, app: FactorId, now: Timestamp) -> Option<&Enrolment> {
        let is_it = |pending: &&Enrolment| pending.id == app && pending.expires_at > now;
        self.enrolment.as_ref().filter(is_it)
    }

    /// Whether this app is the one that is to be confirmed, over or not.
    pub fn awaits_app(&self, app: FactorId) -> bool {
        let pending = self.enrolment.as_ref();
        pending.is_some_and(|pending| pending.id == app)
    }

    /// The app that is to be confirmed as it was before `attempt` was counted, if it was.
    pub fn app_before(&self, attempt: &str) -> Option<Enrolment> {
        let pending = self.enrolment.as_ref()?;
        let place = pending.attempts.iter().position(|id| id == attempt)?;
        Some(Enrolment {
            attempts: pending.attempts.iter().take(place).cloned().collect(),
            ..pending.clone()
        })
    }

    /// The update that lets an app wait to be confirmed. It takes the place of one that was begun
    /// before and not confirmed.
    pub fn begin_app(&self, enrolment: &Enrolment) -> Result<Update, Failure> {
        let update = self.touch().set(ENROLMENT, document(enrolment)?);
        Ok(update.set_due(enrolment.expires_at))
    }

    /// The update that counts an attempt at an app that is to be confirmed, before anything is
    /// compared, and once, however often the SDK repeats it.
    ///
    /// Its conditions repeat [`User::unconfirmed_app`] and [`Enrolment::attempts_left`].
    pub fn count_app_attempt(&self, app: FactorId, attempt: &str, now: Timestamp) -> Update {
        self.touch()
            .append(attempts(), vec![attempt])
            .when(is_awaited(app))
            .when(expires_at().is_above(now))
            .when(attempts().has_fewer_than(ATTEMPTS_MAX))
            .when(!attempts().contains(attempt))
    }

    /// The update that makes the app a factor, in the place of an earlier one and with new recovery
    /// codes, once the code of `step` was typed: whoever writes first has it.
    ///
    /// Its condition repeats [`User::awaits_app`]. The attempt itself is counted: what matters is
    /// that it is still the one to be confirmed.
    pub fn confirm_app(
        &self,
        enrolment: &Enrolment,
        step: u64,
        codes: &Codes,
        now: Timestamp,
    ) -> Result<Update, Failure> {
        let app = App {
            id: enrolment.id,
            sealed: enrolment.sealed.clone(),
            last_step: step,
            enrolled_at: now,
        };
        let update = self
            .touch()
            .set(APP, document(&app)?)
            .set(RECOVERY, document(codes)?)
            .increase(VERSION, 1_u64)
            .remove(ENROLMENT)
            .remove(RESET_AT)
            .when(is_awaited(app.id));
        // Whatever was typed for an app before it says nothing of this one.
        Ok(clear(update, Method::Totp, Origin::Known))
    }

    /// The update that takes away this app, under the condition that it is the user's still.
    pub fn remove_app(&self, app: FactorId) -> Update {
        self.without_app().when(app_is(app))
    }

    /// The update that takes away the app, whatever stands in for it, and their counts.
    pub(super) fn without_app(&self) -> Update {
        let update = self
            .touch()
            .increase(VERSION, 1_u64)
            .remove(APP)
            .remove(RECOVERY)
            .remove(ENROLMENT);
        let update = clear(update, Method::Totp, Origin::Known);
        clear(update, Method::RecoveryCode, Origin::Known)
    }

    /// The update that makes these the recovery codes, under the condition that there is an app
    /// that they can stand in for.
    pub fn replace_recovery_codes(&self, codes: &Codes) -> Result<Update, Failure> {
        let update = self.touch().set(RECOVERY, document(codes)?);
        Ok(update.when(APP.exists()))
    }
}
