//! The rules that settings are held to, all of them at once.

use url::{Host, Url};

use super::allowlist::{self, InvalidNetwork};
use super::{InvalidSettings, Settings, Sso};
use crate::kernel::contact;
use crate::kernel::outbound;
use crate::web::http::FieldError;

/// The most networks of an allowlist.
const NETWORKS_MAX: usize = 150;
/// The most origins: each is an item that the same transaction writes.
const ORIGINS_MAX: usize = 20;
/// The most redirect URIs, and the most contacts.
const LIST_MAX: usize = 20;
/// The longest URI taken. With the lists' lengths it keeps the account's item, which every sign-in
/// reads, small.
const URI_MAX: usize = 512;

impl Settings {
    /// Whether every rule holds.
    pub(super) fn check(&self, local: bool) -> Result<(), InvalidSettings> {
        let mut errors = self.group_level_errors();
        if self.quota.low_balance > 1_000_000 {
            let detail = "must be at most 1000000";
            errors.push(FieldError::new("/quota/low_balance", detail));
        }
        self.check_lists(&mut errors);
        if let Some(sso) = &self.sso {
            sso.check(local, &mut errors);
        }
        let too_wide = self.check_allowlist(&mut errors);
        if !errors.is_empty() {
            return Err(InvalidSettings::Fields(errors));
        }
        if !too_wide.is_empty() {
            return Err(InvalidSettings::TooWide(too_wide));
        }
        Ok(())
    }

    /// Whether those rules hold that what a group sets can break.
    pub(super) fn check_group_level(&self) -> Result<(), InvalidSettings> {
        let errors = self.group_level_errors();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings::Fields(errors))
        }
    }

    fn group_level_errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.second_factor.methods.any() {
            let detail = "at least one method stays on";
            errors.push(FieldError::new("/second_factor/methods", detail));
        }
        let max_attempts = self.kba.max_attempts;
        if max_attempts.is_some_and(|most| !(1..=10).contains(&most)) {
            errors.push(FieldError::new(
                "/kba/max_attempts",
                "must be 1 to 10, or null for no limit",
            ));
        }
        errors
    }

    fn check_lists(&self, errors: &mut Vec<FieldError>) {
        each("/origins", &self.origins, ORIGINS_MAX, errors, |text| {
            is_origin(text).then_some(()).ok_or(
                "must be a web origin such as https://portal.example, without a path; http only on this machine",
            )
        });
        let uris = &self.links.redirect_uris;
        each("/links/redirect_uris", uris, LIST_MAX, errors, |text| {
            is_redirect_uri(text).then_some(()).ok_or(
                "must be an absolute https address without a fragment; http only on this machine",
            )
        });
        each("/contacts", &self.contacts, LIST_MAX, errors, |text| {
            contact::email(text)
                .map(|_| ())
                .map_err(|_| "must be a mail address")
        });
    }

    fn check_allowlist(&self, errors: &mut Vec<FieldError>) -> Vec<FieldError> {
        let mut too_wide = Vec::new();
        each(
            "/ip_allowlist",
            &self.ip_allowlist,
            NETWORKS_MAX,
            errors,
            |_| Ok(()),
        );
        for (index, text) in self.ip_allowlist.iter().enumerate() {
            let field = |detail| FieldError::new(format!("/ip_allowlist/{index}"), detail);
            match allowlist::network(text) {
                Ok(_) => {}
                Err(InvalidNetwork::Malformed) => {
                    errors.push(field("must be an IPv4 or IPv6 network in CIDR notation"));
                }
                Err(InvalidNetwork::HostBits) => {
                    errors.push(field("has bits set behind its prefix"));
                }
                Err(InvalidNetwork::TooWide) => {
                    too_wide.push(field("is wider than /16 (IPv4) or /32 (IPv6)"));
                }
            }
        }
        too_wide
    }
}

impl Sso {
    fn check(&self, local: bool, errors: &mut Vec<FieldError>) {
        const RULE: &str = "must be a public https address without a fragment; http and private addresses only in the local stack";
        for (name, text) in [("issuer", &self.issuer), ("jwks_uri", &self.jwks_uri)] {
            let plain = text.len() <= URI_MAX
                && !text.contains('#')
                && !text.chars().any(char::is_whitespace);
            if !plain || !outbound::may_be_configured(text, local) {
                errors.push(FieldError::new(format!("/sso/{name}"), RULE));
            }
        }
        if self.audience.is_empty() || self.audience.len() > 255 {
            errors.push(FieldError::new(
                "/sso/audience",
                "must have 1 to 255 characters",
            ));
        }
    }
}

/// Holds every entry of a list against a rule, and the list against its length and against
/// repetition.
fn each(
    pointer: &str,
    list: &[String],
    most: usize,
    errors: &mut Vec<FieldError>,
    rule: impl Fn(&str) -> Result<(), &'static str>,
) {
    if list.len() > most {
        errors.push(FieldError::new(
            pointer,
            format!("has more than {most} entries"),
        ));
        return;
    }
    for (index, text) in list.iter().enumerate() {
        let repeated = list.iter().take(index).any(|earlier| earlier == text);
        let verdict = if repeated {
            Err("is already in the list")
        } else {
            rule(text)
        };
        if let Err(detail) = verdict {
            errors.push(FieldError::new(format!("{pointer}/{index}"), detail));
        }
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    // What is read in a page that anybody on the way may have written is read by anybody.
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    safe && url.host().is_some()
        && text.len() <= URI_MAX
        && url.origin().ascii_serialization() == text
}

fn is_redirect_uri(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    allowed
        && plain
        && url.host().is_some()
        && text.len() <= URI_MAX
        && !text.chars().any(char::is_whitespace)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        None => false,
    }
}
