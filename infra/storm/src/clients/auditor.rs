//! Who reads: quota, ledgers, audits, lists, and what is public.

use crate::desk::{Ask, Desk};

/// Reads this and that.
pub(crate) async fn go(desk: Desk) {
    while desk.goes_on() {
        desk.linger(15).await;
        let Some(account) = desk.one_of(desk.place.ground.accounts()).cloned() else { return };
        let own = |ask: Ask| ask.by(&account.key).about(&account.id);
        let ask = match desk.below(10) {
            0..4 => own(Ask::new("GET /v1/quota")),
            4 => own(Ask::new("GET /v1/quota/entries")),
            5 => own(Ask::new("GET /v1/agreements")),
            6 => own(Ask::new("GET /v1/users")),
            7 => own(Ask::new("GET /v1/authentication-methods")),
            8 => match desk.place.ground.prey(&desk.entropy) {
                Some(prey) => {
                    let ask = Ask::new("GET /v1/audit").at(format!("/v1/audit?subject={}", prey.id));
                    ask.by(&prey.account.key).about(&prey.id)
                }
                None => own(Ask::new("GET /v1/audit").at(format!("/v1/audit?subject={}", account.id))),
            },
            _ => Ask::new("GET /.well-known/jwks.json"),
        };
        desk.ask(ask).await;
    }
}
