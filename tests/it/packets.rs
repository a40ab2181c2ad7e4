//! OpenPGP packets cut apart and put together again, by RFC 9580 section 4.2 and without any
//! library: what attacks are made of.

/// One packet: its type and its body with partial lengths resolved.
#[derive(Clone, Debug)]
pub struct Packet {
    pub tag: u8,
    pub body: Vec<u8>,
}

/// Cuts a packet sequence apart.
pub fn split(mut bytes: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        assert!(first & 0x80 != 0, "not a packet header");
        let mut body = Vec::new();
        let tag;
        if first & 0x40 != 0 {
            tag = first & 0x3f;
            bytes = rest;
            loop {
                let (length, used, partial) = new_length(bytes);
                body.extend_from_slice(&bytes[used..used + length]);
                bytes = &bytes[used + length..];
                if !partial {
                    break;
                }
            }
        } else {
            tag = (first >> 2) & 0x0f;
            let used = match first & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => {
                    packets.push(Packet {
                        tag,
                        body: rest.to_vec(),
                    });
                    return packets;
                }
            };
            let length = rest[..used].iter().fold(0, |n, b| n << 8 | usize::from(*b));
            body.extend_from_slice(&rest[used..used + length]);
            bytes = &rest[used + length..];
        }
        packets.push(Packet { tag, body });
    }
    packets
}

fn new_length(bytes: &[u8]) -> (usize, usize, bool) {
    let first = usize::from(bytes[0]);
    match first {
        0..192 => (first, 1, false),
        192..224 => (((first - 192) << 8) + usize::from(bytes[1]) + 192, 2, false),
        224..255 => (1 << (first & 0x1f), 1, true),
        _ => {
            let length = bytes[1..5].iter().fold(0, |n, b| n << 8 | usize::from(*b));
            (length, 5, false)
        }
    }
}

/// Packets as bytes, each with a five-byte length.
pub fn join(packets: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    for packet in packets {
        out.push(0xc0 | packet.tag);
        out.push(255);
        out.extend_from_slice(&u32::try_from(packet.body.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&packet.body);
    }
    out
}

/// A literal data packet with this text.
pub fn literal(text: &str) -> Packet {
    let mut body = vec![b'u', 0, 0, 0, 0, 0];
    body.extend_from_slice(text.as_bytes());
    Packet { tag: 11, body }
}

/// Symmetrically encrypted data with integrity protection, version 1 or 2.
pub const SEIPD: u8 = 18;
/// Symmetrically encrypted data without any.
pub const SED: u8 = 9;
