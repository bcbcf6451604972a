//! What the reference speaks of.

/// What a recipient has to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    None,
    Email,
    Sms,
    Kba,
}

impl Method {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Kba => "kba",
        }
    }
}

/// How the provider says that a session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    TimedOut,
    NotLocatable,
    ProviderError,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotLocatable => "not_locatable",
            Self::ProviderError => "provider_error",
        }
    }
}

/// An agreement that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub methods: Vec<Method>,
    pub in_us: bool,
    pub named: bool,
    pub life: i64,
    pub group: Option<&'static str>,
}

/// The settings that matter.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub enabled: bool,
    pub name_required: bool,
    pub max_attempts: Option<u32>,
    pub on_view: bool,
}

/// What is expected of an answer: the status, and the slugs of which it may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    pub slugs: Vec<&'static str>,
}

pub fn ok(status: u16) -> Expected {
    Expected {
        status,
        slugs: Vec::new(),
    }
}

pub fn no(status: u16, slug: &'static str) -> Expected {
    Expected {
        status,
        slugs: vec![slug],
    }
}

#[derive(Debug)]
pub struct Agreement {
    pub request: Request,
    pub status: &'static str,
    pub expires_at: i64,
    pub max_attempts: Option<u32>,
    pub on_view: bool,
    pub recipients: Vec<Recipient>,
}

#[derive(Debug)]
pub struct Recipient {
    pub method: Method,
    pub status: &'static str,
    pub locked: bool,
    pub attempts: u32,
    pub reserved: bool,
    pub consumed: bool,
    /// The latest session, that supersedes the others.
    pub session: Option<usize>,
    pub sessions: Vec<i64>,
    pub passed: u32,
    pub openings: Vec<i64>,
    pub resends: Vec<i64>,
}

/// A challenge that opening a link made.
#[derive(Debug)]
pub struct Challenge {
    pub of: (u8, usize),
    pub expires_at: i64,
    pub used: bool,
    pub dropped: bool,
}

/// A session at the provider.
#[derive(Debug)]
pub struct Session {
    pub of: (u8, usize),
    pub challenge: usize,
    pub number: u32,
    pub viewing: bool,
    pub status: &'static str,
    pub expires_at: i64,
    pub answered_at: Option<i64>,
    pub removed: bool,
}
