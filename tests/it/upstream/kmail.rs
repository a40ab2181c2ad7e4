//! What KMail's tests assert: clauses of C++.

use super::{ATTACHED, CHARSET, CUT, Claim, Claims, LOADING, OWN_OBJECTS, PartClaim, Row, literal};

pub(super) fn kmail(row: &Row, claims: &mut Claims) {
    for test in row.expected.split(" || ") {
        let mut part = PartClaim::default();
        for clause in test.split(" ; ") {
            kmail_clause(clause.trim(), &mut part, claims);
        }
        flush(&mut part, claims);
    }
}

fn flush(part: &mut PartClaim, claims: &mut Claims) {
    let part = std::mem::take(part);
    match part.words.clone() {
        _ if part.is_empty() => {}
        Some(words) if part.only_words() => claims.open.push(Claim::Shows(words)),
        _ => claims.open.push(Claim::Part(part)),
    }
}

/// Sets one of a part's claims; where it has one already, another part begins.
fn set<T>(
    part: &mut PartClaim,
    claims: &mut Claims,
    value: T,
    field: impl Fn(&mut PartClaim) -> &mut Option<T>,
) {
    if field(part).is_some() {
        flush(part, claims);
    }
    *field(part) = Some(value);
}

fn kmail_clause(clause: &str, part: &mut PartClaim, claims: &mut Claims) {
    let (subject, value) = clause.split_once(", ").unwrap_or((clause, ""));
    let number = value.parse::<usize>().ok();
    match subject {
        "bool(part)" | "bool(part1)" => flush(part, claims),
        "bool(encapsulated)" => {
            flush(part, claims);
            part.attached = true;
        }
        "part->text()" | "part->text().trimmed()" | "part->plaintextContent()" => {
            match literal(value) {
                Some(words) if !words.is_empty() => {
                    set(part, claims, words, |p| &mut p.words);
                }
                _ => claims.skip(OWN_OBJECTS),
            }
        }
        "part->encryptions().size()" | "part1->encryptions().size()" => match number {
            Some(n) => set(part, claims, n, |p| &mut p.encryptions),
            None => claims.skip(CUT),
        },
        "part->signatures().size()" | "encapsulated->signatures().size()" => match number {
            Some(n) => set(part, claims, n, |p| &mut p.signatures),
            None => claims.skip(CUT),
        },
        "part->encryptionState()" => match value {
            "KMMsgFullyEncrypted" => set(part, claims, true, |p| &mut p.encrypted),
            "KMMsgNotEncrypted" => set(part, claims, false, |p| &mut p.encrypted),
            other => panic!("a state that nobody knows: {other}"),
        },
        "part->signatureState()" => match value {
            "KMMsgFullySigned" => set(part, claims, true, |p| &mut p.signed),
            "KMMsgNotSigned" => set(part, claims, false, |p| &mut p.signed),
            other => panic!("a state that nobody knows: {other}"),
        },
        "PartModel::signatureSecurityLevel(part.get())"
        | "PartModel::signatureSecurityLevel(encapsulated.get())" => {
            let level = match value.rsplit("::").next() {
                Some("Good") => "good",
                Some("NotSoGood") => "unverified",
                Some("Bad") => "bad",
                other => panic!("a level that nobody knows: {other:?}"),
            };
            set(part, claims, level, |p| &mut p.level);
        }
        "otp.plainTextContent()" | "part->htmlContent()" | "otp.htmlContent()" => {
            match literal(value) {
                Some(words) => claims.open.push(Claim::Shows(words)),
                None => claims.skip(OWN_OBJECTS),
            }
        }
        "otp.collectAttachmentParts().size()"
        | "attachments.size()"
        | "contentAttachmentList.size()"
        | "attachmentParts.size()"
        | "attachmentModel->rowCount()" => match number {
            Some(n) => claims.open.push(Claim::Attachments(n)),
            None => claims.skip(CUT),
        },
        "attachments[0]->filename()" | "part->filename()" => match literal(value) {
            Some(name) => claims.open.push(Claim::File(name)),
            None => claims.skip(CUT),
        },
        "part->mimeType()" => match literal(value) {
            Some(name) => claims.open.push(Claim::Type(name)),
            None => claims.skip(CUT),
        },
        "otp.hasEncryptedParts()" => claims.open.push(Claim::Opened),
        "otp.hasSignedParts()" => claims.open.push(Claim::Signed),
        "part->error()" => claims.open.push(Claim::Closed),
        "parses" => claims.open.push(Claim::Opens),
        "part->charset()" | "part->charset().toLower()" => claims.skip(CHARSET),
        "part->from()" | "part->date().toString()" | "encapsulatedPart->subject()" => {
            claims.skip(ATTACHED);
        }
        "!otp.hasSignedParts()" => claims.skip("what is not yet decrypted"),
        _ => kmail_words(clause, part, claims),
    }
}

fn kmail_words(clause: &str, part: &mut PartClaim, claims: &mut Claims) {
    let (subject, value) = clause.split_once(", ").unwrap_or((clause, ""));
    let words = || literal(clause);
    let contains = [
        "otp.plainTextContent().",
        "otp.htmlContent().",
        "partList[0]->text().",
    ];
    if clause.starts_with("part->text().contains(") {
        let words = literal(clause).unwrap();
        set(part, claims, words, |p| &mut p.words);
    } else if let (Some(rest), Some(words)) = (
        contains.iter().find_map(|start| clause.strip_prefix(start)),
        words(),
    ) && (rest.starts_with("contains(") || rest.starts_with("startsWith("))
    {
        claims.open.push(Claim::Shows(words));
    } else if clause.starts_with("!otp.plainTextContent().contains(") {
        claims.open.push(Claim::Hides(words().unwrap()));
    } else if let Some(name) = subject
        .strip_prefix("part->header(\"")
        .and_then(|rest| rest.strip_suffix("\")->asUnicodeString()"))
    {
        let value = literal(value).unwrap();
        claims.open.push(Claim::Field(camel(name), value));
    } else if let Some(id) = clause.strip_prefix("r->keyid(),") {
        claims.open.push(Claim::Recipient(literal(id).unwrap()));
    } else if clause.starts_with("details.contains(\"Bad signature\")") {
        claims.open.push(Claim::Verdict("bad"));
    } else if clause.starts_with("(no assertion") || clause.starts_with("no panic") {
        claims.skip("nothing asserted upstream");
    } else if ["message", "pgpPart", "octetStreamPart"]
        .iter()
        .any(|start| clause.starts_with(start))
    {
        claims.skip(LOADING);
    } else {
        claims.skip(OWN_OBJECTS);
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let (start, rest) = word.split_at(1);
        all += &start.to_uppercase();
        all += rest;
        all
    })
}
