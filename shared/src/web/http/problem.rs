//! RFC 9457 problems. Every refusal that the API can give is a [`Slug`]; nothing else gives an
//! error a status.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::kernel::clock::Span;
use crate::store::dynamo::Failure;
use crate::web::http::Reply;

macro_rules! slugs {
    ($($slug:ident $name:literal $status:literal $title:literal $meaning:literal;)*) => {
        /// The problems there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Slug {
            $(#[doc = $meaning] $slug,)*
        }

        impl Slug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$slug,)*];

            /// The last part of the problem's `type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$slug => $name,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$slug => $status,)* }
            }

            /// A short summary, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$slug => $title,)* }
            }

            /// What it means and what to do, as `GET /problems/{slug}` tells it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$slug => $meaning,)* }
            }
        }
    };
}

slugs! {
    InvalidRequest "invalid-request" 400 "The request is not valid"
        "A field is unknown, missing or malformed. `errors` names each by `pointer`, a JSON Pointer into the body, or, where `pointer` is empty, a query parameter or a header by `parameter`. Nothing was written.";
    IdempotencyKeyRequired "idempotency-key-required" 400 "An Idempotency-Key is required"
        "This request spends or sends, and must carry an `Idempotency-Key` header so that it can be repeated safely.";
    Unauthorized "unauthorized" 401 "The credentials are missing or wrong"
        "The `Authorization` header is missing, or its key or token is unknown, revoked, expired or for another service.";
    InvalidCredentials "invalid-credentials" 401 "The username or the password is wrong"
        "The answer is the same for an unknown user, a wrong password and a disabled user.";
    ChallengeUnknown "challenge-unknown" 401 "Nobody issued this challenge"
        "The challenge was not issued by this service, or its user is gone. Sign in again.";
    CodeInvalid "code-invalid" 401 "The code is not right"
        "The code is wrong or was used before. `attempts_left` says how many attempts this challenge still has.";
    CodeSuperseded "code-superseded" 401 "A newer code was sent"
        "The code was right once, but a newer one was sent since: use the message whose `reference` is the latest. `attempts_left` says how many attempts are left.";
    SignatureInvalid "signature-invalid" 401 "The message is not signed as it has to be"
        "The Standard Webhooks headers are missing or malformed, the signature is by no secret that is live, or the time is more than five minutes from ours.";
    QuotaExhausted "quota-exhausted" 402 "There are too few prepaid transactions"
        "The account has fewer prepaid transactions left than this needs: `requested` and `available` say how many. Nothing was written. The operator can add more.";
    Forbidden "forbidden" 403 "The key or token may not do this"
        "The API key lacks the scope that this route needs, or the token is of a kind that it does not serve.";
    FreshSecondFactorRequired "fresh-second-factor-required" 403 "A fresh second factor is required"
        "Changing factors, phone, mail or password takes a token that is at most five minutes old and tells of a second factor. Sign in again, with one: `second_factor: true` at `POST /v1/login` asks for it where the account waives it. Who never had a factor may enrol one without.";
    PlanRequired "plan-required" 403 "The account's plan does not include this"
        "Knowledge-based authentication needs the plan `business` or `enterprise`.";
    MethodNotEnabled "method-not-enabled" 403 "This method is not enabled"
        "The account or group has this method switched off, or the user has nothing to use it with.";
    ViewingLocked "viewing-locked" 403 "Viewing is locked"
        "The recipient failed to prove who they are too often after having signed. The sender can reopen the agreement for them.";
    NoUsableFactor "no-usable-factor" 403 "No second factor can be used"
        "The user has none that can be used here. An administrator can enable a method, unlock a factor or reset it; after a forgotten password, a code by e-mail is none.";
    NotFound "not-found" 404 "There is nothing here"
        "No route takes this path, or the object does not exist in this account.";
    LinkUnknown "link-unknown" 404 "Nobody was sent this link"
        "The link was not sent by this service, or was cut on its way: open it from the mail itself.";
    MethodNotAllowed "method-not-allowed" 405 "The path does not take this method"
        "`Allow` lists the methods that it takes.";
    UsernameTaken "username-taken" 409 "The username is taken"
        "Another user of the account has this username.";
    SsoSubjectTaken "sso-subject-taken" 409 "The subject is somebody else's"
        "Another user of the account signs in with this subject of the issuer.";
    Conflict "conflict" 409 "The object changed meanwhile"
        "Somebody else changed the object at the same moment. Read it again and repeat.";
    LastFactor "last-factor" 409 "This is the last factor"
        "The user would have no second factor left that can be used, and could not sign in any more. Set up another one first.";
    AgreementNotOpen "agreement-not-open" 409 "The agreement is not open"
        "It was completed or cancelled, or it has expired. `agreement_status` says which.";
    RecipientNotVerified "recipient-not-verified" 409 "The recipient has not been verified"
        "The recipient has to open the link and prove what their authentication method asks for before they can complete.";
    RecipientCompleted "recipient-completed" 409 "The recipient has completed"
        "What a recipient has to prove cannot be changed once they have completed.";
    IdempotencyConflict "idempotency-conflict" 409 "The same request is still running"
        "A request with this `Idempotency-Key` is being carried out. Repeat it in a moment.";
    ChallengeExpired "challenge-expired" 410 "The challenge has expired"
        "A challenge lives ten minutes, and ends with a change of what it was opened by. Sign in again.";
    ChallengeUsed "challenge-used" 410 "The challenge was used"
        "This sign-in was completed already. Sign in again.";
    CodeExpired "code-expired" 410 "The code has expired"
        "A code lives five minutes. Ask for a new one.";
    AgreementClosed "agreement-closed" 410 "The agreement is closed"
        "It was cancelled, or it has expired: its links open nothing any more.";
    CodeUsed "code-used" 410 "The code was used"
        "A one-time code is exchanged for a token once. Send the person a new link.";
    LinkExpired "link-expired" 410 "The link has expired"
        "A link is good for a day at most, and ends with a change of the user's address or password, and with the user being disabled. Ask for a new one.";
    LinkUsed "link-used" 410 "The link was used"
        "A second factor has spent this link. Ask for a new one.";
    PreconditionFailed "precondition-failed" 412 "The object is not the one you read"
        "`If-Match` does not name the object's current `ETag`. Read it again and repeat.";
    PayloadTooLarge "payload-too-large" 413 "The body is too large"
        "A body may have 64 KiB.";
    UnsupportedMediaType "unsupported-media-type" 415 "The content type is not supported"
        "Send `application/json`; a PATCH may also be `application/merge-patch+json`.";
    DestinationNotAllowed "destination-not-allowed" 422 "Nothing is sent to this destination"
        "The destination's country is not on the deployment's list.";
    RecipientNameRequired "recipient-name-required" 422 "A recipient's name is required"
        "The account or group wants the sender to give the name of each recipient who is to prove their identity. `errors` names them.";
    RecipientNotInUs "recipient-not-in-us" 422 "A recipient is not in the United States"
        "Knowledge-based authentication works on people in the United States: `country` must be `US`. `errors` names the recipients.";
    UnexpectedField "unexpected-field" 422 "The message has a field that it may not have"
        "A callback says which session, how it went, and the token of a pass. Anything else may be about a person, and is not taken. `errors` names the objects that have more.";
    ReportInParts "report-in-parts" 422 "The report is had in parts"
        "The report has more entries than one answer holds: `count` says how many, and `parts` in how many parts it is to be asked for, `?part=1` and so on. Each verifies by itself, and all of them together as one chain.";
    LinkNotPossible "link-not-possible" 422 "No link can be sent to this user"
        "The user is disabled or has no mail address.";
    AllowlistTooWide "allowlist-too-wide" 422 "A network of the allowlist is too wide"
        "An IPv4 network may be /16 or narrower, an IPv6 network /32 or narrower.";
    IdempotencyKeyReused "idempotency-key-reused" 422 "The Idempotency-Key was used for another request"
        "The key stands for another request. Use a new one.";
    TooManyAttempts "too-many-attempts" 429 "Too many attempts"
        "Wrong passwords or codes came too fast. `Retry-After` says when to try again. Where a challenge has had its attempts, a new sign-in helps at once; where a factor is disabled, an administrator does.";
    TooManySessions "too-many-sessions" 429 "Too many sessions were opened"
        "A recipient may open ten sessions of knowledge-based authentication in 24 hours. `Retry-After` says when the next one can be opened.";
    ResendTooSoon "resend-too-soon" 429 "A code was sent a moment ago"
        "The wait is 30 seconds after the first code of a challenge by a method, and doubles with each up to four minutes. `Retry-After` says how long is left.";
    TooManyChanges "too-many-changes" 429 "Too many changes"
        "A user changes the own phone three times a day, and the own mail address three times. Wait as long as `Retry-After` says; an administrator can change it meanwhile.";
    TooManySends "too-many-sends" 429 "Too many messages were sent"
        "The destination, the user or the source address has had its share: an account sends 5 codes in 10 minutes and 10 an hour to a destination, a user gets 10 an hour and 30 a day, a source address 25 in 5 minutes; of links after a forgotten password a username gets 10 in 10 minutes and 20 an hour; and of all but the source address's at least half is kept for addresses that the user has signed in from; or the account's texts to this country have gone unanswered too often this hour. `Retry-After` says when to try again.";
    InternalError "internal-error" 500 "Something went wrong on our side"
        "The fault is logged under `instance`.";
    SenderUnavailable "sender-unavailable" 503 "The message could not be sent"
        "The sender did not take the message. Nothing was counted; try again.";
    ProviderUnavailable "provider-unavailable" 503 "The identity provider cannot be reached"
        "The provider of knowledge-based authentication opened no session. Nothing was counted, and no transaction used; try again.";
    ServiceUnavailable "service-unavailable" 503 "The service is briefly unavailable"
        "A part that this service relies on did not answer in time. Repeat the request.";
}

