//! Diffie-Hellman in a group that the server chooses (RFC 4419).
//!
//! The first form of the request, which named one size only (message 30), is not taken: nobody sends it to a peer that
//! it does not know for twenty years old.

use super::{Agreement, Method, Proof, Step};
use crate::crypto::{ClientExchange, LARGEST_GROUP, ModpGroup, SMALLEST_GROUP, choose_group};
use crate::error::{Error, Result};
use crate::wire::Writer;
use crate::wire::messages::{KexGexGroup, KexGexInit, KexGexReply, KexGexRequest, message};
use std::sync::Arc;

/// As strong as the curves that stand beside it: 128 bits (RFC 9142 section 1.2).
const PREFERRED_GROUP: u32 = 3072;

/// What both sides hash besides the public values.
struct Terms {
    minimum: u32,
    preferred: u32,
    maximum: u32,
    /// Prime and generator, as they stand inside of mpints.
    prime: Vec<u8>,
    generator: Vec<u8>,
}

impl Terms {
    fn transcript(&self, client_public: &[u8], server_public: &[u8]) -> Vec<u8> {
        let range = Writer::new().u32(self.minimum).u32(self.preferred).u32(self.maximum);
        let group = range.string(&self.prime).string(&self.generator);
        group.string(client_public).string(server_public).finish()
    }
}

pub struct Client(ClientState);

enum ClientState {
    Asked,
    Answered { terms: Terms, exchange: Box<dyn ClientExchange> },
    Over,
}

impl Client {
    pub fn new() -> Self {
        Self(ClientState::Asked)
    }
}

impl Method for Client {
    fn start(&mut self) -> Result<Option<Vec<u8>>> {
        let mut payload = Vec::new();
        message!(KexGexRequest { minimum: SMALLEST_GROUP, preferred: PREFERRED_GROUP, maximum: LARGEST_GROUP })
            .encode(&mut payload);
        Ok(Some(payload))
    }

    fn expected(&self) -> u8 {
        match self.0 {
            ClientState::Asked => KexGexGroup::NUMBER,
            ClientState::Answered { .. } | ClientState::Over => KexGexReply::NUMBER,
        }
    }

    fn receive(&mut self, fields: &[u8]) -> Result<Step> {
        match std::mem::replace(&mut self.0, ClientState::Over) {
            ClientState::Asked => self.receive_group(fields),
            ClientState::Answered { terms, exchange } => {
                let reply = KexGexReply::decode(fields)?;
                let transcript = terms.transcript(exchange.public(), reply.server_public);
                let secret = exchange.finish(reply.server_public)?;
                let proof = Proof { host_key: reply.host_key.to_vec(), signature: reply.signature.to_vec() };
                Ok(Step::Agreed(Agreement { secret, transcript, proof: Some(proof) }))
            }
            ClientState::Over => Err(Error::internal("a key exchange answered twice")),
        }
    }

    fn reply(&self, _host_key: &[u8], _signature: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

impl Client {
    fn receive_group(&mut self, fields: &[u8]) -> Result<Step> {
        let KexGexGroup { prime, generator, .. } = KexGexGroup::decode(fields)?;
        let group = Arc::new(ModpGroup::received(prime, generator, SMALLEST_GROUP..=LARGEST_GROUP)?);
        let exchange = Box::new(group.generate()?);
        let mut payload = Vec::new();
        message!(KexGexInit { client_public: exchange.public() }).encode(&mut payload);
        let terms = Terms {
            minimum: SMALLEST_GROUP,
            preferred: PREFERRED_GROUP,
            maximum: LARGEST_GROUP,
            prime: prime.to_vec(),
            generator: generator.to_vec(),
        };
        self.0 = ClientState::Answered { terms, exchange };
        Ok(Step::Send(payload))
    }
}

pub struct Server(ServerState);

enum ServerState {
    Waiting,
    Chosen { terms: Terms, group: Arc<ModpGroup> },
    Over { public: Vec<u8> },
}

impl Server {
    pub fn new() -> Self {
        Self(ServerState::Waiting)
    }
}

impl Method for Server {
    fn start(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn expected(&self) -> u8 {
        match self.0 {
            ServerState::Waiting => KexGexRequest::NUMBER,
            ServerState::Chosen { .. } | ServerState::Over { .. } => KexGexInit::NUMBER,
        }
    }

    fn receive(&mut self, fields: &[u8]) -> Result<Step> {
        match std::mem::replace(&mut self.0, ServerState::Over { public: Vec::new() }) {
            ServerState::Waiting => self.choose(fields),
            ServerState::Chosen { terms, group } => {
                let client_public = KexGexInit::decode(fields)?.client_public;
                let (public, secret) = group.answer(client_public)?;
                let transcript = terms.transcript(client_public, &public);
                self.0 = ServerState::Over { public };
                Ok(Step::Agreed(Agreement { secret, transcript, proof: None }))
            }
            ServerState::Over { .. } => Err(Error::internal("a key exchange answered twice")),
        }
    }

    fn reply(&self, host_key: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        if let ServerState::Over { public } = &self.0 {
            message!(KexGexReply { host_key: host_key, server_public: public, signature: signature })
                .encode(&mut payload);
        }
        payload
    }
}

impl Server {
    fn choose(&mut self, fields: &[u8]) -> Result<Step> {
        let KexGexRequest { minimum, preferred, maximum, .. } = KexGexRequest::decode(fields)?;
        let group = choose_group(minimum, preferred, maximum)?;
        let (prime, generator) = (group.prime()?, group.generator()?);
        let mut payload = Vec::new();
        message!(KexGexGroup { prime: &prime, generator: &generator }).encode(&mut payload);
        self.0 = ServerState::Chosen { terms: Terms { minimum, preferred, maximum, prime, generator }, group };
        Ok(Step::Send(payload))
    }
}
