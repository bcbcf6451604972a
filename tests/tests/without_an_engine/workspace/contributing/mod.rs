//! `infra/contributing.md` is true: what it names is there, its examples are followed to every file
//! that has them, and all others of their kind stand in the same places.

mod audit;
mod nouns;
mod page;
mod routes;
mod settings;
pub mod tree;
