//! What a back end and an operator are refused.

use reqwest::Method;
use serde_json::json;
use shared::web::http::routes::Function;
use shared::web::http::{Operation, Slug};
use tests::OPERATOR;

use crate::problems::walk::{Walk, snapshot};

pub const NO_ACCOUNT: &str = "acc_00000000000000000000000001";
const NO_USER: &str = "/v1/users/usr_00000000000000000000000001";
pub const NO_KEY: &str = "key_00000000000000000000000001";

#[tokio::test]
async fn the_errors_of_accounts_and_api_keys() {
    let mut walk = Walk::new().await;
    let create = Operation::CreateAccount;
    walk.refuses_keys(
        create,
        "/v1/accounts",
        Some(json!({"name": "A", "plan": "starter"})),
    )
    .await;
    for body in [
        json!({"name": "", "plan": "starter"}),
        json!({"plan": "starter"}),
        json!({"name": "A", "plan": "gold"}),
    ] {
        walk.refuses_body(create, Slug::InvalidRequest, "/v1/accounts", body)
            .await;
    }

    let (account, none) = (
        format!("/v1/accounts/{}", walk.world.account),
        format!("/v1/accounts/{NO_ACCOUNT}"),
    );
    walk.refuses_keys(Operation::GetAccount, &account, None)
        .await;
    walk.refuses(
        Operation::GetAccount,
        Slug::NotFound,
        walk.ask(Operation::GetAccount, &none),
    )
    .await;

    let (patch, body) = (Operation::PatchAccount, json!({"name": "B"}));
    walk.refuses_keys(patch, &account, Some(body.clone())).await;
    walk.refuses_body(patch, Slug::NotFound, &none, body.clone())
        .await;
    walk.refuses_body(patch, Slug::InvalidRequest, &account, json!({"plan": null}))
        .await;
    let stale = walk
        .ask(patch, &account)
        .header("if-match", "\"7\"")
        .json(&body);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    walk.refuses_contention(patch, &account, Some(body)).await;

    let (keys, no_keys) = (format!("{account}/api-keys"), format!("{none}/api-keys"));
    let (create, body) = (
        Operation::CreateApiKey,
        json!({"name": "key", "scopes": ["audit:read"]}),
    );
    walk.refuses_keys(create, &keys, Some(body.clone())).await;
    for scopes in [
        json!([]),
        json!(["operator"]),
        json!(["audit:read", "audit:read"]),
        json!(["everything"]),
    ] {
        walk.refuses_body(
            create,
            Slug::InvalidRequest,
            &keys,
            json!({"name": "key", "scopes": scopes}),
        )
        .await;
    }
    walk.refuses_body(create, Slug::NotFound, &no_keys, body.clone())
        .await;
    walk.refuses_contention(create, &keys, Some(body.clone()))
        .await;

    walk.refuses_keys(Operation::ListApiKeys, &keys, None).await;
    walk.refuses(
        Operation::ListApiKeys,
        Slug::NotFound,
        walk.ask(Operation::ListApiKeys, &no_keys),
    )
    .await;

    let delete = Operation::DeleteApiKey;
    let made = walk
        .world
        .operator(Method::POST, &keys, Some(body.clone()))
        .await
        .expect(201)
        .text("id");
    walk.refuses_keys(delete, &format!("{keys}/{made}"), None)
        .await;
    walk.refuses(
        delete,
        Slug::NotFound,
        walk.ask(delete, &format!("{keys}/{NO_KEY}")),
    )
    .await;
    walk.refuses_contention(delete, &format!("{keys}/{made}"), None)
        .await;

    // The limit is another reason for the same refusal.
    while walk
        .world
        .operator(Method::POST, &keys, Some(body.clone()))
        .await
        .status
        == 201
    {}
    walk.refuses_body(create, Slug::Conflict, &keys, body).await;
    snapshot(walk, Function::Accounts);
}

async fn the_errors_of_groups(walk: &mut Walk, other: &str) {
    let (get, patch, path) = (
        Operation::GetGroupSettings,
        Operation::PatchGroupSettings,
        "/v1/groups/escrow/settings",
    );
    let body = json!({"locale": "fr"});
    walk.refuses_keys(get, path, None).await;
    walk.refuses_keys(patch, path, Some(body.clone())).await;
    for wrong in [
        json!({"ip_allowlist": [], "second_factor": {"internal_required": false}, "colour": 1}),
        json!({"second_factor": {"methods": {"sms": false, "totp": false}}, "kba": {"max_attempts": 11}}),
    ] {
        walk.refuses_body(patch, Slug::InvalidRequest, path, wrong)
            .await;
    }
    for unknown in [
        "/v1/groups/Escrow/settings".to_owned(),
        format!("{path}?account={other}"),
    ] {
        walk.refuses(get, Slug::NotFound, walk.ask(get, &unknown))
            .await;
        walk.refuses_body(patch, Slug::NotFound, &unknown, body.clone())
            .await;
    }
    walk.refuses(
        patch,
        Slug::PreconditionFailed,
        walk.ask(patch, path)
            .header("if-match", "\"7\"")
            .json(&body),
    )
    .await;
    let (others, operator) = (format!("{path}?account={other}"), OPERATOR);
    let enabled = walk
        .anonymous(patch, &others)
        .bearer_auth(operator)
        .json(&json!({"kba": {"enabled": true}}));
    walk.refuses(patch, Slug::PlanRequired, enabled).await;
    walk.refuses_contention(patch, path, Some(body)).await;
}

