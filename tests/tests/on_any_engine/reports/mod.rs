//! The report of an agreement: what it says, in which parts, and the links that open it.

mod flow;
mod links;
mod parts;
