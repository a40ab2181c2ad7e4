//! What a page says beside its words: what is struck out, raised, or set apart by its style or in
//! a formula, in the page made safe and in its text; whose letters it has; and what it costs.

use std::time::{Duration, Instant};

use crate::harness::{Host, shorten};
use crate::html::{cleaned, host, message};
use crate::trio::{ALICE, BOB};

/// The page made safe, and the same as text.
#[track_caller]
fn both(host: &mut Host, message: &[u8]) -> (String, String) {
    let opened = host.open(message).unwrap();
    let page = opened["parts"][0]["html"].clone();
    assert!(page.is_object(), "{}", shorten(&opened));
    let clean = String::from_utf8(host.bytes(&page["clean"])).unwrap();
    let quote = String::from_utf8(host.bytes(&opened["quote"].clone())).unwrap();
    (clean, quote)
}

/// Each page, its clean form, and its text; the clean form says the same once it is read again.
#[track_caller]
fn read(pages: &[(&str, &str, &str)]) {
    let (_home, mut host) = host();
    for (html, clean, text) in pages {
        let (page, quote) = both(&mut host, &message(html));
        assert_eq!(page, *clean, "{html}");
        assert_eq!(quote, *text, "{html}");
        if page.contains("data-link") {
            continue;
        }
        let (_, again) = both(&mut host, &message(&page));
        assert_eq!(again, quote, "{html}: {page}");
    }
}

#[test]
fn what_a_style_strikes_out_is_struck_out() {
    read(&[
        (
            "I will <span style='text-decoration:line-through'>not</span> pay",
            "I will <span><s>not</s></span> pay",
            "I will [-not-] pay\n",
        ),
        (
            "<p style='text-decoration:underline LINE-THROUGH red'>100 <b>€</b></p>80 €",
            "<p><s>100 <b>€</b></s></p>80 €",
            "[-100 €-]\n\n80 €\n",
        ),
        (
            "<font style='text-decoration-line:line-through'>a<i style='text-decoration:line-through'>b</i></font>",
            "<s>a<i>b</i></s>",
            "[-ab-]\n",
        ),
        (
            "<table style='text-decoration:line-through'><tr><td>a<td>b</table>",
            "<table><tbody><tr><td><s>a</s></td><td><s>b</s></td></tr></tbody></table>",
            "[-a-]  [-b-]\n",
        ),
        (
            "<ul style='text-decoration:line-through'><li>a<li>b</ul>",
            "<ul><li><s>a</s></li><li><s>b</s></li></ul>",
            "- [-a-]\n- [-b-]\n",
        ),
        (
            "<a href='https://x.example/' style='text-decoration:line-through'>x</a>",
            "<a data-link=\"1\"><s>x</s></a>",
            "[-x-] <https://x.example/>\n",
        ),
        // What is not drawn through.
        (
            "I will <s style='text-decoration:none'>not</s> pay",
            "I will <span>not</span> pay",
            "I will not pay\n",
        ),
        (
            "<span style='text-decoration:line-through;text-decoration:none'>a</span>\
             <span style='text-decoration:line-through transparent'>b</span>\
             <span style='text-decoration:line-through!important;text-decoration:none'>c</span>",
            "<span>a</span><span>b</span><span><s>c</s></span>",
            "ab[-c-]\n",
        ),
        (
            "<del><span style='text-decoration:line-through'>a</span></del>b",
            "<del><span>a</span></del>b",
            "[-a-]b\n",
        ),
    ]);
}

#[test]
fn what_a_style_raises_or_lowers_is_raised_or_lowered() {
    read(&[
        (
            "10<span style='vertical-align:super;font-size:60%'>6</span> EUR",
            "10<span><sup>6</sup></span> EUR",
            "10^6 EUR\n",
        ),
        (
            "H<font style='vertical-align: SUB'>2</font>O",
            "H<sub>2</sub>O",
            "H_2O\n",
        ),
        (
            "x<sub style='vertical-align:super'>2 a</sub>",
            "x<sup>2 a</sup>",
            "x^(2 a)\n",
        ),
        (
            "<p style='vertical-align:super'>a</p>b<span style='vertical-align:baseline'>c</span>",
            "<p>a</p>b<span>c</span>",
            "a\n\nbc\n",
        ),
        (
            "1<sup style='vertical-align:super'>2</sup>3<span style='vertical-align:super'>\
             <b style='text-decoration:line-through'>4</b></span>",
            "1<sup>2</sup>3<span><sup><b><s>4</s></b></sup></span>",
            "1^23[-^4-]\n",
        ),
    ]);
}

