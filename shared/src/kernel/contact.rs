//! Mail addresses and phone numbers: read, checked, and masked for showing.

use std::sync::LazyLock;
use std::thread;

use email_address::{EmailAddress, Options};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType, Region};

/// The longest mail address (RFC 5321).
const EMAIL_MAX: usize = 254;

/// Why a contact is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidContact {
    /// It is not of the form.
    Malformed,
    /// The form is right, and no such number is given out.
    Unassigned,
    /// It is given out for something else than SMS to one person, or costs who is called or who
    /// calls.
    NotMobile,
}

/// A phone number and its country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// E.164.
    pub number: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// Reads a mail address. Only plain `local@domain` in ASCII: what SES can send to, and no header
/// can be smuggled into.
pub fn email(text: &str) -> Result<String, InvalidContact> {
    let options = Options::default()
        .with_required_tld()
        .without_display_text()
        .without_domain_literal();
    let plain = text.is_ascii()
        && text.len() <= EMAIL_MAX
        && !text
            .chars()
            .any(|c| c.is_ascii_control() || " \"<>(),;:\\[]".contains(c));
    if plain && EmailAddress::parse_with_options(text, options).is_ok() {
        Ok(text.to_owned())
    } else {
        Err(InvalidContact::Malformed)
    }
}

/// Reads a phone number: E.164 exactly as it is dialled from abroad (`+15555550100` has no such
/// number), and its country.
///
/// Only what libphonenumber knows as a mobile's, or cannot tell from one: in North America and some
/// other countries a number does not say whether it is a mobile's. Everything else earns on SMS
/// or takes none: premium rate, toll-free, shared cost, landlines, VoIP, personal numbers, pagers,
/// universal access numbers.
pub fn phone(text: &str) -> Result<Phone, InvalidContact> {
    let digits = text.strip_prefix('+').ok_or(InvalidContact::Malformed)?;
    if !(7..=15).contains(&digits.len())
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || digits.starts_with('0')
    {
        return Err(InvalidContact::Malformed);
    }
    let number = PhoneNumber::parse(text, None).map_err(|_| InvalidContact::Malformed)?;
    // Given out everywhere and of nowhere: a number such as +800 has no country whose rules could
    // hold.
    let country = number
        .get_region_code()
        .filter(|&region| region != Region::World)
        .ok_or(InvalidContact::Unassigned)?;
    match number.get_type() {
        PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => {}
        PhoneNumberType::Unknown => return Err(InvalidContact::Unassigned),
        _ => return Err(InvalidContact::NotMobile),
    }
    Ok(Phone {
        number: text.to_owned(),
        country: country.to_string(),
    })
}

/// Begins to unpack what is known of the world's numbers, on a thread of its own: the first number
/// that is read would wait for it, and the first request waits for the network meanwhile.
pub fn preload_metadata() {
    // Where no thread is to be had, the first number unpacks it.
    let _ = thread::Builder::new().spawn(|| LazyLock::force(&PHONE_NUMBER_UTIL));
}

/// `+12025550100` as `+1••••••••00`.
pub fn mask_phone(number: &str) -> String {
    let digits = number.strip_prefix('+').unwrap_or(number);
    let code = country_code_length(digits);
    mask(digits, code, 2, "+")
}

/// `ann.smith@example.com` as `a••••••••@example.com`: as many dots for every address.
pub fn mask_email(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    format!("{}••••••••@{domain}", local.chars().next().unwrap_or('•'))
}

fn mask(digits: &str, shown_before: usize, shown_after: usize, prefix: &str) -> String {
    let hidden = digits.len().saturating_sub(shown_before + shown_after);
    let before = digits.get(..shown_before).unwrap_or_default();
    let after = digits.get(shown_before + hidden..).unwrap_or_default();
    format!("{prefix}{before}{}{after}", "•".repeat(hidden))
}

