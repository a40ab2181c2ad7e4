//! S/MIME: CMS (RFC 5652) and X.509 (RFC 5280) by way of OpenSSL's primitives. The sibling of
//! [`super::openpgp`], with the same file names.
//!
//! CMS is read and written here, with the `cms` crate's types for the small pieces; OpenSSL
//! does the arithmetic, the path validation and PKCS#12. Its own CMS functions are never
//! called. `ber` takes an object apart without copying its content; `open`, `decrypt` and
//! `verify` read, `seal` writes; `certs` says what a certificate is, `chain` who vouches for
//! it; `private` has the unlocked keys.

mod anchors;
mod attributes;
mod ber;
mod capabilities;
mod certs;
mod chain;
mod cms;
mod compress;
mod content;
mod decrypt;
mod derive;
mod describe;
mod envelope;
mod export;
#[cfg(fuzzing)]
pub mod fuzz;
mod generate;
mod import;
mod kem;
mod kinds;
mod life;
#[cfg(fuzzing)]
#[path = "tests/made.rs"]
#[allow(dead_code)] // the tests want more of it
mod made;
mod names;
mod ocsp;
mod online;
mod open;
mod password;
mod paths;
mod pkcs12;
mod pkcs8;
mod policies;
mod policy;
mod private;
mod recipient;
mod revocation;
mod scrypt;
mod seal;
mod sign;
mod signature;
mod verify;

use bytes::Bytes;

use super::{
    Engine, Format, Incoming, KeySpec, NewKey, Offer, Part, Passphrase, Renewed, Revoking, Word,
    Words,
};
use crate::base::autocrypt::PreferEncrypt;
use crate::base::described::Described;
use crate::base::error::Result;
use crate::base::extra::Means;
use crate::base::keys::{CertFacts, KeyId, Protocol, Usage};
use crate::base::layer::{Opened, Seal, Sealed, SealedOut, Trust};
use crate::base::verdict::Recipient;
use crate::base::{Address, Context, Secret};

pub use export::request_pem;
pub use private::Unlocked;
pub use revocation::{
    List as RevocationList, is_genuine as is_genuine_revocation_list, read as read_revocation_list,
};

/// The engine. It has no state of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smime;

impl Smime {
    /// The one engine of this family.
    pub fn new() -> Smime {
        Smime
    }
}

impl Engine for Smime {
    fn protocol(&self) -> Protocol {
        Protocol::Smime
    }

    fn open_by(&self, layer: &Sealed, means: &Means, cx: &Context) -> Result<Opened> {
        open::open(layer, means, cx)
    }

    fn recipients(&self, data: &[u8], cx: &Context) -> Vec<Recipient> {
        decrypt::recipients(data, cx)
    }

    fn seal(&self, content: &Bytes, how: &Seal<'_>, cx: &Context) -> Result<SealedOut> {
        seal::seal(content, how, cx)
    }

    fn facts(&self, cert: &[u8], at: u64) -> Result<CertFacts> {
        certs::facts(cert, at)
    }

    fn describe(&self, cert: &[u8], at: u64) -> Result<Described> {
        describe::describe(cert, at)
    }

    fn rsa_bits(&self, cert: &[u8], _at: u64) -> Option<u32> {
        certs::rsa_bits(cert)
    }

    fn unfit(
        &self,
        cert: &[u8],
        usage: Usage,
        address: Option<&Address>,
        at: u64,
    ) -> Vec<&'static str> {
        certs::unfit(cert, usage, address, at)
    }

    fn trust(&self, cert: &[u8], address: &Address, cx: &Context) -> Trust {
        let judged = certs::read(cert).and_then(|cert| chain::vouched(&cert, cx));
        match judged {
            Ok(judged) if judged.trust != Trust::Anchored => judged.trust,
            Ok(judged) if judged.addresses.contains(address) => Trust::Anchored,
            Ok(_) | Err(_) => Trust::Untrusted,
        }
    }

    fn introducers(&self, _cert: &[u8], _address: &Address, _cx: &Context) -> Vec<KeyId> {
        Vec::new()
    }

    fn key_handle(&self, cert: &[u8]) -> Option<String> {
        certs::read(cert).ok().map(|cert| cert.key_handle())
    }

    fn authorities(&self, cx: &Context) -> Result<Vec<CertFacts>> {
        chain::authorities(cx)
    }

    fn read_keys(&self, data: &[u8], cx: &Context) -> Result<Incoming> {
        import::read_keys(data, cx)
    }

    fn is_sealed(&self, secret: &Secret, _id: &KeyId, _cx: &Context) -> bool {
        // Whose it is shows when it is opened (RFC 5958 3).
        pkcs8::costs(secret.expose()).is_ok()
    }

    fn merge(&self, old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
        import::merge(old, new)
    }

    fn generate(&self, spec: &KeySpec, passphrase: &Passphrase, cx: &Context) -> Result<NewKey> {
        generate::generate(spec, passphrase, cx)
    }

    fn change(&self, _cert: &[u8], _part: &Part<'_>, _cx: &Context) -> Result<Vec<u8>> {
        Err(life::by_authority())
    }

    /// Never: what it says, its authority says.
    fn says(&self, _cert: &[u8], _word: &Word<'_>, _at: u64) -> bool {
        false
    }

    fn add_subkey(
        &self,
        _cert: &[u8],
        _sealed: &Secret,
        _usage: Usage,
        _passphrase: &Passphrase,
        _cx: &Context,
    ) -> Result<(Vec<u8>, Secret)> {
        Err(life::by_authority())
    }

    fn secret_pairs(&self, _sealed: &Secret) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn only_for(
        &self,
        cert: &[u8],
        addresses: &[Address],
        _words: Words,
        _cx: &Context,
    ) -> Result<Option<Vec<u8>>> {
        export::only_for(cert, addresses)
    }

    fn export(&self, certs: &[Bytes], format: Format) -> Result<Vec<u8>> {
        export::export(certs, format)
    }

    fn with_issuers(&self, cert: &Bytes, cx: &Context) -> Result<Vec<Bytes>> {
        let own = certs::read(cert)?;
        let mut chain = vec![cert.clone()];
        chain.extend(chain::intermediates(&own, cx)?);
        Ok(chain)
    }

    fn rewrap(
        &self,
        sealed: &Secret,
        chain: &[Bytes],
        old: &Passphrase,
        new: &Passphrase,
        format: Format,
    ) -> Result<Vec<u8>> {
        export::rewrap(sealed, chain, old, new, format)
    }

    fn renew(&self, cert: &[u8], _expires: u64, cx: &Context) -> Result<Renewed> {
        life::renew(cert, cx)
    }

    fn revoke(&self, _cert: &[u8], _why: Revoking, _cx: &Context) -> Result<Vec<u8>> {
        Err(life::by_authority())
    }

    fn revoke_by(&self, _cert: &[u8], _kept: &[u8]) -> Result<Vec<u8>> {
        Err(life::by_authority())
    }

    fn offer(&self, _cert: &[u8], _address: &Address, _prefer: PreferEncrypt) -> Option<String> {
        None
    }

    fn offered(&self, _value: &str) -> Option<Offer> {
        None
    }
}

#[cfg(test)]
mod tests;
