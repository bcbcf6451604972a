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
//!
//! The scenes also show what each route writes: see [`writes`].

mod accounts;
mod agreements;
mod hidden;
mod outcome;
mod people;
mod rendered;
mod scene;
mod walk;
mod writes;

use std::pin::Pin;

use shared::web::http::routes::{Audit, Operation, ROUTES, Route};

use scene::Scene;
use walk::walk;
use writes::Seen;

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

        fn scenes() -> Vec<(&'static str, Pin<Box<dyn Future<Output = Scene> + Send>>)> {
            vec![$((stringify!($scene), Box::pin($scene()))),*]
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

/// `agreements::all_are_asked` as words.
fn words(scene: &str) -> String {
    let name = scene.rsplit("::").next().unwrap_or_default();
    name.replace('_', " ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_that_writes_succeeds_in_a_scene_and_writes_what_its_snapshot_says() {
    let mut seen = Seen::default();
    for (name, scene) in scenes() {
        seen.walk(&words(name), &scene.await).await;
    }
    let writing = || {
        let routes = ROUTES.iter();
        routes.filter(|route| route.audit == Audit::WithEffect)
    };
    let is_alone = |route: &&Route| {
        let mut alone = ALONE.iter();
        alone.any(|(operation, _)| *operation == route.operation)
    };
    let is_met = |route: &&Route| seen.succeeded.contains(&route.key());
    let wrong: Vec<_> = writing()
        .filter(|route| is_met(route) == is_alone(route))
        .map(Route::key)
        .collect();
    assert!(
        wrong.is_empty(),
        "in no scene, or alone and in one all the same: {wrong:?}"
    );
    let alone = accounts::an_operator_is_at_work().await;
    seen.walk("an operator is at work", &alone).await;
    seen.is_as_the_snapshots_say(writing());
}