/// ITU-T E.164: +1 and +7 have one digit, a handful two, the others three.
fn country_code_length(digits: &str) -> usize {
    const TWO: &[&str] = &[
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46",
        "47", "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63",
        "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    match digits.get(..2) {
        Some(start) if start.starts_with(['1', '7']) => 1,
        Some(start) if TWO.contains(&start) => 2,
        _ => 3.min(digits.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_phone_tells_its_country() {
        assert_eq!(phone("+12025550100").unwrap().country, "US");
        assert_eq!(phone("+14165550100").unwrap().country, "CA");
        assert_eq!(phone("+18765550100").unwrap().country, "JM");
        assert_eq!(phone("+33612345678").unwrap().country, "FR");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "+",
            "2025550100",
            "+1 202 555 0100",
            "+0123456789",
            "+1202555010a",
            "+１２０２５５５０１００",
            "+1234567890123456",
            "+99912345678",
            "+80012345678",
            "+15555550100",
        ] {
            assert!(phone(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_that_is_given_out_to_nobody_or_of_nowhere_is_told_apart_from_one_of_another_kind() {
        for (text, kind) in [
            ("+15555550100", "of an area that North America has not"),
            ("+33012345678", "of a range that France has not"),
            ("+80012345678", "toll-free everywhere"),
            ("+881612345678", "a mobile by satellite, of no country"),
        ] {
            assert_eq!(
                phone(text),
                Err(InvalidContact::Unassigned),
                "{text} is {kind}"
            );
        }
    }

    #[test]
    fn only_a_number_that_may_be_a_mobiles_is_taken() {
        for (text, country) in [
            ("+12025550100", "US"),
            ("+14165550100", "CA"),
            ("+18765550100", "JM"),
            ("+17875550100", "PR"),
            ("+447400123456", "GB"),
            ("+33612345678", "FR"),
            ("+4915123456789", "DE"),
            ("+393123456789", "IT"),
            ("+34612345678", "ES"),
            ("+5511961234567", "BR"),
            ("+522221234567", "MX"),
            ("+918123456789", "IN"),
            ("+61412345678", "AU"),
            ("+819012345678", "JP"),
            ("+41781234567", "CH"),
        ] {
            assert_eq!(
                phone(text).map(|phone| phone.country),
                Ok(country.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_of_any_other_kind_is_refused() {
        for (text, kind) in [
            ("+19002345678", "premium rate in North America"),
            ("+449012345678", "premium rate in the United Kingdom"),
            ("+33891123456", "premium rate in France"),
            ("+499001234567", "premium rate in Germany"),
            ("+18002345678", "toll-free in North America"),
            ("+18882345678", "toll-free in North America"),
            ("+448001234567", "toll-free in the United Kingdom"),
            ("+33801234567", "toll-free in France"),
            ("+448431234567", "shared cost in the United Kingdom"),
            ("+441212345678", "a landline in the United Kingdom"),
            ("+33123456789", "a landline in France"),
            ("+4930123456", "a landline in Germany"),
            ("+390212345678", "a landline in Italy"),
            ("+445612345678", "VoIP in the United Kingdom"),
            ("+33912345678", "VoIP in France"),
            ("+15002345678", "a personal number in North America"),
            ("+447012345678", "a personal number in the United Kingdom"),
            ("+447640123456", "a pager in the United Kingdom"),
            ("+445512345678", "universal access in the United Kingdom"),
        ] {
            assert_eq!(
                phone(text),
                Err(InvalidContact::NotMobile),
                "{text} is {kind}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "ann@example",
            "ann@exa mple.com",
            "a\r\nBcc: b@example.com",
            "<ann@example.com>",
            "Ann <ann@example.com>",
            "ann@[192.0.2.1]",
            "änn@example.com",
        ] {
            assert!(email(text).is_err(), "{text:?}");
        }
        assert!(email("ann.smith+portal@example.co.uk").is_ok());
    }

    #[test]
    fn a_mask_shows_as_little_as_helps() {
        assert_eq!(mask_phone("+12025550100"), "+1••••••••00");
        assert_eq!(mask_phone("+33612345678"), "+33•••••••78");
        assert_eq!(mask_phone("+35312345678"), "+353••••••78");
        assert_eq!(mask_email("ann.smith@example.com"), "a••••••••@example.com");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}") {
            let _ = (phone(&text), email(&text), mask_phone(&text), mask_email(&text));
        }

        #[test]
        fn a_mask_hides_the_middle(number in "\\+[1-9][0-9]{7,14}") {
            let masked = mask_phone(&number);
            prop_assert_eq!(masked.chars().count(), number.len());
            prop_assert!(masked.chars().filter(char::is_ascii_digit).count() <= 5);
        }
    }
}
