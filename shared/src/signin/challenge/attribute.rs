//! The attributes of a challenge. It stands on the item of its holder, a user or a recipient, by
//! its name.

use crate::signin::code::{LiveCode, Sent};
use crate::signin::user::Method;
use crate::store::dynamo::Path;

/// A holder's challenges.
pub(crate) const CHALLENGES: Path = Path::new("challenges");

/// The attributes of the challenge of that name.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(super) &'a str);

impl Attributes<'_> {
    /// All of it.
    pub(super) fn whole(self) -> Path {
        CHALLENGES.member(self.0)
    }

    pub(super) fn expires_at(self) -> Path {
        self.whole().member("expires_at")
    }

    /// How far it has come: absent while it is open, see [`Stage`](super::Stage).
    pub(super) fn stage(self) -> Path {
        self.whole().member("stage")
    }

    /// Until when a new password may be set with it.
    pub(super) fn password_until(self) -> Path {
        self.stage().member("sets_password").member("until")
    }

    /// The ids of its attempts.
    pub(super) fn attempts(self) -> Path {
        self.whole().member("attempts")
    }

    /// When its SMS were sent.
    pub(super) fn sms(self) -> Path {
        self.whole().member("sms")
    }

    /// The codes that were sent by `method`: how many, and when the last.
    pub(super) fn sent(self, method: Method) -> Path {
        self.whole().member("sent").member(method.name())
    }

    /// How many were.
    pub(super) fn sent_count(self, method: Method) -> Path {
        Sent::count_in(self.sent(method))
    }

    /// The code that is good.
    pub(super) fn code(self, method: Method) -> Path {
        self.whole().member("codes").member(method.name())
    }

    /// The digest of its MAC, which it is told by.
    pub(super) fn code_digest(self, method: Method) -> Path {
        LiveCode::digest_in(self.code(method))
    }

    /// The MACs of those before it.
    pub(super) fn superseded(self, method: Method) -> Path {
        self.whole().member("superseded").member(method.name())
    }
}
