//! ML-KEM (FIPS 203): the one operation of OpenSSL for which the usual binding has no name.
//! It is done through the binding that Sequoia brings along, on the same OpenSSL.

use openssl::pkey::{PKeyRef, Private};
use ossl::OsslContext;
use ossl::asymcipher::{EncOp, OsslAsymcipher};
use ossl::pkey::{EvpPkey, EvpPkeyType, MlkeyData, PkeyData};
use zeroize::Zeroizing;

use crate::base::Secret;
use crate::base::error::{Error, Result};

/// The longest ciphertext: ML-KEM-1024's.
const CIPHERTEXT_MAX: usize = 1568;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kem {
    MlKem512,
    MlKem768,
    MlKem1024,
}

/// The shared secret in a ciphertext.
///
/// # Errors
/// `decrypt.failed`.
pub(super) fn open(key: &PKeyRef<Private>, ciphertext: &[u8]) -> Result<Secret> {
    let failed = |_| Error::decrypt_failed();
    let der = Zeroizing::new(
        key.private_key_to_pkcs8()
            .map_err(|e| Error::decrypt_failed().because(e))?,
    );
    let library = OsslContext::new_lib_ctx_checked().map_err(failed)?;
    let mut key = EvpPkey::from_der(&library, &der).map_err(failed)?;
    OsslAsymcipher::new(&library, EncOp::Decapsulate, &mut key, None)
        .and_then(|mut cipher| cipher.decapsulate(ciphertext))
        .map(Secret::new)
        .map_err(failed)
}

/// A fresh shared secret, and the ciphertext that carries it to the owner of a public key.
///
/// # Errors
/// `internal` for a public key that is none.
pub(super) fn seal(kem: Kem, public: &[u8]) -> Result<(Secret, Vec<u8>)> {
    let failed = |_| Error::internal("a message key can't be made for a recipient");
    let library = OsslContext::new_lib_ctx_checked().map_err(failed)?;
    let kind = match kem {
        Kem::MlKem512 => EvpPkeyType::MlKem512,
        Kem::MlKem768 => EvpPkeyType::MlKem768,
        Kem::MlKem1024 => EvpPkeyType::MlKem1024,
    };
    let data = PkeyData::Mlkey(MlkeyData {
        pubkey: Some(public.to_vec()),
        prikey: None,
        seed: None,
    });
    let mut key = EvpPkey::import(&library, kind, data).map_err(failed)?;
    let mut ciphertext = vec![0; CIPHERTEXT_MAX];
    let (shared, length) = OsslAsymcipher::new(&library, EncOp::Encapsulate, &mut key, None)
        .and_then(|mut cipher| cipher.encapsulate(&mut ciphertext))
        .map_err(failed)?;
    ciphertext.truncate(length);
    Ok((Secret::new(shared), ciphertext))
}
