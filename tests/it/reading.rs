//! What a reader sees of a page: the page made safe and its text say the same words, in the same
//! order, and neither says what browsers don't show.

use serde_json::{Value, json};

use crate::harness::{Host, shorten};
use crate::html::{cleaned, host, message};
use crate::trio::{ALICE, BOB};

/// The page made safe, and the same as text.
#[track_caller]
fn both(host: &mut Host, html: &str) -> (String, String) {
    let (_, clean) = cleaned(host, html);
    let opened = host.open(&message(html)).unwrap();
    let quote = String::from_utf8(host.bytes(&opened["quote"].clone())).unwrap();
    (clean, quote)
}

/// Elements that don't stay hide as others do, whatever their name, and show what they don't hide.
#[test]
fn every_element_may_hide() {
    let (_home, mut host) = host();
    let elements = [
        "map", "object", "picture", "marquee", "x-y", "o:p", "v:shape", "tt", "noscript", "xmp",
        "video", "ruby", "label", "a\"b", "blink", "slot",
    ];
    let styles = [
        "display:none",
        "visibility:hidden",
        "font-size:0",
        "opacity:0",
        "color:transparent",
        "display:block;max-height:0;overflow:hidden",
    ];
    for name in elements {
        for style in styles {
            let html = format!("<p>one<{name} style='{style}'>no</{name}>two</p>");
            let (clean, quote) = both(&mut host, &html);
            for text in [&clean, &quote] {
                assert!(
                    text.contains("one") && text.contains("two"),
                    "{html}: {text}"
                );
                assert!(!text.contains("no"), "{html}: {text}");
            }
        }
        let html = format!("<p>one<{name} style='color:red'>yes</{name}>two</p>");
        let (clean, quote) = both(&mut host, &html);
        for text in [&clean, &quote] {
            assert_eq!(text.matches("yes").count(), 1, "{html}: {text}");
        }
    }
    for html in [
        "<svg><g style='display:none'><text>no</text></g></svg>",
        "<svg><text style='visibility:hidden'>no</text></svg>",
        "<svg><text style='font-size:0'>no<tspan>no</tspan></text></svg>",
        "<svg><g style='opacity:0'><a><text>no</text></a></g></svg>",
        "<svg><textPath style='display:none'>no</textPath></svg>",
        "<math><mrow style='display:none'><mi>no</mi></mrow></math>",
        "<math><mrow style='visibility:hidden'><mi>no</mi><mtext>no</mtext></mrow></math>",
        "<div style='font-size:0'><svg><text>no</text></svg></div>",
        "<x-y hidden>no<b>no</b></x-y><o:p hidden><p>no</p></o:p>",
        "<select><title></select><x-y style='display:none'>no</x-y></title>",
        "<x-y style='display:none'><x-y>no</x-y>no</x-y>",
        "<object style='display:none'><p>no<object>no</object></p></object>",
        "<ruby>x<rp>no</rp><rt>y</rt></ruby>",
    ] {
        let (clean, quote) = both(&mut host, &format!("<b>one</b>{html}<i>two</i>"));
        for text in [&clean, &quote] {
            assert!(
                text.contains("one") && text.contains("two"),
                "{html}: {text}"
            );
            assert!(!text.contains("no"), "{html}: {text}");
        }
    }
    for html in [
        "<svg><g style='visibility:hidden'><text visibility=visible>yes</text></g></svg>",
        "<svg><g style='visibility:hidden'><text style='visibility:visible'>yes</text></g></svg>",
        "<svg><g style='display:none'><text id=t>yes</text></g></svg><svg><use href=#t></use></svg>",
        "<svg><text style='visibility:hidden'>yes<set attributeName=visibility to=visible></set></text></svg>",
        "<svg><text style='display:none'>yes<animate attributeName=display values=inline /></text></svg>",
        "<svg><g style='font-size:0'><text font-size=9>yes</text></g></svg>",
        "<svg><text style='color:transparent'>yes</text></svg>",
        "<math><mrow style='font-size:0'><mtext mathsize=9px>yes</mtext></mrow></math>",
        "<text>yes</text><view><p>yes</p></view></text><textarea>yes</textarea>",
        "<text style='font-size:0'>no<line style='font-size:9px'>yes</line></text>",
        "<svg><text>yes</text></svg>",
        "<x-y style='font-size:0'><o:p style='font-size:9px'>yes</o:p></x-y>",
        "<object style='visibility:hidden'><map style='visibility:visible'>yes</map></object>",
        "<style>x-y{display:block!important}</style><x-y style='display:none'>yes</x-y>",
        "<div style='font-size:0'><plaintext style='font-size:9px'>yes",
    ] {
        let (clean, quote) = both(&mut host, &format!("<b>one</b>{html}"));
        for text in [&clean, &quote] {
            let times = html.matches("yes").count();
            assert_eq!(text.matches("yes").count(), times, "{html}: {text}");
        }
    }
}

