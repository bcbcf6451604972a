//! The table: what a write leaves there, and what two writers make of one item.

mod next_states;
mod windows;
