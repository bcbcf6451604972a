//! Each request to DynamoDB, SES, SNS and the provider of each route, in turn: refused, throttled,
//! in conflict, lost after it took effect. Once, which the SDK must get over without anything
//! counted twice; and three times in a row, which is all that it tries, and after which whoever
//! asked asks again as a client would.

mod agreements;
mod back_end;
mod codes;
mod contacts;
mod harness;
mod kba;
mod links;
mod people;
mod quota;
mod reads;
mod recipients;
mod settings;
mod sign_in;

use std::path::Path;

use shared::web::http::routes::{Authorisation, Operation, ROUTES};

/// Each route that reads or writes the table, and where it is walked.
const WALKS: &[(Operation, &str, &[&str])] = {
    use Operation as O;
    &[
        (
            O::CreateAccount,
            "back_end",
            &["an_account_is_opened_whole"],
        ),
        (O::GetAccount, "reads", &["what_an_operator_reads"]),
        (O::PatchAccount, "back_end", &["an_account_is_changed_once"]),
        (
            O::CreateApiKey,
            "back_end",
            &["a_key_is_made_whole_and_opens"],
        ),
        (O::ListApiKeys, "reads", &["what_an_operator_reads"]),
        (
            O::DeleteApiKey,
            "back_end",
            &["a_key_is_revoked_once_and_opens_nothing"],
        ),
        (O::GetSettings, "reads", &["what_a_back_end_reads"]),
        (
            O::PatchSettings,
            "settings",
            &["an_accounts_settings_are_changed_once"],
        ),
        (O::GetGroupSettings, "reads", &["what_a_back_end_reads"]),
        (
            O::PatchGroupSettings,
            "settings",
            &["a_groups_settings_are_changed_once"],
        ),
        (O::ExplainAllowlist, "reads", &["what_a_back_end_reads"]),
        (O::CreateUser, "back_end", &["a_user_is_made_whole"]),
        (O::ListUsers, "reads", &["what_a_back_end_reads"]),
        (O::GetUser, "reads", &["what_a_back_end_reads"]),
        (
            O::PatchUser,
            "back_end",
            &[
                "a_user_is_renamed_once_with_all_that_names_them",
                "a_user_is_given_a_password_whole_and_told_of_it_once",
            ],
        ),
        (
            O::DeleteUser,
            "back_end",
            &["a_user_is_deleted_once_with_all_that_names_them"],
        ),
        (O::UnlockUser, "back_end", &["a_user_is_unlocked_whole"]),
        (
            O::ResetApp,
            "back_end",
            &["an_app_is_reset_once_and_its_person_is_told_once"],
        ),
        (
            O::Login,
            "sign_in",
            &[
                "a_right_password_opens_one_challenge_for_each_answer_and_counts_for_nothing",
                "a_wrong_password_is_counted_once_and_told_of_once",
                "an_id_token_signs_in_once",
            ],
        ),
        (
            O::IssueCode,
            "codes",
            &[
                "a_code_is_sent_once_for_each_key_and_counts_once",
                "a_sender_that_fails_burns_neither_the_cooldown_nor_a_send",
            ],
        ),
        (
            O::IssueCode,
            "recipients",
            &[
                "a_code_is_sent_once_for_each_key_and_counts_once",
                "a_sender_that_fails_burns_nothing_of_a_recipient_either",
            ],
        ),
        (
            O::VerifyCode,
            "sign_in",
            &[
                "a_right_code_of_a_text_is_taken_once",
                "a_right_code_of_an_app_is_taken_once",
                "a_recovery_code_is_taken_once",
                "a_wrong_code_of_a_text_is_counted_once",
                "a_wrong_code_of_an_app_is_counted_once",
                "a_wrong_recovery_code_is_counted_once",
            ],
        ),
        (
            O::VerifyCode,
            "recipients",
            &[
                "a_recipients_code_is_taken_once",
                "a_recipients_wrong_code_is_counted_once",
            ],
        ),
        (
            O::CreateLink,
            "links",
            &["a_link_is_mailed_once_for_each_key_and_opens"],
        ),
        (
            O::RedeemLink,
            "links",
            &["a_link_is_opened_and_told_of_and_used_up_by_nothing_but_its_code"],
        ),
        (
            O::RedeemLink,
            "recipients",
            &["a_link_is_opened_and_told_of"],
        ),
        (
            O::RedeemCode,
            "links",
            &["a_portals_code_is_exchanged_once"],
        ),
        (
            O::ForgetPassword,
            "people",
            &["a_forgotten_password_mails_once_for_each_time_that_it_is_told_of"],
        ),
        (
            O::SetPassword,
            "people",
            &["a_new_password_is_set_once_and_its_person_is_told_once"],
        ),
        (O::GetMe, "reads", &["what_a_person_reads"]),
        (
            O::PatchMe,
            "people",
            &[
                "a_language_is_set_once",
                "an_own_password_is_changed_once_and_its_person_is_told_once",
            ],
        ),
        (
            O::EnrolApp,
            "people",
            &["an_app_is_begun_again_until_it_is_answered"],
        ),
        (
            O::ConfirmApp,
            "people",
            &["an_app_is_confirmed_once_and_its_person_is_told_once"],
        ),
        (
            O::EnrolPhone,
            "contacts",
            &["a_contact_is_sent_one_code_for_each_key_which_counts_once_and_is_good"],
        ),
        (
            O::EnrolMailbox,
            "contacts",
            &["a_contact_is_sent_one_code_for_each_key_which_counts_once_and_is_good"],
        ),
        (
            O::ConfirmPhone,
            "contacts",
            &[
                "a_contact_is_confirmed_once_and_who_was_there_before_is_told_once",
                "a_wrong_code_of_a_contact_is_counted_once",
            ],
        ),
        (
            O::ConfirmMailbox,
            "contacts",
            &["a_contact_is_confirmed_once_and_who_was_there_before_is_told_once"],
        ),
        (
            O::RemovePhone,
            "contacts",
            &["a_contact_is_removed_once_and_who_was_there_is_told_once"],
        ),
        (
            O::RemoveMailbox,
            "contacts",
            &["a_contact_is_removed_once_and_who_was_there_is_told_once"],
        ),
        (O::ListFactors, "reads", &["what_a_person_reads"]),
        (
            O::RemoveApp,
            "people",
            &["an_app_is_removed_once_and_its_person_is_told_once"],
        ),
        (
            O::MakeRecoveryCodes,
            "people",
            &["recovery_codes_are_made_and_the_last_that_were_shown_are_good"],
        ),
        (O::TopUpQuota, "quota", &["what_is_bought_is_bought_once"]),
        (
            O::GetQuota,
            "reads",
            &[
                "what_a_back_end_reads",
                "the_balance_adds_up_though_it_is_being_written",
            ],
        ),
        (O::ListQuotaEntries, "reads", &["what_a_back_end_reads"]),
        (
            O::SendAgreement,
            "agreements",
            &[
                "an_agreement_is_sent_whole_and_once",
                "a_sending_that_gets_the_balance_low_tells_each_contact_once",
            ],
        ),
        (O::ListAgreements, "reads", &["what_a_back_end_reads"]),
        (O::GetAgreement, "reads", &["what_a_back_end_reads"]),
        (
            O::PatchRecipient,
            "agreements",
            &["a_method_is_changed_once_and_the_quota_follows_once"],
        ),
        (
            O::CompleteRecipient,
            "agreements",
            &[
                "a_recipient_completes_once",
                "the_last_to_complete_completes_the_agreement_once_and_each_is_mailed_once",
            ],
        ),
        (
            O::ResendLink,
            "agreements",
            &["a_link_is_mailed_again_once"],
        ),
        (
            O::ReopenViewing,
            "agreements",
            &["viewing_is_reopened_once"],
        ),
        (
            O::LinkReport,
            "agreements",
            &["a_link_to_a_report_is_told_of_once_for_each_that_is_made"],
        ),
        (
            O::CancelAgreement,
            "agreements",
            &["an_agreement_is_cancelled_once_and_gives_back_once"],
        ),
        (
            O::ListAuthenticationMethods,
            "reads",
            &["what_a_back_end_reads"],
        ),
        (
            O::OpenKbaSession,
            "kba",
            &[
                "a_session_is_opened_once_and_counted_once",
                "a_provider_that_fails_costs_nothing_and_is_told_of_one_session",
            ],
        ),
        (O::GetKbaSession, "reads", &["what_a_person_reads"]),
        (
            O::TakeKbaCallback,
            "kba",
            &[
                "an_answer_is_taken_once_whatever_it_is",
                "the_last_failure_cancels_once_releases_once_and_mails_the_sender_once",
                "viewing_is_locked_once_and_cancels_nothing",
            ],
        ),
        (O::ReadAudit, "reads", &["what_a_back_end_reads"]),
        (O::ReportAgreement, "reads", &["what_a_back_end_reads"]),
    ]
};

#[test]
fn every_route_that_touches_the_table_is_walked_by_a_test_that_there_is() {
    for route in ROUTES
        .iter()
        .filter(|route| route.authorisation != Authorisation::Public)
    {
        let is_walked = WALKS
            .iter()
            .any(|(operation, _, tests)| *operation == route.operation && !tests.is_empty());
        assert!(is_walked, "nothing goes wrong with {}", route.key());
    }
    for (operation, file, tests) in WALKS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/on_the_embedded_engine/faults/{file}.rs"));
        let source = std::fs::read_to_string(path).unwrap();
        for test in *tests {
            assert!(
                source.contains(&format!("#[tokio::test]\nasync fn {test}()")),
                "{file} has no {test} for {operation:?}"
            );
        }
    }
}