/// Names of parts of pictures and formulas, and what is none of theirs.
const NAMES: &str = "altglyph and animate animatecolor animatemotion animatetransform annotation \
    annotation-xml apply circle clippath cn cursor defs desc discard ellipse feblend \
    fegaussianblur filter font-face foreignobject g glyph hkern in int label line \
    lineargradient list log maction maligngroup malignmark marker mask math matrix max menclose \
    merror metadata mfenced mfrac mglyph mi min minus mmultiscripts mn mo mode mover mpadded \
    mpath mphantom mprescripts mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd \
    mtext mtr munder munderover none noscript not or path pattern pi plus polygon polyline power \
    radialgradient rect root section selector semantics sep set share stop sum svg switch \
    symbol td text textpath times tref true tspan union use vector view x-y xor";

/// Words stay whatever the name of what they stand in, and wherever that stands.
#[test]
fn no_name_takes_words_along() {
    let (_home, mut host) = host();
    let around = [
        ["", ""],
        ["<svg></svg>", "<math></math>"],
        ["<math><mi>x</mi>", "</math>"],
        ["<math><mtext>", "</mtext></math>"],
        ["<math><annotation-xml>", "</annotation-xml></math>"],
        [
            "<math><annotation-xml encoding=text/HTML>",
            "</annotation-xml></math>",
        ],
        ["<svg>", "</svg>"],
        ["<svg><text>", "</text></svg>"],
        ["<svg><foreignObject>", "</foreignObject></svg>"],
        ["<svg><desc>", "</desc></svg>"],
        ["<svg><font><td><g>", "</td></svg>"],
        ["<table><tr><td>", "</table>"],
        ["<ul><li><b>", "</ul>"],
    ];
    for [before, behind] in around {
        let html: String = NAMES
            .split_whitespace()
            .enumerate()
            .map(|(at, name)| {
                format!("<div>{before}<{name}>not{at}<{name}>a{at}z</{name}>b{at}z{behind}</div>")
            })
            .collect();
        let (clean, quote) = both(&mut host, &html);
        for (at, name) in NAMES.split_whitespace().enumerate() {
            for word in ["not", "a", "b"] {
                let word = format!("{word}{at}");
                for text in [&clean, &quote] {
                    assert!(text.contains(&word), "{before}<{name}>: {word}: {text}");
                }
            }
        }
    }
    for html in [
        "Do <set>NOT</set> pay",
        "Do <set hidden/>not</set>NOT pay",
        "Do <svg><set/></svg>NOT pay",
        "<svg><g><td></g>Do</svg> NOT pay",
        "<td><svg><g><td><font>Do</svg><svg><td></td> NOT</td>pay",
        "Do <p><mtr>NOT<p>pay</mtr></mtr>",
        "<table><set>Do</set><tr><msup>NOT<td>pay",
        "<select><set><option>Do</set><option>NOT <stop>pay</select>",
        "<xmp>Do <set>NOT</set> pay</xmp>",
        "<textarea>Do <set>NOT</set> pay",
        "<noscript>Do <set>NOT</noscript> pay",
        "<math><style>Do <b>NOT</b></style>pay",
        "<math><mi><b>Do <svg><g><mi>NOT</math>pay",
        "Do <svg><![CDATA[<NOT>]]></svg>pay",
        "<image alt='Do'><img alt='&lt;noscript&gt;NOT<set>&quot;'> pay",
        "<plaintext>Do <set>NOT</set> pay",
    ] {
        let (clean, quote) = both(&mut host, html);
        for text in [&clean, &quote] {
            for word in ["Do", "NOT", "pay"] {
                assert_eq!(text.matches(word).count(), 1, "{html}: {text}");
            }
        }
    }
    // Names stay what is hidden by them, and what takes that back.
    for (html, seen) in [
        ("<stop style='display:none'>x</stop>yes", "yes"),
        ("<svg></svg><text hidden>x</text>yes", "yes"),
        ("<svg><font style='display:none'>x</font>yes</svg>", "yes"),
        ("<math><td style='display:none'>x</td>yes</math>", "yes"),
        (
            "<style>stop{display:block!important}</style><stop style='display:none'>yes</stop>",
            "yes",
        ),
        (
            "<style>x-stop{display:block!important}</style><stop style='display:none'>x</stop>yes",
            "yes",
        ),
        (
            "yes<svg><style>x</style><title>x</title><script>x</script></svg>",
            "yes",
        ),
        ("<!--<set>x</set>--><script>'<set>'</script>yes", "yes"),
    ] {
        let (clean, quote) = both(&mut host, html);
        assert_eq!((clean.trim(), quote.trim()), (seen, seen), "{html}");
    }
    let (clean, _) = both(&mut host, "<img alt='<set>&amp;lt;<noscript>'>");
    assert_eq!(clean, "[&lt;set&gt;&amp;lt;&lt;noscript&gt;]");
}

