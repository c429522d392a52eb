use super::{ServerAnswer, ServerContext, ServerQuestion};
use super::{interactive, none, password, publickey};
use crate::error::{Error, Result};
use crate::wire::messages::UserauthRequest;

/// One method at work.
pub trait Exchange: Send {
    /// The application's answer to the last question. [`Error::Argument`]: it does not fit, and the question stays.
    fn answered(&mut self, answer: ServerAnswer) -> Result<Step>;

    /// The client's message 61, which a [`Step::Challenge`] asked for.
    fn responded(&mut self, _payload: &[u8], _context: &ServerContext) -> Result<Step> {
        Err(Error::internal("a response for a method that asks the client nothing"))
    }
}

pub enum Step {
    Ask(ServerQuestion),
    /// A message 60 with these fields; the client's message 61 is next.
    Challenge(Vec<u8>),
    /// A message 60 with these fields; the client's next request is next.
    Conclude(Vec<u8>),
    Accept,
    Partial,
    /// `counted`: against the limit of attempts.
    Fail {
        counted: bool,
    },
}

/// How a request begins. Malformed ones fail like wrong ones.
pub enum Begun {
    Running(Box<dyn Exchange>, ServerQuestion),
    Failed { counted: bool },
}

pub struct Method {
    /// As it stands in requests.
    pub name: &'static str,
    /// As it stands in the list of methods that may continue; of "none", nothing.
    pub listed: Option<&'static str>,
    pub begin: fn(&ServerContext, &UserauthRequest<'_>) -> Begun,
}

#[rustfmt::skip]
static METHODS: &[Method] = &[
    Method { name: crate::auth::NONE,                      listed: None,                                begin: none::begin },
    Method { name: crate::auth::publickey::NAME,           listed: Some(crate::auth::publickey::NAME),   begin: publickey::begin },
    Method { name: crate::auth::publickey::HOSTBOUND_NAME, listed: Some(crate::auth::publickey::NAME),   begin: publickey::begin },
    Method { name: crate::auth::password::NAME,            listed: Some(crate::auth::password::NAME),    begin: password::begin },
    Method { name: crate::auth::interactive::NAME,         listed: Some(crate::auth::interactive::NAME), begin: interactive::begin },
];

pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The methods that may stand in lists, preferred first.
pub fn listed() -> impl Iterator<Item = &'static str> {
    METHODS.iter().filter(|method| method.listed == Some(method.name)).map(|method| method.name)
}

/// The answers that fit every question about a user.
pub fn decide(answer: &ServerAnswer) -> Result<Step> {
    match answer {
        ServerAnswer::Accept => Ok(Step::Accept),
        ServerAnswer::Partial => Ok(Step::Partial),
        ServerAnswer::Reject => Ok(Step::Fail { counted: true }),
        ServerAnswer::Methods(_) | ServerAnswer::Prompts { .. } | ServerAnswer::ChangePassword { .. } => {
            Err(Error::argument("this answer does not fit the question"))
        }
    }
}
