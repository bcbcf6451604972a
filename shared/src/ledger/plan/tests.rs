//! What a step is planned as.

use proptest::prelude::*;

use super::*;
use crate::account::Shards;
use crate::ledger::balance::{Balance, Notice, Shard};
use crate::store::dynamo::keys;

fn seen(available: &[i64]) -> Snapshot {
    let shard = |available: &i64| Shard {
        balance: Balance {
            available: *available,
            ..Balance::default()
        },
        entries: 1,
    };
    let count = Shards::new(u8::try_from(available.len()).unwrap()).unwrap();
    Snapshot {
        count,
        shards: available.iter().map(shard).collect(),
        notice: Notice::default(),
    }
}

proptest! {
    #[test]
    fn what_is_taken_is_there_and_is_refused_only_where_the_sum_is_too_little(
        available in prop::collection::vec(0_i64..50, 1..=8), count in 1_i64..200, id in "[a-z]{1,8}",
    ) {
        let seen = seen(&available);
        let total: i64 = available.iter().sum();
        match take(&seen, &id, count) {
            Ok(parts) => {
                prop_assert!(total >= count);
                prop_assert_eq!(parts.iter().map(|part| part.count).sum::<i64>(), count);
                prop_assert!(parts.iter().all(|part| 0 < part.count && part.count <= available[usize::from(part.shard)]));
                let own = available[usize::from(seen.count.of(&id))];
                prop_assert!(own < count || parts.len() == 1, "one shard where one is enough");
            }
            Err(LedgerRefusal::Exhausted(refused)) => {
                prop_assert!(total < count);
                prop_assert_eq!(refused, Exhausted { requested: count.unsigned_abs(), available: total.unsigned_abs() });
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn what_is_spread_is_spread_evenly(shards in 1_usize..=8, count in 0_i64..1_000, id in "[a-z]{1,8}") {
        let parts = spread(Shards::new(u8::try_from(shards).unwrap()).unwrap(), &id, count);
        prop_assert_eq!(parts.iter().map(|part| part.count).sum::<i64>(), count);
        let least = parts.iter().map(|part| part.count).min().unwrap_or_default();
        let most = parts.iter().map(|part| part.count).max().unwrap_or_default();
        prop_assert!(most - least <= 1);
    }

    #[test]
    fn levelling_changes_no_sum_and_leaves_nothing_to_level(available in prop::collection::vec(0_i64..50, 1..=8)) {
        let account = AccountId::from_bytes([1; 16]);
        let plan = level(account, EntryId::named("move"), &seen(&available), Timestamp::default());
        let mut after = available.clone();
        for part in plan.iter().flat_map(|step| &step.entry().parts) {
            after[usize::from(part.shard)] += part.count;
        }
        prop_assert_eq!(after.iter().sum::<i64>(), available.iter().sum::<i64>());
        prop_assert!(after.iter().all(|stands| *stands >= 0));
        prop_assert!(level(account, EntryId::named("again"), &seen(&after), Timestamp::default()).is_none());
    }
}

#[test]
fn what_takes_nothing_gets_nobody_below_anything() {
    let account = serde_json::json!({
        "id": AccountId::from_bytes([1; 16]), "name": "Alder", "plan": "business", "created_at": 0, "version": 1,
        "settings_version": 1, "audit_seq": 0, "audit_hash": "",
    });
    let account: Account = serde_json::from_value(account).unwrap();
    let (low, settings) = (
        seen(&[9]),
        crate::account::Settings {
            contacts: vec!["a@b.c".into()],
            ..Default::default()
        },
    );
    let watch = Watch::of(&account, &settings);
    let order = |count| ReservationRequest {
        account: &account,
        id: EntryId::named("r"),
        about: About::default(),
        count,
        watch: &watch,
        at: Timestamp::default(),
    };
    let nothing = reserve(&order(0), Some(&low)).unwrap();
    assert!(nothing.crossing.is_none() && nothing.writes.is_empty());
    let crossing = reserve(&order(1), Some(&low)).unwrap().crossing.unwrap();
    assert_eq!((crossing.available, crossing.mails.len()), (8, 1));
}

#[test]
fn several_steps_change_each_shard_once() {
    let account = AccountId::from_bytes([1; 16]);
    let about = About {
        group: Some("sales".into()),
        ..About::default()
    };
    let (own, others) = (Hold::on(2), [2, 5, 2].map(Hold::on));
    let consumed = consume(
        account,
        EntryId::named("c"),
        &about,
        own,
        Timestamp::default(),
    );
    let released = release(
        account,
        EntryId::named("r"),
        &about,
        &others,
        Timestamp::default(),
    );
    let nothing = release(
        account,
        EntryId::named("n"),
        &about,
        &[],
        Timestamp::default(),
    );
    let writes = together([consumed, released, nothing]).unwrap();
    let keys: Vec<_> = writes.iter().map(Write::key).collect();
    let entry = |id| keys::ledger_entry(account, id);
    let shard = |shard| keys::balance(account, shard);
    let expected = [
        entry("c"),
        entry("r"),
        shard(2),
        shard(5),
        keys::quota_share(account, 2, "sales"),
    ];
    assert_eq!(keys.into_iter().cloned().collect::<Vec<_>>(), expected);
}

#[test]
fn released_units_go_back_to_where_they_came_from() {
    let holds = [3, 0, 3].map(Hold::on);
    let step = release(
        AccountId::from_bytes([1; 16]),
        EntryId::named("x"),
        &About::default(),
        &holds,
        Timestamp::default(),
    );
    assert_eq!(
        step.entry().parts,
        [Part { shard: 0, count: 1 }, Part { shard: 3, count: 2 }]
    );
    assert_eq!(
        (step.entry().transactions, step.writes().unwrap().len()),
        (3, 3)
    );
}