/// What stands in a text by how it looks on a page is said by signs there.
#[test]
fn a_page_and_its_text_say_the_same() {
    let (_home, mut host) = host();
    for (html, clean, text) in [
        (
            "10<sup>6</sup> H<sub>2</sub>O",
            "10<sup>6</sup> H<sub>2</sub>O",
            "10^6 H_2O",
        ),
        ("x<sup>a + b</sup>y", "x<sup>a + b</sup>y", "x^(a + b)y"),
        (
            "2<sup>3<sup>4</sup></sup><sup></sup>x",
            "2<sup>3<sup>4</sup></sup><sup></sup>x",
            "2^3^4x",
        ),
        (
            "1<sup><b>st</b></sup> <sub>\u{e4} b</sub>",
            "1<sup><b>st</b></sup> <sub>\u{e4} b</sub>",
            "1^st _(\u{e4} b)",
        ),
        (
            "pay <del>100 </del>200",
            "pay <del>100 </del>200",
            "pay [-100-] 200",
        ),
        (
            "<s>a<strike>b</strike></s>c <ins>d</ins>",
            "<s>a<strike>b</strike></s>c <ins>d</ins>",
            "[-ab-]c d",
        ),
        (
            "<del><p>a<p>b</del>",
            "<del><p>a</p><p>b</p></del>",
            "[-a-]\n\n[-b-]",
        ),
        ("a<del></del>b<s> </s>c", "a<del></del>b<s> </s>c", "ab c"),
        (
            "<ul><li><s>a<br>b</s> c</ul>",
            "<ul><li><s>a<br>b</s> c</li></ul>",
            "- [-a-]\n[-b-] c",
        ),
        (
            "<ol><li value=5>a<li>b</ol>",
            "<ol><li value=\"5\">a</li><li>b</li></ol>",
            "5. a\n6. b",
        ),
        (
            "<ol start=3 reversed><li>a<li>b</ol>",
            "<ol start=\"3\" reversed=\"\"><li>a</li><li>b</li></ol>",
            "3. a\n2. b",
        ),
        (
            "<ol reversed><li>a<ol><li>x</ol><li hidden>no<li>b</ol>",
            "<ol reversed=\"\"><li>a<ol><li>x</li></ol></li><li>b</li></ol>",
            "2. a\n  1. x\n1. b",
        ),
        (
            "<ol type=A start=26><li>a<li>b</ol>",
            "<ol type=\"A\" start=\"26\"><li>a</li><li>b</li></ol>",
            "Z. a\nAA. b",
        ),
        (
            "<ol type=i start='4x'><li>a<li value=-1>b</ol>",
            "<ol type=\"i\" start=\"4\"><li>a</li><li value=\"-1\">b</li></ol>",
            "iv. a\n-1. b",
        ),
        (
            "<ol type=x start=x><li type=a value=x>a</ol>",
            "<ol><li>a</li></ol>",
            "1. a",
        ),
        (
            "<bdo dir=rtl>live</bdo>\u{202e}x\u{202c}",
            "livex\u{202c}",
            "livex\u{202c}",
        ),
        ("<p dir=RTL>5 - 3</p>", "<p dir=\"auto\">5 - 3</p>", "5 - 3"),
        (
            "<q>a <q>b</q></q>",
            "\u{201c}a \u{2018}b\u{2019}\u{201d}",
            "\u{201c}a \u{2018}b\u{2019}\u{201d}",
        ),
        (
            "<ruby>\u{6f22}<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>",
            "\u{6f22}(kan)",
            "\u{6f22}(kan)",
        ),
        ("<abbr title=no>a</abbr>", "<abbr>a</abbr>", "a"),
        (
            "<details><summary>a</summary>b</details>c",
            "<div><div>a</div>b</div>c",
            "a\nb\nc",
        ),
        (
            "<form>a</form>b<main>c</main><nav>d</nav>",
            "<div>a</div>b<div>c</div><div>d</div>",
            "a\nb\nc\nd",
        ),
        ("<menu><li>a</menu>", "<ul><li>a</li></ul>", "- a"),
        ("<xmp>a\n <b></xmp>", "<pre>a\n &lt;b&gt;</pre>", "a\n <b>"),
        (
            "<table><form><tr><td>a</form></table>",
            "<table><tbody><tr><td>a</td></tr></tbody></table>",
            "a",
        ),
        (
            "a<input type=image alt=Pay src=x>b",
            "a [Pay] b",
            "a [Pay] b",
        ),
        (
            "a<input placeholder=Name>b<input value=v placeholder=no>",
            "a Name b v ",
            "a Name b v",
        ),
        (
            "a<input type=password value=no><input type=submit value=Go>",
            "a Go ",
            "a Go",
        ),
        (
            "<textarea placeholder=p></textarea><textarea placeholder=no>t</textarea>",
            " p  t ",
            "p t",
        ),
        ("<button>a</button><button>b</button>", " a  b ", "a b"),
        (
            "<select><optgroup label=l><option>a<option>b</select>",
            "  l  a  b  ",
            "l a b",
        ),
        ("<td colspan='2;x'>a", "a", "a"),
        (
            "<pre>a <s>b\n c</s></pre>",
            "<pre>a <s>b\n c</s></pre>",
            "a [-b-]\n[- c-]",
        ),
        (
            "<blockquote><s>a<p>b</p></s>c</blockquote>",
            "<blockquote><s>a<p>b</p></s>c</blockquote>",
            "> [-a-]\n>\n> [-b-]\n>\n> c",
        ),
        (
            "<table><tr><td><s>a</s><td>2<sup>n-1</table>",
            "<table><tbody><tr><td><s>a</s></td><td>2<sup>n-1</sup></td></tr></tbody></table>",
            "[-a-]  2^n-1",
        ),
        (
            "a<sup></sup><sub>b<br>c</sub>",
            "a<sup></sup><sub>b<br>c</sub>",
            "a_b\nc",
        ),
        (
            "<ol type=I><li value=1999>a<li>b<li value=4000>c</ol>",
            "<ol type=\"I\"><li value=\"1999\">a</li><li>b</li><li value=\"4000\">c</li></ol>",
            "MCMXCIX. a\nMM. b\n4000. c",
        ),
        (
            "<svg><a xlink:href='https://x.example/'><text>a</text></a></svg>",
            "<a data-link=\"1\">a</a>",
            "a <https://x.example/>",
        ),
    ] {
        let (page, quote) = both(&mut host, html);
        assert_eq!(page.trim_end_matches(['\r', '\n']), clean, "{html}");
        assert_eq!(quote.trim_end(), text, "{html}");
        // And so it is once it was read again, but that it has no addresses then.
        if !page.contains("data-link") {
            let (_, again) = both(&mut host, &page);
            assert_eq!(again, quote, "{html}");
        }
    }
}

