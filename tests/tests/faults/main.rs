//! Each request to DynamoDB, SES, SNS and the provider of each route, in turn: refused, throttled, in conflict, lost after it took
//! effect. Once, which the SDK must get over without anything counted twice; and three times in a row, which is all that it tries, and
//! after which whoever asked asks again as a client would.

mod agreements;
mod harness;
mod kba;
mod people;
mod quota;
mod reads;
mod recipients;
mod settings;
mod sign_in;
