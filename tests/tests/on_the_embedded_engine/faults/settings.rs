//! What an administrator sets, of an account and of a group.

use reqwest::Method;
use serde_json::{Value, json};
use tests::World;

use crate::faults::harness::{each_of_the_table, times};

/// Changes something back and forth: each change is one entry, and counts one version.
async fn changed_once(world: &World, path: &str, action: &str, bodies: [Value; 2]) {
    let version = async |path: &str| {
        let shown = world.backend(Method::GET, path, None).await.expect(200);
        shown
            .header("etag")
            .unwrap()
            .trim_matches('"')
            .parse::<u64>()
            .unwrap()
    };
    let mut turn = 0;
    each_of_the_table(async |fault| {
        let (before, told) = (
            version(path).await,
            times(&world.actions(&world.account).await, action),
        );
        let body = bodies[turn % 2].clone();
        turn += 1;
        let patch = || world.backend(Method::PATCH, path, Some(body.clone()));
        let (struck, first) = fault.strikes(world, patch()).await;
        let again = patch().await.expect(200);
        assert!(first.status >= 400 || first.body == again.body, "{fault:?}");
        assert_eq!(version(path).await, before + 1, "{path} {fault:?}");
        assert_eq!(
            times(&world.actions(&world.account).await, action),
            told + 1,
            "{path} {fault:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn an_accounts_settings_are_changed_once() {
    let world = World::new().await;
    let bodies = [
        json!({"locale": "fr", "origins": ["https://a.example"]}),
        json!({"locale": "de", "origins": []}),
    ];
    changed_once(&world, "/v1/settings", "settings-changed", bodies).await;
}

#[tokio::test]
async fn a_groups_settings_are_changed_once() {
    let world = World::new().await;
    let bodies = [
        json!({"locale": "fr"}),
        json!({"locale": "de", "second_factor": {"methods": {"email": true}}}),
    ];
    changed_once(
        &world,
        "/v1/groups/escrow/settings",
        "settings-changed",
        bodies,
    )
    .await;
}
