//! GSM 03.38: what one part of an SMS can hold. A character outside it makes the whole message UCS-2, and a part 70 characters.

/// The characters of one part.
pub const PART: usize = 160;

/// The basic set, without those that a name has no use for (Greek capitals, currency and control characters).
const BASIC: &str =
    "@£$¥èéùìòÇØøÅåÆæßÉ !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§abcdefghijklmnopqrstuvwxyzäöñüà\n_";

/// Whether `text` fits in one part.
#[cfg(test)]
pub fn fits(text: &str) -> bool {
    text.chars().count() <= PART && text.chars().all(|c| BASIC.contains(c))
}

/// `name` in the basic set, at most `most` characters: letters that are not in it lose their accents, what is left is dropped.
pub fn name(name: &str, most: usize) -> String {
    let spelt: String = name.chars().filter_map(spell).flat_map(str::chars).collect();
    let words = spelt.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(most).collect::<String>().trim_end().to_owned()
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
        assert_eq!(name("Crédit “Łódź” — 東京", 40), "Crédit Lodz -");
        assert_eq!(name("evil\n@bank.example #123456", 40), "evilbank.example 123456");
    }

    proptest! {
        #[test]
        fn a_name_is_always_in_the_set(text in "\\PC{0,80}") {
            let spelt = name(&text, 30);
            prop_assert!(spelt.chars().count() <= 30);
            prop_assert!(fits(&spelt));
        }
    }
}
