//! Files that are two things at once, or not what they are called: each is kept as what is harmless to show, or not at all.
//!
//! What is kept is served with that type and the word that browsers are not to guess another.

use super::{last_part, media_type};

/// The first bytes, the name, and what it is kept as; `None`: it is refused.
const FILES: [(&[u8], &str, Option<&str>); 64] = [
    // Pictures and documents with something behind or within.
    (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR<html><script>alert(1)</script>",
        "a.html",
        Some("image/png"),
    ),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDRPK\x03\x04", "a.zip", Some("image/png")),
    (b"GIF89a/*<svg onload=alert(1)>*/=1;alert(1)", "a.js", Some("image/gif")),
    (b"GIF87a<?php system($_GET[0]); ?>", "a.php", Some("image/gif")),
    (b"GIF89a\x01\0\x01\0PK\x03\x04META-INF", "a.jar", Some("image/gif")),
    (
        b"\xff\xd8\xff\xe0\0\x10JFIF<script>alert(1)</script>",
        "a.htm",
        Some("image/jpeg"),
    ),
    (b"\xff\xd8\xff\xfe*/=alert(1)/*", "a.js", Some("image/jpeg")),
    (b"RIFF/**/WEBP*/=1;alert(1)", "a.js", Some("image/webp")),
    (
        b"%PDF-1.4\n<html><script>alert(1)</script>",
        "a.html",
        Some("application/pdf"),
    ),
    (b"%PDF-1.7\nPK\x03\x04", "a.docx", Some("application/pdf")),
    (
        b"%PDF-1.7 1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>",
        "a.pdf",
        Some("application/pdf"),
    ),
    // Pages, under whatever name: plain text, which nobody runs.
    (b"<html><script>alert(1)</script>", "a.png", Some("text/plain")),
    (b"<!DOCTYPE html><script>alert(1)</script>", "a.md", Some("text/plain")),
    (b"<script>alert(1)</script>", "a.csv", Some("text/plain")),
    (b"\xef\xbb\xbf<html onload=alert(1)>", "a.html", Some("text/plain")),
    (
        b"<!-- a --><html><script>alert(1)</script>",
        "a.html",
        Some("text/plain"),
    ),
    (b" \r\n\t<iframe src=javascript:alert(1)>", "a.json", Some("text/plain")),
    (
        b"<hta:application/><script>new ActiveXObject()</script>",
        "a.hta",
        Some("text/plain"),
    ),
    (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n<html>",
        "a.mht",
        Some("text/plain"),
    ),
    (
        b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
        "a.txt",
        Some("text/plain"),
    ),
    (
        b"<a:svg xmlns:a='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "a.txt",
        Some("text/plain"),
    ),
    (b"<?php system('id'); ?>", "a.jpg", Some("text/plain")),
    // Programs and what acts like them, as text.
    (b"#!/bin/sh\nrm -rf /\n", "a.png", Some("text/plain")),
    (b"{\\rtf1\\object\\objdata}", "a.doc", Some("text/plain")),
    (b"%!PS-Adobe-3.0\n(a) run", "a.eps", Some("text/plain")),
    (b"[InternetShortcut]\r\nURL=file:///C:/", "a.url", Some("text/plain")),
    (b"=cmd|' /C calc'!A0,1\n", "a.csv", Some("text/csv")),
    (
        b"[a](javascript:alert(1)) <img src=x onerror=alert(1)>",
        "a.md",
        Some("text/markdown"),
    ),
    (
        b"{\"a\":\"</script><script>alert(1)</script>\"}",
        "a.json",
        Some("application/json"),
    ),
    (b")]}',\n{\"a\":1}", "a.json", Some("text/plain")),
    // What only looks like something else.
    (b"x%PDF-1.4 is behind a letter", "a.pdf", Some("text/plain")),
    (b"GIF88a is no version", "a.gif", Some("text/plain")),
    (b"MZ are the letters of a name", "a.exe", Some("text/plain")),
    (b"BMW is a car", "a.bmp", Some("text/plain")),
    (b"RIFF and WEBP are words", "a.webp", Some("text/plain")),
    // Pictures that run.
    (b"<svg onload=alert(1)>", "a.png", None),
    (b"<SVG ONLOAD=alert(1)>", "a.txt", None),
    (b"\xef\xbb\xbf<svg/>", "a.txt", None),
    (b" \n<!-- a > b --><svg/>", "a.md", None),
    (b"<!DOCTYPE svg PUBLIC 'a' 'b'><svg/>", "a.txt", None),
    (
        b"<!DOCTYPE svg [<!ENTITY a '>'><!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg/>",
        "a.txt",
        None,
    ),
    (
        b"<?xml version='1.0'?><?xml-stylesheet href='javascript:alert(1)'?><svg/>",
        "a.json",
        None,
    ),
    (b"<svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>", "a.csv", None),
    (b"<!-- without an end <svg onload=alert(1)>", "a.txt", None),
    // Other markup that browsers run or fetch for.
    (
        b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>",
        "a.txt",
        None,
    ),
    (b"<?xml version='1.0'?><xsl:stylesheet/>", "a.txt", None),
    (
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'http://h'>]><a/>",
        "a.md",
        None,
    ),
    // The same in letters of two and four bytes, and with holes.
    (b"\xff\xfe<\0s\0v\0g\0/\0>\0", "a.txt", None),
    (b"\xfe\xff\0<\0h\0t\0m\0l\0>", "a.txt", None),
    (b"\xff\xfe\0\0<\0\0\0", "a.txt", None),
    (b"<scr\0ipt>alert(1)</scr\0ipt>", "a.html", None),
    (b"\0\x89PNG\r\n\x1a\n", "a.png", None),
    // Programs and archives under the names of pictures.
    (b"PK\x03\x04\x14\0", "a.png", None),
    (b"PK\x05\x06\0\0\0\0", "a.txt", None),
    (b"\x1f\x8b\x08\0", "a.json", None),
    (b"\x7fELF\x02\x01\x01\0", "a.png", None),
    (b"MZ\x90\0\x03\0", "a.jpg", None),
    (b"\0asm\x01\0\0\0", "a.gif", None),
    (b"\xca\xfe\xba\xbe\0\0\0\x34", "a.pdf", None),
    (b"FWS\x09\0\0", "a.md", None),
    (b"L\0\0\0\x01\x14\x02\0", "a.txt", None),
    (b"SQLite format 3\0", "a.csv", None),
    (b"Rar!\x1a\x07\x01\0", "a.txt", None),
    (b"\0\0\0\x18ftypisom", "a.png", None),
];

