//! How far a challenge has come, and what it asks for.

use serde::{Deserialize, Serialize};

use crate::kernel::clock::Timestamp;

/// How far a challenge has come. Each stage carries what is so in it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What it asks for is still to be proved. Nothing is stored of it.
    #[default]
    Open,
    /// It was proved, and the challenge is good for nothing more.
    Completed {
        /// When.
        at: Timestamp,
    },
    /// It was proved after a link that a forgotten password had mailed: a new one may be set.
    SetsPassword {
        /// When it was proved.
        at: Timestamp,
        /// Until when the password may be set.
        until: Timestamp,
    },
}

impl Stage {
    /// Whether it is still to be proved.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// The stage once a password was set with this challenge, or with another of its link.
    #[must_use]
    pub const fn after_password(self) -> Self {
        match self {
            Self::SetsPassword { at, .. } => Self::Completed { at },
            Self::Open | Self::Completed { .. } => self,
        }
    }
}

/// What a challenge asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// A second factor that the user has. Nothing is stored of it.
    #[default]
    SecondFactor,
    /// That a first one is set up.
    Enrolment,
}

impl Asks {
    /// Whether it is a second factor that the user has.
    pub const fn is_second_factor(&self) -> bool {
        matches!(self, Self::SecondFactor)
    }
}
