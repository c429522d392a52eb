//! What is done with a received packet: the table decides, then the message's own rule.

use super::packet_reader::Received;
use super::{Ending, Packet, Peer, Stage, Transport, TransportEvent};
use crate::error::{Error, Result};
use crate::wire::messages::{
    Debug, Disconnect, ExtInfo, KexInit, NewKeys, Ping, RequestFailure, RequestSuccess, Unimplemented, UserauthSuccess,
    message,
};
use crate::wire::{Legality, Phase, Reader, clean, table};
use bytes::Buf;

/// How much of a peer's text an event or an error shows.
const SHOWN: usize = 1024;
/// RFC 4250 section 4.1.2: numbers that belong to the method of key exchange.
pub(super) const METHOD_NUMBERS: std::ops::RangeInclusive<u8> = 30..=49;

impl Transport {
    pub(super) fn receive_packets(&mut self) -> Result<Option<Packet>> {
        if !self.receive_identification()? {
            return Ok(None);
        }
        loop {
            let Some(received) = self.reader.next()? else { return Ok(None) };
            let packet = self.receive_packet(received)?;
            if self.keys_are_worn() {
                self.start_exchange()?;
            }
            if packet.is_some() {
                return Ok(packet);
            }
        }
    }

    fn receive_identification(&mut self) -> Result<bool> {
        let Peer::Unidentified(reader) = &mut self.peer else { return Ok(true) };
        let Some(identification) = reader.receive(&mut self.reader.buffer)? else { return Ok(false) };
        self.peer = Peer::Identified(identification);
        self.add_event(TransportEvent::IdentificationReceived);
        Ok(true)
    }

    /// Some: it is for the rooms above.
    fn receive_packet(&mut self, received: Received) -> Result<Option<Packet>> {
        let number = received.payload.first().copied().unwrap_or_default();
        if METHOD_NUMBERS.contains(&number) && self.exchange.skip_wrong_guess() {
            return Ok(None);
        }
        match table::legality(number, self.config.role, self.phase(), self.strict) {
            Legality::Accept => self.accept_packet(number, received),
            Legality::Ignore => Ok(None),
            Legality::Unimplemented => {
                let reply = message!(Unimplemented { sequence_number: received.sequence_number });
                self.writer.send(&reply, self.random.as_mut())?;
                Ok(None)
            }
            Legality::Fatal => Err(Error::protocol(format!(
                "the peer sent {} ({number}) where it is not allowed",
                table::name(number)
            ))),
        }
    }

    /// Where the connection stands, in the words of the table.
    pub(super) fn phase(&self) -> Phase {
        if let Some(phase) = self.exchange.phase(self.is_initial()) {
            return phase;
        }
        match self.stage {
            Stage::NoService => Phase::NoService,
            Stage::Auth => Phase::Auth,
            Stage::AuthAwaiting => Phase::AuthAwaiting,
            Stage::Connected => Phase::Connected,
        }
    }

    fn accept_packet(&mut self, number: u8, received: Received) -> Result<Option<Packet>> {
        let Received { mut payload, sequence_number } = received;
        if number == KexInit::NUMBER {
            self.receive_kexinit(payload.freeze(), sequence_number)?;
            return Ok(None);
        }
        payload.advance(1);
        match number {
            Disconnect::NUMBER => return Err(self.receive_disconnect(&payload)),
            Unimplemented::NUMBER => {
                let sequence_number = Unimplemented::decode(&payload)?.sequence_number;
                let event = match self.writer.take_global_request(sequence_number) {
                    Some(ordinal) => TransportEvent::GlobalRequestUnimplemented { ordinal },
                    None => TransportEvent::Unimplemented { number: self.writer.message_of(sequence_number) },
                };
                self.add_event(event);
            }
            Debug::NUMBER => self.receive_debug(&payload)?,
            ExtInfo::NUMBER => {
                let first_packet = self.reader.packets == 1;
                self.extensions.receive(self.config.role, first_packet, &payload)?;
                self.add_event(TransportEvent::ExtInfo);
            }
            NewKeys::NUMBER => {
                NewKeys::decode(&payload)?;
                self.receive_newkeys()?;
            }
            number if METHOD_NUMBERS.contains(&number) => self.receive_method(&payload)?,
            Ping::NUMBER => self.receive_ping(&payload)?,
            _ => {
                match number {
                    RequestSuccess::NUMBER | RequestFailure::NUMBER => self.writer.global_request_answered(),
                    UserauthSuccess::NUMBER => self.begin_delayed_compression(),
                    _ => {}
                }
                return Ok(Some(Packet { number, payload }));
            }
        }
        Ok(None)
    }

    /// Real peers leave the language, and even the text, out.
    fn receive_disconnect(&mut self, fields: &[u8]) -> Error {
        let mut reader = Reader::new(fields);
        let code = reader.u32().unwrap_or_default();
        let description = clean(reader.string().unwrap_or_default(), SHOWN);
        let error = Error::disconnected(code, description.clone(), true);
        self.ending = Ending::Disconnected(error.clone());
        self.add_event(TransportEvent::Disconnected { code, description });
        error
    }

    fn receive_debug(&mut self, fields: &[u8]) -> Result<()> {
        let debug = Debug::decode(fields)?;
        let text = clean(Reader::new(debug.rest.0).string().unwrap_or_default(), SHOWN);
        self.add_event(TransportEvent::Debug { always_display: debug.always_display, text });
        Ok(())
    }

    /// The table lets a PING through only when connected; while keys are exchanged nothing else may go out.
    fn receive_ping(&mut self, fields: &[u8]) -> Result<()> {
        let data = Ping::decode(fields)?.data;
        if self.is_exchanging() {
            return Ok(());
        }
        self.writer.send(&message!(Pong { data: data }), self.random.as_mut())
    }
}
