//! The methods of key exchange: what happens between the KEXINITs and H. One file a family.

mod group_exchange;
mod one_round;

use crate::crypto::{KexAlgorithm, KexMethod, SharedSecret};
use crate::error::Result;
use crate::wire::Role;

/// One side of one run of a method. It neither signs nor hashes: that is the same for all.
pub trait Method: Send {
    /// The payload that opens the method, from the side that speaks first.
    fn start(&mut self) -> Result<Option<Vec<u8>>>;

    /// The number of the only message that is legal next.
    fn expected(&self) -> u8;

    /// Takes the expected message; `fields` is what follows its number.
    fn receive(&mut self, fields: &[u8]) -> Result<Step>;

    /// Of a server: the payload that ends the method.
    fn reply(&self, host_key: &[u8], signature: &[u8]) -> Vec<u8>;
}

pub enum Step {
    /// This payload goes out, and the method goes on.
    Send(Vec<u8>),
    Agreed(Agreement),
}

/// Both sides have the secret.
pub struct Agreement {
    pub secret: SharedSecret,
    /// The fields of the exchange hash between the host key and the secret, encoded.
    pub transcript: Vec<u8>,
    /// Of a client: what the server showed. A server owes it.
    pub proof: Option<Proof>,
}

pub struct Proof {
    pub host_key: Vec<u8>,
    pub signature: Vec<u8>,
}

pub fn method(algorithm: &'static KexAlgorithm, role: Role) -> Result<Box<dyn Method>> {
    Ok(match (&algorithm.method, role) {
        (KexMethod::OneRound(primitive), Role::Client) => Box::new(one_round::Client::new(primitive)?),
        (KexMethod::OneRound(primitive), Role::Server) => Box::new(one_round::Server::new(primitive)),
        (KexMethod::GroupExchange, Role::Client) => Box::new(group_exchange::Client::new()),
        (KexMethod::GroupExchange, Role::Server) => Box::new(group_exchange::Server::new()),
    })
}
