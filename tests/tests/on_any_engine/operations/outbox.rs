//! Mails that are owed: sent once where nothing fails, again where something does, and by one at a
//! time.

use std::time::Duration;
use tests::path;

use expiry_cleanup::{Batch, sweep};
use local::{Mode, Plan, Service};
use reqwest::Method;
use serde_json::json;
use shared::account::Locale;
use shared::kernel::clock::Span;
use shared::kernel::ids::AccountId;
use shared::kernel::secret::Secret;
use shared::messaging::courier::{Message, SealedLink};
use shared::messaging::outbox::{self, Delivery, OutboxMessage};
use shared::store::dynamo::{Failure, Key, Put, Update, keys};
use tests::World;
use tests::agreements::clean;

async fn owed_mail(world: &World, id: &str) -> OutboxMessage {
    let app = world.stack.app();
    let now = app.clock.now();
    let token = Secret::new("lnk_0123456789".to_owned());
    let keyring = app.keyrings.current(now).await;
    let pk = keys::outbox(id).pk;
    let link = SealedLink::seal(
        "https://a.example/link",
        &token,
        Span::hours(2),
        &pk,
        &keyring,
        now,
    )
    .unwrap();
    let mail = outbox::Mail {
        account: AccountId::from_bytes([1; 16]),
        organisation: "Alder".into(),
        to: "ann@example.com".into(),
        locale: Locale::Fr,
        message: Message::SignInLink(link),
    };
    OutboxMessage::new(mail, now)
}

async fn owe(world: &World, id: &str) -> Result<(), Failure> {
    let write = outbox::standalone(
        id,
        owed_mail(world, id).await,
        world.stack.app().clock.now(),
    )
    .unwrap();
    world.stack.table().transact(vec![write.into()]).await
}