#[tokio::test]
async fn the_errors_of_settings() {
    let mut walk = Walk::new().await;
    let (other, _) = walk.world.open_account("starter").await;
    let others = format!("/v1/settings?account={other}");
    walk.refuses_keys(Operation::GetSettings, "/v1/settings", None)
        .await;
    walk.refuses(
        Operation::GetSettings,
        Slug::InvalidRequest,
        walk.ask(Operation::GetSettings, "/v1/settings?effective=1"),
    )
    .await;
    walk.refuses(
        Operation::GetSettings,
        Slug::NotFound,
        walk.ask(Operation::GetSettings, &others),
    )
    .await;

    the_errors_of_groups(&mut walk, &other).await;
    let (patch, path, body) = (
        Operation::PatchSettings,
        "/v1/settings",
        json!({"locale": "fr"}),
    );
    walk.refuses_keys(patch, path, Some(body.clone())).await;
    for wrong in [
        json!({"second_factor": {"methods": {"sms": false, "totp": false}}}),
        json!({"kba": {"max_attempts": 11, "difficulty": "default"}, "contacts": ["nobody"], "origins": ["https://a.example/"]}),
        json!({"kba": {"max_attempts": -1}}),
        json!({"kba": {"difficulty": "impossible"}}),
        json!({"kba": {"enabled": "yes"}}),
        json!({"contacts": "desk@example.com"}),
        json!({"sso": {"issuer": "https://id.example"}}),
        json!({"ip_allowlist": ["10.0.0.1/24", "office"]}),
        json!({"ip_allowlist": (0..151).map(|number| format!("10.0.{number}.0/24")).collect::<Vec<_>>()}),
    ] {
        walk.refuses_body(patch, Slug::InvalidRequest, path, wrong)
            .await;
    }
    walk.refuses_body(
        patch,
        Slug::AllowlistTooWide,
        path,
        json!({"ip_allowlist": ["10.0.0.0/16", "10.0.0.0/15", "::/0"]}),
    )
    .await;
    walk.refuses_body(patch, Slug::NotFound, &others, body.clone())
        .await;
    let stale = walk
        .ask(patch, path)
        .header("if-match", "\"7\"")
        .json(&body);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    walk.refuses_contention(patch, path, Some(body)).await;
    let account = format!("/v1/accounts/{}", walk.world.account);
    let _ = walk
        .world
        .operator(Method::PATCH, &account, Some(json!({"plan": "starter"})))
        .await
        .expect(200);
    walk.refuses_body(
        patch,
        Slug::PlanRequired,
        path,
        json!({"kba": {"enabled": true}}),
    )
    .await;

    let (explain, path) = (Operation::ExplainAllowlist, "/v1/ip-allowlist/explain");
    walk.refuses_keys(explain, &format!("{path}?ip=127.0.0.1"), None)
        .await;
    for query in ["", "?ip=office"] {
        walk.refuses(
            explain,
            Slug::InvalidRequest,
            walk.ask(explain, &format!("{path}{query}")),
        )
        .await;
    }
    walk.refuses(
        explain,
        Slug::NotFound,
        walk.ask(explain, &format!("{path}?ip=127.0.0.1&account={other}")),
    )
    .await;
    snapshot(walk, Function::Settings);
}

