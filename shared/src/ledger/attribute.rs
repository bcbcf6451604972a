//! The attributes of a shard, of a group's share on it, and of what was told of a low balance.

use crate::store::dynamo::Path;

pub(super) const AVAILABLE: Path = Path::new("available");
pub(super) const RESERVED: Path = Path::new("reserved");
pub(super) const CONSUMED: Path = Path::new("consumed");
pub(super) const ENTRIES: Path = Path::new("entries");
pub(super) const ODD_AVAILABLE: Path = Path::new("odd_available");
pub(super) const ODD_RESERVED: Path = Path::new("odd_reserved");
pub(super) const ODD_CONSUMED: Path = Path::new("odd_consumed");
pub(super) const ODD_ENTRIES: Path = Path::new("odd_entries");
pub(super) const TOLD: Path = Path::new("told");
pub(super) const CROSSINGS: Path = Path::new("crossings");
