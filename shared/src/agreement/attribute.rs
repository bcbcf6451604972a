//! The attributes of an agreement, of its recipients, and of their sessions of knowledge-based
//! authentication.

use crate::store::dynamo::Path;

pub(super) const STATUS: Path = Path::new("status");
pub(super) const CLOSURE: Path = Path::new("closure");
/// How many recipients have signed.
pub(super) const COMPLETED: Path = Path::new("completed");

pub(super) const VERSION: Path = Path::new("version");
pub(super) const AUTHENTICATION: Path = Path::new("authentication");
pub(super) const LINKS: Path = Path::new("links");
pub(super) const OPENINGS: Path = Path::new("openings");
pub(super) const RESENDS: Path = Path::new("resends");
pub(super) const VIEWINGS: Path = Path::new("viewings");
pub(super) const VIEWING_LOCKED_AT: Path = Path::new("viewing_locked_at");

pub(super) const ANSWER: Path = Path::new("answer");
pub(super) const ANSWERED_AT: Path = Path::new("answered_at");
pub(super) const EXPIRES_AT: Path = Path::new("expires_at");

/// What a recipient's item says of knowledge-based authentication.
const KBA: Path = Path::new("kba");

/// The transaction that is reserved for the recipient.
pub(super) fn hold() -> Path {
    KBA.member("hold")
}

/// Whether the recipient's transaction was consumed.
pub(super) fn consumed() -> Path {
    KBA.member("consumed")
}

/// How many attempts failed.
pub(super) fn attempts() -> Path {
    KBA.member("attempts")
}

/// The session that is waited for.
pub(super) fn session() -> Path {
    KBA.member("session")
}

/// When sessions were opened recently.
pub(super) fn sessions() -> Path {
    KBA.member("sessions")
}

/// How many sessions were opened, ever.
pub(super) fn opened() -> Path {
    KBA.member("opened")
}

/// The number of the latest session that was passed.
pub(super) fn passed() -> Path {
    KBA.member("passed")
}
