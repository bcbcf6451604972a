//! Who reads: quota, ledgers, audits, lists, and what is public.

use crate::desk::{Ask, Desk};

/// What anybody may read: routes, and where they are.
const PUBLIC: [(&str, &str); 8] = [
    ("GET /", "/"),
    ("GET /link", "/link"),
    ("GET /assets/{name}", "/assets/sign-in.css"),
    ("GET /problems/{slug}", "/problems/conflict"),
    ("GET /health", "/health"),
    ("GET /openapi.json", "/openapi.json"),
    (
        "GET /.well-known/openid-configuration",
        "/.well-known/openid-configuration",
    ),
    ("GET /.well-known/jwks.json", "/.well-known/jwks.json"),
];

/// Reads this and that.
pub(crate) async fn go(desk: Desk) {
    while desk.goes_on() {
        desk.linger(12).await;
        let Some(account) = desk.one_of(desk.place.ground.accounts()).cloned() else {
            return;
        };
        let own = |ask: Ask| ask.by(&account.key).about(&account.id);
        let ask = match desk.below(11) {
            0..3 => own(Ask::new("GET /v1/quota")),
            3 => own(Ask::new("GET /v1/quota/entries")),
            4 => own(Ask::new("GET /v1/agreements")),
            5 => own(Ask::new("GET /v1/users")),
            6 => own(Ask::new("GET /v1/authentication-methods")),
            7..9 => match somebody(&desk) {
                Some(ask) => ask,
                None => {
                    own(Ask::new("GET /v1/audit").at(format!("/v1/audit?subject={}", account.id)))
                }
            },
            _ => {
                let Some((route, path)) = desk.one_of(&PUBLIC) else {
                    return;
                };
                Ask::new(route).at(*path)
            }
        };
        desk.ask(ask).await;
    }
}

/// Somebody who is there, or what became of them so far.
fn somebody(desk: &Desk) -> Option<Ask> {
    let prey = desk.place.ground.prey(&desk.entropy)?;
    let ask = if desk.happens(50) {
        Ask::new("GET /v1/audit").at(format!("/v1/audit?subject={}", prey.id))
    } else {
        Ask::new("GET /v1/users/{id}").at(format!("/v1/users/{}", prey.id))
    };
    Some(ask.by(&prey.account.key).about(&prey.id))
}
