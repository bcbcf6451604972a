//! The types of requests and answers, by operation, and the schemas of all of them.

use shared::web::http::Operation;
use shared::web::http::problem::ProblemDocument;
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// A schema and all those that it refers to.
fn of<T: ToSchema>(schemas: &mut Schemas) {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
}

/// All schemas.
pub fn schemas() -> Schemas {
    let mut schemas = Vec::new();
    of::<ProblemDocument>(&mut schemas);
    of::<accounts::Account>(&mut schemas);
    of::<accounts::CreateAccount>(&mut schemas);
    of::<accounts::PatchAccount>(&mut schemas);
    of::<accounts::CreateApiKey>(&mut schemas);
    of::<accounts::CreatedApiKey>(&mut schemas);
    of::<accounts::ApiKeys>(&mut schemas);
    of::<agreements::SendAgreement>(&mut schemas);
    of::<agreements::SentAgreement>(&mut schemas);
    of::<agreements::Agreement>(&mut schemas);
    of::<agreements::Agreements>(&mut schemas);
    of::<agreements::PatchRecipient>(&mut schemas);
    of::<agreements::Recipient>(&mut schemas);
    of::<agreements::CancelAgreement>(&mut schemas);
    of::<agreements::AuthenticationMethods>(&mut schemas);
    of::<settings::Settings>(&mut schemas);
    of::<settings::Effective>(&mut schemas);
    of::<settings::Explanation>(&mut schemas);
    of::<users::CreateUser>(&mut schemas);
    of::<users::PatchUser>(&mut schemas);
    of::<users::User>(&mut schemas);
    of::<users::Users>(&mut schemas);
    of::<login::Request>(&mut schemas);
    of::<code_issue::Request>(&mut schemas);
    of::<code_issue::Response>(&mut schemas);
    of::<code_verify::Request>(&mut schemas);
    of::<shared::signin::sign_in::Answer>(&mut schemas);
    of::<factors::EnrolApp>(&mut schemas);
    of::<factors::EnrolledApp>(&mut schemas);
    of::<factors::ConfirmApp>(&mut schemas);
    of::<factors::ConfirmedApp>(&mut schemas);
    of::<factors::EnrolPhone>(&mut schemas);
    of::<factors::EnrolMailbox>(&mut schemas);
    of::<factors::EnrolledContact>(&mut schemas);
    of::<factors::ConfirmPhone>(&mut schemas);
    of::<factors::ConfirmMailbox>(&mut schemas);
    of::<factors::ConfirmedContact>(&mut schemas);
    of::<factors::Factors>(&mut schemas);
    of::<factors::RecoveryCodes>(&mut schemas);
    of::<links::Request>(&mut schemas);
    of::<links::Response>(&mut schemas);
    of::<link_redeem::Request>(&mut schemas);
    of::<tokens::Request>(&mut schemas);
    of::<password::ForgottenPassword>(&mut schemas);
    of::<password::Forgotten>(&mut schemas);
    of::<password::SetPassword>(&mut schemas);
    of::<shared::agreement::report::Report>(&mut schemas);
    of::<agreements::ReportLink>(&mut schemas);
    of::<kba_session::Request>(&mut schemas);
    of::<kba_session::Response>(&mut schemas);
    of::<kba_session::SessionState>(&mut schemas);
    of::<shared::agreement::kba::callback::Message>(&mut schemas);
    of::<factors::PatchMe>(&mut schemas);
    of::<shared::signin::me::Response>(&mut schemas);
    of::<audit::Response>(&mut schemas);
    of::<quota_topup::Request>(&mut schemas);
    of::<quota_topup::Response>(&mut schemas);
    of::<quota::Overview>(&mut schemas);
    of::<quota::Entries>(&mut schemas);
    of::<documents::Health>(&mut schemas);
    of::<documents::ProblemMeaning>(&mut schemas);
    of::<documents::Jwks>(&mut schemas);
    of::<documents::Discovery>(&mut schemas);
    schemas.sort_by(|(a, _), (b, _)| a.cmp(b));
    schemas.dedup_by(|(a, _), (b, _)| a == b);
    schemas
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// The body of a request.
pub fn request(operation: Operation) -> Option<RefOr<Schema>> {
    use Operation as O;
    Some(match operation {
        O::CreateAccount => reference::<accounts::CreateAccount>(),
        O::PatchAccount => reference::<accounts::PatchAccount>(),
        O::CreateApiKey => reference::<accounts::CreateApiKey>(),
        // A merge patch is a part of the document it changes.
        O::PatchSettings | O::PatchGroupSettings => {
            Schema::Object(Object::with_type(Type::Object)).into()
        }
        O::CreateUser => reference::<users::CreateUser>(),
        O::PatchUser => reference::<users::PatchUser>(),
        O::TopUpQuota => reference::<quota_topup::Request>(),
        O::SendAgreement => reference::<agreements::SendAgreement>(),
        O::PatchRecipient => reference::<agreements::PatchRecipient>(),
        O::CancelAgreement => reference::<agreements::CancelAgreement>(),
        O::Login => reference::<login::Request>(),
        O::IssueCode => reference::<code_issue::Request>(),
        O::VerifyCode => reference::<code_verify::Request>(),
        O::OpenKbaSession => reference::<kba_session::Request>(),
        O::TakeKbaCallback => reference::<shared::agreement::kba::callback::Message>(),
        O::PatchMe => reference::<factors::PatchMe>(),
        O::EnrolApp => reference::<factors::EnrolApp>(),
        O::ConfirmApp => reference::<factors::ConfirmApp>(),
        O::EnrolPhone => reference::<factors::EnrolPhone>(),
        O::EnrolMailbox => reference::<factors::EnrolMailbox>(),
        O::ConfirmPhone => reference::<factors::ConfirmPhone>(),
        O::ConfirmMailbox => reference::<factors::ConfirmMailbox>(),
        O::CreateLink => reference::<links::Request>(),
        O::RedeemLink => reference::<link_redeem::Request>(),
        O::RedeemCode => reference::<tokens::Request>(),
        O::ForgetPassword => reference::<password::ForgottenPassword>(),
        O::SetPassword => reference::<password::SetPassword>(),
        _ => return None,
    })
}

/// The body of a success, and its content type.
pub fn answer(operation: Operation) -> Option<(&'static str, RefOr<Schema>)> {
    use Operation as O;
    let json = "application/json";
    Some(match operation {
        O::CreateAccount | O::GetAccount | O::PatchAccount => {
            (json, reference::<accounts::Account>())
        }
        O::CreateApiKey => (json, reference::<accounts::CreatedApiKey>()),
        O::ListApiKeys => (json, reference::<accounts::ApiKeys>()),
        O::GetSettings => (
            json,
            either([
                reference::<settings::Settings>(),
                reference::<settings::Effective>(),
            ]),
        ),
        O::PatchSettings => (json, reference::<settings::Settings>()),
        O::GetGroupSettings => (
            json,
            either([group_settings(), reference::<settings::Effective>()]),
        ),
        O::PatchGroupSettings => (json, group_settings()),
        O::ExplainAllowlist => (json, reference::<settings::Explanation>()),
        O::CreateUser | O::GetUser | O::PatchUser | O::UnlockUser => {
            (json, reference::<users::User>())
        }
        O::ListUsers => (json, reference::<users::Users>()),
        O::IssueCode => (json, reference::<code_issue::Response>()),
        O::EnrolApp => (json, reference::<factors::EnrolledApp>()),
        O::ConfirmApp => (json, reference::<factors::ConfirmedApp>()),
        O::EnrolPhone | O::EnrolMailbox => (json, reference::<factors::EnrolledContact>()),
        O::ConfirmPhone | O::ConfirmMailbox => (json, reference::<factors::ConfirmedContact>()),
        O::ListFactors => (json, reference::<factors::Factors>()),
        O::MakeRecoveryCodes => (json, reference::<factors::RecoveryCodes>()),
        O::CreateLink => (json, reference::<links::Response>()),
        O::ForgetPassword => (json, reference::<password::Forgotten>()),
        O::Login | O::VerifyCode | O::RedeemLink | O::RedeemCode => {
            (json, reference::<shared::signin::sign_in::Answer>())
        }
        O::OpenKbaSession => (json, reference::<kba_session::Response>()),
        O::GetKbaSession => (json, reference::<kba_session::SessionState>()),
        O::GetMe | O::PatchMe => (json, reference::<shared::signin::me::Response>()),
        O::SendAgreement => (json, reference::<agreements::SentAgreement>()),
        O::ListAgreements => (json, reference::<agreements::Agreements>()),
        O::GetAgreement | O::CancelAgreement => (json, reference::<agreements::Agreement>()),
        O::PatchRecipient | O::CompleteRecipient | O::ResendLink | O::ReopenViewing => {
            (json, reference::<agreements::Recipient>())
        }
        O::ListAuthenticationMethods => (json, reference::<agreements::AuthenticationMethods>()),
        O::ReadAudit => (json, reference::<audit::Response>()),
        O::ReportAgreement => (json, reference::<shared::agreement::report::Report>()),
        O::LinkReport => (json, reference::<agreements::ReportLink>()),
        O::TopUpQuota => (json, reference::<quota_topup::Response>()),
        O::GetQuota => (json, reference::<quota::Overview>()),
        O::ListQuotaEntries => (json, reference::<quota::Entries>()),
        O::Health => (json, reference::<documents::Health>()),
        O::OpenApi => (json, Schema::Object(Object::with_type(Type::Object)).into()),
        O::ShowProblem => (json, reference::<documents::ProblemMeaning>()),
        O::Jwks => (json, reference::<documents::Jwks>()),
        O::Discovery => (json, reference::<documents::Discovery>()),
        O::SignInPage | O::LinkPage | O::ReportPage => (
            "text/html",
            Schema::Object(Object::with_type(Type::String)).into(),
        ),
        O::Asset => (
            "text/css",
            Schema::Object(Object::with_type(Type::String)).into(),
        ),
        O::DeleteApiKey
        | O::DeleteUser
        | O::ResetApp
        | O::RemoveApp
        | O::RemovePhone
        | O::RemoveMailbox
        | O::SetPassword
        | O::TakeKbaCallback => return None,
    })
}

/// The content types that a success has besides: for who asks for them by `Accept`, or by the path.
pub fn other_forms(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::ReportAgreement => &["text/csv", "text/html"],
        Operation::ShowProblem => &["text/html"],
        Operation::Asset => &["text/javascript", "image/svg+xml"],
        _ => &[],
    }
}

fn either(schemas: [RefOr<Schema>; 2]) -> RefOr<Schema> {
    let one_of = schemas.into_iter().fold(
        utoipa::openapi::OneOfBuilder::new(),
        utoipa::openapi::OneOfBuilder::item,
    );
    Schema::OneOf(one_of.build()).into()
}

/// A part of the settings: what a group has not set is not there.
fn group_settings() -> RefOr<Schema> {
    let mut object = Object::with_type(Type::Object);
    object.description =
        Some("What the group overrides, of `second_factor.methods`, `kba` and `locale`.".into());
    Schema::Object(object).into()
}
