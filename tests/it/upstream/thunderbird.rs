//! What Thunderbird's tests assert.

use super::{CUT, Claim, Claims, Row, literal};

pub(super) fn thunderbird(row: &Row, claims: &mut Claims) {
    // The first of several is that of the default policy.
    let first = row.expected.split(" || ").next().unwrap();
    if let Some((_, words)) = first.split_once("body/notice includes ") {
        let words = literal(words).unwrap();
        match words.as_str() {
            // See `derived`.
            "SECRET-TEXT" => claims.skip(CUT),
            _ => claims.open.push(Claim::Shows(words)),
        }
        return;
    }
    if !first.starts_with("enc: ") {
        claims.skip("nothing asserted upstream");
        return;
    }
    let has = |words: &str| first.contains(words);
    if has("enc: true") {
        claims.open.push(Claim::Decrypted("whole"));
    }
    if has("sig: true") {
        claims.open.push(Claim::Signed);
    }
    if has("sig_good: true") {
        claims.open.push(Claim::Verdict("good"));
    }
    if has("gTextAliceBob") {
        let words = "This is a test message from Alice to Bob.";
        claims.open.push(Claim::Shows(words.into()));
    }
}
