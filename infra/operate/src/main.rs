//! What the engineer of a deployed stack runs. Keys of the keyring are never printed; an operator's
//! key is, once.

mod keyring;
mod ledger;
mod operator_keys;
mod report;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use clap::{Args, Parser, Subcommand};
use shared::store::dynamo::Failure;

/// Keeps the keyring of a deployed Countersign, its operators' API keys and its ledger, and
/// verifies reports.
///
/// Credentials come from where the AWS SDK looks for them: the environment, a profile, or the
/// machine's role.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The keys of codes, of sealed data and of access tokens.
    #[command(subcommand)]
    Keyring(KeyringCommand),
    /// Recomputes every balance of prepaid transactions from the ledger, and fails where one does
    /// not agree. An account that is never still is held against the ledger as of a minute ago,
    /// which takes two or three.
    Reconcile {
        /// The stack's table: its output TableName.
        #[arg(long)]
        table: String,
        /// Only this account.
        #[arg(long)]
        account: Option<String>,
    },
    /// Says whether an agreement's audit report is what the service signed, and if not, what was
    /// done to it. It asks nobody anything: the report and the public keys are enough.
    VerifyReport {
        /// The report, as JSON. May be given more than once: the parts of a long one, in any order,
        /// are verified together as well.
        #[arg(long, required = true)]
        file: Vec<PathBuf>,
        /// The public keys, as the service gave them at /.well-known/jwks.json.
        #[arg(long)]
        jwks: PathBuf,
    },
    /// An account's prepaid transactions.
    #[command(subcommand)]
    Quota(ledger::QuotaCommand),
    /// Operators' API keys, which open every account. No route makes or revokes one, and no
    /// account's audit tells of it.
    #[command(subcommand)]
    OperatorKeys(OperatorKeysCommand),
}

#[derive(Debug, Subcommand)]
enum OperatorKeysCommand {
    /// Makes a key and prints it, this once; its id goes to stderr.
    Make {
        /// The stack's table: its output TableName.
        #[arg(long)]
        table: String,
        /// What people call the key: whose it is, or what it is for.
        #[arg(long)]
        name: String,
    },
    /// Lists the keys: id, when it was made, name.
    List {
        /// The stack's table: its output TableName.
        #[arg(long)]
        table: String,
    },
    /// Revokes a key: the next request that shows it is refused.
    Revoke {
        /// The stack's table: its output TableName.
        #[arg(long)]
        table: String,
        /// The key's id: key_...
        #[arg(long)]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeyringCommand {
    /// Makes the first keyring. A secret that has a value already is left alone.
    Init {
        /// The stack's secret: its output KeyringSecretArn.
        #[arg(long)]
        secret_id: String,
    },
    /// Adds a new key of each kind. It signs nobody out: the keys before go on verifying what they
    /// made.
    Rotate {
        /// The stack's secret: its output KeyringSecretArn.
        #[arg(long)]
        secret_id: String,
    },
    /// Lists the keys without showing them: id, what it is for, when it was made, from when it is
    /// used.
    List {
        /// The stack's secret: its output KeyringSecretArn.
        #[arg(long)]
        secret_id: String,
    },
    /// Takes out keys that have leaked, and puts others in their place that are used at once. It
    /// says what that costs; with --yes it is done.
    Revoke {
        /// The stack's secret: its output KeyringSecretArn.
        #[arg(long)]
        secret_id: String,
        /// The key's id; may be given more than once. Whoever has read the whole secret has them
        /// all.
        #[arg(long, required = true)]
        key_id: Vec<String>,
        /// Does it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// The stack's region, where it is not the SDK's own.
    #[arg(long, global = true)]
    region: Option<String>,
    /// Where an emulator listens.
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// What went wrong, in words for the person who ran the command.
#[derive(Debug)]
struct Complaint(String);

impl Complaint {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What DynamoDB said, in words.
fn complaint(failure: &Failure) -> Complaint {
    Complaint::new(match failure {
        // What follows the bracket is the SDK's dump of the answer.
        Failure::Unavailable(unavailable) => {
            format!(
                "{}: {}",
                unavailable.doing,
                unavailable.cause.split(" (").next().unwrap_or_default()
            )
        }
        Failure::Condition(_) => "the answer was lost; run it again".into(),
        Failure::Conflict => "the table was busy; try again".into(),
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments { command, place } = arguments;
    let done = match command {
        Command::VerifyReport { file, jwks } => report::verify(&file, &jwks),
        command => with_aws(command, &sdk(place).await).await,
    };
    let (told, code) = match done {
        Ok(text) => (writeln!(io::stdout(), "{text}"), ExitCode::SUCCESS),
        Err(Complaint(text)) => (writeln!(io::stderr(), "operate: {text}"), ExitCode::FAILURE),
    };
    // A key that nobody could read is lost: the command has then failed, whatever it did.
    told.map_or(ExitCode::FAILURE, |()| code)
}

/// What needs the stack.
async fn with_aws(command: Command, sdk: &SdkConfig) -> Result<String, Complaint> {
    match command {
        Command::Keyring(KeyringCommand::Init { secret_id }) => {
            keyring::init(sdk, &secret_id).await
        }
        Command::Keyring(KeyringCommand::Rotate { secret_id }) => {
            keyring::rotate(sdk, &secret_id).await
        }
        Command::Keyring(KeyringCommand::List { secret_id }) => {
            keyring::list(sdk, &secret_id).await
        }
        Command::Keyring(KeyringCommand::Revoke {
            secret_id,
            key_id,
            yes,
        }) => keyring::revoke(sdk, &secret_id, &key_id, yes).await,
        Command::Reconcile { table, account } => ledger::reconcile(sdk, table, account).await,
        Command::Quota(command) => ledger::change(sdk, command).await,
        Command::OperatorKeys(OperatorKeysCommand::Make { table, name }) => {
            operator_keys::make(sdk, table, name).await
        }
        Command::OperatorKeys(OperatorKeysCommand::List { table }) => {
            operator_keys::list(sdk, table).await
        }
        Command::OperatorKeys(OperatorKeysCommand::Revoke { table, id }) => {
            operator_keys::revoke(sdk, table, &id).await
        }
        Command::VerifyReport { file, jwks } => report::verify(&file, &jwks),
    }
}

async fn sdk(place: Place) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(shared::kernel::sdk::https_client());
    if let Some(region) = place.region {
        loader = loader.region(Region::new(region));
    }
    if let Some(url) = place.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