#[test]
fn files_that_are_two_things_are_kept_as_the_harmless_one_or_not_at_all() {
    let mut wrong = Vec::new();
    for (content, name, expected) in FILES {
        let kept = media_type(content, name).ok();
        if kept != expected {
            wrong.push(format!(
                "{:?} called {name}: {kept:?}",
                String::from_utf8_lossy(content)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_leads_nowhere_and_hides_nothing() {
    let long = "ä".repeat(400);
    for (asked, kept) in [
        ("../../etc/cron.d/job", Some("job")),
        ("..\\..\\autoexec.bat", Some("autoexec.bat")),
        ("C:\\Windows\\win.ini", Some("win.ini")),
        ("/", None),
        ("..", None),
        ("a/../..", Some("a")),
        (" . ", None),
        ("\u{0}", None),
        ("a\u{0}.png", Some("a.png")),
        ("a\r\nSet-Cookie: b=c", Some("aSet-Cookie: b=c")),
        ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
        ("\u{200b}\u{feff}", None),
        ("\u{1b}[2Ka.txt", Some("[2Ka.txt")),
        ("a\".txt; filename=b.html", Some("a\".txt; filename=b.html")),
        (".htaccess", Some(".htaccess")),
        ("ڰ\u{200c}ئ.pdf", Some("ڰ\u{200c}ئ.pdf")),
    ] {
        assert_eq!(last_part(asked).as_deref(), kept, "{asked:?}");
    }
    let name = last_part(&long).unwrap();
    assert!(name.len() <= 255 && long.starts_with(&name));
}
