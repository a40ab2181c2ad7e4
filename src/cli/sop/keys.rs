//! Keys and certificates: made, changed, merged, vouched for.

use bytes::Bytes;

use super::args::{
    Armored, CertifyUserid, ChangeKeyPassword, GenerateKey, MergeCerts, RevokeKey, UpdateKey,
    ValidateUserid,
};
use super::bench::{Bench, output, tidy};
use super::dates::{self, End};
use super::fault::{Code, Failure, Result};
use super::{files, passwords, profiles};
use crate::base::context::from_unix;
use crate::base::keys::{KeyStatus, Usage};
use crate::base::{Address, Error, Kind, Secret};
use crate::cli::print;
use crate::engine::openpgp::{self, Leaving, OpenPgp, Own, Plain, Transferable, Wanted, Weak};
use crate::engine::{Engine as _, Passphrase, Revoking, Under};

fn write_keys(keys: &[Secret], armored: Armored) -> Result<()> {
    let output = output(armored.no_armor);
    let written = openpgp::write_keys(keys, output);
    let tidied = Secret::new(tidy(written.expose().to_vec(), output));
    Ok(print::bytes(tidied.expose())?)
}

fn write_certs(certs: &[Bytes], leaving: Leaving, armored: Armored) -> Result<()> {
    let output = output(armored.no_armor);
    let certs = certs.iter().map(|cert| &cert[..]);
    let written = openpgp::write_certs(certs, leaving, output)?;
    Ok(print::bytes(&tidy(written, output))?)
}

/// A password as what a key is to lie under.
fn under(password: Option<Secret>) -> Passphrase {
    match password {
        Some(password) => Passphrase::Human(std::sync::Arc::new(password)),
        None => Passphrase::None,
    }
}

/// `generate-key`.
pub fn generate(args: &GenerateKey) -> Result<()> {
    let bench = Bench::new();
    let profile = profiles::choose(args.profile.as_deref(), profiles::GENERATE_KEY)?;
    let password = args.with_key_password.as_deref();
    let password = password.map(passwords::new).transpose()?;
    let usage: &[Usage] = match args.signing_only {
        true => &[Usage::Sign],
        false => &[Usage::Sign, Usage::Encrypt],
    };
    let plain = Plain {
        user_ids: &args.user_ids,
        profile,
        usage,
    };
    let key = openpgp::make(&plain, &under(password), &bench.cx)?;
    write_keys(&[key], args.armored)
}

/// `change-key-password`.
pub fn change_password(args: &ChangeKeyPassword) -> Result<()> {
    let bench = Bench::new();
    let new = args.new_key_password.as_deref();
    let new = under(new.map(passwords::new).transpose()?);
    let old = passwords::known(&args.old_key_password)?;
    let mut changed = Vec::new();
    for key in bench.keys_in(&files::stdin()?)? {
        changed.push(openpgp::repass(secret(&key)?, &old, &new)?);
    }
    write_keys(&changed, args.armored)
}

fn secret(key: &Transferable) -> Result<&Secret> {
    let missing = || Failure::new(Code::BadData, "the secret half is missing");
    key.secret.as_ref().ok_or_else(missing)
}

/// `revoke-key`.
pub fn revoke(args: &RevokeKey) -> Result<()> {
    let mut bench = Bench::new();
    let known = passwords::known(&args.passwords.with_key_password)?;
    let mut revoked = Vec::new();
    let data = bench.stdin()?;
    for key in bench.keys_in(&data)? {
        let stored = bench.key(key, &known)?;
        let cert = OpenPgp::new().revoke(&stored.cert, Revoking::Unspecified, &bench.cx)?;
        revoked.push(cert.into());
    }
    write_certs(&revoked, Leaving::Given, args.armored)
}

/// `extract-cert`.
pub fn extract(args: &Armored) -> Result<()> {
    let bench = Bench::new();
    let keys = bench.keys_in(&files::stdin()?)?;
    let certs: Vec<Bytes> = keys.into_iter().map(|key| key.cert).collect();
    write_certs(&certs, Leaving::Given, *args)
}

/// `update-key`.
pub fn update(args: &UpdateKey) -> Result<()> {
    let mut bench = Bench::new();
    let known = passwords::known(&args.passwords.with_key_password)?;
    let mut others = Vec::new();
    for name in &args.merge_certs {
        others.extend(bench.certs_in(files::read(name)?.expose())?);
    }
    let mut updated = Vec::new();
    let data = bench.stdin()?;
    for key in bench.keys_in(&data)? {
        updated.push(updated_key(args, key, &others, &known, &bench)?);
    }
    write_keys(&updated, args.armored)
}