/// A field that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON Pointer into the body; empty where it is the body as a whole, or a parameter.
    #[schema(example = "/username")]
    pub pointer: String,
    /// The name of the query parameter or header that is wrong, where it is one and not a field of
    /// the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "cursor")]
    pub parameter: Option<String>,
    /// What is wrong with it.
    #[schema(example = "is missing")]
    pub detail: String,
}

impl FieldError {
    /// The field at `pointer` is wrong because of `detail`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            parameter: None,
            detail: detail.into(),
        }
    }

    /// The query parameter or header `name` is wrong because of `detail`.
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            parameter: Some(name.into()),
            detail: detail.into(),
        }
    }
}

/// A refusal on its way to the caller.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    slug: Slug,
    detail: Option<String>,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A problem with nothing to add to its title.
    pub fn new(slug: Slug) -> Self {
        Self(Box::new(Parts {
            slug,
            detail: None,
            errors: Vec::new(),
            more: Map::new(),
            headers: Vec::new(),
        }))
    }

    /// The request is not valid, for these reasons.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Slug::InvalidRequest);
        problem.0.errors = errors;
        problem
    }

    /// The request is not valid because of one field.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, detail)])
    }

    /// The request is not valid because of a query parameter or a header.
    pub fn invalid_parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::parameter(name, detail)])
    }

    /// A fault of ours. The cause is logged and goes no further.
    pub fn internal(doing: &'static str, cause: &str) -> Self {
        tracing::error!(doing, cause, "internal error");
        Self::new(Slug::InternalError)
    }

    /// The problem's slug.
    pub fn slug(&self) -> Slug {
        self.0.slug
    }

    /// What is particular to this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names a field, for problems other than `invalid-request`.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError::new(pointer, detail));
        self
    }

    /// An extension member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(member.to_owned(), value.into());
        self
    }

    /// A response header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// When it makes sense to try again, and by which limit (a `RateLimit-Policy` item such as
    /// `"login";q=100;w=300`).
    #[must_use]
    pub fn retry_after(self, wait: Span, policy: &Policy) -> Self {
        let wait = wait.as_secs().max(1);
        self.header("retry-after", wait.to_string())
            .header(
                "ratelimit-policy",
                format!(
                    "\"{}\";q={};w={}",
                    policy.name,
                    policy.quota,
                    policy.window.as_secs()
                ),
            )
            .header("ratelimit", format!("\"{}\";r=0;t={wait}", policy.name))
    }

    /// The response, naming the request as its instance.
    pub fn into_reply(self, instance: &str) -> Reply {
        let Parts {
            slug,
            detail,
            errors,
            mut more,
            headers,
        } = *self.0;
        more.insert("type".into(), format!("/problems/{}", slug.name()).into());
        more.insert("title".into(), slug.title().into());
        more.insert("status".into(), slug.status().into());
        more.insert(
            "detail".into(),
            detail
                .unwrap_or_else(|| first_sentence(slug.meaning()))
                .into(),
        );
        more.insert("instance".into(), instance.into());
        if !errors.is_empty() {
            more.insert("errors".into(), json!(errors));
        }
        let reply = Reply::json(slug.status(), &Value::Object(more))
            .content_type("application/problem+json");
        headers
            .into_iter()
            .fold(reply, |reply, (name, value)| reply.header(name, value))
    }
}

