//! Errant layers (RFC 9787 4.5): those that are not around the whole message say nothing of it,
//! and what stands beside or in them is told for itself.

use crate::harness::shorten;
use crate::layers::{CAROL, FAMILIES, Family, Town, Who, mixed, multi, text};
use crate::mime::head;
use crate::protection::pkcs7;
use crate::trio::{ALICE, BOB};
use Family::{OpenPgp, Smime};

fn attached(from: &str, entity: &str) -> String {
    format!(
        "Content-Type: message/rfc822\r\n\r\n{}{entity}",
        head(from, BOB, "within")
    )
}

/// What a part says, what protects it, and whether it is shown.
type Told = (&'static str, bool, &'static str, bool);

/// A message whose root is no layer, or whose payload holds more than a text.
struct Case {
    name: &'static str,
    entity: String,
    encrypted: &'static str,
    signed: &'static str,
    told: Vec<Told>,
    /// What may be quoted, if anything may.
    quote: Option<&'static str>,
}

#[allow(clippy::too_many_lines)] // a table
fn cases(town: &Town, family: Family) -> Vec<Case> {
    let sign = |entity: &str| town.signed(family, Who::Alice, entity);
    let encrypt = |entity: &str| town.encrypted(family, entity);
    let body = text("The text.");
    let footer = text("The footer.");
    let file = match family {
        OpenPgp => format!(
            "Content-Type: application/octet-stream; name=\"x.txt.pgp\"\r\n\
             Content-Disposition: attachment; filename=\"x.txt.pgp\"\r\n\r\n{}",
            town.armored(BOB, "The file.", &[])
        ),
        Smime => pkcs7("enveloped-data", &town.enveloped("bob", &text("The file.")))
            .replace("smime-type", "x=y; smime-type")
            .replace(
                "Content-Transfer",
                "Content-Disposition: attachment; filename=smime.p7m\r\nContent-Transfer",
            ),
    };
    let html = "Content-Type: text/html\r\n\r\n<p>The page.</p>\r\n";
    vec![
        Case {
            name: "a footer around a signed part",
            entity: mixed(&[&sign(&body), &footer]),
            encrypted: "none",
            signed: "none",
            told: vec![
                ("The text.", false, "good", true),
                ("The footer.", false, "none", true),
            ],
            quote: Some("The text.|The footer."),
        },
        Case {
            name: "a footer around an encrypted part",
            entity: mixed(&[&encrypt(&body), &footer]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The text.", true, "none", true),
                ("The footer.", false, "none", true),
            ],
            quote: None,
        },
        Case {
            name: "a footer around a part signed outside its encryption",
            entity: mixed(&[&sign(&encrypt(&body)), &footer]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The text.", true, "unverified", true),
                ("The footer.", false, "none", true),
            ],
            quote: None,
        },
        Case {
            name: "a footer signed too, around a part of its own",
            entity: sign(&mixed(&[&sign(&body), &footer])),
            encrypted: "none",
            signed: "good",
            told: vec![
                ("The text.", false, "good", true),
                ("The footer.", false, "good", true),
            ],
            quote: Some("The text.|The footer."),
        },
        Case {
            name: "an altered part in a signed message",
            entity: sign(&mixed(&[&town.altered(family, &body), &footer])),
            encrypted: "none",
            signed: "good",
            told: vec![
                ("The text.", false, "bad", true),
                ("The footer.", false, "good", true),
            ],
            quote: Some("The text.|The footer."),
        },
        Case {
            name: "a signed part beside another in an encryption",
            entity: encrypt(&mixed(&[&sign(&body), &footer])),
            encrypted: "whole",
            signed: "none",
            told: vec![
                ("The text.", true, "good", true),
                ("The footer.", true, "none", true),
            ],
            quote: None,
        },
        Case {
            name: "an encrypted part in a signed message",
            entity: sign(&mixed(&[&encrypt(&body), &footer])),
            encrypted: "part",
            signed: "good",
            told: vec![
                ("The text.", true, "unverified", true),
                ("The footer.", false, "good", true),
            ],
            quote: None,
        },
        Case {
            name: "an encrypted part in an encrypted message",
            entity: encrypt(&sign(&mixed(&[&encrypt(&body), &footer]))),
            encrypted: "whole",
            signed: "good",
            told: vec![
                ("The text.", true, "unverified", true),
                ("The footer.", true, "good", true),
            ],
            quote: Some("The footer."),
        },
        Case {
            name: "two encrypted parts and HTML around them",
            entity: mixed(&[html, &encrypt(&body), &encrypt(&footer)]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The page.", false, "none", true),
                ("The text.", true, "none", true),
                ("The footer.", true, "none", true),
            ],
            quote: None,
        },
        Case {
            name: "one part signed, another encrypted",
            entity: mixed(&[&sign(&footer), &encrypt(&body)]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The footer.", false, "good", true),
                ("The text.", true, "none", true),
            ],
            quote: None,
        },
        Case {
            name: "an encrypted file",
            entity: mixed(&[&body, &file]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The text.", false, "none", true),
                ("The file.", true, "none", family == Smime),
            ],
            quote: None,
        },
        Case {
            name: "an encrypted alternative after the plain one",
            entity: multi("multipart/alternative", &[&footer, &encrypt(&body)]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The footer.", false, "none", true),
                ("The text.", true, "none", false),
            ],
            quote: None,
        },
        Case {
            name: "an encrypted alternative before the plain one",
            entity: multi("multipart/alternative", &[&encrypt(&body), &footer]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The text.", true, "none", false),
                ("The footer.", false, "none", true),
            ],
            quote: None,
        },
        Case {
            name: "a closed alternative after the plain one",
            entity: multi(
                "multipart/alternative",
                &[&footer, &town.closed(family, &body)],
            ),
            encrypted: "part",
            signed: "none",
            told: vec![("The footer.", false, "none", true)],
            quote: None,
        },
        Case {
            name: "a closed part beside an open one",
            entity: sign(&mixed(&[&town.closed(family, &body), &footer])),
            encrypted: "part",
            signed: "good",
            told: vec![("The footer.", false, "good", true)],
            quote: None,
        },
        Case {
            name: "two closed parts and nothing else",
            entity: mixed(&[&town.closed(family, &body), &town.closed(family, &footer)]),
            encrypted: "part",
            signed: "none",
            told: vec![],
            quote: None,
        },
        Case {
            name: "a closed part in an encrypted message",
            entity: encrypt(&sign(&mixed(&[&footer, &town.closed(family, &body)]))),
            encrypted: "whole",
            signed: "good",
            told: vec![("The footer.", true, "good", true)],
            quote: Some("The footer."),
        },
        Case {
            name: "a closed part in an altered message",
            entity: town.altered(family, &mixed(&[&footer, &town.closed(family, &body)])),
            encrypted: "part",
            signed: "bad",
            told: vec![("The footer.", false, "bad", true)],
            quote: None,
        },
        Case {
            name: "a closed message inside an open one",
            entity: encrypt(&sign(&mixed(&[
                &footer,
                &attached(CAROL, &town.closed(family, &body)),
            ]))),
            encrypted: "whole",
            signed: "good",
            told: vec![("The footer.", true, "good", true)],
            quote: Some("The footer."),
        },
        Case {
            name: "a message inside a message, each signed for itself",
            entity: mixed(&[
                &footer,
                &attached(
                    CAROL,
                    &town.signed(
                        family,
                        Who::Carol,
                        &mixed(&[&text("The middle."), &attached(ALICE, &sign(&body))]),
                    ),
                ),
            ]),
            encrypted: "none",
            signed: "none",
            told: vec![
                ("The footer.", false, "none", true),
                ("The middle.", false, "good", false),
                ("The text.", false, "good", false),
            ],
            quote: Some("The footer."),
        },
        Case {
            name: "a message inside, signed by whom its own From names",
            entity: mixed(&[
                &footer,
                &attached(CAROL, &town.signed(family, Who::Carol, &body)),
            ]),
            encrypted: "none",
            signed: "none",
            told: vec![
                ("The footer.", false, "none", true),
                ("The text.", false, "good", false),
            ],
            quote: Some("The footer."),
        },
        Case {
            name: "a message inside, signed by whom the outer From names",
            entity: mixed(&[&footer, &attached(CAROL, &sign(&body))]),
            encrypted: "none",
            signed: "none",
            told: vec![
                ("The footer.", false, "none", true),
                ("The text.", false, "unverified", false),
            ],
            quote: Some("The footer."),
        },
        Case {
            name: "a message inside a signed one, altered itself",
            entity: sign(&mixed(&[
                &footer,
                &attached(ALICE, &town.altered(family, &body)),
            ])),
            encrypted: "none",
            signed: "good",
            told: vec![
                ("The footer.", false, "good", true),
                ("The text.", false, "bad", false),
            ],
            quote: Some("The footer."),
        },
        Case {
            name: "a message inside, encrypted and then signed",
            entity: mixed(&[&footer, &attached(ALICE, &sign(&encrypt(&body)))]),
            encrypted: "part",
            signed: "none",
            told: vec![
                ("The footer.", false, "none", true),
                ("The text.", true, "unverified", false),
            ],
            quote: None,
        },
        Case {
            name: "a message as the payload, signed for itself",
            entity: sign(&attached(CAROL, &town.signed(family, Who::Carol, &body))),
            encrypted: "none",
            signed: "good",
            told: vec![("The text.", false, "good", false)],
            quote: None,
        },
        Case {
            name: "a message as the payload, encrypted for itself",
            entity: sign(&attached(CAROL, &encrypt(&body))),
            encrypted: "part",
            signed: "good",
            told: vec![("The text.", true, "unverified", false)],
            quote: None,
        },
        Case {
            name: "nothing in a multipart",
            entity: sign("Content-Type: multipart/mixed; boundary=\"e\"\r\n\r\n--e--\r\n"),
            encrypted: "none",
            signed: "good",
            told: vec![("--e--", false, "good", false)],
            quote: None,
        },
        Case {
            name: "a multipart of no known kind",
            entity: sign(&multi("multipart/x-unheard-of", &[&body, &footer])),
            encrypted: "none",
            signed: "good",
            told: vec![
                ("The text.", false, "good", true),
                ("The footer.", false, "good", true),
            ],
            quote: Some("The text.|The footer."),
        },
        Case {
            name: "a multipart of no known kind around a layer",
            entity: multi("multipart/x-unheard-of", &[&sign(&body)]),
            encrypted: "none",
            signed: "none",
            told: vec![("The text.", false, "good", true)],
            quote: Some("The text."),
        },
        Case {
            name: "words before the first and behind the last boundary",
            entity: format!(
                "{}\r\nThe epilogue.\r\n",
                sign(&body).replacen("\r\n\r\n", "\r\n\r\nThe preamble.\r\n", 1)
            ),
            encrypted: "none",
            signed: "good",
            told: vec![("The text.", false, "good", true)],
            quote: Some("The text."),
        },
    ]
}