fn updated_key(
    args: &UpdateKey,
    key: Transferable,
    others: &[Transferable],
    known: &[Secret],
    bench: &Bench,
) -> Result<Secret> {
    let mut sealed = Secret::new(secret(&key)?.expose().to_vec());
    let protected = key.under != Under::Nothing;
    let stored = bench.key(key, known)?;
    let mut cert = stored.cert.to_vec();
    for other in others.iter().filter(|other| other.id == stored.id) {
        cert = openpgp::merge_whole(&cert, &other.cert)?;
    }
    let weak = match args.revoke_deprecated_keys {
        true => Weak::Revoke,
        false => Weak::Keep,
    };
    cert = openpgp::refresh(&cert, weak, &bench.cx).map_err(primary_bad)?;
    sealed = openpgp::with_public(&sealed, &cert)?;
    // What was just said counts from the next second at the latest.
    let at = bench.now().saturating_add(1);
    let ended = OpenPgp::new().facts(&cert, at)?.status != KeyStatus::Valid;
    if args.no_added_capabilities || ended {
        return Ok(sealed);
    }
    let wanted: &[Usage] = match args.signing_only {
        true => &[Usage::Sign],
        false => &[Usage::Sign, Usage::Encrypt],
    };
    for usage in wanted {
        let has = OpenPgp::new().facts(&cert, at)?.usage.contains(usage);
        if !has {
            (cert, sealed) = with_subkey(&cert, &sealed, *usage, (protected, known), bench)?;
        }
    }
    Ok(sealed)
}

/// The key with one more subkey, under the password that the others are under.
fn with_subkey(
    cert: &[u8],
    sealed: &Secret,
    usage: Usage,
    (protected, known): (bool, &[Secret]),
    bench: &Bench,
) -> Result<(Vec<u8>, Secret)> {
    let add = |passphrase: Passphrase| {
        OpenPgp::new().add_subkey(cert, sealed, usage, &passphrase, &bench.cx)
    };
    if !protected {
        return add(Passphrase::None).map_err(primary_bad);
    }
    for password in known {
        let password = Secret::new(password.expose().to_vec());
        match add(under(Some(password))) {
            Err(error) if error.kind == Kind::PassphraseWrong => {}
            done => return done.map_err(primary_bad),
        }
    }
    Err(Failure::new(
        Code::KeyIsProtected,
        "none of these passwords opens the key",
    ))
}

fn primary_bad(error: Error) -> Failure {
    match error.kind {
        Kind::KeyUnusable { .. } => Failure::of(Code::PrimaryKeyBad, error),
        _ => error.into(),
    }
}

/// `merge-certs`.
pub fn merge(args: &MergeCerts) -> Result<()> {
    let bench = Bench::new();
    let mut others = Vec::new();
    for name in &args.certs {
        others.extend(bench.certs_in(files::read(name)?.expose())?);
    }
    let mut merged: Vec<Transferable> = Vec::new();
    for cert in bench.certs_in(&files::stdin()?)? {
        match merged.iter_mut().find(|known| known.id == cert.id) {
            Some(known) => known.cert = openpgp::merge_whole(&known.cert, &cert.cert)?.into(),
            None => merged.push(cert),
        }
    }
    for cert in &mut merged {
        for other in others.iter().filter(|other| other.id == cert.id) {
            cert.cert = openpgp::merge_whole(&cert.cert, &other.cert)?.into();
        }
    }
    let certs: Vec<Bytes> = merged.into_iter().map(|cert| cert.cert).collect();
    write_certs(&certs, Leaving::Whole, args.armored)
}

/// `certify-userid`.
pub fn certify(args: &CertifyUserid) -> Result<()> {
    let mut bench = Bench::new();
    let keys = bench.keys(&args.keys, &args.passwords.with_key_password)?;
    let own = match args.no_require_self_sig {
        true => Own::Any,
        false => Own::Needed,
    };
    let mut certified = Vec::new();
    let data = bench.stdin()?;
    for one in bench.certs_in(&data)? {
        let mut cert = one.cert.to_vec();
        for user_id in &args.user_ids {
            for key in &keys {
                let said = openpgp::certify(&cert, user_id, own, &key.cert, &bench.cx);
                cert = said.map_err(|error| match &error.kind {
                    Kind::KeyUnusable { reasons, .. } if reasons.contains(&"no-user-id") => {
                        Failure::of(Code::CertUseridNoMatch, error)
                    }
                    Kind::KeyUnusable { .. } | Kind::KeyMissing { .. } => {
                        Failure::of(Code::KeyCannotCertify, error)
                    }
                    _ => error.into(),
                })?;
            }
        }
        certified.push(cert.into());
    }
    write_certs(&certified, Leaving::Whole, args.armored)
}

/// `validate-userid`.
pub fn validate(args: &ValidateUserid) -> Result<()> {
    let mut bench = Bench::new();
    let authorities = bench.certs(&args.authorities)?;
    let authorities: Vec<&[u8]> = authorities.iter().map(|(_, cert)| &cert.cert[..]).collect();
    let address = Address::parse(&args.user_id);
    let no_match = || {
        Failure::new(
            Code::CertUseridNoMatch,
            "none of these authorities says that this user id belongs to the certificate",
        )
    };
    let wanted = match (args.addr_spec_only, &address) {
        (true, Some(address)) => Wanted::Address(address),
        (true, None) => return Err(no_match()),
        (false, _) => Wanted::UserId(&args.user_id),
    };
    let data = bench.stdin()?;
    if let Some(date) = &args.validate_at {
        // `-` is the end of time, at which nothing can be judged: now, then.
        let at = dates::read(date, End::Latest, bench.now())?;
        bench.cx.at = (at != u64::MAX).then(|| from_unix(at));
    }
    for cert in bench.certs_in(&data)? {
        if !openpgp::validate(&cert.cert, &wanted, &authorities, &bench.cx)? {
            return Err(no_match());
        }
    }
    Ok(())
}
