//! Sums are exact: what was bought is available, reserved or consumed, at every look; and the
//! entries are what was answered, each once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::index::{Index, number, text};
use crate::history::Call;

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let mut broken: Vec<String> = index
        .history
        .of("GET /v1/quota")
        .filter_map(unbalanced)
        .collect();
    for (account, entries) in ledgers(index) {
        let ledger = Ledger {
            index,
            account,
            entries,
        };
        broken.extend(ledger.topups());
        broken.extend(ledger.reservations());
        broken.extend(ledger.consumptions());
        broken.extend(ledger.totals());
    }
    broken
}

/// What was bought is what there is, in one answer, and nothing is below zero.
fn unbalanced(call: &Call) -> Option<String> {
    let quota = &call
        .answer
        .as_ref()
        .filter(|answer| answer.status == 200)?
        .body;
    let of = |name: &str| number(quota, name);
    let parts = [of("/available"), of("/reserved"), of("/consumed")];
    let sound =
        of("/purchased") == parts.iter().sum::<i64>() && parts.iter().all(|part| *part >= 0);
    (!sound).then(|| format!("#{}: {quota}", call.number))
}

/// The entries of each account, as they were read in the end.
fn ledgers<'a>(index: &Index<'a>) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut ledgers = BTreeMap::<&str, Vec<&Value>>::new();
    for call in index
        .history
        .of("GET /v1/quota/entries")
        .filter(|call| call.succeeded())
    {
        let Some(account) = call.about.as_deref() else {
            continue;
        };
        let ledger = ledgers.entry(account).or_default();
        if !call.path.contains("cursor=") {
            ledger.clear();
        }
        ledger.extend(
            call.value("/entries")
                .and_then(Value::as_array)
                .into_iter()
                .flatten(),
        );
    }
    ledgers
}

/// An account's entries, and what it was answered.
struct Ledger<'a> {
    index: &'a Index<'a>,
    account: &'a str,
    entries: Vec<&'a Value>,
}

impl<'a> Ledger<'a> {
    fn of(&self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.entries
            .iter()
            .copied()
            .filter(move |entry| text(entry, "/kind") == kind)
    }

    fn sum(&self, kind: &'a str) -> i64 {
        self.of(kind)
            .map(|entry| number(entry, "/transactions"))
            .sum()
    }

    /// Each key is one top-up, whatever was answered; and there is none that nobody asked for.
    fn topups(&self) -> Vec<String> {
        let mut asked = BTreeMap::<&str, (Option<&str>, i64)>::new();
        let of_account =
            |call: &&Call| call.sent("/account") == Some(self.account) && call.may_have_succeeded();
        for call in self
            .index
            .history
            .of("POST /v1/quota/topups")
            .filter(of_account)
        {
            let told = asked
                .entry(call.key.as_deref().unwrap_or_default())
                .or_insert((None, number(&call.body, "/transactions")));
            told.0 = told
                .0
                .or_else(|| call.told("/id").filter(|_| call.succeeded()));
        }
        let entries: BTreeMap<&str, i64> = self
            .of("topup")
            .map(|entry| (text(entry, "/id"), number(entry, "/transactions")))
            .collect();
        let told: BTreeMap<&str, i64> = asked
            .values()
            .filter_map(|(id, count)| Some(((*id)?, *count)))
            .collect();
        let lost = told
            .iter()
            .filter(|(id, count)| entries.get(*id) != Some(*count))
            .map(|(id, count)| {
                format!("{id}: a top-up of {count} was answered, and there is none")
            });
        let unasked = entries.keys().filter(|id| !told.contains_key(*id)).count();
        let uncertain = asked.values().filter(|(id, _)| id.is_none()).count();
        let doubled = (unasked > uncertain).then(|| {
            format!(
                "{}: {unasked} top-ups that were not answered, and {uncertain} that may have been",
                self.account
            )
        });
        lost.chain(doubled).collect()
    }

    /// What was reserved for an agreement when it was sent, once; and once it has ended nothing is
    /// left of it.
    fn reservations(&self) -> Vec<String> {
        let mut left = BTreeMap::<&str, i64>::new();
        let mut first = BTreeMap::<&str, Vec<i64>>::new();
        for entry in &self.entries {
            let (agreement, count) = (text(entry, "/agreement"), number(entry, "/transactions"));
            let sign = match text(entry, "/kind") {
                "reserve" => 1,
                "release" | "consume" => -1,
                _ => continue,
            };
            *left.entry(agreement).or_default() += sign * count;
            if sign == 1 && text(entry, "/recipient").is_empty() {
                first.entry(agreement).or_default().push(count);
            }
        }
        let mut broken: Vec<String> = left
            .iter()
            .filter(|(_, left)| **left != 0)
            .map(|(id, left)| format!("{id}: {left} are left reserved of what has ended"))
            .collect();
        let sent =
            |call: &&Call| call.about.as_deref() == Some(self.account) && call.status() == 201;
        let answered: BTreeMap<&str, i64> = self
            .index
            .history
            .of("POST /v1/agreements")
            .filter(sent)
            .filter_map(|call| Some((call.told("/id")?, premium(call))))
            .collect();
        for (id, count) in answered {
            let reserved = first.get(id).map(Vec::as_slice).unwrap_or_default();
            let right = if count == 0 {
                reserved.is_empty()
            } else {
                reserved == [count]
            };
            if !right {
                broken.push(format!(
                    "{id}: {count} were to be reserved, and {reserved:?} were"
                ));
            }
        }
        broken
    }

