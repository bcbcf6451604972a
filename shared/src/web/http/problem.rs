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
    InvalidRequest "invalid-request" 400 "Invalid request"
        "A field is unknown, missing or malformed. `errors` names each by `pointer`, a JSON Pointer into the body, or, where `pointer` is empty, a query parameter or a header by `parameter`. Nothing was written.";
    IdempotencyKeyRequired "idempotency-key-required" 400 "Idempotency key required"
        "The `Idempotency-Key` header is missing. This request spends or sends, and the header makes it safe to repeat.";
    Unauthorized "unauthorized" 401 "Unauthorized"
        "The `Authorization` header is missing, or its key or token is unknown, revoked, expired or for another service.";
    InvalidCredentials "invalid-credentials" 401 "Invalid credentials"
        "The username or the password is wrong. The answer is the same for an unknown user, a wrong password and a disabled user.";
    ChallengeUnknown "challenge-unknown" 401 "Unknown challenge"
        "The challenge was not issued by this service, or its user no longer exists. Sign in again.";
    CodeInvalid "code-invalid" 401 "Invalid code"
        "The code is wrong or was already used. `attempts_left` says how many attempts this challenge still has.";
    CodeSuperseded "code-superseded" 401 "Superseded code"
        "A newer code was sent after this one. Use the message whose `reference` is the latest. `attempts_left` says how many attempts this challenge still has.";
    SignatureInvalid "signature-invalid" 401 "Invalid signature"
        "The Standard Webhooks headers are missing or malformed, the signature was made with no current secret, or the timestamp is more than five minutes from the time of this service.";
    QuotaExhausted "quota-exhausted" 402 "Insufficient quota"
        "The account has fewer prepaid transactions left than this request needs. `requested` and `available` say how many. Nothing was written. The operator can add more.";
    Forbidden "forbidden" 403 "Forbidden"
        "The API key lacks the scope that this route needs, or the route does not accept this kind of token.";
    FreshSecondFactorRequired "fresh-second-factor-required" 403 "Fresh second factor required"
        "This route needs a token that is at most five minutes old and was issued after a second factor. Sign in again with a second factor: `second_factor: true` at `POST /v1/login` asks for one where the account does not require it. A user who never had a factor may enrol one without.";
    PlanRequired "plan-required" 403 "Plan upgrade required"
        "Knowledge-based authentication needs the plan `business` or `enterprise`.";
    MethodNotEnabled "method-not-enabled" 403 "Method not enabled"
        "The account or group has switched this method off, or the user has not set it up.";
    ViewingLocked "viewing-locked" 403 "Viewing locked"
        "The recipient failed identity verification too often after completing. The sender can reopen the agreement for the recipient.";
    NoUsableFactor "no-usable-factor" 403 "No usable factor"
        "The user has no second factor that can be used for this sign-in. An administrator can enable a method, or unlock or reset a factor. After a forgotten password, a code by e-mail does not count as a second factor.";
    NotFound "not-found" 404 "Not found"
        "No route takes this path, or the object does not exist in this account.";
    LinkUnknown "link-unknown" 404 "Unknown link"
        "The link was not issued by this service, or a part of it is missing. Open it from the mail itself.";
    MethodNotAllowed "method-not-allowed" 405 "Method not allowed"
        "The path does not support this method. `Allow` lists the methods that it supports.";
    UsernameTaken "username-taken" 409 "Username taken"
        "Another user of the account has this username.";
    SsoSubjectTaken "sso-subject-taken" 409 "SSO subject taken"
        "Another user of the account signs in with this subject of the issuer.";
    Conflict "conflict" 409 "Conflict"
        "Another request changed the object at the same time. Read it again and repeat the request.";
    LastFactor "last-factor" 409 "Last factor"
        "This is the last second factor that the user can sign in with. Set up another one first.";
    AgreementNotOpen "agreement-not-open" 409 "Agreement not open"
        "The agreement was completed or cancelled, or it has expired. `agreement_status` says which.";
    RecipientNotVerified "recipient-not-verified" 409 "Recipient not verified"
        "The recipient must open the link and pass their authentication method before they can complete.";
    RecipientCompleted "recipient-completed" 409 "Recipient already completed"
        "The authentication method of a recipient cannot be changed after the recipient has completed.";
    IdempotencyConflict "idempotency-conflict" 409 "Idempotency key in use"
        "A request with this `Idempotency-Key` is still running. Repeat it in a moment.";
    ChallengeExpired "challenge-expired" 410 "Expired challenge"
        "The challenge has expired. It lives ten minutes, and ends early when what opened it is changed. Sign in again.";
    ChallengeUsed "challenge-used" 410 "Challenge already used"
        "This sign-in was already completed. Sign in again.";
    CodeExpired "code-expired" 410 "Expired code"
        "The code has expired. It lives five minutes. Ask for a new one.";
    AgreementClosed "agreement-closed" 410 "Agreement closed"
        "The agreement was cancelled or has expired. Its links no longer work.";
    CodeUsed "code-used" 410 "Code already used"
        "A one-time code is exchanged for a token only once. Send the person a new link.";
    LinkExpired "link-expired" 410 "Expired link"
        "The link has expired. It lives a day at most, and ends early when the user is disabled or the user's address or password changes. Ask for a new one.";
    LinkUsed "link-used" 410 "Link already used"
        "A sign-in by this link was already completed. Ask for a new one.";
    PreconditionFailed "precondition-failed" 412 "Precondition failed"
        "`If-Match` does not match the current `ETag` of the object. Read it again and repeat the request.";
    PayloadTooLarge "payload-too-large" 413 "Payload too large"
        "The body is larger than 64 KiB.";
    UnsupportedMediaType "unsupported-media-type" 415 "Unsupported media type"
        "Send `application/json`; a PATCH may also be `application/merge-patch+json`.";
    DestinationNotAllowed "destination-not-allowed" 422 "Destination not allowed"
        "This deployment sends no messages to the destination's country.";
    RecipientNameRequired "recipient-name-required" 422 "Recipient name required"
        "The account or group requires a name for each recipient whose identity is verified. `errors` names the recipients.";
    RecipientNotInUs "recipient-not-in-us" 422 "Recipient not in the United States"
        "Knowledge-based authentication works on people in the United States: `country` must be `US`. `errors` names the recipients.";
    UnexpectedField "unexpected-field" 422 "Unexpected field"
        "The callback has a field other than the session, the outcome and the token of a pass. Other fields could hold personal data and are refused. `errors` names the objects that contain them.";
    ReportInParts "report-in-parts" 422 "Report too large for one response"
        "The report has more entries than one response holds. `count` says how many entries there are, and `parts` how many parts: ask for `?part=1` and so on. Each part verifies by itself, and all of them together as one chain.";
    LinkNotPossible "link-not-possible" 422 "Link not possible"
        "The user is disabled or has no mail address.";
    AllowlistTooWide "allowlist-too-wide" 422 "Allowlist network too wide"
        "An IPv4 network may be /16 or narrower, an IPv6 network /32 or narrower.";
    IdempotencyKeyReused "idempotency-key-reused" 422 "Idempotency key reused"
        "The `Idempotency-Key` was already used for a different request. Use a new one.";
    TooManyAttempts "too-many-attempts" 429 "Too many attempts"
        "There were too many wrong passwords or codes. `Retry-After` says when to try again. If a challenge has no attempts left, a new sign-in helps at once; if a factor is disabled, an administrator can unlock it.";
    TooManySessions "too-many-sessions" 429 "Too many sessions"
        "A recipient may open ten KBA sessions in 24 hours. `Retry-After` says when the next one can be opened.";
    ResendTooSoon "resend-too-soon" 429 "Resend too soon"
        "A code was sent a moment ago. The wait is 30 seconds after the first code of a challenge by a method, and doubles with each code up to four minutes. `Retry-After` says how long is left.";
    TooManyChanges "too-many-changes" 429 "Too many changes"
        "A user may change their own phone three times a day, and their own mail address three times. `Retry-After` says when to try again; an administrator can make the change before that.";
    TooManySends "too-many-sends" 429 "Too many sends"
        "Too many messages were sent to this destination, for this user or from this client IP. An account sends at most 5 codes in 10 minutes and 10 an hour to a destination; a user gets at most 10 an hour and 30 a day; a client IP may ask for 25 in 5 minutes; a username gets at most 10 links for a forgotten password in 10 minutes and 20 an hour. At least half of each limit but the client IP's is kept for addresses that the user has signed in from. An account's SMS to a country are also refused while too few codes sent there are typed. `Retry-After` says when to try again.";
    InternalError "internal-error" 500 "Internal error"
        "The request failed because of a fault in this service. The fault is logged under `instance`.";
    SenderUnavailable "sender-unavailable" 503 "Sender unavailable"
        "The message could not be sent. Nothing was counted; try again.";
    ProviderUnavailable "provider-unavailable" 503 "Provider unavailable"
        "The KBA provider could not open a session. Nothing was counted and no transaction was used; try again.";
    ServiceUnavailable "service-unavailable" 503 "Service unavailable"
        "A service that this request depends on did not answer in time. Repeat the request.";
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
        tracing::error!(
            doing,
            cause,
            "request failed with an internal error; the caller got 500; see the cause"
        );
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
        let reply = Reply::json(&Value::Object(more))
            .with_status(slug.status())
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
                "DynamoDB request failed; the caller got 503; if repeated, see the cause"
            ),
            // A condition that its caller did not look at, or a conflict that outlived the retries:
            // nothing was written.
            Failure::Condition(_) | Failure::Conflict => {
                tracing::warn!(
                    "write failed after repeated conflicts; nothing was written and the caller got 503; no action needed"
                );
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