#[test]
fn what_a_style_sets_apart_stands_apart() {
    read(&[
        (
            "<span style='display:block'>100</span><span style='display:block'>00 EUR</span>",
            "<span>100</span><span><br>00 EUR</span>",
            "100\n00 EUR\n",
        ),
        (
            "a<b style='display:flex'>b</b>c<br>d",
            "a<b><br>b</b><br>c<br>d",
            "a\nb\nc\nd\n",
        ),
        (
            "<p>a<label style='display:table-row'>b</label><i style='display:list-item'>c</i></p>d",
            "<p>a<br>b<i><br>c</i></p>d",
            "a\nb\nc\n\nd\n",
        ),
        (
            "<span style='display:inline-block;width:5em'>10</span>\
             <span style='display:inline-block'>000 EUR</span>",
            "<span>10</span><span> 000 EUR</span>",
            "10 000 EUR\n",
        ),
        (
            "<span style='display:table-cell'>10</span><span style='display:table-cell'>0</span>",
            "<span>10</span><span> 0</span>",
            "10 0\n",
        ),
        (
            "<div style='display:flex'><span>10</span><span>000 EUR</span></div>",
            "<div><span>10</span><span> 000 EUR</span></div>",
            "10 000 EUR\n",
        ),
        (
            "<a href='https://x.example/' style='display:block'>A</a>\
             <a href='https://y.example/' style='DISPLAY:grid'>B</a>",
            "<a data-link=\"1\">A</a><a data-link=\"2\"><br>B</a>",
            "A <https://x.example/>\nB <https://y.example/>\n",
        ),
        (
            "<ul><li><span style='display:block'>a</span><li><b style='display:block'>b</b></ul>",
            "<ul><li><span>a</span></li><li><b>b</b></li></ul>",
            "- a\n- b\n",
        ),
        (
            "n<span style='display:inline'>o</span>t",
            "n<span>o</span>t",
            "not\n",
        ),
        (
            "<x-y style='display:block'>a</x-y><br>b",
            "a<br><br>b",
            "a\n\nb\n",
        ),
    ]);
}

#[test]
fn formulas_say_what_they_mean() {
    read(&[
        (
            "<math><msup><mn>10</mn><mn>2</mn></msup></math>",
            "10<sup>2</sup>",
            "10^2\n",
        ),
        (
            "<math><mn>2</mn><mfrac><mn>1</mn><mn>2</mn></mfrac></math>",
            "2 1/2",
            "2 1/2\n",
        ),
        (
            "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac></math>",
            "(a+b)/c",
            "(a+b)/c\n",
        ),
        (
            "<math><msup><mrow><mi>a</mi><mi>b</mi></mrow><mn>2</mn></msup><mfrac><mn>1</mn>\
             <mfrac><mn>2</mn><mn>3</mn></mfrac></mfrac></math>",
            "(ab)<sup>2</sup> 1/(2/3)",
            "(ab)^2 1/(2/3)\n",
        ),
        (
            "<math><mtable><mtr><mtd>1</mtd><mtd>2</mtd></mtr><mtr><mtd>3</mtd></mtr></mtable></math>",
            "1 2<br>3",
            "1 2\n3\n",
        ),
        (
            "<math><msub><mi>x</mi><mn>1</mn></msub><msubsup><mi>y</mi><mi>i</mi><mn>2</mn></msubsup></math>",
            "x<sub>1</sub>y<sub>i</sub><sup>2</sup>",
            "x_1y_i^2\n",
        ),
        (
            "<math><msqrt><mn>2</mn><mi>x</mi></msqrt><mroot><mn>8</mn><mn>3</mn></mroot></math>",
            "\u{221A}(2x)8^(1/3)",
            "\u{221A}(2x)8^(1/3)\n",
        ),
    ]);
}

/// A message with this page in these bytes, of this kind.
fn bytes(kind: &str, page: &[u8]) -> Vec<u8> {
    let head = format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\nContent-Type: {kind}\r\n");
    let encoding = "Content-Transfer-Encoding: 8bit\r\n\r\n";
    [head.as_bytes(), encoding.as_bytes(), page].concat()
}

