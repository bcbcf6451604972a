//! `GET /.well-known/openid-configuration`

use serde::Serialize;
use shared::signin::access_token::{Acr, Claims};
use shared::store::app::App;
use shared::web::http::{Call, Reply};
use utoipa::ToSchema;

use crate::json;

/// OpenID Connect discovery, as far as a token's verifier needs it: API Gateway's JWT authorizer
/// reads the issuer and the keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Discovery)]
pub struct Response {
    /// `iss` of the tokens.
    #[schema(example = "https://id.example")]
    pub issuer: String,
    /// Where the keys are.
    #[schema(example = "https://id.example/.well-known/jwks.json")]
    pub jwks_uri: String,
    /// How tokens are signed.
    #[schema(example = json!(["RS256"]))]
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    /// `none`: there is no authorization endpoint, and nobody is sent to one.
    #[schema(example = json!(["none"]))]
    pub response_types_supported: Vec<&'static str>,
    /// `public`: `sub` is the same for every audience.
    #[schema(example = json!(["public"]))]
    pub subject_types_supported: Vec<&'static str>,
    /// The claims of a token.
    #[schema(value_type = Vec<String>, example = json!(["iss", "sub", "aud", "exp"]))]
    pub claims_supported: [&'static str; Claims::NAMES.len()],
    /// What `acr` may say.
    #[schema(value_type = Vec<String>, example = json!(["two-factor"]))]
    pub acr_values_supported: [Acr; Acr::ALL.len()],
}

pub(crate) fn handle(app: &App, call: &Call) -> Reply {
    let issuer = call.base_url(app.config.base_url.as_deref());
    json(&Response {
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        issuer,
        id_token_signing_alg_values_supported: vec!["RS256"],
        response_types_supported: vec!["none"],
        subject_types_supported: vec!["public"],
        claims_supported: Claims::NAMES,
        acr_values_supported: Acr::ALL,
    })
}
