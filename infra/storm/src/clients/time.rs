//! Time: it passes while others ask, mostly by seconds, now and then by minutes, hours or a day;
//! and the schedule runs the clean-up.

use shared::kernel::clock::Span;

use super::operator;
use crate::desk::Desk;

/// Lets it pass.
pub(crate) async fn go(desk: Desk) {
    while desk.goes_on() {
        desk.linger(10 + desk.below(25)).await;
        let seconds = match desk.below(1000) {
            0..2 => 70_000 + desk.below(30_000),
            2..8 => 3_600 + desk.below(18_000),
            8..70 => 300 + desk.below(900),
            70..270 => {
                // Within requests, by no more than a request may take.
                desk.place
                    .front
                    .tick_on(Span::seconds(i64::from(desk.below(3))));
                continue;
            }
            _ => 1 + desk.below(60),
        };
        desk.pass_time(Span::seconds(i64::from(seconds))).await;
        // The schedule comes round every few minutes.
        if seconds > 180 {
            operator::clean(&desk).await;
        }
    }
}