/// Signatures in one piece are errant like others.
fn opaque(town: &Town) -> Vec<Case> {
    let signed = town.opaque(Who::Alice, &text("The text."));
    let footer = text("The footer.");
    let case = |name, entity, encrypted, told, quote| Case {
        name,
        entity,
        encrypted,
        signed: "none",
        told,
        quote,
    };
    vec![
        case(
            "a footer around a part signed in one piece",
            mixed(&[&signed, &footer]),
            "none",
            vec![
                ("The text.", false, "good", true),
                ("The footer.", false, "none", true),
            ],
            Some("The text.|The footer."),
        ),
        case(
            "a part signed in one piece within an encryption",
            town.encrypted(Smime, &mixed(&[&signed, &footer])),
            "whole",
            vec![
                ("The text.", true, "good", true),
                ("The footer.", true, "none", true),
            ],
            None,
        ),
        case(
            "a part signed in one piece around an encryption",
            mixed(&[
                &town.opaque(Who::Alice, &town.encrypted(OpenPgp, &text("The text."))),
                &footer,
            ]),
            "part",
            vec![
                ("The text.", true, "unverified", true),
                ("The footer.", false, "none", true),
            ],
            None,
        ),
    ]
}

/// Armor in texts: a layer of the whole message only where nothing stands beside it.
fn inline(town: &Town) -> Vec<Case> {
    let armored = town.armored(BOB, "The text.\r\n", &[]);
    let alone = text(&armored);
    let around = text(&format!("The footer.\r\n{armored}"));
    let clear = town.clear("The text.\r\n");
    let sign = |entity: &str| town.signed(OpenPgp, Who::Alice, entity);
    let encrypt = |entity: &str| town.encrypted(OpenPgp, entity);
    let told = |encrypted, signed| vec![("The text.", encrypted, signed, true)];
    let beside = |encrypted, signed, footer_encrypted, footer_signed| {
        vec![
            ("The footer.", footer_encrypted, footer_signed, true),
            ("The text.", encrypted, signed, true),
        ]
    };
    let case = |name, entity, encrypted, signed, told, quote| Case {
        name,
        entity,
        encrypted,
        signed,
        told,
        quote,
    };
    vec![
        case(
            "armor alone",
            alone.clone(),
            "whole",
            "none",
            told(true, "none"),
            None,
        ),
        case(
            "armor behind words",
            around.clone(),
            "part",
            "none",
            beside(true, "none", false, "none"),
            None,
        ),
        case(
            "armor alone, signed around",
            sign(&alone),
            "whole",
            "unverified",
            told(true, "unverified"),
            None,
        ),
        case(
            "armor behind words, signed around",
            sign(&around),
            "part",
            "good",
            beside(true, "unverified", false, "good"),
            None,
        ),
        case(
            "armor alone, encrypted around",
            encrypt(&alone),
            "whole",
            "none",
            told(true, "none"),
            None,
        ),
        case(
            "armor behind words, encrypted and signed around",
            encrypt(&sign(&around)),
            "whole",
            "good",
            beside(true, "unverified", true, "good"),
            Some("The footer."),
        ),
        case(
            "a cleartext signature alone",
            text(&clear),
            "none",
            "good",
            told(false, "good"),
            Some("The text."),
        ),
        case(
            "a cleartext signature behind words",
            text(&format!("The footer.\r\n{clear}")),
            "none",
            "none",
            beside(false, "good", false, "none"),
            Some("The footer.|The text."),
        ),
        case(
            "a cleartext signature in a part",
            mixed(&[&text("The footer."), &text(&clear)]),
            "none",
            "none",
            beside(false, "good", false, "none"),
            Some("The footer.|The text."),
        ),
        case(
            "a cleartext signature alone, encrypted around",
            encrypt(&text(&clear)),
            "whole",
            "good",
            told(true, "good"),
            Some("The text."),
        ),
    ]
}

