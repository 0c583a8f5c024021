//! Mumble's control messages: type, length, and a protobuf of which only a few fields matter here.

/// Messages of `Mumble.proto` by their number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    Version = 0,
    Authenticate = 2,
    Ping = 3,
    Reject = 4,
    ServerSync = 5,
    ChannelState = 7,
    UserState = 9,
    CryptSetup = 15,
}

pub const HEADER_LEN: usize = 6;

/// Type and length of a message's body.
pub fn header(bytes: [u8; HEADER_LEN]) -> (u16, usize) {
    let [t0, t1, l0, l1, l2, l3] = bytes;
    let len = u32::from_be_bytes([l0, l1, l2, l3]);
    (u16::from_be_bytes([t0, t1]), len as usize)
}

/// A message to send.
pub struct Writer {
    kind: Kind,
    body: Vec<u8>,
}

impl Writer {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            body: Vec::new(),
        }
    }

    pub fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    pub fn text(mut self, field: u32, value: &str) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.body.extend_from_slice(value.as_bytes());
        self
    }

    pub fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + self.body.len());
        bytes.extend_from_slice(&(self.kind as u16).to_be_bytes());
        bytes.extend_from_slice(&(self.body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.body.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.body.push(value as u8);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The first value of that field, in a body.
pub fn field(body: &[u8], wanted: u64) -> Option<Value<'_>> {
    let mut rest = body;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => Value::Bytes(split(&mut rest, 8)?),
            2 => {
                let len = varint(&mut rest)?;
                Value::Bytes(split(&mut rest, usize::try_from(len).ok()?)?)
            }
            5 => Value::Bytes(split(&mut rest, 4)?),
            _ => return None,
        };
        if key >> 3 == wanted {
            return Some(value);
        }
    }
    None
}

pub fn number(body: &[u8], wanted: u64) -> Option<u64> {
    match field(body, wanted)? {
        Value::Number(number) => Some(number),
        Value::Bytes(_) => None,
    }
}

pub fn bytes(body: &[u8], wanted: u64) -> Option<&[u8]> {
    match field(body, wanted)? {
        Value::Bytes(bytes) => Some(bytes),
        Value::Number(_) => None,
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let message = Writer::new(Kind::ChannelState)
            .number(2, 300)
            .text(3, "Load")
            .finish();
        assert_eq!(message, b"\x00\x07\x00\x00\x00\x09\x10\xac\x02\x1a\x04Load");
        let (head, body) = message.split_first_chunk().unwrap();
        assert_eq!(header(*head), (7, body.len()));
        assert_eq!(number(body, 2), Some(300));
        assert_eq!(bytes(body, 3), Some(&b"Load"[..]));
        assert_eq!(field(body, 4), None);
        assert_eq!(field(&body[..5], 3), None);
    }
}
