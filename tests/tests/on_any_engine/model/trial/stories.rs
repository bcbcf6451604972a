//! What a random sequence meets too seldom to rely on it: short stories, each in a world of its
//! own, held against the same reference.

use shared::kernel::clock::{Span, Timestamp};
use shared::store::dynamo::{Key, Update, keys};
use tests::path;

use super::Trial;
use crate::model::reference::{Channel, Origin, Typed};
use crate::model::rules::{CODE, Count, DISABLED_AT, FRESH, LINK, Moments};
use crate::model::{Seen, Step};

const ANN: usize = 0;
const BEN: usize = 1;
const CID: usize = 2;
const EVE: usize = 3;
/// Wrong codes after which a factor is delayed.
const DELAYED_AT: usize = 10;
/// Tries of a challenge.
const TRIES: usize = 5;
/// Failed sign-ins of an address in five minutes, and codes sent at its wish.
const FAILURES_HERE: usize = 100;
const SENDS_HERE: usize = 25;
/// The address that everybody begins at.
const HERE: &str = super::ADDRESSES[0];
/// SMS that a number is sent in ten minutes.
const TEXTS: usize = 5;

/// Plays all of them; answers with the rules that they met.
pub async fn play() -> Seen {
    let mut seen = Seen::new();
    for story in 0..STORIES {
        let mut trial = Trial::begin().await;
        trial.tell(story).await;
        for (rule, times) in trial.end().await {
            *seen.entry(rule).or_default() += times;
        }
    }
    seen
}

const STORIES: usize = 22;

impl Trial {
    async fn tell(&mut self, story: usize) {
        match story {
            0 => self.staff_need_no_second_factor().await,
            1 => self.codes_are_superseded_and_end().await,
            2 => self.a_number_is_sent_no_more().await,
            3 => self.an_app_is_guessed_at().await,
            4 => self.recovery_codes_are_guessed_at().await,
            5 => self.nothing_is_taken_twice().await,
            6 => self.a_link_is_spent().await,
            7 => self.codes_by_mail_are_guessed_at().await,
            8 => self.a_source_is_blocked().await,
            9 => self.a_source_is_sent_no_more().await,
            10 => self.a_phone_is_disabled_and_nothing_else_is_there().await,
            11 => {
                self.an_app_is_disabled_and_its_recovery_codes_are_not()
                    .await;
            }
            12 => self.methods_are_switched_off().await,
            13 => self.strangers_open_challenges().await,
            14 => {
                self.who_has_no_known_address_leaves_all_to_strangers()
                    .await;
            }
            15 => self.codes_are_guessed_at_a_known_address().await,
            16 => self.passwords_are_guessed_until_the_end().await,
            17 => self.the_password_before_is_guessed_at().await,
            18 => self.a_phone_is_guessed_at().await,
            19 => self.texts_go_unanswered().await,
            20 => self.a_person_is_sent_no_more().await,
            _ => self.phones_are_set_up().await,
        }
    }

    async fn staff_need_no_second_factor(&mut self) {
        self.arrange(&Step::Allowlist(true)).await;
        let _ = self.login(BEN, true, false).await;
        let _ = self.login(BEN, true, true).await;
        let _ = self.login(ANN, true, false).await;
        self.arrange(&Step::Allowlist(false)).await;
        self.arrange(&Step::Set("internal_required", false)).await;
        let _ = self.login(BEN, true, false).await;
    }

    async fn codes_are_superseded_and_end(&mut self) {
        let Some(which) = self.login(ANN, true, false).await else {
            return;
        };
        self.arrange(&Step::Pump(0)).await;
        self.send(which, Channel::Sms).await;
        self.arrange(&Step::Pump(100)).await;
        for _ in 0..2 {
            self.send(which, Channel::Sms).await;
        }
        self.arrange(&Step::Wait(60)).await;
        self.send(which, Channel::Sms).await;
        self.verify(which, Channel::Sms, Typed::Before).await;
        self.arrange(&Step::Wait(CODE)).await;
        self.verify(which, Channel::Sms, Typed::Last).await;
    }

    async fn a_number_is_sent_no_more(&mut self) {
        for _ in 0..=TEXTS {
            let Some(which) = self.login(ANN, true, false).await else {
                return;
            };
            self.send(which, Channel::Sms).await;
        }
    }

