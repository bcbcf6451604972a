//! Phones that are set up.

use reqwest::Method;
use serde_json::json;
use tests::contacts::confirm;

use super::Trial;

impl Trial {
    /// Sets up a phone with a challenge.
    pub(super) async fn enrol_phone(&mut self, which: usize) {
        let (challenge, number) = (self.challenges[which].clone(), self.another_number());
        let who = self.reference.challenges[which].person;
        let expected = self.reference.enrol_phone(which);
        let begun = self
            .at()
            .post(
                "/v1/factors/sms",
                json!({"challenge": challenge, "phone": number}),
            )
            .await;
        self.hold(&begun, &expected);
        if expected.status != 202 {
            return;
        }
        self.messages += 1;
        let body = json!({"challenge": challenge, "factor": begun.text("factor"), "code": self.world.last_code().await});
        let confirmed = self
            .at()
            .post("/v1/factors/sms/confirm", body)
            .await
            .expect(200);
        self.signed(&confirmed.body["authenticated"], who, "two-factor");
        self.moved(who, number);
    }

    /// Sets up another phone with a token.
    pub(super) async fn new_phone(&mut self, which: usize) {
        let (token, number) = (self.tokens[which].clone(), self.another_number());
        let who = self.reference.holder(which);
        let expected = self.reference.new_phone(which);
        let begun = self
            .at()
            .send(
                Method::POST,
                "/v1/factors/sms",
                Some(&token),
                Some(json!({"phone": number})),
            )
            .await;
        self.hold(&begun, &expected);
        if expected.status != 202 {
            return;
        }
        self.messages += 1;
        let code = self.world.last_code().await;
        let _ = confirm(&self.world, &token, "sms", &begun.text("factor"), &code)
            .await
            .expect(200);
        self.moved(who, number);
    }

    /// Somebody has another phone: the mailbox and the phone before are told.
    fn moved(&mut self, who: usize, number: String) {
        let mailbox = self.reference.people[who]
            .has_email
            .then(|| format!("mailbox of {who}"));
        let before = self.phones.insert(who, number);
        self.owe(mailbox.into_iter().chain(before));
    }

    fn another_number(&mut self) -> String {
        self.numbers += 1;
        format!("+1303555{:04}", 100 + self.numbers)
    }
}
