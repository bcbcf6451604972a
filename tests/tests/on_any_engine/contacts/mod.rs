//! A user's phone and mail address: how they are proved, and what that ends.

mod ends;
mod flow;
mod limits;
mod numbers;
mod races;
