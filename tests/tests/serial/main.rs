//! Two requests meet, and what comes of them is what comes of one after the other.
//!
//! What a request judges it reads in several requests to the table, or in one that is no snapshot, and writes later. So each route is
//! held at each of its reads in turn, before it has written anything, and torn at each item of each of them; in that moment another
//! request is carried out from beginning to end. Then the first goes on. What both are answered, what stands in the table and what was
//! mailed has to be what one of the two orders gives, to the letter; what is drawn at random aside.
//!
//! A route that is new is a row in its scene: it is then tried against all the others of the scene, in both parts. A scene also says
//! which of the items that its routes read are inputs, which no write names; of all others, each is changed by one of the rows at least,
//! or the walk says which is never tried.

mod accounts;
mod agreements;
mod outcome;
mod people;
mod scene;
mod walk;

use walk::walk;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_recipient_signs_while_something_else_becomes_of_them() {
    walk(agreements::the_last_signs().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_are_asked_by_the_provider_and_by_text() {
    walk(agreements::all_are_asked().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_sent_and_typed_in() {
    walk(agreements::a_code_was_sent().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_given_up_that_has_arrived() {
    walk(agreements::a_text_is_lost().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_sessions_is_over() {
    walk(agreements::sessions_are_over().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_an_agreement_is_over() {
    walk(agreements::an_agreement_is_over().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_transactions_are_sent_for_and_bought() {
    walk(agreements::little_is_left().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_by_a_link_while_the_user_is_changed() {
    walk(people::a_link_was_mailed().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_sets_another_password() {
    walk(people::a_password_was_forgotten().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_signed_in_changes_how_they_sign_in() {
    walk(people::somebody_is_signed_in().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_set_up_by_two() {
    walk(accounts::an_account_is_set_up().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_exchanges_its_code() {
    walk(accounts::a_portal_was_handed_a_code().await).await;
}
