//! The packet opener, with each cipher and MAC of the tables: a peer that holds the keys and seals what it likes, and
//! somebody on the way who changes bytes.

use crate::input::Input;
use nacre::crypto::{CIPHERS, CipherAlgorithm, MACS, MacAlgorithm, Seal, opener, sealer};
use nacre::transport::fuzzing::PacketReader;

const LARGEST: u32 = 40_000;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let cipher = input.pick(CIPHERS);
    let mac = if cipher.aead { None } else { Some(input.pick(MACS)) };
    let mut line = Line::new(cipher, mac);
    while !input.is_empty() {
        match input.byte() % 8 {
            0..=2 => line.honest(&mut input),
            3 => line.forged(&mut input),
            4 => line.change_byte(&mut input),
            5 => line.raw(&mut input),
            _ => line.deliver(1 + usize::from(input.u16())),
        }
    }
    line.deliver(usize::MAX);
}

struct Line {
    sealer: Box<dyn Seal>,
    sequence_number: u32,
    reader: PacketReader,
    wire: Vec<u8>,
    /// What is to come out, in order.
    expected: std::collections::VecDeque<Vec<u8>>,
    /// From here on nothing may come out: a sealed packet out of form, or bytes that were changed, are next.
    spoilt: bool,
    failed: bool,
}

impl Line {
    fn new(cipher: &CipherAlgorithm, mac: Option<&MacAlgorithm>) -> Self {
        let key: Vec<u8> = (0..cipher.key_length).map(|i| i as u8 ^ 0x5a).collect();
        let iv: Vec<u8> = (0..cipher.iv_length).map(|i| i as u8 ^ 0xa5).collect();
        let mac_key: Vec<u8> = (0..mac.map_or(0, |mac| mac.key_length)).map(|i| i as u8).collect();
        let mut reader = PacketReader::new(LARGEST);
        reader.set_keys(opener(cipher, mac, &key, &iv, &mac_key).expect("an opener"), false);
        Self {
            sealer: sealer(cipher, mac, &key, &iv, &mac_key).expect("a sealer"),
            sequence_number: 0,
            reader,
            wire: Vec::new(),
            expected: std::collections::VecDeque::new(),
            spoilt: false,
            failed: false,
        }
    }

    /// In form, with more padding than need be now and then.
    fn honest(&mut self, input: &mut Input<'_>) {
        let payload = [&[94], input.bytes(1000)].concat();
        let block = self.sealer.block_size().max(8);
        let counted = if self.sealer.pads_length_field() { 5 } else { 1 } + payload.len();
        let mut padding = block - counted % block;
        while padding < 4 || 5 + payload.len() + padding < 16 {
            padding += block;
        }
        if input.byte() == 255 {
            padding += (255 - padding) / block * block;
        }
        let length = 1 + payload.len() + padding;
        let mut packet = (length as u32).to_be_bytes().to_vec();
        packet.push(padding as u8);
        packet.extend_from_slice(&payload);
        packet.resize(4 + length, 0);
        let sealed = self.seal(packet);
        assert!(sealed, "an honest packet is sealed");
        if !self.spoilt {
            self.expected.push_back(payload);
        }
    }

    /// Sealed with the right keys, but its header and its length are anyhow.
    fn forged(&mut self, input: &mut Input<'_>) {
        let announced = match input.byte() {
            255 => input.number(),
            choice => u32::from(choice) * 4,
        };
        let padding = input.byte();
        let mut body = vec![padding];
        body.extend_from_slice(input.bytes(1000));
        if (1..=70_000).contains(&announced) {
            body.resize(announced as usize, 0x33);
        }
        let right = body.len() == announced as usize && self.is_in_form(announced, padding);
        let payload = right.then(|| body[1..body.len() - usize::from(padding)].to_vec());
        if !self.seal([&announced.to_be_bytes()[..], &body].concat()) {
            return;
        }
        match payload {
            Some(payload) if !self.spoilt => self.expected.push_back(payload),
            _ => self.spoilt = true,
        }
    }

    fn is_in_form(&self, announced: u32, padding: u8) -> bool {
        let counted = if self.sealer.pads_length_field() { 4 } else { 0 } + announced as usize;
        (5..=LARGEST).contains(&announced)
            && counted.is_multiple_of(self.sealer.block_size().max(8))
            && padding >= 4
            && usize::from(padding) + 1 < announced as usize
    }

    fn seal(&mut self, mut packet: Vec<u8>) -> bool {
        packet.resize(packet.len() + self.sealer.tag_length(), 0);
        let sealed = self.sealer.seal(self.sequence_number, &mut packet).is_ok();
        if sealed {
            self.sequence_number += 1;
            self.wire.extend_from_slice(&packet);
        }
        sealed
    }

    fn change_byte(&mut self, input: &mut Input<'_>) {
        if self.spoilt {
            // A second change could undo the first.
            return;
        }
        let (at, bits) = (input.below(self.wire.len()), input.byte());
        if let Some(byte) = self.wire.get_mut(at)
            && bits != 0
        {
            *byte ^= bits;
            self.mark_changed();
        }
    }

    fn raw(&mut self, input: &mut Input<'_>) {
        let bytes = input.bytes(300);
        if !bytes.is_empty() {
            self.wire.extend_from_slice(bytes);
            self.mark_changed();
        }
    }

    /// Which packet the change is in is not known here: what is expected is only what may come.
    fn mark_changed(&mut self) {
        self.spoilt = true;
    }

    fn deliver(&mut self, count: usize) {
        let count = count.min(self.wire.len());
        let bytes: Vec<u8> = self.wire.drain(..count).collect();
        if self.failed {
            return;
        }
        self.reader.receive_buffer(true).extend_from_slice(&bytes);
        loop {
            match self.reader.next() {
                Ok(Some(received)) => {
                    let expected = self.expected.pop_front();
                    assert_eq!(Some(received.payload.as_ref()), expected.as_deref(), "something else came out");
                }
                Ok(None) => break,
                Err(_) => {
                    assert!(self.spoilt, "an honest packet was refused");
                    self.failed = true;
                    break;
                }
            }
        }
        if self.wire.is_empty() && !self.spoilt {
            assert!(self.expected.is_empty(), "an honest packet did not arrive");
        }
    }
}
