//! Which algorithms count as sound, at which instant, and the limits on what is read.

use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::key::ValidErasedKeyAmalgamation;
use sequoia_openpgp::packet::{Packet, Signature, key};
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy, StandardPolicy};
use sequoia_openpgp::types::{AEADAlgorithm, SymmetricAlgorithm};

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
pub(super) const CONTENT_MAX: usize = 256 << 20;

/// What any message may unpack to, however short it is: more than people write.
const UNPACKED_MIN: usize = 32 * 1024 * 1024;

/// How many times its own length a longer one may unpack to. Text packs to a tenth; deflate
/// ends at a thousandth, and only a bomb comes near.
const UNPACKED_RATIO: usize = 200;

/// The longest content of a message of `packed` bytes.
pub(super) fn content_cap(packed: usize) -> usize {
    packed
        .saturating_mul(UNPACKED_RATIO)
        .clamp(UNPACKED_MIN, CONTENT_MAX)
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

/// Sequoia's rules as they stand at `at`, so that nothing here reads the clock.
pub(super) fn policy(at: SystemTime) -> StandardPolicy<'static> {
    StandardPolicy::at(at)
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
