//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;
use local::Options;
use shared::kernel::clock::Clock;
use shared::kernel::config::Config;
use shared::kernel::secret::Secret;

/// Runs Countersign on this machine: the same handlers as in AWS, over an embedded DynamoDB and an
/// inbox that takes the place of SES and SNS. Nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "local", version, max_term_width = 100)]
pub struct CommandLine {
    /// The port that the service answers at; the port after it is kept for the KBA provider
    #[arg(long, value_name = "N", default_value_t = 9000)]
    port: u16,
    /// The address to listen at; 0.0.0.0 lets other machines in
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The directory that keeps everything between runs
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".countersign",
        conflicts_with = "ephemeral"
    )]
    data: PathBuf,
    /// Keep nothing
    #[arg(long)]
    ephemeral: bool,
    /// The operator's key; without it, one is made, kept and printed
    #[arg(long, value_name = "KEY", value_parser = operator_key)]
    operator_key: Option<Secret<String>>,
    /// Another DynamoDB than the embedded one, such as Amazon's DynamoDB Local
    #[arg(long, value_name = "URL")]
    dynamodb_endpoint: Option<String>,
    /// Another SES than the inbox
    #[arg(long, value_name = "URL")]
    ses_endpoint: Option<String>,
    /// Another SNS than the inbox
    #[arg(long, value_name = "URL")]
    sns_endpoint: Option<String>,
}

impl CommandLine {
    /// What the stack is started with.
    pub fn options(self) -> Options {
        Options {
            host: self.host,
            port: self.port,
            data: (!self.ephemeral).then_some(self.data),
            operator_key: self.operator_key,
            clock: Clock::system(),
            demo: true,
            config: Config::from_env(),
            dynamodb_endpoint: self.dynamodb_endpoint,
            ses_endpoint: self.ses_endpoint,
            sns_endpoint: self.sns_endpoint,
            ..Options::ephemeral()
        }
    }
}

/// It has to fit into an `Authorization` header.
fn operator_key(text: &str) -> Result<Secret<String>, &'static str> {
    let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(Secret::new(text.to_owned()))
    } else {
        Err("it must be 1 to 256 visible ASCII characters without spaces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn an_ephemeral_stack_has_no_data_directory() {
        let options =
            |arguments: &[&str]| CommandLine::try_parse_from(arguments).map(CommandLine::options);
        assert_eq!(
            options(&["local"]).unwrap().data,
            Some(PathBuf::from(".countersign"))
        );
        assert_eq!(options(&["local", "--ephemeral"]).unwrap().data, None);
        assert!(options(&["local", "--ephemeral", "--data", "x"]).is_err());
        assert!(options(&["local", "--operator-key", "two words"]).is_err());
    }
}