/// A limit as `RateLimit-Policy` tells it.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What is limited.
    pub name: &'static str,
    /// How many are allowed ...
    pub quota: u32,
    /// ... in how long.
    pub window: Span,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(inner) => tracing::error!(
                doing = inner.doing,
                cause = inner.cause,
                "dynamodb unavailable"
            ),
            // A condition that its caller did not look at, or a conflict that outlived the retries:
            // nothing was written.
            Failure::Condition(_) | Failure::Conflict => {
                tracing::warn!("a write was given up under contention");
            }
        }
        Self::new(Slug::ServiceUnavailable).header("retry-after", "1".into())
    }
}

fn first_sentence(text: &str) -> String {
    text.split_inclusive(". ")
        .next()
        .unwrap_or(text)
        .trim_end()
        .to_owned()
}

/// RFC 9457's members and ours, for the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "only its shape is used")]
pub struct ProblemDocument {
    /// Ends in `/problems/<slug>`; what stands there explains it.
    #[schema(example = "/problems/invalid-request")]
    r#type: String,
    /// A short summary, the same for every occurrence.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time. Never internals, a code, a secret, or a full phone or mail.
    detail: String,
    /// The request's id, as the log has it.
    instance: String,
    /// The fields that were refused.
    errors: Option<Vec<FieldError>>,
    /// With `code-invalid` and `code-superseded`: how many attempts the challenge still has.
    attempts_left: Option<u32>,
    /// With `quota-exhausted`: how many transactions the request needs.
    requested: Option<u64>,
    /// With `quota-exhausted`: how many there were.
    available: Option<u64>,
    /// With `resend-too-soon`: after how many seconds a code can be sent.
    resend_in: Option<i64>,
    /// With `agreement-not-open`: what has become of it, `completed`, `cancelled` or `expired`.
    agreement_status: Option<String>,
    /// With `report-in-parts`: how many entries the report has.
    count: Option<u64>,
    /// With `report-in-parts`: in how many parts it is to be asked for.
    parts: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_told_apart_by_their_names() {
        let mut names: Vec<_> = Slug::ALL.iter().map(|slug| slug.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Slug::ALL.len());
    }

    #[test]
    fn what_is_wrong_is_named_as_the_meaning_says() {
        let meaning = Slug::InvalidRequest.meaning();
        for problem in [
            Problem::invalid_field("/username", "is missing"),
            Problem::invalid_parameter("If-Match", "is wrong"),
        ] {
            let body: Value = serde_json::from_slice(problem.into_reply("req").body()).unwrap();
            let error = body["errors"][0].as_object().unwrap();
            assert_eq!(
                error["pointer"] == "",
                error.contains_key("parameter"),
                "{error:?}"
            );
            for member in error.keys().filter(|member| *member != "detail") {
                assert!(
                    meaning.contains(&format!("`{member}`")),
                    "the meaning does not tell of {member}"
                );
            }
        }
    }
}
