//! Questions as a public-record database would put them. The records are made of a digest of what
//! was typed: the same person is asked the same, and the wrong answers are as likely as the right
//! one.

use serde::Serialize;
use shared::kernel::secret::Fingerprint;

/// A question, and which of its choices is right.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Question {
    pub text: &'static str,
    pub choices: Vec<&'static str>,
    #[serde(skip)]
    pub right: usize,
}

/// How many choices a question has beside “none of the above”.
const CHOICES: usize = 4;

const SUBJECTS: [(&str, [&str; 10]); 6] = [
    (
        "Which of these streets have you lived on?",
        [
            "Alder Court",
            "Birchwood Lane",
            "Canterbury Road",
            "Dogwood Avenue",
            "Eastgate Drive",
            "Fairmount Terrace",
            "Glenview Street",
            "Hawthorne Way",
            "Juniper Circle",
            "Kingsley Boulevard",
        ],
    ),
    (
        "Which of these vehicles has been registered in your name?",
        [
            "2009 Honda Civic",
            "2012 Subaru Outback",
            "2014 Ford F-150",
            "2011 Toyota Camry",
            "2016 Mazda CX-5",
            "2008 Jeep Wrangler",
            "2013 Nissan Altima",
            "2017 Chevrolet Equinox",
            "2010 Volkswagen Jetta",
            "2015 Hyundai Sonata",
        ],
    ),
    (
        "In which of these counties have you owned property?",
        [
            "Alamedan County",
            "Brightwater County",
            "Cedar Falls County",
            "Drummond County",
            "Ellsworth County",
            "Franklin Grove County",
            "Garrison County",
            "Hollis County",
            "Larkspur County",
            "Merriwether County",
        ],
    ),
    (
        "With which of these companies have you had an account?",
        [
            "Beacon Hill Savings",
            "Cascade Mutual",
            "Delmar Credit Union",
            "Evergreen Trust",
            "First Harbor Bank",
            "Granite State Lending",
            "Heartland Federal",
            "Keystone Finance",
            "Lakeshore Bank",
            "Northern Prairie Bank",
        ],
    ),
    (
        "In which year did you last open a loan for a vehicle?",
        [
            "2008", "2009", "2011", "2012", "2013", "2015", "2016", "2018", "2019", "2021",
        ],
    ),
    (
        "At which of these places have you received mail for work?",
        [
            "14 Commerce Square",
            "220 Riverside Plaza",
            "31 Foundry Row",
            "480 Airport Parkway",
            "5 Market Hall",
            "61 Tannery Yard",
            "700 Lincoln Center",
            "82 Orchard Mill",
            "9 Depot Street",
            "1100 Summit Park",
        ],
    ),
];

/// The first `count` questions about somebody, in an order of their own.
pub(super) fn about(name: &str, address: &str, count: usize) -> Vec<Question> {
    let normal = |text: &str| {
        text.to_lowercase()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let seed = format!("{}\n{}", normal(name), normal(address));
    let draw = |what: &str, below: usize| {
        let digest = Fingerprint::of(format!("{what}\n{seed}").as_bytes()).short();
        usize::from(u16::from_be_bytes([digest[0], digest[1]])) % below.max(1)
    };
    let first = draw("subject", SUBJECTS.len());
    let subjects = SUBJECTS.iter().cycle().skip(first).take(count);
    subjects
        .map(|(text, answers)| {
            let from = draw(text, answers.len());
            let step = [1, 3, 7].get(draw("step", 3)).copied().unwrap_or(1);
            // 1, 3 and 7 share no factor with 10: the choices differ.
            let choices = (0..CHOICES)
                .filter_map(|place| answers.get((from + place * step) % answers.len()).copied());
            let choices = choices.chain(["None of the above"]).collect();
            Question {
                text,
                choices,
                right: draw(&format!("right {text}"), CHOICES),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_person_is_asked_the_same_and_another_something_else() {
        let asked = |name| serde_json::to_string(&about(name, "1 Main Street", 4)).unwrap();
        assert_eq!(asked("Ann Miller"), asked(" ann  MILLER"));
        assert_ne!(asked("Ann Miller"), asked("Ben Miller"));
        assert!(
            !asked("Ann Miller").contains("right"),
            "the page is not told which is right"
        );
    }

    #[test]
    fn the_choices_of_a_question_differ_and_one_of_them_is_right() {
        for person in 0..500 {
            for question in about(&format!("Person {person}"), "1 Main Street", 4) {
                let mut choices = question.choices.clone();
                choices.sort_unstable();
                choices.dedup();
                assert_eq!(choices.len(), CHOICES + 1);
                assert!(question.right < CHOICES);
            }
        }
    }
}
