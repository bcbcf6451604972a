//! What an account buys.

use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::quota;
use tests::{Answer, OPERATOR, World};

use crate::faults::harness::{each_of_the_table, fresh, sums_are_right, times};

async fn topup(world: &World, key: &str, transactions: u32) -> Answer {
    let body =
        json!({"account": world.account, "transactions": transactions, "reference": "order"});
    let request = world
        .request(Method::POST, "/v1/quota/topups")
        .bearer_auth(OPERATOR)
        .header("idempotency-key", key);
    world.send(request.json(&body)).await
}

#[tokio::test]
async fn what_is_bought_is_bought_once() {
    let world = World::new().await;
    let bought = |actions: &[String]| times(actions, "quota-topped-up");
    each_of_the_table(async |fault| {
        let (before, told) = (
            quota(&world).await,
            bought(&world.actions(&world.account).await),
        );
        let key = fresh(fault, "order");
        let (struck, first) = fault.strikes(&world, topup(&world, &key, 5)).await;
        let again = topup(&world, &key, 5).await.expect(201);
        assert!(
            first.status != 201
                || (first.body == again.body
                    && again.header("idempotency-replayed") == Some("true"))
        );
        assert_eq!(
            quota(&world).await,
            (before.0 + 5, before.1, before.2),
            "{fault:?}"
        );
        assert_eq!(again.body["quota"]["available"], before.0 + 5, "{fault:?}");
        assert_eq!(
            bought(&world.actions(&world.account).await),
            told + 1,
            "{fault:?}"
        );
        let entries = world
            .backend(Method::GET, "/v1/quota/entries", None)
            .await
            .expect(200)
            .body;
        let named = |entry: &&Value| entry["id"] == again.body["id"];
        assert_eq!(
            entries["entries"]
                .as_array()
                .unwrap()
                .iter()
                .filter(named)
                .count(),
            1,
            "{fault:?}"
        );
        let _ = topup(&world, &key, 6)
            .await
            .refused(422, "idempotency-key-reused");
        struck
    })
    .await;
    sums_are_right(&world).await;
}
