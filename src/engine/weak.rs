//! Weak RSA keys that are as long as others: both families look for them.

/// The primes by which what Infineon's library made can be told (CVE-2017-15361, "ROCA"): every
/// prime of such a key is a power of 65537 modulo each of them, and so is their product.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus (big-endian) has the shape of those whose factors can be found. Of other
/// keys one in 2^27 looks so by chance.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let rest = modulus
            .iter()
            .fold(0, |rest, byte| ((rest << 8) | u32::from(*byte)) % prime);
        is_power(rest, *prime)
    })
}

/// Whether a number is a power of 65537 modulo a small prime.
fn is_power(number: u32, prime: u32) -> bool {
    let base = 65537 % prime;
    let mut power = 1;
    loop {
        if power == number {
            return true;
        }
        power = power * base % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::Rsa;

    use super::is_roca;

    /// A key of 2048 bits whose primes were made as Infineon's library made them: k·M + (65537^a
    /// mod M), M the product of the first 126 primes.
    const ROCA: &str = include_str!("roca.pem");

    /// That key.
    pub(in crate::engine) fn roca() -> PKey<Private> {
        PKey::private_key_from_pem(ROCA.as_bytes()).unwrap()
    }

    #[test]
    fn infineons_keys_are_told_from_others() {
        assert!(is_roca(&roca().rsa().unwrap().n().to_vec()));
        for bits in [512, 768, 1024, 2048] {
            for _ in 0..3 {
                let other = Rsa::generate(bits).unwrap();
                assert!(!is_roca(&other.n().to_vec()));
            }
        }
        assert!(!is_roca(&[]));
        assert!(!is_roca(&[0; 256]));
    }
}
