//! Where we differ, and by which rule.

/// Of nested signatures the worst counts, and one outside an encryption is `unverified`.
pub(super) const NESTED: &str = "PROTOCOL.md: of nested signatures the worst counts";
/// The test key of KMail has signatures of its own over SHA-1 alone.
pub(super) const SHA1: &str =
    "PROTOCOL.md: a key that SHA-1 alone binds is made with a broken algorithm";
pub(super) const HASH: &str = "PROTOCOL.md: a signature over SHA-1 is made with a broken algorithm";
/// The same, of signatures made since SHA-1 is refused.
pub(super) const SHA1_SINCE: &str = "as before, and no instant to judge by is before that";
const DECLARED: &str = "the table's kind is the declared type; what is inside says more";
const UNMARKED: &str = "RFC 9788 4.1: fields inside count where the payload says so (hp)";
const TWO: &str =
    "RFC 1847 2.1: multipart/signed has two parts; of three, who knows what was signed";
const ERRANT: &str = "PROTOCOL.md: what a layer holds are parts, and not the file that it came in";
const LISTED: &str = "PROTOCOL.md: every leaf is a part, the calendar beside a text too";
const COMMENT: &str = "it stands in a comment of that test";

/// Where we differ: the file, how the claim begins, and the rule (or the table's mistake) that
/// says why.
pub(super) const DIFFERENT: &[(&str, &str, &str)] = &[
    (
        "kde-mimetreeparser/testdata/forward-openpgp-signed-encrypted-no-from.mbox",
        "Part(",
        "PROTOCOL.md: good is for the one address in From, and there is none",
    ),
    (
        "kde-mimetreeparser/testdata/gmail-invitation.mbox",
        "Attachments(1)",
        LISTED,
    ),
    (
        "kde-mimetreeparser/testdata/internal-pgpencrypted-mime.mbox",
        "kind mime",
        DECLARED,
    ),
    (
        "kde-mimetreeparser/testdata/invitation.mbox",
        "Attachments(0)",
        LISTED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted+signed.mbox",
        "Gpg(",
        SHA1,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-attachment-and-non-encrypted-attachment.mbox",
        "Recipient(\"14B79E26050467AA\")",
        COMMENT,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-attachment-and-non-encrypted-attachment.mbox",
        "Recipient(\"8D9860C58F246DE6\")",
        COMMENT,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"cc\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"from\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"inReplyTo\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"messageId\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"references\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"subject\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "Field(\"to\"",
        UNMARKED,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-noData.mbox",
        "kind",
        "RFC 3156 4: two parts, and the one with the ciphertext is lacking",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-signed-thunderbird.mbox",
        "Part(",
        SHA1,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-charset-encrypted.mbox",
        "Gpg(",
        SHA1,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-encrypted+nonenc.mbox",
        "Gpg(",
        SHA1,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-signed.mbox",
        "Gpg(",
        SHA1,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-wrong-charset-encrypted.mbox",
        "Gpg(",
        SHA1,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-multipart-embedded-signed.mbox",
        "Gpg(",
        "Autocrypt 1.1: the message brings the certificate that gpg had not",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-mailinglist+additional-children.mbox",
        "kind",
        TWO,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-mailinglist+additional-children.mbox",
        "Gpg(",
        TWO,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-mailinglist+old.mbox",
        "kind",
        "RFC 2045 5.2: without a content type of its own it is all text",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-no-protocol.mbox",
        "kind",
        "RFC 1847 2.1: the protocol names the second part's type, and here another",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-sender-mismatch.mbox",
        "Gpg(",
        SHA1_SINCE,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-sender-mismatch.mbox",
        "Part(",
        SHA1_SINCE,
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-two-attachments.mbox",
        "Gpg(",
        HASH,
    ),
    (
        "kde-mimetreeparser/testdata/signed-forward-openpgp-signed-encrypted.mbox",
        "Gpg(",
        HASH,
    ),
    (
        "kde-mimetreeparser/testdata/signed-forward-openpgp-signed-encrypted.mbox",
        "Part(",
        HASH,
    ),
    (
        "kde-mimetreeparser/testdata/smime-cert.mbox",
        "kind",
        "RFC 8551 3.8: certificates alone are no layer",
    ),
    (
        "kde-mimetreeparser/testdata/smime-encrypted-not-so-ambiguous-mime.mbox",
        "Attachments(2)",
        ERRANT,
    ),
    (
        "kde-mimetreeparser/testdata/smime-encrypted-octet-stream.mbox",
        "kind mime",
        DECLARED,
    ),
    (
        "kde-mimetreeparser/testdata/smime-signed-apple.mbox",
        "Shows(",
        COMMENT,
    ),
    (
        "kde-mimetreeparser/testdata/smime.p7m",
        "Opens",
        "the file is read there, and the message not opened",
    ),
    (
        "notmuch/corpora/crypto/encrypted-signed.eml",
        "Field(\"subject\"",
        "that test is of the message of the same id in protected-headers",
    ),
    (
        "thunderbird-smime-eml/mailnews/test/data/smime/alice.env.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml",
        "Verdict(",
        NESTED,
    ),
    (
        "thunderbird-smime-eml/mailnews/test/data/smime/alice.env.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml",
        "Verdict(",
        NESTED,
    ),
    (
        "thunderbird-smime-eml/mailnews/test/data/smime/alice.env.sig.SHA512.opaque.dave.sig.SHA512.opaque.eml",
        "Verdict(",
        NESTED,
    ),
    (
        "thunderbird-smime-eml/mailnews/test/data/smime/alice.plain.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml",
        "Verdict(",
        NESTED,
    ),
    (
        "thunderbird-smime-eml/mailnews/test/data/smime/alice.plain.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml",
        "Verdict(",
        NESTED,
    ),
];
