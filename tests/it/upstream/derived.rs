//! Claims that the table has no room for.

use super::Claim;

/// What tests of others say where the table has their title alone, or cut it off: the file, the
/// test, its words in ours.
pub(super) fn derived() -> Vec<(&'static str, &'static str, Vec<Claim>)> {
    let subject = |words: &str| Claim::Field("subject".into(), words.into());
    let signed = || vec![Claim::Signed, Claim::Verdict("good"), Claim::Unencrypted];
    let both = || {
        vec![
            Claim::Verdict("good"),
            Claim::Decrypted("whole"),
            Claim::SubjectSigned,
            Claim::Masked(Some("...".into())),
        ]
    };
    let with = |mut claims: Vec<Claim>, more: &[Claim]| {
        claims.extend_from_slice(more);
        claims
    };
    let headers = "T356-protected-headers.sh";
    vec![
        (
            "notmuch/corpora/mangling/mixed-up.eml",
            "T351-pgpmime-mangling.sh",
            vec![Claim::Shows(
                "The password is \"abcd1234!\", please do not tell anyone.".into(),
            )],
        ),
        (
            "notmuch/corpora/protected-headers/simple-signed-mail.eml",
            headers,
            signed(),
        ),
        (
            "notmuch/corpora/protected-headers/signed-protected-header.eml",
            headers,
            with(signed(), &[Claim::SubjectSigned]),
        ),
        (
            "notmuch/corpora/protected-headers/encrypted-signed.eml",
            headers,
            vec![
                Claim::Verdict("good"),
                Claim::Decrypted("whole"),
                Claim::SubjectSigned,
                subject("Rhinoceros dinner"),
                Claim::Masked(Some("Subject Unavailable".into())),
            ],
        ),
        (
            "notmuch/corpora/protected-headers/encrypted-signed-not-masked.eml",
            headers,
            vec![
                Claim::Decrypted("whole"),
                Claim::SubjectSigned,
                Claim::Unmasked,
            ],
        ),
        (
            "notmuch/corpora/protected-headers/smime-multipart-signed.eml",
            headers,
            with(signed(), &[Claim::SubjectSigned]),
        ),
        (
            "notmuch/corpora/protected-headers/smime-onepart-signed.eml",
            headers,
            with(signed(), &[Claim::SubjectSigned]),
        ),
        (
            "notmuch/corpora/protected-headers/smime-sign+enc.eml",
            headers,
            both(),
        ),
        (
            "notmuch/corpora/protected-headers/smime-sign+enc+legacy-disp.eml",
            headers,
            both(),
        ),
        (
            "thunderbird-smime-eml/mail/test/browser/smime/data/alice.html.sig.SHA256.opaque.eml",
            "browser_displayVarious.js",
            vec![Claim::Shows(
                "This is a test message from Alice to Bob.".into(),
            )],
        ),
        (
            "thunderbird-smime-eml/mail/test/browser/smime/data/alice.sig.SHA256.opaque.eml",
            "browser_displayVarious.js",
            vec![Claim::Shows(
                "This is a test message from Alice to Bob.".into(),
            )],
        ),
        (
            "thunderbird-smime-eml/mail/test/browser/smime/data/alice.sig.SHA256.opaque.env.eml",
            "browser_displayVarious.js",
            vec![Claim::Shows(
                "This is a test message from Alice to Bob.".into(),
            )],
        ),
        (
            "thunderbird-smime-eml/mail/test/browser/smime/data/alice.html.sig.SHA256.opaque.env.eml",
            "browser_displayVarious.js",
            vec![Claim::Shows(
                "This is a test message from Alice to Bob.".into(),
            )],
        ),
        // The table's excerpt lost the negation: it is of what a reply to it quotes.
        (
            "thunderbird-smime-eml/mail/test/browser/smime/data/multipart-alternative.eml",
            "browser_multipartAlternative.js",
            vec![Claim::QuoteLacks("SECRET-TEXT".into())],
        ),
    ]
}