    /// Ten in an hour, by text and by mail; from where the person is known the half that is kept is
    /// still there.
    async fn a_person_is_sent_no_more(&mut self) {
        self.arrange(&Step::Set("email", true)).await;
        for channel in [Channel::Sms, Channel::Email] {
            for _ in 0..=TEXTS {
                let Some(which) = self.login(ANN, true, false).await else {
                    return;
                };
                self.send(which, channel).await;
            }
        }
        self.arrange(&Step::Wait(CODE)).await;
        let Some(which) = self.login(ANN, true, false).await else {
            return;
        };
        self.send(which, Channel::Sms).await;
        self.arrange(&Step::Wait(3_600)).await;
        self.sign_in(ANN, Channel::Sms).await;
        for channel in [Channel::Email, Channel::Sms, Channel::Email] {
            for _ in 0..TEXTS {
                let Some(which) = self.login(ANN, true, false).await else {
                    return;
                };
                self.send(which, channel).await;
            }
        }
    }

    async fn phones_are_set_up(&mut self) {
        let Some(which) = self.login(EVE, true, false).await else {
            return;
        };
        self.enrol_phone(which).await;
        self.sign_in(EVE, Channel::Sms).await;
        let token = self.tokens.len() - 1;
        for _ in 0..3 {
            self.new_phone(token).await;
        }
        self.arrange(&Step::Wait(FRESH + 1)).await;
        self.new_phone(token).await;
        self.new_password(token, true).await;
        self.sign_in(EVE, Channel::Sms).await;
    }

    async fn an_app_is_guessed_at(&mut self) {
        self.arrange(&Step::Move(1)).await;
        self.guess(CID, Channel::App, DELAYED_AT + 1).await;
        self.sign_in(CID, Channel::App).await;
    }

    async fn a_phone_is_guessed_at(&mut self) {
        let Some(which) = self.login(ANN, true, false).await else {
            return;
        };
        for _ in 0..=TRIES {
            self.verify(which, Channel::Sms, Typed::Wrong).await;
        }
        self.guess(ANN, Channel::Sms, DELAYED_AT + 1).await;
    }

    async fn texts_go_unanswered(&mut self) {
        self.arrange(&Step::Pump(0)).await;
        let Some(which) = self.login(ANN, true, false).await else {
            return;
        };
        self.send(which, Channel::Sms).await;
    }

    async fn recovery_codes_are_guessed_at(&mut self) {
        self.arrange(&Step::Move(1)).await;
        self.guess(CID, Channel::Recovery, DELAYED_AT + 1).await;
        self.sign_in(CID, Channel::Recovery).await;
    }

    async fn codes_by_mail_are_guessed_at(&mut self) {
        self.arrange(&Step::Set("email", true)).await;
        self.guess(ANN, Channel::Email, DELAYED_AT + 1).await;
        self.sign_in(ANN, Channel::Email).await;
        // Another factor is not delayed by it.
        self.sign_in(ANN, Channel::Sms).await;
    }

    /// The last but one that the address may have: the next is answered, and the one after it is
    /// not.
    async fn a_source_is_blocked(&mut self) {
        self.was_here(keys::client_ip_failures(HERE), FAILURES_HERE - 1)
            .await;
        self.reference.failures[0] = Moments::at_once(FAILURES_HERE - 1, self.reference.now);
        for who in [ANN, BEN] {
            let _ = self.login(who, false, false).await;
            let _ = self.login(who, true, false).await;
        }
        self.arrange(&Step::Wait(300)).await;
        let _ = self.login(ANN, true, false).await;
    }

    async fn a_source_is_sent_no_more(&mut self) {
        self.was_here(keys::client_ip_sends(HERE), SENDS_HERE - 1)
            .await;
        self.reference.sends[0] = Moments::at_once(SENDS_HERE - 1, self.reference.now);
        for _ in 0..2 {
            let Some(which) = self.login(ANN, true, false).await else {
                return;
            };
            self.send(which, Channel::Sms).await;
        }
        self.arrange(&Step::Wait(300)).await;
        self.sign_in(ANN, Channel::Sms).await;
    }

