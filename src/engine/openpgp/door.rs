//! Sequoia's decryptor and signer, with the private key behind [`PrivateKeys`]: in this
//! process, in an agent or on a token. No key passes through here, only what goes in and out.
//!
//! [`PrivateKeys`]: crate::base::keys::PrivateKeys

use std::sync::{Arc, Mutex, PoisonError};

use sequoia_openpgp::crypto::{Decryptor, SessionKey, Signer, mpi};
use sequoia_openpgp::packet::{Key, key};
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::HashAlgorithm;

use crate::base::Context;
use crate::base::error::Error;
use crate::base::keys::{KeyId, KeyPairId, Opening, Private, Signing};
use crate::engine::private::not_signed;

/// One key pair, its private half elsewhere.
pub(super) struct Door {
    id: KeyPairId,
    key: Key<key::PublicParts, key::UnspecifiedRole>,
    private: Private,
    refused: Refusal,
}

/// Why the private half did not do what it was asked for: Sequoia's errors have no place for it.
#[derive(Clone, Default)]
pub(super) struct Refusal(Arc<Mutex<Option<Error>>>);

impl Refusal {
    /// The error, once.
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, error: Error) -> sequoia_openpgp::Error {
        let library = sequoia_openpgp::Error::InvalidOperation(error.kind.name().to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        library
    }
}

impl Door {
    pub(super) fn new(
        cert: KeyId,
        key: Key<key::PublicParts, key::UnspecifiedRole>,
        cx: &Context,
    ) -> Door {
        Door {
            id: KeyPairId {
                cert,
                subkey: key.fingerprint().to_hex(),
            },
            key,
            private: Arc::clone(&cx.private),
            refused: Refusal::default(),
        }
    }

    /// Where an error will be found.
    pub(super) fn refusal(&self) -> Refusal {
        self.refused.clone()
    }
}

impl Decryptor for Door {
    fn public(&self) -> &Key<key::PublicParts, key::UnspecifiedRole> {
        &self.key
    }

    fn decrypt(
        &mut self,
        ciphertext: &mpi::Ciphertext,
        plaintext_len: Option<usize>,
    ) -> sequoia_openpgp::Result<SessionKey> {
        // Where a version 3 packet has the cipher's octet outside of what the key decrypts
        // (X25519, X448, ML-KEM-768), Sequoia has taken it away: both versions look alike here.
        let fields = ciphertext.to_vec()?;
        let plain = self
            .private
            .decrypt(
                &self.id,
                Opening::OpenPgp {
                    length: plaintext_len,
                },
                &fields,
            )
            .map_err(|error| self.refused.keep(error))?;
        // Sequoia 2.4.2 looks at the first and the last two bytes of what comes back without
        // asking whether they are there, and a made-up answer to a wrong padding may be empty.
        if plain.expose().len() < 3 {
            return Err(self.refused.keep(Error::decrypt_failed()).into());
        }
        Ok(SessionKey::from(plain.expose()))
    }
}

impl Signer for Door {
    fn public(&self) -> &Key<key::PublicParts, key::UnspecifiedRole> {
        &self.key
    }

    fn sign(
        &mut self,
        hash: HashAlgorithm,
        digest: &[u8],
    ) -> sequoia_openpgp::Result<mpi::Signature> {
        let fields = self
            .private
            .sign(&self.id, Signing::OpenPgp(hash.into()), digest)
            .map_err(|error| self.refused.keep(error))?;
        let made = mpi::Signature::parse(self.key.pk_algo(), fields.as_slice());
        // Whoever has the private half: what it gives leaves only as this key's signature.
        match made {
            Ok(made) if self.key.verify(&made, hash, digest).is_ok() => Ok(made),
            _ => Err(self.refused.keep(not_signed(&self.id.cert)).into()),
        }
    }
}
