use super::{ClientContext, ClientMethod};
use super::{interactive, none, password, publickey};
use crate::auth::interactive::Prompt;
use crate::error::{Error, Result};
use crate::keys::ToSign;
use crate::wire::NameList;
use zeroize::Zeroizing;

/// One method at work. An error ends the connection.
pub trait Exchange: Send {
    /// As it stands in the list of methods that may continue.
    fn name(&self) -> &'static str;

    /// The first step.
    fn begin(&mut self, login: &Login<'_>) -> Result<Step>;

    /// The server's message 60, whose meaning is the method's.
    fn replied(&mut self, fields: &[u8], login: &Login<'_>) -> Result<Step>;

    /// The user's answer. [`Error::Argument`]: it does not fit, and the question stays.
    fn answered(&mut self, _texts: Vec<Zeroizing<Vec<u8>>>) -> Result<Step> {
        Err(Error::argument("this method asks for no text"))
    }

    /// What came of [`Step::Sign`].
    fn signed(&mut self, _given: Result<Vec<u8>>, _login: &Login<'_>) -> Result<Step> {
        Err(Error::argument("this method wants no signature"))
    }

    /// FAILURE without partial success.
    fn refused(&mut self, _methods: NameList<'_>, _login: &Login<'_>) -> Result<Refused> {
        Ok(Refused::Finally)
    }

    /// Whether the server may grant access now.
    fn may_succeed(&self) -> bool {
        true
    }

    /// Whether the server was shown anything that only this user has.
    fn has_proved(&self) -> bool;
}

pub struct Login<'a> {
    pub context: &'a ClientContext,
    pub user: &'a [u8],
}

pub enum Step {
    Request {
        method: &'static str,
        fields: Zeroizing<Vec<u8>>,
    },
    /// The message 61 of keyboard-interactive.
    Respond(Vec<Zeroizing<Vec<u8>>>),
    Ask(UserQuestion),
    /// Somebody else signs; then it goes on with [`Exchange::signed`].
    Sign(ToSign),
    /// The attempt fails without another word to the server: why.
    Refuse(String),
    GiveUp(Error),
}

pub enum UserQuestion {
    Prompts { name: Vec<u8>, instruction: Vec<u8>, prompts: Vec<Prompt> },
    PasswordChange { prompt: Vec<u8> },
}

pub enum Refused {
    Finally,
    /// The method has more to try.
    Again(Step),
    /// Another method is tried; if it fails, the failure of this one is what counts.
    Instead(Box<dyn Exchange>),
}

pub fn begin(method: ClientMethod) -> Result<Box<dyn Exchange>> {
    Ok(match method {
        ClientMethod::None => Box::new(none::None),
        ClientMethod::Password { password, fallback_to_interactive } => {
            Box::new(password::Password::new(password, fallback_to_interactive)?)
        }
        ClientMethod::Publickey { key, probe } => Box::new(publickey::Publickey::new([key].into(), probe)?),
        ClientMethod::AnyOf { keys } => Box::new(publickey::Publickey::new(keys.into(), true)?),
        ClientMethod::Interactive { submethods } => Box::new(interactive::Interactive::by_user(submethods)?),
    })
}
