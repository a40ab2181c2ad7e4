#![no_main]
//! A stranger's page, made clean: looked over once more by a parser that has nothing to do with
//! the one that made it.

use std::path::Path;

use html5gum::{Token, Tokenizer};
use libfuzzer_sys::fuzz_target;
use sealpost::mail::html::{self, Budget, Page};

/// How many times a page its clean form and its text may be.
const GROWTH: usize = 64;

/// The same for pages of a few lines, in bytes.
const LEAST: usize = 1 << 20;

/// All that a clean page has, and on which element; `*`: on each.
const ATTRIBUTES: [(&str, &str); 10] = [
    ("*", "dir"),
    ("*", "lang"),
    ("a", "data-link"),
    ("img", "data-cid"),
    ("img", "alt"),
    ("td", "colspan"),
    ("td", "rowspan"),
    ("th", "colspan"),
    ("th", "rowspan"),
    ("ol", "start"),
];

/// Elements that load, act, or change how what follows them is read.
const NEVER: [&str; 40] = [
    "applet",
    "audio",
    "base",
    "body",
    "button",
    "canvas",
    "datalist",
    "embed",
    "form",
    "frame",
    "frameset",
    "head",
    "html",
    "iframe",
    "image",
    "input",
    "link",
    "listing",
    "map",
    "marquee",
    "math",
    "meta",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "option",
    "param",
    "plaintext",
    "script",
    "select",
    "source",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "track",
    "video",
    "xmp",
];

/// Hostile pages to begin with.
const SEEDS: [&str; 12] = [
    "<p>One <b>two</b><br><a href=\"http://a.example/\">three</a> <img src=\"cid:x@y\" alt=\"four\">",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=a&gt;\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<table><tr><td colspan=2>a<td>b<tr><td>c</table><ul><li>d<ol start=3><li>e</ol></ul>",
    "<div class=\"header-protection-legacy-display\"><pre>Subject: s</pre></div><p>text",
    "<p><b style=\"xxxxxxxxxxxxxxxx\">x<p>x<p>x<p>x",
    "<blockquote><pre>a\n b\n</pre><blockquote>c</blockquote></blockquote><hr>",
    "<div style=\"display:none\">no</div><p hidden>no</p><!-- no --><title>no</title>yes",
    "<body background=http://a.example/ onload=a><meta http-equiv=refresh content=\"0;url=http://a.example\">",
    "&lt;script&gt; &NotEqualTilde; &#0; \0 <![CDATA[x]]> <?php x?> <!doctype html>",
];

/// Writes the seeds where `SEALPOST_SEEDS` says.
fn seeds() {
    let Some(folder) = std::env::var_os("SEALPOST_SEEDS") else {
        return;
    };
    for (number, seed) in SEEDS.iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(path, seed).expect("a folder that can be written");
    }
}

fn check(given: &str, page: &Page) {
    let most = GROWTH * given.len() + LEAST;
    assert!(page.clean.len() <= most, "the clean page grew");
    assert!(page.text.len() <= most, "the text grew");
    for link in &page.links {
        let scheme = link
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        assert!(
            ["http", "https", "mailto"].contains(&&*scheme),
            "a link to {link}"
        );
    }
    for token in Tokenizer::new(&page.clean) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(!NEVER.contains(&&*name), "<{name}> is left");
                for (key, value) in &tag.attributes {
                    let key = String::from_utf8_lossy(key).into_owned();
                    let value = String::from_utf8_lossy(&value.value).into_owned();
                    let known = |(on, attribute): &(&str, &str)| {
                        *attribute == key && (*on == "*" || *on == name)
                    };
                    assert!(ATTRIBUTES.iter().any(known), "{key} on <{name}> is left");
                    match &*key {
                        "data-link" => {
                            let number: usize = value.parse().expect("the number of a link");
                            assert!((1..=page.links.len()).contains(&number), "no link {number}");
                        }
                        "data-cid" => assert!(page.cids.contains(&value), "no image {value}"),
                        _ => {}
                    }
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(!NEVER.contains(&&*name), "</{name}> is left");
            }
            // Such as a control character in a text, which changes no markup.
            Token::String(_) | Token::Error(_) => {}
            other => panic!("{other:?} is left"),
        }
    }
}

fuzz_target!(init: seeds(), |data: &[u8]| {
    let given = String::from_utf8_lossy(data);
    if let Some(page) = html::page(&given, &mut Budget::default()) {
        check(&given, &page);
    }
    // A text that stands for a page is read as nothing but text.
    let plain = html::plain(&given);
    let page = Page { clean: plain, ..Page::default() };
    check(&given, &page);
});
