//! The ledger of prepaid transactions.

mod checkpoint;
mod flow;
mod low_balance;
mod quota;
