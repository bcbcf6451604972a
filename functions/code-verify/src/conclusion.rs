//! What comes of a counted attempt: one transaction, and the answer.

use shared::messaging::send_budget::Budget;
use shared::messaging::send_budget::credit::Credit;
use shared::signin::challenge::{ATTEMPTS_MAX, Challenge, ChallengeRefusal, Place, Proven};
use shared::signin::code::evidence::{CodeComparison, CodeVerdict, Evidence};
use shared::signin::completion::Completion;
use shared::signin::sign_in::Answer;
use shared::signin::user::{Method, User};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Item, RetryPolicy, Update, Write, keys, read};
use shared::web::http::{Call, Problem, Slug};

use crate::{Counted, take_back};

impl Counted {
    /// Concludes the attempt of `code`.
    pub async fn conclude(self, app: &App, call: &Call, code: &str) -> Result<Answer, Problem> {
        let verdict = match self.judge(code) {
            Ok(verdict) => verdict,
            // Nothing was compared.
            Err(problem) => {
                self.take_back(app).await;
                return Err(problem);
            }
        };
        match verdict {
            CodeVerdict::Right(evidence) => self.accept(app, call, &evidence).await,
            CodeVerdict::Wrong => {
                self.record(app, call, "wrong-code", false).await?;
                Err(self.refused(Slug::CodeInvalid))
            }
            CodeVerdict::Used => {
                self.record(app, call, "used", true).await?;
                Err(self.refused(Slug::CodeInvalid))
            }
            CodeVerdict::Superseded => {
                self.record(app, call, "superseded", true).await?;
                Err(self.refused(Slug::CodeSuperseded))
            }
            CodeVerdict::Expired => {
                self.take_back(app).await;
                Err(Problem::new(Slug::CodeExpired))
            }
        }
    }

    async fn take_back(&self, app: &App) {
        take_back(app, self.attempt().take_back(&self.before), self.method).await;
    }

    /// Compares the code, where the challenge leads anywhere and the keys are to be had.
    fn judge(&self, code: &str) -> Result<CodeVerdict, Problem> {
        let comparison = CodeComparison {
            ticket: &self.ticket,
            user: &self.before,
            challenge: self.open_challenge()?,
            method: self.method,
            now: self.now,
        };
        Ok(comparison.judge(code, &self.keyring)?)
    }

    /// The challenge that the attempt was counted on, if it leads anywhere, and by this method: its
    /// link may have been spent by another challenge, and what the account allows may have changed.
    fn open_challenge(&self) -> Result<&Challenge, Problem> {
        let challenge = self
            .ticket
            .challenge(&self.before, self.now)
            .map_err(|refusal| refusal.problem(self.now))?;
        if !challenge.primary.leads_on(&self.settings) {
            return Err(ChallengeRefusal::Expired.problem(self.now));
        }
        let usable = self
            .before
            .can_use(self.method, self.settings.second_factor.methods)
            && challenge.primary.admits(self.method);
        if usable {
            Ok(challenge)
        } else {
            Err(Problem::new(Slug::MethodNotEnabled))
        }
    }

    /// Consumes the code and the challenge, spends the link that opened it, clears the factor, and
    /// signs the token: whoever writes first has it.
    async fn accept(&self, app: &App, call: &Call, evidence: &Evidence) -> Result<Answer, Problem> {
        let challenge = self
            .ticket
            .challenge(&self.before, self.now)
            .map_err(|refusal| refusal.problem(self.now))?;
        let completion = Completion::of(
            &self.ticket,
            challenge,
            self.method,
            &self.hashed_ip,
            &app.entropy,
            self.now,
        );
        let completion = completion.telling(&self.before, &app.table).await?;
        let mut user = self.before.clone();
        let mut retries = RetryPolicy::default();
        let mut credit = Credit::new(self.credit(challenge));
        loop {
            let mut writes = self.acceptance(call, &user, &completion, evidence)?;
            writes.extend(credit.within().map(Write::from));
            let written = app.table.transact(writes).await;
            credit.learn(&written);
            let Err(failure) = written else {
                credit.give(app).await;
                return Ok(completion.answer(app, call, &self.keyring, &user, &self.token)?);
            };
            let too_late = completion.came_too_late(&failure);
            user = self.stands(app, failure, &mut retries).await?;
            let good = if too_late {
                Err(ChallengeRefusal::Used.problem(self.now))
            } else {
                self.still_good(&user, evidence)
            };
            if let Err(problem) = good {
                self.record(app, call, problem.slug().name(), true).await?;
                return Err(problem);
            }
        }
    }