    async fn a_phone_is_disabled_and_nothing_else_is_there(&mut self) {
        let Some(which) = self.login(ANN, true, false).await else {
            return;
        };
        self.send(which, Channel::Sms).await;
        self.has_failed(ANN, Channel::Sms, DISABLED_AT - 1).await;
        self.verify(which, Channel::Sms, Typed::Wrong).await;
        // A right code is as good as a wrong one, and nothing is sent; waiting does not help.
        for wait in [0, 240] {
            self.arrange(&Step::Wait(wait)).await;
            self.verify(which, Channel::Sms, Typed::Last).await;
            self.send(which, Channel::Sms).await;
        }
        let _ = self.login(ANN, true, false).await;
        self.arrange(&Step::Unlock(ANN)).await;
        self.verify(which, Channel::Sms, Typed::Last).await;
        self.sign_in(ANN, Channel::Sms).await;
    }

    async fn an_app_is_disabled_and_its_recovery_codes_are_not(&mut self) {
        self.arrange(&Step::Wait(60)).await;
        self.has_failed(CID, Channel::App, DISABLED_AT - 1).await;
        self.guess(CID, Channel::App, 2).await;
        self.sign_in(CID, Channel::Recovery).await;
        self.sign_in(CID, Channel::App).await;
        // An administrator's reset takes the count with the app.
        self.arrange(&Step::Reset(CID)).await;
        self.link(CID).await;
        self.redeem(0).await;
        self.enrol(self.challenges.len() - 1).await;
        self.arrange(&Step::Wait(60)).await;
        self.sign_in(CID, Channel::App).await;
    }

    async fn strangers_open_challenges(&mut self) {
        self.sign_in(ANN, Channel::Sms).await;
        for place in [1, 2, 0] {
            self.arrange(&Step::Move(place)).await;
            for _ in 0..21 {
                let _ = self.login(ANN, true, false).await;
            }
        }
        self.arrange(&Step::Wait(600)).await;
        let _ = self.login(ANN, true, false).await;
    }

    async fn who_has_no_known_address_leaves_all_to_strangers(&mut self) {
        for (place, times) in [(0, 20), (1, 20), (2, 18), (3, 3)] {
            self.arrange(&Step::Move(place)).await;
            for _ in 0..times {
                let _ = self.login(ANN, true, false).await;
            }
        }
        // Once something is known, half of it is theirs, whatever strangers took before.
        self.send(60, Channel::Sms).await;
        self.verify(60, Channel::Sms, Typed::Last).await;
        let _ = self.login(ANN, true, false).await;
    }

    async fn codes_are_guessed_at_a_known_address(&mut self) {
        self.sign_in(ANN, Channel::Sms).await;
        self.arrange(&Step::Wait(60)).await;
        // As often as it is delayed, and that does not delay anybody elsewhere.
        self.guess(ANN, Channel::Sms, DELAYED_AT + 1).await;
        self.arrange(&Step::Move(1)).await;
        self.guess(ANN, Channel::Sms, 1).await;
        self.arrange(&Step::Move(0)).await;
        self.arrange(&Step::Wait(30)).await;
        self.sign_in(ANN, Channel::Sms).await;
        self.has_failed_at(ANN, Channel::Sms, DISABLED_AT - 1, Origin::Known)
            .await;
        self.guess(ANN, Channel::Sms, 2).await;
        self.arrange(&Step::Move(1)).await;
        self.sign_in(ANN, Channel::Sms).await;
        self.arrange(&Step::Move(0)).await;
        let _ = self.login(ANN, true, false).await;
    }

    async fn passwords_are_guessed_until_the_end(&mut self) {
        self.sign_in(ANN, Channel::Sms).await;
        for (place, origin) in [(1, Origin::Stranger), (0, Origin::Known)] {
            self.arrange(&Step::Move(place)).await;
            self.has_mistyped(ANN, 5, origin).await;
            for right in [false, true] {
                let _ = self.login(ANN, right, false).await;
            }
            self.has_mistyped(ANN, DISABLED_AT - 1, origin).await;
            for right in [false, true] {
                let _ = self.login(ANN, right, false).await;
            }
            // At home she is let in whatever others do there, and lets them try again.
            self.arrange(&Step::Move(1 - place)).await;
            let _ = self.login(ANN, true, false).await;
            self.arrange(&Step::Move(place)).await;
            let _ = self.login(ANN, true, false).await;
        }
        self.arrange(&Step::Unlock(ANN)).await;
        let _ = self.login(ANN, true, false).await;
    }

