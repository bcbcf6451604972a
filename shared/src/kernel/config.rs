//! The deployment's configuration. Every field names its variable; nothing else reads the
//! environment.

use crate::kernel::client_ip::TrustedProxies;

/// What a deployment decides once, for all accounts.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`: the one table.
    pub table_name: String,
    /// `BASE_URL`: the address of the service, where it is not the API's own: the issuer of tokens,
    /// the base of links.
    pub base_url: Option<String>,
    /// `KEYRING_SECRET_ID`: the secret that holds the keys.
    pub keyring_secret_id: Option<String>,
    /// `SMS_COUNTRIES`: to which countries SMS are sent, ISO 3166-1 alpha-2, separated by commas.
    /// `US,CA` unless set.
    pub sms_countries: Vec<String>,
    /// `MAIL_FROM`: the sender of mails, an address that SES has verified.
    pub mail_from: Option<String>,
    /// `SMS_SENDER_ID`: the alphanumeric sender of SMS, where the destination's country knows
    /// such.
    pub sms_sender_id: Option<String>,
    /// `SES_CONFIGURATION_SET`: SES's configuration set, for bounces and complaints.
    pub ses_configuration_set: Option<String>,
    /// `TRUSTED_PROXIES`: the networks of the proxies in front of the API, CIDR, separated by
    /// commas. None unless set: then `X-Forwarded-For` is nobody's word.
    pub trusted_proxies: TrustedProxies,
    /// Whether this is the local stack, which alone may talk to private addresses and by http. No
    /// variable sets it.
    pub local: bool,
    /// `PROVIDER_URL`: where the KBA provider takes requests for sessions; without one, there is no
    /// KBA.
    pub provider_url: Option<String>,
    /// `PROVIDER_FRAME_ORIGIN`: the origin of the pages that the provider asks its questions on,
    /// where it is not that of `PROVIDER_URL`.
    pub provider_frame_origin: Option<String>,
    /// `PROVIDER_API_SECRET_ID`: the secret that holds the key that the provider knows us by.
    pub provider_api_secret_id: Option<String>,
    /// `PROVIDER_WEBHOOK_SECRET_ID`: the secret that holds the list of secrets that the provider
    /// signs its callbacks with.
    pub provider_webhook_secret_id: Option<String>,
}

impl Config {
    /// Reads the environment of this process.
    pub fn from_env() -> Self {
        Self::read(env)
    }

    /// Reads variables by name.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let countries = variable("SMS_COUNTRIES").unwrap_or_else(|| "US,CA".into());
        Self {
            table_name: variable("TABLE_NAME").unwrap_or_else(|| "countersign".into()),
            base_url: variable("BASE_URL"),
            keyring_secret_id: variable("KEYRING_SECRET_ID"),
            sms_countries: countries
                .split(',')
                .map(|country| country.trim().to_ascii_uppercase())
                .collect(),
            mail_from: variable("MAIL_FROM"),
            sms_sender_id: variable("SMS_SENDER_ID"),
            ses_configuration_set: variable("SES_CONFIGURATION_SET"),
            trusted_proxies: variable("TRUSTED_PROXIES")
                .map(|text| TrustedProxies::read(&text))
                .unwrap_or_default(),
            local: false,
            provider_url: variable("PROVIDER_URL"),
            provider_frame_origin: variable("PROVIDER_FRAME_ORIGIN"),
            provider_api_secret_id: variable("PROVIDER_API_SECRET_ID"),
            provider_webhook_secret_id: variable("PROVIDER_WEBHOOK_SECRET_ID"),
        }
    }
}

impl Config {
    /// The origin of the pages that the provider asks its questions on, if there is a provider.
    pub fn provider_frame_origin(&self) -> Option<String> {
        let address = self
            .provider_frame_origin
            .as_ref()
            .or(self.provider_url.as_ref())?;
        url::Url::parse(address)
            .ok()
            .map(|url| url.origin().ascii_serialization())
    }
}

/// A variable of this process, if it is set.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        let config = Config::read(|_| None);
        assert_eq!(config.table_name, "countersign");
        assert_eq!(config.sms_countries, ["US", "CA"]);
        assert_eq!(config.base_url, None);
    }
}
