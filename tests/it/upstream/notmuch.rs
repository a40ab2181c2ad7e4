//! What notmuch's tests assert: pieces of its own JSON.

use super::{CUT, Claim, Claims, OWN_OUTPUT, Row, literal};

pub(super) fn notmuch(row: &Row, claims: &mut Claims) {
    for test in row.expected.split(" || ") {
        let Some((title, said)) = test.split_once(" => ") else {
            claims.skip("nothing asserted upstream");
            continue;
        };
        if said.trim().is_empty() {
            claims.skip(OWN_OUTPUT);
            continue;
        }
        let closed =
            title.contains("without decryption") || title.contains("when decryption fails");
        let mut found = Claims::default();
        for clause in said.split(" ; ") {
            notmuch_clause(clause, &mut found);
        }
        // A subject is at its place inside and outside alike where nothing was decrypted.
        match closed {
            true => claims.closed.append(&mut found.open),
            false => claims.open.append(&mut found.open),
        }
        for (why, count) in found.skipped {
            *claims.skipped.entry(why).or_default() += count;
        }
    }
}

fn notmuch_clause(clause: &str, claims: &mut Claims) {
    let (place, value) = clause.split_once(':').unwrap_or((clause, ""));
    let squeezed: String = value.split_whitespace().collect();
    match place {
        "subject" => match value.split_once("=\"") {
            Some((_, subject)) => {
                let subject = subject.trim_end_matches('"').to_owned();
                claims.open.push(Claim::Field("subject".into(), subject));
            }
            None => claims.skip(CUT),
        },
        "no_crypto_info" => claims.open.push(Claim::Closed),
        "no_sig" => claims.open.push(Claim::Unsigned),
        "no_legacy_display" => claims.open.push(Claim::ShownAlone("text/plain".into())),
        "crypto" | "encrypted" => notmuch_crypto(&squeezed, value, claims),
        _ => claims.skip(OWN_OUTPUT),
    }
}

fn notmuch_crypto(squeezed: &str, value: &str, claims: &mut Claims) {
    let whole = squeezed.ends_with('}');
    if squeezed.contains("\"signed\"") {
        claims.open.push(Claim::Signed);
        if squeezed.contains("\"status\":\"good\"") {
            claims.open.push(Claim::Verdict("good"));
        }
        if let Some((_, at)) = squeezed.split_once("\"created\":") {
            let digits = at.chars().take_while(char::is_ascii_digit).collect();
            claims.open.push(Claim::Created(digits));
        }
    } else if whole {
        claims.open.push(Claim::Unsigned);
    }
    let status = |status: &str| squeezed.contains(&format!("\"status\":\"{status}\""));
    if status("full") {
        claims.open.push(Claim::Decrypted("whole"));
    } else if status("partial") {
        claims.open.push(Claim::Decrypted("part"));
    }
    match value.split_once("\"Subject\":") {
        Some((_, mask)) if mask.trim_start().starts_with("null") => {
            claims.open.push(Claim::Masked(None));
        }
        Some((_, mask)) => claims.open.push(Claim::Masked(literal(mask))),
        None if whole => claims.open.push(Claim::Unmasked),
        None => claims.skip(CUT),
    }
}
