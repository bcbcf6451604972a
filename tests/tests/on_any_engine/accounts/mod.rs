//! Accounts and what a back end keeps in one: keys, users, groups, settings, the audit.

mod audit;
mod flow;
mod groups;
mod settings;
mod users;
