//! OpenPGP (RFC 9580, RFC 9980) on Sequoia, with OpenSSL below it.
//!
//! The only place that knows either: their errors are translated here, none of their types
//! leaves. Not here: mail, files, trust.

use bytes::Bytes;

use super::{
    Engine, Format, Incoming, IncomingSecret, KeySpec, NewKey, Offer, Part, Passphrase, Renewed,
    Revoking, Under, Word, Words,
};
use crate::base::autocrypt::PreferEncrypt;
use crate::base::described::Described;
use crate::base::error::Result;
use crate::base::extra::Means;
use crate::base::keys::{CertFacts, KeyId, Protocol, Usage};
use crate::base::layer::{Opened, Seal, Sealed, SealedOut, Trust};
use crate::base::verdict::Recipient;
use crate::base::{Address, Context, Secret};

mod armor;
mod certify;
mod certs;
mod cleartext;
mod decrypt;
mod describe;
mod door;
mod export;
mod expression;
mod generate;
mod gnupg;
mod import;
mod introducers;
mod life;
mod mdc;
mod names;
mod offer;
mod open;
mod parts;
mod password;
mod policy;
mod private;
mod refresh;
mod ring;
mod rings;
mod rsa;
mod seal;
mod setup;
mod signing;
mod split;
mod verify;

pub use certify::{Own, Wanted, certify, validate};
pub use generate::{Plain, make};
pub use gnupg::InGnuPg;
pub use password::{open_file, seal_file};
pub use private::Unlocked;
pub use refresh::{Weak, refresh};
pub use ring::{
    Leaving, Transferable, encrypts_by_foreign, merge_whole, read_ring, repass, with_public,
    write_certs, write_keys,
};
pub use rings::{News, Piece, armored, minimal, news, pieces};
pub use setup::{Setup, open_setup, seal_setup, setup_code};
pub use split::{Split, arm, disarm, is_cleartext, split};

/// The library below, with its version.
pub const LIBRARY: (&str, &str) = ("sequoia-openpgp", sequoia_openpgp::VERSION);

/// The OpenPGP engine. Holds nothing; everything it needs is in the [`Context`].
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenPgp;

impl OpenPgp {
    /// The engine.
    pub fn new() -> OpenPgp {
        OpenPgp
    }
}

impl Engine for OpenPgp {
    fn protocol(&self) -> Protocol {
        Protocol::OpenPgp
    }

    fn open_by(&self, layer: &Sealed, means: &Means, cx: &Context) -> Result<Opened> {
        open::open(layer, means, cx)
    }

    fn recipients(&self, data: &[u8], cx: &Context) -> Vec<Recipient> {
        open::recipients(data, cx)
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

    fn rsa_bits(&self, cert: &[u8], at: u64) -> Option<u32> {
        certs::rsa_bits(cert, at)
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

    fn trust(&self, _cert: &[u8], _address: &Address, _cx: &Context) -> Trust {
        Trust::None
    }

    fn introducers(&self, cert: &[u8], address: &Address, cx: &Context) -> Vec<KeyId> {
        introducers::introducers(cert, address, cx)
    }

    fn key_handle(&self, _cert: &[u8]) -> Option<String> {
        None
    }

    fn authorities(&self, _cx: &Context) -> Result<Vec<CertFacts>> {
        Ok(Vec::new())
    }

    fn read_keys(&self, data: &[u8], cx: &Context) -> Result<Incoming> {
        import::read_keys(data, cx)
    }

    fn is_sealed(&self, secret: &Secret, id: &KeyId, cx: &Context) -> bool {
        let read = import::read_keys(secret.expose(), cx);
        read.is_ok_and(|incoming| {
            incoming.keys.iter().any(|key| {
                let sealed = |secret: &IncomingSecret| secret.under != Under::Nothing;
                key.facts.id == *id && key.secret.as_ref().is_some_and(sealed)
            })
        })
    }

    fn merge(&self, old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
        import::merge(old, new)
    }

    fn generate(&self, spec: &KeySpec, passphrase: &Passphrase, cx: &Context) -> Result<NewKey> {
        generate::generate(spec, passphrase, cx)
    }

    fn change(&self, cert: &[u8], part: &Part<'_>, cx: &Context) -> Result<Vec<u8>> {
        parts::change(cert, part, cx)
    }

    fn says(&self, cert: &[u8], word: &Word<'_>, at: u64) -> bool {
        life::says(cert, word, at)
    }

    fn add_subkey(
        &self,
        cert: &[u8],
        sealed: &Secret,
        usage: Usage,
        passphrase: &Passphrase,
        cx: &Context,
    ) -> Result<(Vec<u8>, Secret)> {
        parts::add_subkey(cert, sealed, usage, passphrase, cx)
    }

    fn secret_pairs(&self, sealed: &Secret) -> Result<Vec<String>> {
        parts::secret_pairs(sealed)
    }

    fn only_for(
        &self,
        cert: &[u8],
        addresses: &[Address],
        words: Words,
        cx: &Context,
    ) -> Result<Option<Vec<u8>>> {
        export::only_for(cert, addresses, words, cx)
    }

    fn export(&self, certs: &[Bytes], format: Format) -> Result<Vec<u8>> {
        export::export(certs, format)
    }

    fn with_issuers(&self, cert: &Bytes, _cx: &Context) -> Result<Vec<Bytes>> {
        Ok(vec![cert.clone()])
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

    fn renew(&self, cert: &[u8], expires: u64, cx: &Context) -> Result<Renewed> {
        life::renew(cert, expires, cx)
    }

    fn revoke(&self, cert: &[u8], why: Revoking, cx: &Context) -> Result<Vec<u8>> {
        life::revoke(cert, why, cx)
    }

    fn revoke_by(&self, cert: &[u8], kept: &[u8]) -> Result<Vec<u8>> {
        life::revoke_by(cert, kept)
    }

    fn offer(&self, cert: &[u8], address: &Address, prefer: PreferEncrypt) -> Option<String> {
        offer::offer(cert, address, prefer)
    }

    fn offered(&self, value: &str) -> Option<Offer> {
        offer::offered(value)
    }
}

#[cfg(test)]
mod tests;
