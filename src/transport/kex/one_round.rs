//! Diffie-Hellman (RFC 4253 section 8), ECDH (RFC 5656 section 4), X25519 (RFC 8731) and the hybrids, which are alike
//! on the wire: one public value each way.

use super::{Agreement, Method, Proof, Step};
use crate::crypto::{ClientExchange, OneRound};
use crate::error::{Error, Result};
use crate::wire::messages::{KexEcdhInit, KexEcdhReply, message};
use crate::wire::put_string;

pub struct Client {
    exchange: Option<Box<dyn ClientExchange>>,
}

impl Client {
    pub fn new(primitive: &'static OneRound) -> Result<Self> {
        Ok(Self { exchange: Some(primitive.client()?) })
    }
}

impl Method for Client {
    fn start(&mut self) -> Result<Option<Vec<u8>>> {
        let mut payload = Vec::new();
        if let Some(exchange) = &self.exchange {
            message!(KexEcdhInit { client_public: exchange.public() }).encode(&mut payload);
        }
        Ok(Some(payload))
    }

    fn expected(&self) -> u8 {
        KexEcdhReply::NUMBER
    }

    fn receive(&mut self, fields: &[u8]) -> Result<Step> {
        let reply = KexEcdhReply::decode(fields)?;
        let exchange = self.exchange.take().ok_or_else(|| Error::internal("a key exchange answered twice"))?;
        let transcript = transcript(exchange.public(), reply.server_public);
        let secret = exchange.finish(reply.server_public)?;
        let proof = Proof { host_key: reply.host_key.to_vec(), signature: reply.signature.to_vec() };
        Ok(Step::Agreed(Agreement { secret, transcript, proof: Some(proof) }))
    }

    fn reply(&self, _host_key: &[u8], _signature: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

pub struct Server {
    primitive: &'static OneRound,
    public: Vec<u8>,
}

impl Server {
    pub fn new(primitive: &'static OneRound) -> Self {
        Self { primitive, public: Vec::new() }
    }
}

impl Method for Server {
    fn start(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn expected(&self) -> u8 {
        KexEcdhInit::NUMBER
    }

    fn receive(&mut self, fields: &[u8]) -> Result<Step> {
        let client_public = KexEcdhInit::decode(fields)?.client_public;
        let (public, secret) = self.primitive.server(client_public)?;
        let transcript = transcript(client_public, &public);
        self.public = public;
        Ok(Step::Agreed(Agreement { secret, transcript, proof: None }))
    }

    fn reply(&self, host_key: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        message!(KexEcdhReply { host_key: host_key, server_public: &self.public, signature: signature })
            .encode(&mut payload);
        payload
    }
}

fn transcript(client_public: &[u8], server_public: &[u8]) -> Vec<u8> {
    let mut transcript = Vec::with_capacity(client_public.len() + server_public.len() + 8);
    put_string(&mut transcript, client_public);
    put_string(&mut transcript, server_public);
    transcript
}
