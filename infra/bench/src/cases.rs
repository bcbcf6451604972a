//! What is asked of each function, to be proved and measured.

use serde_json::json;

use crate::Fault;
use crate::agreements::{self, Act};
use crate::event::Event;
use crate::kba::Vendor;
use crate::world::{PASSWORD, Way, World, another, next};

/// What is asked of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BenchCase {
    pub name: &'static str,
    pub function: &'static str,
    pub status: u64,
    kind: CaseKind,
}

#[derive(Clone, Copy, Debug)]
enum CaseKind {
    LoginRight,
    LoginWrong,
    Issue,
    VerifyWrong,
    VerifyRight,
    Me,
    Factors,
    CreateUser,
    TopUp,
    Send,
    /// A GET of an agreement, or of what stands below it.
    Agreement(&'static str),
    /// Something that is done to one.
    Act(Act),
    OpenAgreement,
    LookAtSession,
    Callback,
    /// A GET with the account's key; `{account}` and `{user}` are filled in.
    Backend(&'static str),
    Operator(&'static str),
    Public(&'static str),
}

const fn case(
    name: &'static str,
    function: &'static str,
    status: u64,
    kind: CaseKind,
) -> BenchCase {
    BenchCase {
        name,
        function,
        status,
        kind,
    }
}

/// The routes that are measured; the first of a function is what its cold start is measured with.
pub(crate) const CASES: &[BenchCase] = &[
    case("POST /v1/login", "login", 200, CaseKind::LoginRight),
    case("POST /v1/login, wrong", "login", 401, CaseKind::LoginWrong),
    case("POST /v1/codes", "code-issue", 202, CaseKind::Issue),
    case(
        "POST /v1/codes/verify, wrong",
        "code-verify",
        401,
        CaseKind::VerifyWrong,
    ),
    case(
        "POST /v1/codes/verify",
        "code-verify",
        200,
        CaseKind::VerifyRight,
    ),
    case("GET /v1/me", "me", 200, CaseKind::Me),
    case("GET /v1/factors", "factors", 200, CaseKind::Factors),
    case(
        "GET /v1/settings",
        "settings",
        200,
        CaseKind::Backend("/v1/settings"),
    ),
    case(
        "GET /v1/users",
        "users",
        200,
        CaseKind::Backend("/v1/users"),
    ),
    case("POST /v1/users", "users", 201, CaseKind::CreateUser),
    case(
        "GET /v1/users/{id}",
        "users",
        200,
        CaseKind::Backend("/v1/users/{user}"),
    ),
    case(
        "GET /v1/quota",
        "quota",
        200,
        CaseKind::Backend("/v1/quota"),
    ),
    case(
        "GET /v1/quota/entries",
        "quota",
        200,
        CaseKind::Backend("/v1/quota/entries"),
    ),
    case("POST /v1/quota/topups", "quota-topup", 201, CaseKind::TopUp),
    case(
        "POST /v1/agreements, to one by KBA",
        "agreements",
        201,
        CaseKind::Send,
    ),
    case(
        "GET /v1/agreements/{id}",
        "agreements",
        200,
        CaseKind::Agreement(""),
    ),
    case(
        "GET /v1/agreements",
        "agreements",
        200,
        CaseKind::Backend("/v1/agreements"),
    ),
    case(
        "GET /v1/authentication-methods",
        "agreements",
        200,
        CaseKind::Backend("/v1/authentication-methods"),
    ),
    case(
        "PATCH /v1/agreements/{id}/recipients/{recipient}, in a group",
        "agreements",
        200,
        CaseKind::Act(Act::Change),
    ),
    case(
        "POST /v1/agreements/{id}/recipients/{recipient}/complete, the only one",
        "agreements",
        200,
        CaseKind::Act(Act::Complete),
    ),
    case(
        "POST /v1/agreements/{id}/recipients/{recipient}/resend",
        "agreements",
        202,
        CaseKind::Act(Act::Resend),
    ),
    case(
        "POST /v1/agreements/{id}/cancel",
        "agreements",
        200,
        CaseKind::Act(Act::Cancel),
    ),
    case(
        "POST /v1/links/redeem, a recipient's",
        "link-redeem",
        200,
        CaseKind::OpenAgreement,
    ),
    case(
        "GET /v1/kba/sessions/{session}",
        "kba-session",
        200,
        CaseKind::LookAtSession,
    ),
    case(
        "POST /v1/kba/callback",
        "kba-callback",
        204,
        CaseKind::Callback,
    ),
    case(
        "GET /v1/agreements/{id}/audit",
        "report",
        200,
        CaseKind::Agreement("/audit"),
    ),
    case(
        "POST /v1/agreements/{id}/audit/links",
        "agreements",
        201,
        CaseKind::Act(Act::LinkReport),
    ),
    case(
        "GET /v1/audit",
        "audit",
        200,
        CaseKind::Backend("/v1/audit?subject={user}"),
    ),
    case(
        "GET /v1/accounts/{account}",
        "accounts",
        200,
        CaseKind::Operator("/v1/accounts/{account}"),
    ),
    case("GET /health", "documents", 200, CaseKind::Public("/health")),
    case(
        "GET /openapi.json",
        "documents",
        200,
        CaseKind::Public("/openapi.json"),
    ),
    case(
        "GET /.well-known/jwks.json",
        "documents",
        200,
        CaseKind::Public("/.well-known/jwks.json"),
    ),
    case(
        "GET /.well-known/openid-configuration",
        "documents",
        200,
        CaseKind::Public("/.well-known/openid-configuration"),
    ),
    case(
        "GET /problems/{slug}",
        "documents",
        200,
        CaseKind::Public("/problems/not-found"),
    ),
    case("GET /", "pages", 200, CaseKind::Public("/")),
    case("GET /link", "pages", 200, CaseKind::Public("/link")),
    case(
        "GET /report/{id}",
        "pages",
        200,
        CaseKind::Public("/report/agr_01jd3w2f6kq8m1x4t7r0w3y5ab"),
    ),
    case(
        "GET /assets/{name}",
        "pages",
        200,
        CaseKind::Public("/assets/sign-in.js"),
    ),
];

impl BenchCase {
    /// Whether each request is for an SMS that nobody answers.
    pub const fn leaves_a_text(&self) -> bool {
        matches!(self.kind, CaseKind::Issue | CaseKind::VerifyWrong)
    }

    /// The events of so many requests: what comes before them has been done.
    pub async fn events(&self, way: &mut Way<'_>, count: usize) -> Result<Vec<Event>, Fault> {
        let world = way.world();
        let shared = match self.kind {
            CaseKind::Me => Some(Event::get("/v1/me").bearer(&way.token().await?)),
            CaseKind::Factors => Some(Event::get("/v1/factors").bearer(&way.token().await?)),
            CaseKind::Backend(path) => {
                Some(Event::get(self.path(path, world).await?).bearer(&world.key))
            }
            CaseKind::Operator(path) => Some(
                Event::get(self.path(path, world).await?)
                    .bearer(world.stack.operator_key().expose()),
            ),
            CaseKind::Public(path) => Some(Event::get(path)),
            CaseKind::Agreement(below) => {
                let path = agreements::one(way, &format!("read-{}", next())).await?;
                Some(Event::get(format!("{path}{below}")).bearer(&world.key))
            }
            CaseKind::LookAtSession => {
                let (_, challenge, session) = agreements::asked(way).await?;
                Some(Event::get(format!("/v1/kba/sessions/{session}")).bearer(&challenge))
            }
            _ => None,
        };
        if let Some(event) = shared {
            return Ok(vec![event; count]);
        }
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let event = match self.kind {
                CaseKind::LoginWrong => world
                    .person()
                    .await?
                    .login(world, Some("wrong horse battery")),
                CaseKind::Issue => {
                    let (person, challenge) = way.challenge().await?;
                    person.code(&challenge)
                }
                CaseKind::VerifyWrong => {
                    let (person, challenge, code) = way.code().await?;
                    person.verify(&challenge, &another(&code))
                }
                CaseKind::VerifyRight => {
                    let (person, challenge, code) = way.code().await?;
                    person.verify(&challenge, &code)
                }
                CaseKind::CreateUser => {
                    let user = json!({ "username": format!("made-{}-{}", way.name(), next()), "kind": "internal", "password": PASSWORD });
                    Event::post("/v1/users", user).bearer(&world.key)
                }
                CaseKind::TopUp => {
                    let body = json!({ "account": world.account, "transactions": 1 });
                    let key = format!("\"topup-{}\"", next());
                    let event =
                        Event::post("/v1/quota/topups", body).header("idempotency-key", &key);
                    event.bearer(world.stack.operator_key().expose())
                }
                CaseKind::Send => {
                    agreements::prepare(world).await?;
                    agreements::sending(world, &format!("sent-{}", next()))
                }
                CaseKind::Act(act) => agreements::acting(way, act).await?,
                CaseKind::OpenAgreement => {
                    agreements::opening(way, &format!("opened-{}", next())).await?
                }
                CaseKind::Callback => {
                    let (vendor, _, session): (Vendor, _, _) = agreements::asked(way).await?;
                    vendor.message(&session, "passed")?
                }
                _ => world.person().await?.login(world, None),
            };
            events.push(event);
        }
        Ok(events)
    }

    async fn path(&self, path: &str, world: &World) -> Result<String, Fault> {
        let user = if path.contains("{user}") {
            world.person().await?.id
        } else {
            String::new()
        };
        Ok(path
            .replace("{user}", &user)
            .replace("{account}", &world.account))
    }
}