#[test]
fn what_stands_beside_layers_is_not_what_stands_in_them() {
    let Some(mut town) = Town::new() else { return };
    for family in FAMILIES {
        let mut all = cases(&town, family);
        all.extend(match family {
            OpenPgp => inline(&town),
            Smime => opaque(&town),
        });
        for case in all {
            let opened = town.open(&case.entity);
            let name = format!("{family:?} {}: {}", case.name, shorten(&opened));
            assert_eq!(opened["summary"]["encrypted"], case.encrypted, "{name}");
            assert_eq!(opened["summary"]["signed"], case.signed, "{name}");
            let parts = town.parts(&opened);
            let told: Vec<_> = parts
                .iter()
                .map(|part| {
                    (
                        part.text
                            .trim()
                            .trim_start_matches("<p>")
                            .trim_end_matches("</p>"),
                        part.encrypted,
                        part.signed.as_str(),
                        part.shown,
                    )
                })
                .filter(|told| !told.0.is_empty())
                .collect();
            assert_eq!(told, case.told, "{name}");
            let quote = (!opened["quote"].is_null()).then(|| {
                let quote = town.bob.bytes(&opened["quote"].clone());
                String::from_utf8(quote).unwrap()
            });
            let quote = quote.map(|quote| quote.lines().collect::<Vec<_>>().join("|"));
            assert_eq!(quote.as_deref(), case.quote, "{name}");
            let closed = opened["summary"]["warnings"].to_string();
            assert_eq!(
                closed.contains("part-closed"),
                case.name.contains("closed"),
                "{name}"
            );
            let all = opened.to_string();
            assert!(
                !all.contains("preamble") && !all.contains("epilogue"),
                "{name}"
            );
        }
    }
}
