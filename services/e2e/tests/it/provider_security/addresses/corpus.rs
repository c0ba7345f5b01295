//! Addresses that lead inside, in every spelling that some parser takes for one.

use std::net::Ipv4Addr;

/// How it can be told that an address leads inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// By reading it.
    ByItsText,
    /// By looking its name up.
    ByItsName,
}

/// One of them.
#[derive(Debug)]
pub struct Address {
    pub url: String,
    pub told: Told,
    /// Refused whatever an installation allows.
    pub is_never: bool,
}

/// What is inside, and whether it is never called.
const INSIDE: [(Ipv4Addr, bool); 13] = [
    (Ipv4Addr::new(127, 0, 0, 1), false),
    (Ipv4Addr::new(127, 255, 255, 254), false),
    (Ipv4Addr::new(10, 0, 0, 1), false),
    (Ipv4Addr::new(172, 16, 0, 1), false),
    (Ipv4Addr::new(192, 168, 1, 1), false),
    (Ipv4Addr::new(100, 64, 0, 1), false),
    (Ipv4Addr::new(198, 18, 0, 1), false),
    (Ipv4Addr::new(169, 254, 169, 254), true),
    (Ipv4Addr::new(100, 100, 100, 200), true),
    (Ipv4Addr::new(168, 63, 129, 16), true),
    (Ipv4Addr::new(192, 0, 0, 192), true),
    (Ipv4Addr::new(0, 0, 0, 0), true),
    (Ipv4Addr::new(255, 255, 255, 255), true),
];

/// Spellings of an IPv4 address, alone and inside IPv6.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let whole = u32::from(address);
    let (high, low) = (u32::from(a) << 8 | u32::from(b), u32::from(c) << 8 | u32::from(d));
    let dotted = address.to_string();
    let in_letters = |zero: u32| -> String {
        let letter = |digit: char| {
            digit
                .to_digit(10)
                .and_then(|digit| char::from_u32(zero + digit))
                .unwrap_or(digit)
        };
        dotted.chars().map(letter).collect()
    };
    let percent: String = dotted.bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![
        dotted.clone(),
        whole.to_string(),
        format!("0x{whole:08x}"),
        format!("0{whole:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0X{a:X}.0{b:o}.{low}"),
        format!("{a}.{b}.{low}"),
        format!("{a}.{}", whole & 0xff_ffff),
        format!("{dotted}."),
        percent,
        // Wide digits, and the wide full stops of Chinese and Japanese.
        in_letters(0xff10),
        dotted.replace('.', "\u{3002}"),
        dotted.replace('.', "\u{ff0e}"),
        in_letters(0x1d7ce),
        // Mapped, compatible, translated in three ways, tunnelled in two.
        format!("[::ffff:{dotted}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:FFFF:{high:X}:{low:X}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[::ffff:0:{dotted}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2600::5efe:{high:x}:{low:x}]"),
    ]
}

/// Hosts that are none in IPv4, and whether they are never called.
const OTHERS: [(&str, bool); 19] = [
    ("[::1]", false),
    ("[0:0:0:0:0:0:0:1]", false),
    ("[fc00::1]", false),
    ("[fd12:3456::1]", false),
    ("[fec0::1]", false),
    ("[::]", true),
    ("[fe80::1]", true),
    ("[ff02::1]", true),
    ("[fd00:ec2::254]", true),
    ("[fd20:ce::254]", true),
    ("[64:ff9b:1:a9fe:a9:fe00:808:808]", true),
    ("[2001:0:4136:e378:8000:63bf:5601:5601]", true),
    ("[2001:db8::1]", true),
    ("metadata.google.internal", true),
    ("METADATA.Google.Internal.", true),
    ("metadata.goog", true),
    ("metadata", true),
    ("instance-data", true),
    ("224.0.0.1", true),
];

/// Names that lead to this machine where they are looked up.
const NAMES: [&str; 3] = ["localhost", "LOCALHOST", "localhost."];

/// What is no address of a server, or carries more than one.
fn shapes(port: u16) -> Vec<String> {
    let here = format!("127.0.0.1:{port}");
    vec![
        format!("http://models.example.com@{here}/v1"),
        format!("http://models.example.com:443@{here}/v1"),
        format!("http://user:pass@{here}/v1"),
        format!("http://models.example.com%40{here}/v1"),
        format!("ftp://{here}/v1"),
        format!("gopher://{here}/_x"),
        format!("ws://{here}/v1"),
        format!("http:///{here}/v1"),
        format!("http:{here}/v1"),
        format!("//{here}/v1"),
        here.clone(),
        format!("http+unix://%2Fvar%2Frun%2Fdocker.sock/{port}"),
        format!("https://{here}/v1?next=x"),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,hello".to_owned(),
        "javascript:alert(1)".to_owned(),
        "http://".to_owned(),
        "http://[::1".to_owned(),
        "http://[::ffff:127.0.0.1%25eth0]/v1".to_owned(),
    ]
}

/// All of them, at one port.
pub fn addresses(port: u16) -> Vec<Address> {
    let address = |host: &str, told, is_never| Address {
        url: format!("http://{host}:{port}/v1"),
        told,
        is_never,
    };
    let spelled = INSIDE.into_iter().flat_map(|(inside, is_never)| {
        let hosts = spellings(inside).into_iter();
        hosts.map(move |host| address(&host, Told::ByItsText, is_never))
    });
    let others = OTHERS
        .into_iter()
        .map(|(host, is_never)| address(host, Told::ByItsText, is_never));
    let names = NAMES.into_iter().map(|host| address(host, Told::ByItsName, false));
    let shapes = shapes(port).into_iter().map(|url| Address {
        url,
        told: Told::ByItsText,
        is_never: false,
    });
    spelled.chain(others).chain(names).chain(shapes).collect()
}