    /// The same recipient never costs a second one, and the first only where an answer of the
    /// provider counted.
    fn consumptions(&self) -> Vec<String> {
        let mut by_recipient = BTreeMap::<&str, i64>::new();
        for entry in self.of("consume") {
            *by_recipient.entry(text(entry, "/recipient")).or_default() +=
                number(entry, "/transactions");
        }
        let counted = self.answered();
        let mut broken: Vec<String> = by_recipient
            .iter()
            .filter(|(_, count)| **count != 1)
            .map(|(id, count)| format!("{id}: cost {count}"))
            .collect();
        let without = by_recipient.keys().filter(|id| !counted.contains(*id));
        broken
            .extend(without.map(|id| format!("{id}: cost one, and the provider has not answered")));
        let free = counted.iter().filter(|id| !by_recipient.contains_key(*id));
        broken.extend(free.map(|id| format!("{id}: cost nothing, and the provider has answered")));
        broken
    }

    /// The recipients of this account of whom a session was answered and counted.
    fn answered(&self) -> Vec<&'a str> {
        let entries = self
            .index
            .reports
            .values()
            .filter(|report| report.told("/agreement/account") == Some(self.account));
        let entries = entries
            .filter_map(|report| report.value("/entries").and_then(Value::as_array))
            .flatten();
        let counts = |entry: &&Value| {
            let outcome = text(entry, "/details/outcome");
            matches!(outcome, "passed" | "failed" | "timed_out")
                && text(entry, "/details/effect") != "none"
        };
        let mut ids: Vec<&str> = entries
            .filter(counts)
            .map(|entry| text(entry, "/details/recipient"))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The figures in the end are those of the entries.
    fn totals(&self) -> Vec<String> {
        let last = self
            .index
            .history
            .of("GET /v1/quota")
            .filter(|call| call.about.as_deref() == Some(self.account) && call.status() == 200)
            .last();
        let Some(quota) = last
            .and_then(|call| call.answer.as_ref())
            .map(|answer| &answer.body)
        else {
            return Vec::new();
        };
        let (purchased, consumed) = (
            self.sum("topup") + self.sum("correction"),
            self.sum("consume"),
        );
        let reserved = self.sum("reserve") - self.sum("release") - consumed;
        let stands = [
            number(quota, "/purchased"),
            number(quota, "/reserved"),
            number(quota, "/consumed"),
        ];
        let right = stands == [purchased, reserved, consumed];
        (!right)
            .then(|| {
                format!(
                    "{}: the entries make {:?}, and there are {stands:?}",
                    self.account,
                    [purchased, reserved, consumed]
                )
            })
            .into_iter()
            .collect()
    }
}

/// How many recipients of an agreement that was sent are to be asked questions.
fn premium(call: &Call) -> i64 {
    let recipients = call
        .body
        .pointer("/recipients")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    i64::try_from(
        recipients
            .filter(|recipient| text(recipient, "/authentication") == "kba")
            .count(),
    )
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story};
    use serde_json::{Value, json};

    fn entry(kind: &str, id: &str, transactions: i64) -> Value {
        json!({"id": id, "kind": kind, "transactions": transactions, "agreement": "agr_1"})
    }

    /// An account that bought ten in one order, and sent an agreement with two premium recipients
    /// that ended.
    fn broken(entries: &[Value], quota: Value) -> usize {
        let mut story = Story::new();
        let order = json!({"account": "acc_1", "transactions": 10});
        let number = story.call(
            "POST /v1/quota/topups",
            "acc_1",
            HOME,
            order,
            201,
            json!({"id": "top_1"}),
        );
        story.history.calls[number].key = Some("order-1".into());
        let asked = json!({"recipients": [{"authentication": "kba"}, {"authentication": "kba"}, {"authentication": "sms"}]});
        story.call(
            "POST /v1/agreements",
            "acc_1",
            HOME,
            asked,
            201,
            json!({"id": "agr_1"}),
        );
        story.call(
            "GET /v1/quota/entries",
            "acc_1",
            HOME,
            Value::Null,
            200,
            json!({"entries": entries}),
        );
        story.call("GET /v1/quota", "acc_1", HOME, Value::Null, 200, quota);
        story.breaks(Promise::Sums).len()
    }

    fn quota(purchased: i64, available: i64, reserved: i64) -> Value {
        json!({"purchased": purchased, "available": available, "reserved": reserved, "consumed": 0})
    }

    #[test]
    fn what_was_bought_is_there_and_what_was_reserved_was_given_back() {
        let entries = || {
            vec![
                entry("topup", "top_1", 10),
                entry("reserve", "reserve.agr_1", 2),
                entry("release", "release.agr_1", 2),
            ]
        };
        assert_eq!(broken(&entries(), quota(10, 10, 0)), 0);
        assert_eq!(
            broken(&entries(), quota(10, 8, 1)),
            2,
            "it does not add up, and is not what the entries make"
        );
        let mut doubled = entries();
        doubled.push(entry("topup", "top_2", 10));
        assert_eq!(broken(&doubled, quota(20, 20, 0)), 1);
        let mut kept = entries();
        kept.pop();
        assert_eq!(broken(&kept, quota(10, 8, 2)), 1);
        assert_eq!(
            broken(&[entry("topup", "top_1", 10)], quota(10, 10, 0)),
            1,
            "nothing was reserved"
        );
    }
}
