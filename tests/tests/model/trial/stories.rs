//! What a random sequence meets too seldom to rely on it: short stories, each in a world of its own, held against the same reference.

use super::Trial;
use crate::reference::{Channel, Typed};
use crate::rules::{CODE, LINK};
use crate::{Seen, Step};

const ANN: usize = 0;
const BEN: usize = 1;
const CID: usize = 2;
const EVE: usize = 3;
/// Wrong codes after which a factor is delayed.
const DELAYED_AT: usize = 10;
/// Texts that a number is sent in ten minutes.
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

const STORIES: usize = 8;

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
            _ => self.methods_are_switched_off().await,
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
        let Some(which) = self.login(ANN, true, false).await else { return };
        self.send(which, Channel::Sms).await;
        self.arrange(&Step::Wait(60)).await;
        self.send(which, Channel::Sms).await;
        self.verify(which, Channel::Sms, Typed::Before).await;
        self.arrange(&Step::Wait(CODE)).await;
        self.verify(which, Channel::Sms, Typed::Last).await;
    }

    async fn a_number_is_sent_no_more(&mut self) {
        for _ in 0..=TEXTS {
            let Some(which) = self.login(ANN, true, false).await else { return };
            self.send(which, Channel::Sms).await;
        }
    }

    async fn an_app_is_guessed_at(&mut self) {
        self.guess(CID, Channel::App, DELAYED_AT + 1).await;
        self.sign_in(CID, Channel::App).await;
    }

    async fn recovery_codes_are_guessed_at(&mut self) {
        self.guess(CID, Channel::Recovery, DELAYED_AT + 1).await;
        self.sign_in(CID, Channel::Recovery).await;
    }

    async fn nothing_is_taken_twice(&mut self) {
        self.arrange(&Step::Wait(60)).await;
        for (channel, typed) in [(Channel::App, Typed::Shown(0)), (Channel::Recovery, Typed::Noted(0))] {
            self.sign_in(CID, channel).await;
            let Some(which) = self.login(CID, true, true).await else { return };
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
        let Some(which) = self.login(EVE, true, false).await else { return };
        self.arrange(&Step::Set("totp", false)).await;
        self.enrol(which).await;
        self.arrange(&Step::Set("email", true)).await;
        self.arrange(&Step::Set("sms", false)).await;
        let _ = self.login(BEN, true, false).await;
    }
}
