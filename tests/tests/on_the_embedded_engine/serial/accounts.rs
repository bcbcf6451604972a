//! Scenes of an account: its settings, its groups, its keys; and a portal of it.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, World, token_of};

use crate::row;
use crate::serial::scene::Scene;

const PORTAL: &str = "https://portal.example/in";

async fn settings(scene: &Scene, path: &str, patch: Value) -> Answer {
    scene.world.backend(Method::PATCH, path, Some(patch)).await
}

async fn keys(scene: &Scene, method: Method, key: &str, body: Option<Value>) -> Answer {
    scene
        .world
        .operator(
            method,
            &format!("/v1/accounts/{}/api-keys{key}", scene.world.account),
            body,
        )
        .await
}

async fn account(scene: &Scene, patch: Value) -> Answer {
    scene
        .world
        .operator(
            Method::PATCH,
            &format!("/v1/accounts/{}", scene.world.account),
            Some(patch),
        )
        .await
}

/// For what nobody can meet: see `ALONE`.
pub async fn an_operator_is_at_work() -> Scene {
    let mut scene = Scene::of(World::new().await).await;
    scene.rows = vec![row!("an account is opened", scene => open_account(scene))];
    scene
}

async fn open_account(scene: &Scene) -> Answer {
    let body = json!({"name": "Birch", "plan": "business"});
    scene
        .world
        .operator(Method::POST, "/v1/accounts", Some(body))
        .await
}

/// A group that has one method of its account's two.
pub async fn an_account_is_set_up() -> Scene {
    let world = World::new().await;
    let methods = json!({"second_factor": {"methods": {"totp": false}}});
    let _ = world
        .backend(Method::PATCH, "/v1/groups/escrow/settings", Some(methods))
        .await
        .expect(200);
    let _ = world.settings(json!({"kba": {"enabled": true}})).await;
    let body = json!({"name": "other", "scopes": ["audit:read"]});
    let made = world
        .operator(
            Method::POST,
            &format!("/v1/accounts/{}/api-keys", world.account),
            Some(body),
        )
        .await
        .expect(201);
    let mut scene = Scene::of(world)
        .await
        .with("key", format!("/{}", made.text("id")));
    // Here they are what the requests are about.
    scene.inputs.retain(|(prefix, _)| *prefix != "ACCOUNT#");
    scene.rows = vec![
        row!("sms is switched off", scene => settings(scene, "/v1/settings", json!({"second_factor": {"methods": {"sms": false}}}))),
        row!("a page is named", scene => settings(scene, "/v1/settings", json!({"origins": ["https://portal.example"]}))),
        row!("kba is switched off", scene => settings(scene, "/v1/settings", json!({"kba": {"enabled": false}}))),
        row!("the group has an app again", scene => settings(
            scene, "/v1/groups/escrow/settings", json!({"second_factor": {"methods": {"totp": null}}})
        )),
        row!("the group speaks French", scene => settings(scene, "/v1/groups/escrow/settings", json!({"locale": "fr"}))),
        row!("a key is made", scene => keys(scene, Method::POST, "", Some(json!({"name": "new", "scopes": ["users:write"]})))),
        row!("a key is taken back", scene => keys(scene, Method::DELETE, scene.at("key"), None)),
        row!("the plan is changed", scene => account(scene, json!({"plan": "starter"}))),
        row!("the name is changed", scene => account(scene, json!({"name": "Alder"}))),
    ];
    scene
}

/// A link has led to a portal, which was handed a code.
pub async fn a_portal_was_handed_a_code() -> Scene {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .settings(json!({"links": {"redirect_uris": [PORTAL]}}))
        .await;
    let body = json!({"user": ann.id, "redirect_uri": PORTAL});
    let _ = world
        .backend(Method::POST, "/v1/links", Some(body))
        .await
        .expect(202);
    let link = token_of(&world.outbox().await.pop().unwrap());
    let challenge = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let done = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    let code = done.text("code");
    let mut scene = Scene::of(world)
        .await
        .with("user", format!("/v1/users/{}", ann.id))
        .with("code", code);
    scene.rows = vec![
        row!("the code is exchanged", scene => scene.world.backend(Method::POST, "/v1/tokens", Some(json!({"code": scene.at("code")})))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
        row!("the password is changed", scene => user(scene, json!({"password": "a horse of another colour"}))),
        row!("another link is mailed", scene => mail_another(scene)),
        row!("the user is deleted", scene => scene.world.backend(Method::DELETE, scene.at("user"), None)),
    ];
    scene
}

async fn user(scene: &Scene, patch: Value) -> Answer {
    scene
        .world
        .backend(Method::PATCH, scene.at("user"), Some(patch))
        .await
}

async fn mail_another(scene: &Scene) -> Answer {
    let id = scene.at("user").rsplit('/').next().unwrap_or_default();
    scene
        .world
        .backend(
            Method::POST,
            "/v1/links",
            Some(json!({"user": id, "redirect_uri": PORTAL})),
        )
        .await
}