    async fn the_password_before_is_guessed_at(&mut self) {
        self.sign_in(ANN, Channel::Sms).await;
        let token = self.tokens.len() - 1;
        for _ in 0..6 {
            self.new_password(token, false).await;
        }
        self.arrange(&Step::Wait(2)).await;
        self.new_password(token, true).await;
        self.me(token).await;
        let _ = self.login(ANN, true, false).await;
    }

    /// Makes it that somebody has typed so many wrong passwords, the last of them so long ago that
    /// no delay is left.
    async fn has_mistyped(&mut self, who: usize, times: u32, origin: Origin) {
        let account = self.world.account.parse().unwrap();
        let key = match origin {
            Origin::Stranger => keys::name_failures(account, &self.people[who].username),
            Origin::Known => keys::name_known_failures(account, &self.people[who].username),
        };
        let now = self.moment();
        let failed = Update::of(key)
            .set(path("failures"), times)
            .set(path("failed_at"), now.minus(Span::hours(1)))
            .set_expiry(now.plus(Span::days(30)));
        let _ = self.world.stack.table().update(failed).await.unwrap();
        let count = Count::long_ago(times, self.reference.now);
        self.reference.people[who]
            .wrong_passwords
            .insert(origin, count);
    }

    async fn has_failed(&mut self, who: usize, channel: Channel, times: u32) {
        self.has_failed_at(who, channel, times, Origin::Stranger)
            .await;
        if !self.reference.people[who].known.is_empty() {
            self.has_failed_at(who, channel, times, Origin::Known).await;
        }
    }

    /// Makes it that somebody has typed so many wrong codes, the last of them so long ago that no
    /// delay is left.
    async fn has_failed_at(&mut self, who: usize, channel: Channel, times: u32, origin: Origin) {
        let key = keys::user(self.people[who].id.parse().unwrap());
        let (count, moment) = match origin {
            Origin::Stranger => ("failures", "failed_at"),
            Origin::Known => ("known_failures", "known_failed_at"),
        };
        let at = self.moment().minus(Span::hours(1));
        let factor = path("factors").member(channel.name());
        let failed = Update::of(key)
            .set(factor.clone().member(count), times)
            .set(factor.member(moment), at);
        let _ = self.world.stack.table().update(failed).await.unwrap();
        let count = Count::long_ago(times, self.reference.now);
        self.reference.people[who]
            .wrong_codes
            .insert((channel, origin), count);
    }

    /// Makes it that so much was counted of the address that everybody is at, just now.
    async fn was_here(&mut self, key: Key, times: usize) {
        let full = Update::of(key).set(path("moments"), vec![self.moment(); times]);
        let _ = self.world.stack.table().update(full).await.unwrap();
    }

    fn moment(&self) -> Timestamp {
        self.world.stack.app().clock.now()
    }

    async fn nothing_is_taken_twice(&mut self) {
        self.arrange(&Step::Wait(60)).await;
        for (channel, typed) in [
            (Channel::App, Typed::Shown(0)),
            (Channel::Recovery, Typed::Noted(0)),
        ] {
            self.sign_in(CID, channel).await;
            let Some(which) = self.login(CID, true, true).await else {
                return;
            };
            self.verify(which, channel, typed).await;
        }
    }

    async fn a_link_is_spent(&mut self) {
        self.link(ANN).await;
        self.redeem(0).await;
        let which = self.challenges.len() - 1;
        self.send(which, Channel::Sms).await;
        self.verify(which, Channel::Sms, Typed::Last).await;
        self.redeem(0).await;
        self.link(ANN).await;
        self.arrange(&Step::Wait(LINK)).await;
        self.redeem(1).await;
    }

    async fn methods_are_switched_off(&mut self) {
        let Some(which) = self.login(EVE, true, false).await else {
            return;
        };
        self.arrange(&Step::Set("totp", false)).await;
        self.enrol(which).await;
        self.arrange(&Step::Set("email", true)).await;
        self.arrange(&Step::Set("sms", false)).await;
        let _ = self.login(BEN, true, false).await;
    }
}