#[tokio::test]
async fn the_errors_of_users() {
    let mut walk = Walk::new().await;
    let ann = walk.world.user("ann", json!({})).await;
    let _ = walk.world.user("ben", json!({"sso_subject": "00u1"})).await;
    let (other, _) = walk.world.open_account("starter").await;
    let others = format!("/v1/users?account={other}");
    let (create, body) = (
        Operation::CreateUser,
        json!({"username": "new", "kind": "external"}),
    );
    walk.refuses_keys(create, "/v1/users", Some(body.clone()))
        .await;
    let wrong = json!({
        "username": "a b", "kind": "external", "password": "short", "email": "nobody", "phone": "12", "group": "-", "sso_subject": "",
    });
    for wrong in [
        wrong,
        json!({"username": "a", "kind": "robot"}),
        json!({"username": "a", "kind": "internal", "phone": "+99912345678"}),
    ] {
        walk.refuses_body(create, Slug::InvalidRequest, "/v1/users", wrong)
            .await;
    }
    let own = walk
        .anonymous(create, "/v1/users")
        .bearer_auth(OPERATOR)
        .json(&body);
    walk.refuses(create, Slug::InvalidRequest, own).await;
    walk.refuses_body(create, Slug::NotFound, &others, body)
        .await;
    walk.refuses_body(
        create,
        Slug::UsernameTaken,
        "/v1/users",
        json!({"username": "Ann", "kind": "internal"}),
    )
    .await;
    let taken = json!({"username": "cat", "kind": "internal", "sso_subject": "00u1"});
    walk.refuses_body(create, Slug::SsoSubjectTaken, "/v1/users", taken)
        .await;

    let list = Operation::ListUsers;
    walk.refuses_keys(list, "/v1/users", None).await;
    walk.refuses(
        list,
        Slug::InvalidRequest,
        walk.ask(list, "/v1/users?cursor=forged"),
    )
    .await;
    walk.refuses(list, Slug::NotFound, walk.ask(list, &others))
        .await;

    let path = format!("/v1/users/{}", ann.id);
    walk.refuses_keys(Operation::GetUser, &path, None).await;
    walk.refuses(
        Operation::GetUser,
        Slug::NotFound,
        walk.ask(Operation::GetUser, NO_USER),
    )
    .await;

    let (patch, body) = (Operation::PatchUser, json!({"group": "escrow"}));
    walk.refuses_keys(patch, &path, Some(body.clone())).await;
    walk.refuses_body(patch, Slug::InvalidRequest, &path, json!({"kind": null}))
        .await;
    walk.refuses_body(
        patch,
        Slug::InvalidRequest,
        &path,
        json!({"disabled": "no"}),
    )
    .await;
    walk.refuses_body(patch, Slug::NotFound, NO_USER, body.clone())
        .await;
    walk.refuses_body(
        patch,
        Slug::UsernameTaken,
        &path,
        json!({"username": "ben"}),
    )
    .await;
    walk.refuses_body(
        patch,
        Slug::SsoSubjectTaken,
        &path,
        json!({"sso_subject": "00u1"}),
    )
    .await;
    let stale = walk
        .ask(patch, &path)
        .header("if-match", "\"7\"")
        .json(&body);
    walk.refuses(patch, Slug::PreconditionFailed, stale).await;
    walk.refuses_contention(patch, &path, Some(body)).await;

    let unlock = Operation::UnlockUser;
    walk.refuses_keys(unlock, &format!("{path}/unlock"), None)
        .await;
    walk.refuses_body(
        unlock,
        Slug::InvalidRequest,
        &format!("{path}/unlock"),
        json!({"factor": "sms"}),
    )
    .await;
    walk.refuses(
        unlock,
        Slug::NotFound,
        walk.ask(unlock, &format!("{NO_USER}/unlock")),
    )
    .await;
    walk.refuses_contention(unlock, &format!("{path}/unlock"), None)
        .await;

    let reset = Operation::ResetApp;
    walk.refuses_keys(reset, &format!("{path}/factors/totp"), None)
        .await;
    walk.refuses(
        reset,
        Slug::NotFound,
        walk.ask(reset, &format!("{NO_USER}/factors/totp")),
    )
    .await;
    walk.refuses_contention(reset, &format!("{path}/factors/totp"), None)
        .await;

    let delete = Operation::DeleteUser;
    walk.refuses_keys(delete, &path, None).await;
    walk.refuses(delete, Slug::NotFound, walk.ask(delete, NO_USER))
        .await;
    walk.refuses_contention(delete, &path, None).await;
    snapshot(walk, Function::Users);
}

#[tokio::test]
async fn the_errors_of_the_audit() {
    let mut walk = Walk::new().await;
    let audit = Operation::ReadAudit;
    let path = format!("/v1/audit?subject={}", walk.world.account);
    walk.refuses_keys(audit, &path, None).await;
    for query in [
        "",
        "?subject=ann",
        "?subject=usr_00000000000000000000000001&cursor=forged",
    ] {
        walk.refuses(
            audit,
            Slug::InvalidRequest,
            walk.ask(audit, &format!("/v1/audit{query}")),
        )
        .await;
    }
    walk.refuses(
        audit,
        Slug::NotFound,
        walk.ask(audit, "/v1/audit?subject=usr_00000000000000000000000001"),
    )
    .await;
    walk.refuses(
        audit,
        Slug::NotFound,
        walk.ask(audit, &format!("/v1/audit?subject={NO_ACCOUNT}")),
    )
    .await;
    snapshot(walk, Function::Audit);
}