/// Where its part says no charset, a page has the letters that it says itself.
#[test]
fn a_page_has_the_letters_that_it_says() {
    let (_home, mut host) = host();
    let koi8 = b"\xEE\xC5";
    for (kind, start, letters, text) in [
        ("text/html", "<meta charset=koi8-r>", &koi8[..], "Не\n"),
        (
            "text/html",
            "<html><head><META content='text/html;charset=KOI8-R' http-equiv=Content-Type></head>",
            koi8,
            "Не\n",
        ),
        ("text/html", "<meta charset=shift_jis>", b"\x93\xFA", "日\n"),
        ("text/html", "<meta charset=gb2312>", b"\xC4\xE3", "你\n"),
        (
            "text/html",
            "<meta charset=iso-2022-jp>",
            b"\x1B$BF|\x1B(B",
            "日\n",
        ),
        (
            "text/html; charset=\"\"",
            "<meta charset=koi8-r>",
            koi8,
            "Не\n",
        ),
        // What counts more.
        (
            "text/html; charset=koi8-r",
            "<meta charset=utf-8>",
            koi8,
            "Не\n",
        ),
        ("text/html", "<meta charset=koi8-r>", "é".as_bytes(), "é\n"),
        ("text/html", "<meta charset=utf-16>", "é".as_bytes(), "é\n"),
        (
            "text/html; charset=koi8-r",
            "\u{feff}",
            "é".as_bytes(),
            "é\n",
        ),
        ("text/html", "", b"\xE9", "é\n"),
        (
            "text/html",
            "<meta charset=utf-7>",
            b"+AOk-\xE9",
            "+AOk-é\n",
        ),
    ] {
        let page = [start.as_bytes(), b"<p>", letters].concat();
        let (clean, quote) = both(&mut host, &bytes(kind, &page));
        assert_eq!(quote.trim_start_matches('\u{feff}'), text, "{kind} {start}");
        assert!(clean.contains(text.trim_end()), "{kind} {start}: {clean}");
    }
}

/// No page below the limit takes much longer than an ordinary one of its size.
#[test]
fn no_page_takes_longer_than_others() {
    let (_home, mut host) = host();
    let many = |text: &str, n: usize| text.repeat(n);
    let distinct = |from: usize, n: usize| -> String {
        (from..from + n)
            .map(|n| format!("<b id={n} lang=x title=y>"))
            .collect()
    };
    for page in [
        format!("<table>{}", many("<br>", 99_000)),
        format!("<table>{}", many("<img alt=x>", 99_000)),
        format!("<table>{}", many("<tr><wbr>", 49_000)),
        format!("<table>{}", many("<b></b>", 49_000)),
        format!("<table>{}", many("x<tr>", 99_000)),
        format!("<a href='http://x?{}'>x</a>", many("&subject=a", 200_000)),
        format!("<p title='{}'>x", many("&amp;a", 300_000)),
        format!("<p title={}>x", many("&", 2_000_000)),
        format!(
            "{}{}",
            distinct(0, 400),
            many("<b id=x lang=y></b>", 49_000)
        ),
        many("<a href=http://x/>", 10_000),
        many("<select><table><td>", 30_000),
        many("<table><td>", 49_000),
        format!("<select>{}", many("<table><br>", 49_000)),
        many("<![CDATA[", 200_000),
        format!("<svg>{}", many("<![CDATA[", 200_000)),
        format!("<!--{}", many("<!--&", 300_000)),
        many("&notit;", 250_000),
        many("&#x;", 400_000),
        format!("{}{}", many("<p><b>", 200), many("</p>", 90_000)),
        format!("<p style='{}'>x", many("text-decoration:x(", 110_000)),
        many(
            "<i style='display:block;text-decoration:line-through'>x</i>",
            30_000,
        ),
        format!("<math>{}", many("<mfrac><mi>x", 250)),
    ] {
        let start = Instant::now();
        let opened = host.open(&message(&page)).unwrap();
        let took = start.elapsed();
        println!("{took:?} {} {}", page.len(), &page[..24]);
        assert!(took < Duration::from_secs(15), "{took:?}: {}", &page[..24]);
        assert!(opened["parts"][0].is_object());
    }
    let (_, clean) = cleaned(
        &mut host,
        &format!("<table>{}</table>", many("<tr><br><td>x", 2_000)),
    );
    assert!(clean.contains("<td>x</td>"));
    let (_, clean) = cleaned(
        &mut host,
        &format!(
            "<table><tr>{}</table>",
            many("<td><font color=red size=2 face=x>x", 8_000)
        ),
    );
    assert_eq!(clean.matches("<td>x</td>").count(), 8_000);
}
