//! The only source of randomness. Production reads the operating system's generator; a test may
//! seed it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Where random bytes come from.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System(SystemRandom),
    Seeded(Arc<Seeded>),
}

struct Seeded {
    key: hmac::Key,
    counter: AtomicU64,
}

impl Entropy {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Source::System(SystemRandom::new()))
    }

    /// The same bytes in the same order for the same seed: for tests that must be repeatable.
    pub fn seeded(seed: u64) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes());
        Self(Source::Seeded(Arc::new(Seeded {
            key,
            counter: AtomicU64::new(0),
        })))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing safe can be done then.
    #[expect(
        clippy::expect_used,
        reason = "without randomness every answer would be wrong"
    )]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System(system) => system
                .fill(&mut bytes)
                .expect("the system's generator answers"),
            Source::Seeded(seeded) => {
                for chunk in bytes.chunks_mut(32) {
                    let block = seeded.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                    let stream = hmac::sign(&seeded.key, &block);
                    chunk
                        .iter_mut()
                        .zip(stream.as_ref())
                        .for_each(|(to, from)| *to = *from);
                }
            }
        }
        bytes
    }

    /// A number below `bound`, each equally likely: draws that would favour the low ones are thrown
    /// away.
    pub fn below(&self, bound: u32) -> u32 {
        let zone = u32::MAX - u32::MAX % bound;
        loop {
            let drawn = u32::from_be_bytes(self.bytes());
            if drawn < zone {
                return drawn % bound;
            }
        }
    }

    /// `length` decimal digits, each equally likely.
    pub fn digits(&self, length: u32) -> String {
        (0..length)
            .filter_map(|_| char::from_digit(self.below(10), 10))
            .collect()
    }

    /// `length` letters that are not mistaken for one another when read aloud or typed.
    pub fn letters(&self, length: u32) -> String {
        const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
        let letter = || {
            ALPHABET
                .get(self.below(20) as usize)
                .copied()
                .map(char::from)
        };
        (0..length).filter_map(|_| letter()).collect()
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_unbiased() {
        // 60,000 digits: each is expected 6,000 times with a standard deviation of 73; 440 is six
        // of those.
        let digits = Entropy::seeded(7).digits(60_000);
        for digit in '0'..='9' {
            let count = digits.chars().filter(|c| *c == digit).count();
            assert!(count.abs_diff(6_000) < 440, "{digit}: {count}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        assert_eq!(
            Entropy::seeded(1).bytes::<40>(),
            Entropy::seeded(1).bytes::<40>()
        );
        assert_ne!(
            Entropy::seeded(1).bytes::<40>(),
            Entropy::seeded(2).bytes::<40>()
        );
    }
}