    /// The writes that complete the sign-in of the user as it stands.
    fn acceptance(
        &self,
        call: &Call,
        user: &User,
        completion: &Completion,
        evidence: &Evidence,
    ) -> Result<Vec<Write>, Failure> {
        let acr = serde_json::to_value(completion.proof.acr).unwrap_or_default();
        let event = self.event(call).with("acr", acr);
        let event = completion
            .link()
            .into_iter()
            .fold(event, |event, link| event.with("link", link));
        let (update, told, others) = completion.consume(user, self.spent(evidence))?;
        let mut writes = user.change(update, told.into_iter().chain([event]), self.now)?;
        writes.extend(others);
        Ok(writes)
    }

    /// What a sign-in that was completed by SMS gives back to the SMS budget.
    fn credit(&self, challenge: &Challenge) -> Option<Update> {
        let country = self
            .before
            .phone_country
            .as_deref()
            .filter(|_| self.method == Method::Sms)?;
        Some(
            Budget {
                account: self.before.account,
                country,
            }
            .verified(&challenge.sms, self.now),
        )
    }

    /// The update that spends the code, under the condition that nothing was since spent, expired
    /// or superseded.
    fn spent(&self, evidence: &Evidence) -> Update {
        let proven = Proven {
            place: &self.ticket,
            method: self.method,
            origin: self.origin(),
            now: self.now,
        };
        evidence.spend(&self.before, &proven)
    }

    /// Whether a right code is still right on the item as it stands now.
    fn still_good(&self, user: &User, evidence: &Evidence) -> Result<(), Problem> {
        let challenge = self
            .ticket
            .challenge(user, self.now)
            .map_err(|refusal| refusal.problem(self.now))?;
        if evidence.holds(user, challenge, self.method) {
            Ok(())
        } else if let Evidence::Sent(_) = evidence {
            Err(self.refused(Slug::CodeSuperseded))
        } else {
            Err(self.refused(Slug::CodeInvalid))
        }
    }

    /// The challenge as it stood before the attempt.
    fn challenge(&self) -> Option<&Challenge> {
        self.before.challenges.get(&self.ticket.name)
    }

    /// Writes down an attempt that failed. Where it was no guess, its count on the factor is taken
    /// back in the same transaction.
    async fn record(
        &self,
        app: &App,
        call: &Call,
        reason: &'static str,
        taken_back: bool,
    ) -> Result<(), Problem> {
        let mut user = self.before.clone();
        let mut retries = RetryPolicy::default();
        let mut epoch_holds = taken_back;
        loop {
            let update = if epoch_holds {
                self.attempt().uncount(user.touch(), &self.before)
            } else {
                user.touch()
            };
            let failed = self.event(call).failed().with("reason", reason);
            let lockout = self.lockout(call).filter(|_| !taken_back);
            let events = std::iter::once(failed).chain(lockout);
            let writes = user.change(update, events, self.now)?;
            let Err(failure) = app.table.transact(writes).await else {
                return Ok(());
            };
            user = self.stands(app, failure, &mut retries).await?;
            // A success has cleared the count meanwhile: there is nothing left to take back.
            epoch_holds = taken_back
                && user.factor(self.method).epoch == self.before.factor(self.method).epoch;
        }
    }

    /// The entry of the delay or the end that this failure brought on.
    fn lockout(&self, call: &Call) -> Option<Event> {
        let event = self.attempt().lockout(&self.before)?;
        let event = event.with("addresses", self.origin().name());
        Some(event.from(call.client_ip))
    }

    /// The user as it stands after a write that lost a race.
    async fn stands(
        &self,
        app: &App,
        failure: Failure,
        retries: &mut RetryPolicy,
    ) -> Result<User, Problem> {
        if let Failure::Unavailable(_) = failure {
            return Err(failure.into());
        }
        let key = keys::user(self.ticket.user);
        let stood: Option<Item> = if let Some(item) = failure.stood_at(&key) {
            retries.at_once()?;
            Some(item.clone())
        } else {
            retries.wait(&app.entropy).await?;
            app.table.find(key).await?
        };
        match stood.filter(|item| !item.is_empty()) {
            Some(item) => Ok(read(item)?),
            None => Err(ChallengeRefusal::Unknown.problem(self.now)),
        }
    }

    fn refused(&self, slug: Slug) -> Problem {
        let before = self
            .challenge()
            .map_or(ATTEMPTS_MAX, Challenge::attempts_left);
        Problem::new(slug).with("attempts_left", before.saturating_sub(1))
    }

    fn event(&self, call: &Call) -> Event {
        Event::new(Action::CodeVerified, Actor::User(self.ticket.user))
            .from(call.client_ip)
            .with("method", self.method.name())
    }
}
