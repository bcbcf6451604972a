//! What the terminal says once the stack answers.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use local::{Demo, Stack};

/// Addresses, keys, and what to do next.
pub struct Greeting<'a> {
    /// The running stack.
    pub stack: &'a Stack,
    /// Where its data is kept.
    pub data: Option<&'a Path>,
}

impl Display for Greeting<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let base = self.stack.base_url();
        let account = self
            .stack
            .demo()
            .map(|demo| format!("?account={}", demo.account))
            .unwrap_or_default();
        writeln!(f, "\nCountersign runs on this machine.\n")?;
        writeln!(f, "  Sign in       {base}/{account}")?;
        writeln!(f, "  Inbox         {base}/_local/")?;
        writeln!(f, "  OpenAPI       {base}/openapi.json")?;
        writeln!(f, "  KBA provider  {}\n", self.stack.provider().origin())?;
        if let Some(demo) = self.stack.demo() {
            account_lines(f, demo)?;
        }
        writeln!(f, "  Operator key  {}", self.stack.operator_key().expose())?;
        writeln!(
            f,
            "  Webhooks      {}  (what the provider signs with)",
            self.stack.provider().webhook_secret().expose()
        )?;
        match self.data {
            Some(path) => writeln!(
                f,
                "  Data          {}, kept; delete it to start afresh\n",
                path.display()
            )?,
            None => writeln!(f, "  Data          in memory, gone when this stops\n")?,
        }
        if let Some(demo) = self.stack.demo() {
            next(f, base, demo)?;
        }
        writeln!(f, "Ctrl-C stops it.")
    }
}

fn account_lines(f: &mut Formatter<'_>, demo: &Demo) -> fmt::Result {
    writeln!(
        f,
        "  Account       {}  ({}, plan {})",
        demo.account, demo.name, demo.plan
    )?;
    for user in &demo.users {
        writeln!(
            f,
            "  User          {}  ({}, {}, {})",
            user.username, user.kind, user.phone, user.email
        )?;
    }
    writeln!(f, "  Password      {}", demo.password)?;
    writeln!(f, "  API key       {}", demo.api_key)
}

fn next(f: &mut Formatter<'_>, base: &str, demo: &Demo) -> fmt::Result {
    let Demo {
        account,
        password,
        api_key,
        ..
    } = demo;
    let (username, email) = demo
        .users
        .first()
        .map(|user| (user.username.as_str(), user.email.as_str()))
        .unwrap_or_default();
    writeln!(f, "Next:")?;
    writeln!(
        f,
        "  1. Open the sign-in page, sign in as {username}, and fetch the code from the inbox."
    )?;
    writeln!(
        f,
        "  2. Or sign in by hand; the answer's challenge goes to POST /v1/codes, and the code to POST /v1/codes/verify:\n"
    )?;
    writeln!(
        f,
        "     curl -s {base}/v1/login -H 'Content-Type: application/json' \\"
    )?;
    writeln!(
        f,
        "       -d '{{\"account\":\"{account}\",\"username\":\"{username}\",\"password\":\"{password}\"}}'\n"
    )?;
    writeln!(
        f,
        "  3. Send {username} an agreement that asks for more than a mailbox. Open the mailed link from the inbox, and answer:\n"
    )?;
    writeln!(
        f,
        "     curl -s {base}/v1/agreements -H 'Content-Type: application/json' -H 'Idempotency-Key: \"lease-1\"' \\"
    )?;
    writeln!(f, "       -H 'Authorization: Bearer {api_key}' \\")?;
    writeln!(
        f,
        "       -d '{{\"title\":\"Lease\",\"sender\":{{\"email\":\"sales@example.com\"}},\"recipients\":\
         [{{\"email\":\"{email}\",\"country\":\"US\",\"authentication\":\"kba\"}}]}}'\n"
    )?;
    writeln!(
        f,
        "  4. Let five minutes pass in an instant and see the code expire:\n"
    )?;
    writeln!(
        f,
        "     curl -s {base}/_local/clock -H 'Content-Type: application/json' -d '{{\"advance\":300}}'\n"
    )
}
