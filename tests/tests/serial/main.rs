//! Two requests meet, and what comes of them is what comes of one after the other.
//!
//! What a request judges it reads in several requests to the table, or in one that is no snapshot,
//! and writes later. So each route is held at each of its reads in turn, before it has written
//! anything, and torn at each item of each of them; in that moment another request is carried out
//! from beginning to end. Then the first goes on. What both are answered, what stands in the table
//! and what was mailed has to be what one of the two orders gives, to the letter; what is drawn at
//! random aside.
//!
//! A route that is new is a row in its scene: it is then tried against all the others of the scene,
//! in both parts. A scene also says which of the items that its routes read are inputs, which no
//! write names; of all others, there when it begins or not there yet, each is changed by one of the
//! rows at least, or the walk says which is never tried. A route that writes, and succeeds in no
//! scene, is listed with the reason.

mod accounts;
mod agreements;
mod outcome;
mod people;
mod scene;
mod walk;

use std::collections::BTreeSet;
use std::pin::Pin;

use shared::web::http::routes::{Audit, Operation, ROUTES, Route};
use tests::Exchange;

use scene::Scene;
use walk::walk;

/// Routes that write, and need no scene.
const ALONE: &[(Operation, &str)] = &[(
    Operation::CreateAccount,
    "nobody can name what it makes before it has answered, and it reads nothing",
)];

/// A test for each scene, and the list of all.
macro_rules! scenes {
    ($($test:ident => $scene:path;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            walk($scene().await).await;
        })*

        fn scenes() -> Vec<Pin<Box<dyn Future<Output = Scene> + Send>>> {
            vec![$(Box::pin($scene())),*]
        }
    };
}

scenes! {
    the_last_recipient_signs_while_something_else_becomes_of_them => agreements::the_last_signs;
    recipients_are_asked_by_the_provider_and_by_text => agreements::all_are_asked;
    a_code_is_sent_and_typed_in => agreements::a_code_was_sent;
    a_text_is_given_up_that_has_arrived => agreements::a_text_is_lost;
    the_time_of_sessions_is_over => agreements::sessions_are_over;
    the_time_of_an_agreement_is_over => agreements::an_agreement_is_over;
    the_last_transactions_are_sent_for_and_bought => agreements::little_is_left;
    somebody_signs_in_by_a_link_while_the_user_is_changed => people::a_link_was_mailed;
    somebody_sets_another_password => people::a_password_was_forgotten;
    passwords_are_refused_while_somebody_signs_in => people::passwords_are_refused;
    somebody_sets_up_a_first_factor => people::a_first_factor_is_set_up;
    somebody_who_is_signed_in_changes_how_they_sign_in => people::somebody_is_signed_in;
    somebody_who_is_signed_in_changes_the_phone => people::somebody_changes_the_phone;
    somebody_who_is_signed_in_changes_the_mailbox_and_the_password => people::somebody_changes_the_mailbox_and_the_password;
    an_account_is_set_up_by_two => accounts::an_account_is_set_up;
    a_portal_exchanges_its_code => accounts::a_portal_was_handed_a_code;
}

/// The route of a request that it answered as it answers its success.
fn succeeded(made: &Exchange) -> Option<&'static Route> {
    let is_of = |route: &&Route| route.method == made.method && route.matches(&made.path).is_some();
    ROUTES
        .iter()
        .filter(is_of)
        .find(|route| route.success == made.status)
}

/// The operations that a row of the scene succeeds with, as the scene begins.
async fn operations(scene: Scene) -> Vec<&'static Route> {
    let mut operations = Vec::new();
    for row in &scene.rows {
        scene.put_back().await;
        let _ = scene.world.exchanges();
        let _ = (row.ask)(&scene).await;
        operations.extend(scene.world.exchanges().iter().filter_map(succeeded));
    }
    operations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_that_writes_succeeds_in_a_scene_or_is_listed_with_the_reason() {
    let mut met = BTreeSet::new();
    for scene in scenes() {
        met.extend(operations(scene.await).await.into_iter().map(Route::key));
    }
    let writing = ROUTES
        .iter()
        .filter(|route| route.audit == Audit::WithEffect);
    let (alone, others): (Vec<_>, Vec<_>) = writing.partition(|route| {
        ALONE
            .iter()
            .any(|(operation, _)| *operation == route.operation)
    });
    let missing: Vec<_> = others
        .into_iter()
        .map(Route::key)
        .filter(|key| !met.contains(key))
        .collect();
    assert!(missing.is_empty(), "in no scene: {missing:?}");
    assert!(
        alone.iter().all(|route| !met.contains(&route.key())),
        "what is in a scene is not alone"
    );
}
