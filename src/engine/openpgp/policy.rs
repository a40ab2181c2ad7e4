//! Which algorithms count as sound, at which instant, and the limits on what is read.

use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::key::ValidErasedKeyAmalgamation;
use sequoia_openpgp::crypto::mpi;
use sequoia_openpgp::packet::{Packet, Signature, key};
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy, StandardPolicy};
use sequoia_openpgp::types::{AEADAlgorithm, HashAlgorithm, SymmetricAlgorithm};

use crate::engine::weak::is_roca;

/// The largest certificate that is read, in bytes: post-quantum ones have 25 kB, flooded ones
/// had hundreds of megabytes.
pub(super) const CERT_MAX: usize = 1 << 20;

/// The largest keyring that is read at once, in bytes.
pub(super) const KEYRING_MAX: usize = 64 << 20;

/// The most certificates that are read at once.
pub(super) const KEYRING_CERTS_MAX: usize = 20_000;

/// The most user ids that one certificate may have.
pub(super) const USER_IDS_MAX: usize = 500;

/// The most self-signatures of one component that are kept, newest first: a key that was
/// renewed every month for ten years has fewer.
pub(super) const SELF_SIGNATURES_MAX: usize = 200;

/// The longest content that comes out of one message, in bytes, compressed or not: several
/// times of what mail carries, small enough for a bomb to end early.
pub(super) const CONTENT_MAX: usize = 128 << 20;

/// How many times its own length a message may unpack to, beyond [`UNPACKED_FREE`]: text
/// shrinks to a tenth, bombs to a millionth.
const UNPACKED_RATIO: usize = 256;

/// What any message may unpack to, in bytes.
const UNPACKED_FREE: usize = 16 << 20;

/// The longest content that a message of `length` bytes may have.
pub(super) fn content_max(length: usize) -> usize {
    length
        .saturating_mul(UNPACKED_RATIO)
        .clamp(UNPACKED_FREE, CONTENT_MAX)
}

/// How deep packets may be nested: encryption, compression, and one to spare.
pub(super) const NESTING_MAX: u8 = 3;

/// The most packets in one message, beside the recipients'.
pub(super) const PACKETS_MAX: usize = 256;

/// The most recipients that one message may name.
pub(super) const RECIPIENTS_MAX: usize = 4096;

/// The most signatures over one content: each may cost a pass over it.
pub(super) const SIGNATURES_MAX: usize = 16;

/// The largest packet other than content and container, in bytes.
pub(super) const PACKET_MAX: u32 = 1 << 20;

/// What two clocks may differ by before a signature is said to come from the future.
pub(super) const CLOCK_SKEW: u64 = 30 * 60;

/// Sequoia's rules as they stand at `at`, so that nothing here reads the clock; and no keys whose
/// factors can be found.
pub(super) fn policy(at: SystemTime) -> Strict {
    Strict(StandardPolicy::at(at))
}

/// The rules by which something is called good.
#[derive(Debug)]
pub(super) struct Strict(StandardPolicy<'static>);

impl Strict {
    /// Since when a hash is not trusted for this; `None`: it is.
    pub(super) fn hash_cutoff(
        &self,
        hash: HashAlgorithm,
        sec: HashAlgoSecurity,
    ) -> Option<SystemTime> {
        self.0.hash_cutoff(hash, sec)
    }
}

impl Policy for Strict {
    fn signature(&self, sig: &Signature, sec: HashAlgoSecurity) -> sequoia_openpgp::Result<()> {
        self.0.signature(sig, sec)
    }

    fn key(
        &self,
        ka: &ValidErasedKeyAmalgamation<'_, key::PublicParts>,
    ) -> sequoia_openpgp::Result<()> {
        match ka.key().mpis() {
            mpi::PublicKey::RSA { n, .. } if is_roca(n.value()) => {
                Err(sequoia_openpgp::Error::PolicyViolation("ROCA".to_owned(), None).into())
            }
            _ => self.0.key(ka),
        }
    }

    fn symmetric_algorithm(&self, algorithm: SymmetricAlgorithm) -> sequoia_openpgp::Result<()> {
        self.0.symmetric_algorithm(algorithm)
    }

    fn aead_algorithm(&self, algorithm: AEADAlgorithm) -> sequoia_openpgp::Result<()> {
        self.0.aead_algorithm(algorithm)
    }

    fn packet(&self, packet: &Packet) -> sequoia_openpgp::Result<()> {
        self.0.packet(packet)
    }
}

/// Accepts every algorithm. Only to tell what is merely weak from what was never bound, and to
/// decrypt with own keys of any age; never to call anything good.
#[derive(Debug)]
pub(super) struct Lenient;

impl Policy for Lenient {
    fn signature(&self, _: &Signature, _: HashAlgoSecurity) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn key(
        &self,
        _: &ValidErasedKeyAmalgamation<'_, key::PublicParts>,
    ) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn symmetric_algorithm(&self, _: SymmetricAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn aead_algorithm(&self, _: AEADAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn packet(&self, _: &Packet) -> sequoia_openpgp::Result<()> {
        Ok(())
    }
}
