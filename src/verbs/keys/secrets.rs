//! Secret halves that are brought along: how they will lie on disk, and that none takes the
//! place of one that is here without being as good.

use super::change::native;
use crate::base::ask::{Answers, Need};
use crate::base::error::Kind;
use crate::base::keys::{CertFacts, Certs as _};
use crate::base::{Context, KeyId, Result, Secret};
use crate::engine::{IncomingSecret, Passphrase, Under};
use crate::store::Wrap;
use crate::verbs::World;

/// What is to be done with a secret half.
pub(super) enum Brought {
    New(Wrapped),
    /// It is here already.
    Known,
    /// It is not taken up: the reason.
    Refused(&'static str),
}

/// A secret half on its way to the disk.
pub(super) enum Wrapped {
    Sealed(Secret, Wrap),
    /// As that of another certificate of the same key.
    As(KeyId),
}

/// Looks at a secret half that came along. One whose key is here already has to hold at least the
/// same key pairs, and to open with the passphrase that its owner gives: a copy that nobody can
/// open, or half of one, would be the end of the key.
///
/// # Errors
/// `passphrase.*`; those of the store.
pub(super) fn brought(
    world: &World,
    facts: &CertFacts,
    secret: IncomingSecret,
    cx: &Context,
) -> Result<Brought> {
    let id = &facts.id;
    if matches!(secret.under, Under::As(_)) || !world.store.has_secret(id) {
        return wrap(world, id, secret).map(Brought::New);
    }
    let here = match world.store.sealed_secret(id) {
        Ok(here) => here,
        Err(error) if matches!(error.kind, Kind::KeyUnusable { .. }) => {
            return Ok(Brought::Refused("secret-elsewhere"));
        }
        // What is damaged is best replaced.
        Err(error) if error.kind == Kind::StoreDamaged => {
            return wrap(world, id, secret).map(Brought::New);
        }
        Err(error) => return Err(error),
    };
    if here.sealed.expose() == secret.sealed.expose() {
        return Ok(Brought::Known);
    }
    let engine = world.engine(id.protocol())?;
    let comes = engine.secret_pairs(&secret.sealed)?;
    let known = engine.secret_pairs(&here.sealed)?;
    if !known.iter().all(|pair| comes.contains(pair)) {
        return Ok(Brought::Refused("secret-incomplete"));
    }
    if secret.under == Under::Passphrase {
        let label = world.label(id)?;
        let (given, attempt) = cx.answers.passphrase(Need::Unwrap, Some(id), &label)?;
        let device = Passphrase::Random(world.store.device_passphrase()?);
        let given = Passphrase::Human(given);
        engine
            .rewrap(&secret.sealed, &[], &given, &device, native(id.protocol()))
            .map_err(|error| match error.kind {
                Kind::PassphraseWrong => Answers::wrong(Need::Unwrap, Some(id), &label, attempt),
                _ => error,
            })?;
    }
    wrap(world, id, secret).map(Brought::New)
}

/// A secret half as it will lie on disk.
fn wrap(world: &World, id: &KeyId, secret: IncomingSecret) -> Result<Wrapped> {
    match secret.under {
        Under::Passphrase => return Ok(Wrapped::Sealed(secret.sealed, Wrap::Passphrase)),
        Under::As(other) => return Ok(Wrapped::As(other)),
        Under::Nothing => {}
    }
    let device = Passphrase::Random(world.store.device_passphrase()?);
    let sealed = world.engine(id.protocol())?.rewrap(
        &secret.sealed,
        &[],
        &Passphrase::None,
        &device,
        native(id.protocol()),
    )?;
    Ok(Wrapped::Sealed(Secret::new(sealed), Wrap::Device))
}
