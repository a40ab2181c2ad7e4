//! The sample messages of RFC 9788's Appendix C, where they lie beside the project, each field in
//! the state that the RFC gives it. Keys and authority are those of RFC 9216.

use serde_json::{Value, json};

use crate::harness::{Home, corpora, import, shorten};

/// What a sample's name says of a field of it.
fn expected(sample: &str, field: &str) -> &'static str {
    let hidden: &[&str] = match sample {
        _ if sample.contains("-hp-shy") => &["subject", "from", "to", "date"],
        _ if sample.contains("-hp-baseline") => &["subject"],
        _ if sample.contains("-hp") => &[],
        _ => return "none",
    };
    if hidden.contains(&field) {
        "signed-encrypted"
    } else {
        "signed"
    }
}

#[test]
fn every_field_of_the_samples_is_in_its_state() {
    let Some(root) = corpora() else {
        println!(
            "ABSENT: no corpora beside the project (SEALPOST_SHARED names another place): \
             the samples of RFC 9788 were not opened"
        );
        return;
    };
    let keys = root.join("rfc9216");
    let read = |name: &str| std::fs::read(keys.join(name)).unwrap();
    let home = Home::new();
    let mut bob = home.start();
    bob.hello();
    let authority = bob.body(&read("ca.rsa.crt"));
    bob.good("anchors/add", json!({"data": authority}));
    for name in ["bob.sign", "bob.encrypt"] {
        let pair = [read(&format!("{name}.key")), read(&format!("{name}.crt"))].concat();
        import(&mut bob, &pair, Value::Null);
    }
    let mut opened_count = 0;
    for entry in std::fs::read_dir(root.join("rfc9788")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "eml") {
            continue;
        }
        let sample = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let opened = bob
            .open(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|fault| panic!("{sample}: {fault:?}"));
        opened_count += 1;
        let encrypted = sample.contains("-enc");
        let signed = sample.starts_with("smime-");
        let summary = &opened["summary"];
        let name = format!("{sample}: {}", shorten(&opened));
        assert_eq!(
            summary["encrypted"],
            if encrypted { "whole" } else { "none" },
            "{name}"
        );
        assert_eq!(
            summary["signed"],
            if signed { "good" } else { "none" },
            "{name}"
        );
        let headers = opened["headers"].as_object().unwrap();
        assert!(headers.len() >= 6, "{name}");
        for (field, header) in headers {
            assert_eq!(
                header["protection"],
                expected(&sample, field),
                "{field} of {name}"
            );
        }
        assert_eq!(headers["subject"]["value"], sample, "{name}");
        // Its text is shown without what old readers are told.
        let quote = opened["quote"].clone();
        if !quote.is_null() {
            let text = String::from_utf8(bob.bytes(&quote)).unwrap();
            assert!(
                text.trim_start().starts_with("This is the"),
                "{sample}: {text}"
            );
        }
        for part in opened["parts"].as_array().unwrap() {
            if part["type"] == "text/plain" {
                let text = String::from_utf8(bob.bytes(&part["body"].clone())).unwrap();
                assert!(text.starts_with("This is the"), "{sample}: {text}");
            }
        }
    }
    assert!(opened_count >= 17, "{opened_count}");
}
