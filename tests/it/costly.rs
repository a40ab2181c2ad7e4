//! Key files that are costly to open: what they cost is looked at before, in all, and what is
//! allowed does open.

use std::time::{Duration, Instant};

use openssl::pkcs5::scrypt;
use openssl::symm::{Cipher, encrypt};
use serde_json::json;

use crate::harness::{Home, encode};
use crate::life::{answered, asking};
use crate::smime::{ALICE, Ca};

const PASSPHRASE: &str = "open sesame";

/// DER: a tag, a length, what stands in it.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let digits = content.len().to_be_bytes();
    let first = digits.iter().position(|digit| *digit != 0).unwrap_or(7);
    let length = match content.len() {
        short @ ..128 => vec![u8::try_from(short).unwrap()],
        _ => [&[0x80 | u8::try_from(8 - first).unwrap()], &digits[first..]].concat(),
    };
    [&[tag][..], &length, &content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn integer(number: u64) -> Vec<u8> {
    der(2, &[&[0], &number.to_be_bytes()])
}

const PBES2: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 13];
const PBKDF2: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 12];
const SCRYPT: [u8; 9] = [0x2B, 6, 1, 4, 1, 0xDA, 0x47, 4, 11];
const AES_256_CBC: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
const DATA: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 1];
const ENCRYPTED_DATA: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 6];

const SALT: [u8; 8] = [7; 8];
const IV: [u8; 16] = [9; 16];

/// PBES2 with AES by this key derivation.
fn scheme(derivation: &[u8], parameters: &[u8]) -> Vec<u8> {
    let stretching = sequence(&[&der(6, &[derivation]), parameters]);
    let cipher = sequence(&[&der(6, &[&AES_256_CBC]), &der(4, &[&IV])]);
    sequence(&[&der(6, &[&PBES2]), &sequence(&[&stretching, &cipher])])
}

/// A PKCS#12 file without a check, of encrypted safes that take so many rounds each.
fn safes(count: usize, rounds: u64) -> Vec<u8> {
    let scheme = scheme(&PBKDF2, &sequence(&[&der(4, &[&SALT]), &integer(rounds)]));
    let content = sequence(&[&der(6, &[&DATA]), &scheme, &der(0x80, &[&[5; 64]])]);
    let encrypted = sequence(&[&der(2, &[&[0]]), &content]);
    let safe = sequence(&[&der(6, &[&ENCRYPTED_DATA]), &der(0xA0, &[&encrypted])]);
    let all = sequence(&[&safe.repeat(count)]);
    let info = sequence(&[&der(6, &[&DATA]), &der(0xA0, &[&der(4, &[&all])])]);
    sequence(&[&der(2, &[&[3]]), &info])
}

/// A key under scrypt as an EncryptedPrivateKeyInfo.
fn under_scrypt(key: &[u8], cost: u64) -> Vec<u8> {
    let mut stretched = [0; 32];
    let phrase = PASSPHRASE.as_bytes();
    scrypt(phrase, &SALT, cost, 8, 1, 1 << 31, &mut stretched).unwrap();
    let sealed = encrypt(Cipher::aes_256_cbc(), &stretched, Some(&IV), key).unwrap();
    let numbers = [
        &der(4, &[&SALT])[..],
        &integer(cost),
        &integer(8),
        &integer(1),
    ];
    sequence(&[&scheme(&SCRYPT, &sequence(&numbers)), &der(4, &[&sealed])])
}

#[test]
fn many_safes_are_added_up() {
    let home = Home::new().env("SEALPOST_PINENTRY", "none");
    let mut host = asking(&home);
    for (count, rounds) in [(40, 10_000_000), (2, 5_000_001), (1, 10_000_001)] {
        let started = Instant::now();
        let data = host.body(&safes(count, rounds));
        let fault = host.fault("keys/import", json!({"data": data}));
        assert_eq!(fault.kind(), "limit.exceeded", "{count} of {rounds}");
        assert_eq!(fault.data["limit"], "passphrase-rounds");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    // What stays below is tried.
    let data = host.body(&safes(10, 1_000));
    let fault = host.fault("keys/import", json!({"data": data, "ask": "never"}));
    assert_eq!(fault.kind(), "passphrase.unavailable");
}

#[test]
fn a_key_under_much_memory_opens() {
    let Some(ca) = Ca::new() else { return };
    ca.person("alice", "rsa:2048", ALICE);
    let key = ca.go(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-in",
        "alice.key",
        "-outform",
        "DER",
    ]);
    for cost in [1 << 14, 1 << 15, 1 << 17, 1 << 19] {
        let home = Home::new().env("SEALPOST_PINENTRY", "none");
        let mut host = asking(&home);
        let sealed = encode(&under_scrypt(&key, cost));
        let lines = sealed.as_bytes().chunks(64);
        let lines: Vec<_> = lines
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let pem = format!(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----\n",
            lines.join("\n")
        );
        let file = [ca.read("alice.pem"), pem.into_bytes()].concat();
        let data = host.body(&file);
        let params = json!({"data": data});
        let wrong = ["wrong", PASSPHRASE];
        let imported = answered(&mut host, "keys/import", params, &wrong).unwrap();
        assert_eq!(
            imported["imported"][0]["secret"], true,
            "{cost}: {imported}"
        );
    }
    // More than is allowed.
    let home = Home::new();
    let mut host = home.start();
    let numbers = [
        &der(4, &[&SALT])[..],
        &integer(1 << 20),
        &integer(8),
        &integer(1),
    ];
    let scheme = scheme(&SCRYPT, &sequence(&numbers));
    let data = host.body(&sequence(&[&scheme, &der(4, &[&[5; 64]])]));
    let fault = host.fault("keys/import", json!({"data": data}));
    assert_eq!(fault.kind(), "limit.exceeded");
}

/// Several keys in one file, each of which may be opened.
#[test]
fn keys_in_one_file_are_added_up() {
    let Some(ca) = Ca::new() else { return };
    ca.person("alice", "rsa:2048", ALICE);
    let pass = format!("pass:{PASSPHRASE}");
    let sealed = ca.go(&[
        "pkcs8",
        "-topk8",
        "-v2",
        "aes256",
        "-iter",
        "5500000",
        "-passout",
        &pass,
        "-in",
        "alice.key",
    ]);
    for (count, refused) in [(1, false), (2, true)] {
        let home = Home::new().env("SEALPOST_PINENTRY", "none");
        let mut host = asking(&home);
        let file = [ca.read("alice.pem"), sealed.repeat(count)].concat();
        let params = json!({"data": host.body(&file)});
        let imported = answered(&mut host, "keys/import", params, &[PASSPHRASE]);
        let kind = imported.err().map(|fault| fault.kind().to_owned());
        assert_eq!(kind.as_deref(), refused.then_some("limit.exceeded"));
    }
}
