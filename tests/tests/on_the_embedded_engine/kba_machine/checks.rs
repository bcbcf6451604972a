//! What holds after every step: the service shows what the reference says, and every sum is what
//! its entries make of it.

use std::collections::BTreeMap;

use reqwest::Method as Verb;
use serde_json::{Value, json};
use shared::account::Account;
use shared::agreement::reconcile;
use shared::store::audit;
use shared::store::dynamo::{keys, read};

use crate::kba_machine::books::{Entry, INVITATION};
use crate::kba_machine::trial::Trial;

/// How many of the latest sessions are looked at after each step.
const SESSIONS: usize = 3;

impl Trial {
    pub async fn holds(&self) {
        self.sums().await;
        self.entries().await;
        self.agreements().await;
        self.latest_sessions().await;
        self.mails().await;
    }

    async fn get(&self, path: &str) -> Value {
        self.world
            .backend(Verb::GET, path, None)
            .await
            .expect(200)
            .body
    }

    async fn sums(&self) {
        let (quota, ledger) = (self.get("/v1/quota").await, &self.reference.ledger);
        let of = |name: &str| quota[name].as_i64().unwrap();
        assert_eq!(
            of("purchased"),
            of("available") + of("reserved") + of("consumed")
        );
        let sums = (of("available"), of("reserved"), of("consumed"));
        assert_eq!(sums, (ledger.available, ledger.reserved, ledger.consumed));
        assert!(sums.0 >= 0 && sums.1 >= 0, "{quota}");
        for group in quota["groups"].as_array().unwrap() {
            let share = ledger.shares.get(group["group"].as_str().unwrap()).copied();
            assert_eq!(
                share,
                Some((
                    group["reserved"].as_i64().unwrap(),
                    group["consumed"].as_i64().unwrap()
                )),
                "{group}"
            );
        }
        assert_eq!(
            quota["groups"].as_array().unwrap().len(),
            ledger.shares.len()
        );
    }

    async fn entries(&self) {
        let (mut shown, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/quota/entries{cursor}")).await;
            shown.extend(
                page["entries"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|entry| self.entry(entry)),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("?cursor={next}"),
                None => break,
            }
        }
        let mut expected = self.reference.ledger.entries.clone();
        expected.sort();
        shown.sort();
        assert_eq!(shown, expected);
    }

    fn entry(&self, entry: &Value) -> Entry {
        let kinds = ["topup", "reserve", "consume", "release"];
        let agreement = entry["agreement"].as_str().map(|id| {
            let found = self.sent.iter().find(|(_, sent)| sent.id.to_string() == id);
            *found
                .unwrap_or_else(|| panic!("nobody sent the agreement of {entry}"))
                .0
        });
        let recipient = entry["recipient"].as_str().map(|id| {
            let recipients = &self.sent[&agreement.unwrap()].recipients;
            recipients
                .iter()
                .position(|recipient| recipient.to_string() == id)
                .unwrap()
        });
        Entry {
            kind: kinds
                .into_iter()
                .find(|kind| entry["kind"] == *kind)
                .unwrap_or("?"),
            transactions: entry["transactions"].as_i64().unwrap(),
            agreement,
            recipient,
            group: ["legal", "sales"]
                .into_iter()
                .find(|group| entry["group"] == *group),
        }
    }

    async fn agreements(&self) {
        for (key, sent) in &self.sent {
            let shown = self.get(&format!("/v1/agreements/{}", sent.id)).await;
            assert_eq!(
                shown["status"],
                self.reference.status(*key),
                "agreement {key}"
            );
            for (recipient, shown) in self.reference.agreements[key]
                .recipients
                .iter()
                .zip(shown["recipients"].as_array().unwrap())
            {
                assert_eq!(
                    shown["status"], recipient.status,
                    "agreement {key}: {shown}"
                );
                assert_eq!(
                    shown["authentication"],
                    recipient.method.name(),
                    "agreement {key}: {shown}"
                );
                assert_eq!(
                    shown["viewing_locked"], recipient.locked,
                    "agreement {key}: {shown}"
                );
            }
        }
    }

    async fn latest_sessions(&self) {
        for id in (0..self.sessions.len()).rev().take(SESSIONS) {
            let session = &self.reference.sessions[id];
            let shown = self
                .world
                .look(self.challenge_of(id), &self.sessions[id])
                .await;
            if session.removed {
                let _ = shown.refused(404, "not-found");
                continue;
            }
            let (status, with_token) = self.reference.shown(id);
            let shown = shown.expect(200).body;
            assert_eq!(shown["status"], status, "session {id}");
            assert_eq!(
                shown["attempts_left"],
                json!(self.reference.attempts_left(session.of)),
                "session {id}"
            );
            assert_eq!(
                shown["authenticated"]["access_token"].is_string(),
                with_token,
                "session {id}: {shown}"
            );
        }
    }

    async fn mails(&self) {
        let mut went = BTreeMap::<(String, &'static str), u32>::new();
        for mail in self.world.outbox().await {
            let subject = mail["subject"].as_str().unwrap();
            let kinds = [INVITATION, "Signed:", "Cancelled:", "verifications left"];
            let kind = kinds
                .into_iter()
                .find(|kind| subject.contains(kind))
                .unwrap_or_else(|| panic!("{mail}"));
            *went
                .entry((mail["to"].as_str().unwrap().to_owned(), kind))
                .or_default() += 1;
        }
        for (kind, (least, most)) in &self.reference.mails.sent {
            let count = went.remove(kind).unwrap_or_default();
            assert!(
                (*least..=*most).contains(&count),
                "{kind:?} went {count} times, and {least} to {most} were expected"
            );
        }
        assert!(went.is_empty(), "nobody was to be told: {went:?}");
    }

    /// At the end: whatever is owed goes, each chain is whole, and every balance is what its
    /// entries make of it.
    pub async fn settled(&mut self) {
        self.post(false);
        self.wait(7_200);
        for _ in 0..2 {
            self.clean(crate::kba_machine::Luck::Good).await;
        }
        self.reference.mails.settle(self.reference.now);
        self.holds().await;
        let account = self.world.account.parse().unwrap();
        for sent in self.sent.values() {
            let pk = keys::audit_chain(account, &sent.id.to_string());
            let page = self
                .world
                .stack
                .table()
                .query(pk, None, 1_000)
                .await
                .unwrap();
            let entries: Vec<audit::Entry> = page
                .items
                .into_iter()
                .map(|item| read(item).unwrap())
                .collect();
            assert_eq!(audit::first_broken(&entries), None);
        }
        let app = self.world.stack.app();
        let account: Account = read(
            app.table
                .get(keys::account(account))
                .await
                .unwrap()
                .unwrap(),
        )
        .unwrap();
        let finding = reconcile::account(&app.table, &app.entropy, &account)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(finding.differences, []);
    }
}
