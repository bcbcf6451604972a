//! GSM 03.38: what one part of an SMS can hold. A character outside it makes the whole message
//! UCS-2, and a part 70 characters.

/// The characters of one part.
pub const PART: usize = 160;
/// The characters of each part of an SMS that takes two: the header that joins them has its share.
pub const PART_OF_TWO: usize = 153;
/// The fewest characters that a name is cut to: what is shorter may as well be another's.
const NAME_MIN: usize = 8;

/// The basic set, without those that a name has no use for (Greek capitals, currency and control
/// characters).
const BASIC: &str = "@£$¥èéùìòÇØøÅåÆæßÉ !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§abcdefghijklmnopqrstuvwxyzäöñüà\n_";

/// Whether `text` fits in one part.
#[cfg(test)]
pub fn fits(text: &str) -> bool {
    text.chars().count() <= PART && is_basic(text)
}

/// Whether every character of `text` is one of the basic set.
#[cfg(test)]
pub fn is_basic(text: &str) -> bool {
    text.chars().all(|c| BASIC.contains(c))
}

/// `name` in the basic set, at most `most` characters: letters that are not in it lose their
/// accents, signs are dropped. None, where a letter would be lost or a word cut: a name in part is
/// no name, or another's.
pub fn name(name: &str, most: usize) -> Option<String> {
    if name
        .chars()
        .any(|c| c.is_alphanumeric() && spell(c).is_none())
    {
        return None;
    }
    let spelt: String = name
        .chars()
        .filter_map(spell)
        .flat_map(str::chars)
        .collect();
    let words: Vec<&str> = spelt.split_whitespace().collect();
    let whole = words.join(" ");
    if whole.chars().count() <= most {
        return Some(whole).filter(|whole| whole.chars().any(char::is_alphanumeric));
    }
    let cut = (1..words.len())
        .rev()
        .filter_map(|count| words.get(..count))
        .map(|some| some.join(" "));
    // The sign that joined it to the word after it goes with that.
    let mut cut = cut.map(|some| {
        some.trim_end_matches(|c: char| !c.is_alphanumeric())
            .to_owned()
    });
    cut.find(|some| some.chars().count() <= most)
        .filter(|some| some.chars().count() >= NAME_MIN)
}

fn spell(c: char) -> Option<&'static str> {
    if let Some(at) = BASIC.find(c).filter(|_| c != '@' && c != '#' && c != '\n') {
        return BASIC.get(at..at + c.len_utf8());
    }
    Some(match c {
        'á' | 'â' | 'ã' | 'ā' | 'ă' | 'ą' => "a",
        'Á' | 'À' | 'Â' | 'Ã' | 'Ā' | 'Ą' => "A",
        'ç' | 'ć' | 'č' => "c",
        'Ć' | 'Č' => "C",
        'ê' | 'ë' | 'ē' | 'ě' | 'ę' => "e",
        'È' | 'Ê' | 'Ë' | 'Ē' | 'Ę' => "E",
        'í' | 'î' | 'ï' | 'ī' => "i",
        'Í' | 'Ì' | 'Î' | 'Ï' => "I",
        'ł' => "l",
        'Ł' => "L",
        'ń' | 'ň' => "n",
        'ó' | 'ô' | 'õ' | 'ō' => "o",
        'Ó' | 'Ò' | 'Ô' | 'Õ' => "O",
        'ř' => "r",
        'ś' | 'š' => "s",
        'Ś' | 'Š' => "S",
        'ú' | 'û' | 'ū' | 'ů' => "u",
        'Ú' | 'Ù' | 'Û' => "U",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'œ' => "oe",
        'Œ' => "OE",
        '’' | '‘' => "'",
        '–' | '—' => "-",
        '\t' | '\u{a0}' => " ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_keeps_what_can_be_kept() {
        assert_eq!(name("Crédit “Łódź” — ✓", 40).unwrap(), "Crédit Lodz -");
        assert_eq!(
            name("evil\n@bank.example #123456", 40).unwrap(),
            "evilbank.example 123456"
        );
    }

    #[test]
    fn a_name_that_would_lose_a_letter_is_none() {
        for lost in [
            "Альфа Банк",
            "三菱 Trust",
            "Τράπεζα",
            "بنك",
            "Crédit 東京",
            "",
            "“”",
            "&",
        ] {
            assert_eq!(name(lost, 40), None, "{lost}");
        }
    }

    #[test]
    fn a_name_is_cut_between_words_and_not_to_a_stump() {
        let cut = |most| name("Alder & Pine Savings Bank", most);
        assert_eq!(cut(25).as_deref(), Some("Alder & Pine Savings Bank"));
        assert_eq!(cut(24).as_deref(), Some("Alder & Pine Savings"));
        assert_eq!(cut(19).as_deref(), Some("Alder & Pine"));
        assert_eq!(cut(11), None, "Alder alone may be another's");
        assert_eq!(name("Donaudampfschifffahrtsgesellschaft", 30), None);
        assert_eq!(
            name("Bank", 4).as_deref(),
            Some("Bank"),
            "a short name that is whole is a name"
        );
    }

    proptest! {
        #[test]
        fn a_name_is_always_in_the_set(text in "\\PC{0,80}") {
            if let Some(spelt) = name(&text, 30) {
                prop_assert!(spelt.chars().count() <= 30 && spelt.chars().any(char::is_alphanumeric));
                prop_assert!(fits(&spelt));
            }
        }
    }
}