/// Where a link leads is told as browsers understand it, and beside each text that looks otherwise.
#[test]
fn links_tell_the_true_host() {
    let (_home, mut host) = host();
    for (href, said, url, text) in [
        (
            "https://bank.example@evil.example/",
            "here",
            "https://evil.example/",
            "here <https://evil.example/>",
        ),
        (
            "https://evil.example/",
            "https://bank.example/",
            "https://evil.example/",
            "https://bank.example/ <https://evil.example/>",
        ),
        (
            "https://evil.example/",
            "https://bank.example@evil.example/",
            "https://evil.example/",
            "https://bank.example@evil.example/ <https://evil.example/>",
        ),
        (
            "https://\u{440}\u{430}ypal.example/",
            "https://\u{440}\u{430}ypal.example/",
            "https://xn--ypal-43d9g.example/",
            "https://\u{440}\u{430}ypal.example/ <https://xn--ypal-43d9g.example/>",
        ),
        (
            "https:\\\\evil.example\\x",
            "x",
            "https://evil.example/x",
            "x <https://evil.example/x>",
        ),
        (
            "ht&#9;tps://ev&#10;il.example",
            "x",
            "https://evil.example/",
            "x <https://evil.example/>",
        ),
        (
            "https://ba&#x200b;nk.example/&#x202e;a",
            "x",
            "https://bank.example/%E2%80%AEa",
            "x <https://bank.example/%E2%80%AEa>",
        ),
        (
            "http://X.example",
            "http://x.example",
            "http://x.example/",
            "http://x.example",
        ),
        (
            "http://2130706433/",
            "x",
            "http://127.0.0.1/",
            "x <http://127.0.0.1/>",
        ),
        (
            "mailto:b@x.example?attach=/etc/passwd&amp;subject=s",
            "b@x.example",
            "mailto:b@x.example?subject=s",
            "b@x.example <b@x.example?subject=s>",
        ),
        (
            "mailto:b@x.example?bcc=c@x.example",
            "b@x.example",
            "mailto:b@x.example",
            "b@x.example",
        ),
    ] {
        let html = format!("<a href='{href}'>{said}</a>");
        let (page, _) = cleaned(&mut host, &html);
        assert_eq!(page["links"], json!([{"n": 1, "url": url}]), "{html}");
        let (clean, quote) = both(&mut host, &html);
        assert_eq!(clean, format!("<a data-link=\"1\">{said}</a>"));
        assert_eq!(quote.trim(), text, "{html}");
    }
    for href in [
        "ftp://x.example",
        "mailto:",
        "https://",
        "mailto:a%0ABcc:b@x.example",
        "tel:1",
    ] {
        let (page, clean) = cleaned(&mut host, &format!("<a href='{href}'>x</a>"));
        assert_eq!(page["links"], json!([]), "{href}");
        assert_eq!(clean, "<a>x</a>", "{href}");
    }
}