async fn deliver(world: &World, key: &Key) -> Delivery {
    outbox::deliver(world.stack.app(), world.stack.courier(), key)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_mail_is_owed_once_and_sent_once_however_many_send_it() {
    let world = World::new().await;
    let (first, second) = tokio::join!(owe(&world, "x"), owe(&world, "x"));
    assert!(first.is_ok() != second.is_ok());
    let key = keys::outbox("x");
    let sent = futures_util::future::join_all((0..50).map(|_| deliver(&world, &key))).await;
    assert_eq!(
        sent.iter()
            .filter(|delivery| **delivery == Delivery::Sent)
            .count(),
        1
    );
    let outbox = world.outbox().await;
    assert_eq!(outbox.len(), 1);
    assert!(
        outbox[0]["text"]
            .as_str()
            .unwrap()
            .ends_with("https://a.example/link#lnk_0123456789"),
        "{outbox:?}"
    );
    assert_eq!(outbox[0]["subject"], "Connexion à Alder");
    assert_eq!(deliver(&world, &key).await, Delivery::Nothing);
    assert_eq!(clean(&world).await["examined"], 0);
}

#[tokio::test]
async fn what_the_sender_does_not_take_the_clean_up_sends_later() {
    let world = World::new().await;
    owe(&world, "x").await.unwrap();
    world
        .stack
        .faults()
        .set(Service::Ses, Mode::Refused, 0, 100);
    assert_eq!(deliver(&world, &keys::outbox("x")).await, Delivery::Pending);
    assert_eq!(clean(&world).await["examined"], 0, "the lease holds");
    world.advance(61);
    assert_eq!(clean(&world).await["mails_owed"], 1);
    world.stack.faults().clear();
    world.advance(121);
    assert_eq!(clean(&world).await["mails_sent"], 1);
    assert_eq!(world.outbox().await.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_of_the_table_loses_no_mail() {
    for call in 0..3 {
        let world = World::new().await;
        owe(&world, "x").await.unwrap();
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Lost, call, 1);
        assert_eq!(
            deliver(&world, &keys::outbox("x")).await,
            Delivery::Sent,
            "{call}"
        );
        assert_eq!(world.outbox().await.len(), 1);
        assert_eq!(clean(&world).await["examined"], 0);
    }
}

#[tokio::test]
async fn a_mail_that_nobody_has_a_use_for_any_more_is_dropped() {
    let world = World::new().await;
    owe(&world, "x").await.unwrap();
    world.advance(3 * 86_400);
    assert_eq!(clean(&world).await["mails_dropped"], 1);
    assert_eq!(world.outbox().await.len(), 0);
}

#[tokio::test]
async fn a_mail_on_an_item_goes_and_the_item_stays() {
    let world = World::new().await;
    let key = Key {
        pk: "AGREEMENT#x".into(),
        sk: "RECIPIENT#y".into(),
    };
    let now = world.stack.app().clock.now();
    let mut owed = owed_mail(&world, "x").await;
    let keyring = world.stack.app().keyrings.current(now).await;
    let token = Secret::new("lnk_y".to_owned());
    let link = SealedLink::seal(
        "https://a.example/link",
        &token,
        Span::hours(2),
        &key.pk,
        &keyring,
        now,
    )
    .unwrap();
    owed.mail.message = Message::SignInLink(link);
    let table = world.stack.table();
    table
        .transact(vec![
            Put::create(key.clone(), &json!({"name": "Ann"}))
                .unwrap()
                .into(),
        ])
        .await
        .unwrap();
    let write = outbox::on(Update::of(key.clone()).set(path("seen"), true), &owed, now).unwrap();
    table.transact(vec![write.into()]).await.unwrap();
    assert_eq!(clean(&world).await["mails_sent"], 1);
    let item = table.get(key).await.unwrap().unwrap();
    assert!(
        item.contains_key("name") && !item.contains_key("outbox") && !item.contains_key("due_at"),
        "{item:?}"
    );
}

/// A mail with this link, as it is owed on the item at `key`.
async fn owed_on(world: &World, key: &Key, token: &str) -> OutboxMessage {
    let (app, now) = (world.stack.app(), world.stack.app().clock.now());
    let keyring = app.keyrings.current(now).await;
    let token = Secret::new(token.to_owned());
    let link = SealedLink::seal(
        "https://a.example/link",
        &token,
        Span::hours(2),
        &key.pk,
        &keyring,
        now,
    )
    .unwrap();
    let mut owed = owed_mail(world, "x").await;
    owed.mail.message = Message::SignInLink(link);
    owed
}

#[tokio::test]
async fn the_mail_that_was_claimed_is_sent_and_not_the_one_that_was_read() {
    // Another mail takes its place once it was read, and once it was claimed.
    for (held, expected) in [
        (0, vec!["lnk_second"]),
        (1, vec!["lnk_first", "lnk_second"]),
    ] {
        let world = World::new().await;
        let now = world.stack.app().clock.now();
        let key = Key {
            pk: "AGREEMENT#x".into(),
            sk: "RECIPIENT#y".into(),
        };
        let owe = async |token: &str| {
            let owed = owed_on(&world, &key, token).await;
            let write =
                outbox::on(Update::of(key.clone()).set(path("seen"), true), &owed, now).unwrap();
            world
                .stack
                .table()
                .transact(vec![write.into()])
                .await
                .unwrap();
        };
        owe("lnk_first").await;
        let gate = world.stack.faults().hold(Service::Dynamodb, held);
        let (_, ()) = tokio::join!(deliver(&world, &key), async {
            gate.arrived().await;
            owe("lnk_second").await;
            gate.let_go();
        });
        // Whoever owes a mail sends it; here that is the clean-up.
        let _ = clean(&world).await;
        let texts: Vec<String> = world
            .outbox()
            .await
            .iter()
            .map(|mail| mail["text"].as_str().unwrap().to_owned())
            .collect();
        let sent: Vec<&str> = texts
            .iter()
            .filter_map(|text| text.rsplit('#').next())
            .collect();
        assert_eq!(sent, expected, "held at call {held}");
        assert!(
            !world
                .stack
                .table()
                .get(key)
                .await
                .unwrap()
                .unwrap()
                .contains_key("outbox")
        );
    }
}

#[tokio::test]
async fn a_clean_up_sends_ten_at_once_and_begins_nothing_when_its_time_is_over() {
    let world = World::new().await;
    let (app, courier) = (world.stack.app(), world.stack.courier());
    let ids: Vec<String> = (0..)
        .map(|number| format!("m{number}"))
        .filter(|id| keys::outbox(id).due_shard() == "DUE#0")
        .take(10)
        .collect();
    for id in &ids {
        owe(&world, id).await.unwrap();
    }
    let over = Batch {
        until: app.clock.now(),
        ..Batch::default()
    };
    let report = sweep(app, courier, over).await;
    assert_eq!((report.examined, report.more), (0, true));
    assert!(world.outbox().await.is_empty());
    let report = sweep(
        app,
        courier,
        Batch {
            items_max: 0,
            ..Batch::default()
        },
    )
    .await;
    assert_eq!((report.examined, report.more), (0, true));

    // The sender answers none of them in time, which is six seconds for each: together, and not one
    // after the other.
    world.stack.faults().follow(
        Service::Ses,
        Plan::new(Mode::Slow, 0, 10).lasting(Duration::from_secs(7)),
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "how long it takes, and not what time it is"
    )]
    let began = std::time::Instant::now();
    let report = sweep(app, courier, Batch::default()).await;
    assert_eq!(
        (
            report.mails_owed,
            report.more,
            world.stack.faults().struck()
        ),
        (10, false, 10)
    );
    assert!(began.elapsed().as_secs() < 12, "{:?}", began.elapsed());
}

/// The sender takes nothing for eleven minutes and answers with a fault of its own, after which
/// nobody knows whether the mail went. It did not; it goes while its link is good.
#[tokio::test]
async fn a_link_that_was_lost_in_a_brown_out_arrives_while_it_is_good() {
    for (path, lifetime) in [("/v1/links", 60), ("/v1/password/forgotten", 30)] {
        let world = World::new().await;
        let ann = world.user("ann", json!({})).await;
        world
            .stack
            .faults()
            .set(Service::Ses, Mode::Failed, 0, u32::MAX);
        let _ = match path {
            "/v1/links" => world
                .backend(Method::POST, path, Some(json!({"user": ann.id})))
                .await
                .expect(202),
            _ => world
                .post(path, json!({"account": world.account, "username": "ann"}))
                .await
                .expect(202),
        };
        let mut arrived_after = None;
        for minute in 1..lifetime {
            world.advance(60);
            if minute == 11 {
                world.stack.faults().clear();
            }
            if minute % 5 == 0 {
                let _ = clean(&world).await;
            }
            if arrived_after.is_none() && !world.outbox().await.is_empty() {
                arrived_after = Some(minute);
            }
        }
        assert!(
            arrived_after.is_some_and(|minute| minute <= lifetime * 2 / 3),
            "{path}: {arrived_after:?}"
        );
        assert_eq!(world.outbox().await.len(), 1, "{path}: and once");
    }
}
