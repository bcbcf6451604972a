//! Codes: how often they are sent and may be typed, by whom and to whom.

mod challenge_limits;
mod races;
mod taken_back;
mod windows;
mod wrong_codes;