/// What is shown of a message with a text and a page.
fn shown(host: &mut Host, plain: &str, html: &str) -> String {
    let whole = format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{plain}\r\n\
         --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{html}\r\n--b--\r\n"
    );
    let opened = host.open(whole.as_bytes()).unwrap();
    let shown = opened["show"].as_array().unwrap();
    assert_eq!(shown.len(), 1, "{}", shorten(&opened));
    let parts = opened["parts"].as_array().unwrap();
    let part = |part: &&Value| part["id"] == shown[0];
    parts.iter().find(part).unwrap()["type"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A page in which nothing is seen gives way to its text.
#[test]
fn a_page_that_shows_nothing_gives_way() {
    let (_home, mut host) = host();
    for html in [
        "&nbsp;<p>&nbsp;</p>",
        "<hr><hr>",
        "<table><tr><td></td><td>&nbsp;</td></tr></table>",
        "&#x200b;&zwnj;&shy;&#x2800;&#xfeff;",
        "<ol><li><li></ol><ul><li>&nbsp;</ul>",
        "<a href='https://x.example/'></a>",
        "<q></q><ruby><rt></rt></ruby><button></button><s> </s><sup>&nbsp;</sup>",
        "<img src='https://x.example/p.png' width=1>",
        "<img src=data:x alt='&nbsp;'>",
        "<x-y style='display:none'>no</x-y><br>",
        "<input type=hidden value=no><textarea> </textarea>",
    ] {
        assert_eq!(shown(&mut host, "words", html), "text/plain", "{html}");
        // Neither says anything: the last one stays.
        assert_eq!(
            shown(&mut host, "\u{a0}\u{200b}", html),
            "text/html",
            "{html}"
        );
    }
    for html in [
        "x",
        "<hr>1",
        "<img src=x alt=far>",
        "<img src=cid:x>",
        "<input value=x>",
        "\u{1f600}",
    ] {
        assert_eq!(shown(&mut host, "words", html), "text/html", "{html}");
    }
}
