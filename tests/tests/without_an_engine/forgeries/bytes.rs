//! No byte of a good file can be another, be left out or be put in, but for white space between
//! what is said.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::forgeries::{good, judge};

/// An edit of some bytes.
#[derive(Clone, Debug)]
enum Edit {
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize, usize),
    Swap(usize, usize),
}

impl Edit {
    fn of(self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        let within = |place: usize| place % text.len();
        match self {
            Self::Replace(place, byte) => bytes[within(place)] = byte,
            Self::Insert(place, byte) => bytes.insert(within(place), byte),
            Self::Remove(place, length) => {
                let start = within(place);
                drop(bytes.drain(start..(start + length).min(text.len())));
            }
            Self::Swap(one, other) => bytes.swap(within(one), within(other)),
        }
        bytes
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(place, byte)| Edit::Replace(place, byte)),
        (any::<usize>(), any::<u8>()).prop_map(|(place, byte)| Edit::Insert(place, byte)),
        (
            any::<usize>(),
            prop::sample::select(&b" \n\t\r\"0{}[]:,\\"[..])
        )
            .prop_map(|(place, byte)| Edit::Insert(place, byte)),
        (any::<usize>(), 1..40_usize).prop_map(|(place, length)| Edit::Remove(place, length)),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Edit::Swap(one, other)),
    ]
}

/// The text without the white space that stands between what is said.
fn said(bytes: &[u8]) -> Vec<u8> {
    let (mut said, mut is_text, mut is_escaped) = (Vec::new(), false, false);
    for byte in bytes {
        if is_text || !b" \n\t\r".contains(byte) {
            said.push(*byte);
        }
        is_text ^= *byte == b'"' && !is_escaped;
        is_escaped = is_text && *byte == b'\\' && !is_escaped;
    }
    said
}

#[tokio::test]
async fn any_edit_of_bytes_that_changes_what_is_said_is_refused() {
    let good = good().await;
    let (text, keys) = (good.parts[1].to_string(), good.keys.to_string());
    let statement = judge(&text, &good.keys).unwrap().statement;
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(4_000)
    });
    let tried = runner.run(&edit(), |edit| {
        let edited = edit.of(&text);
        match shared::agreement::report::verify::verify(&edited, keys.as_bytes()) {
            Ok(verified) => {
                prop_assert_eq!(said(&edited), said(text.as_bytes()));
                prop_assert_eq!(&verified.statement, &statement);
            }
            Err(findings) => prop_assert!(!findings.is_empty()),
        }
        Ok(())
    });
    tried.unwrap();
}

#[tokio::test]
async fn no_byte_can_be_another() {
    let good = good().await;
    let (text, keys) = (good.parts[2].to_string(), good.keys.to_string());
    for place in 0..text.len() {
        for bit in [0x01, 0x20] {
            let mut edited = text.clone().into_bytes();
            edited[place] ^= bit;
            let judged = shared::agreement::report::verify::verify(&edited, keys.as_bytes());
            assert!(
                judged.is_err(),
                "byte {place} of {}",
                String::from_utf8_lossy(&edited)
            );
        }
    }
}
