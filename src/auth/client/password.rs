use super::LONGEST_SECRET;
use super::exchange::{Exchange, Login, Refused, Step, UserQuestion};
use super::interactive::Interactive;
use crate::auth::interactive::NAME as INTERACTIVE;
use crate::auth::password::{ChangeRequest, NAME, Request};
use crate::error::{Error, Result};
use crate::wire::NameList;
use zeroize::Zeroizing;

/// RFC 4252 section 8.
pub struct Password {
    password: Zeroizing<Vec<u8>>,
    fallback: bool,
}

impl Password {
    pub fn new(password: Zeroizing<Vec<u8>>, fallback: bool) -> Result<Self> {
        check(&password)?;
        Ok(Self { password, fallback })
    }
}

impl Exchange for Password {
    fn name(&self) -> &'static str {
        NAME
    }

    fn begin(&mut self, _login: &Login<'_>) -> Result<Step> {
        let request = Request { password: &self.password, new_password: None };
        Ok(Step::Request { method: NAME, fields: request.encode() })
    }

    fn replied(&mut self, fields: &[u8], _login: &Login<'_>) -> Result<Step> {
        let prompt = ChangeRequest::decode(fields)?.prompt.to_vec();
        Ok(Step::Ask(UserQuestion::PasswordChange { prompt }))
    }

    /// The new password, or the old one and the new one.
    fn answered(&mut self, texts: Vec<Zeroizing<Vec<u8>>>) -> Result<Step> {
        let (old, new) = match texts.as_slice() {
            [new] => (&self.password, new),
            [old, new] => (old, new),
            _ => return Err(Error::argument("the new password is one text, or two with the old one before it")),
        };
        check(old)?;
        check(new)?;
        let fields = Request { password: old, new_password: Some(new) }.encode();
        self.fallback = false;
        Ok(Step::Request { method: NAME, fields })
    }

    fn refused(&mut self, methods: NameList<'_>, _login: &Login<'_>) -> Result<Refused> {
        if self.fallback && !methods.contains(NAME) && methods.contains(INTERACTIVE) {
            let password = std::mem::take(&mut self.password);
            return Ok(Refused::Instead(Box::new(Interactive::by_password(password))));
        }
        Ok(Refused::Finally)
    }

    fn has_proved(&self) -> bool {
        true
    }
}

fn check(password: &[u8]) -> Result<()> {
    if password.len() <= LONGEST_SECRET {
        Ok(())
    } else {
        Err(Error::argument(format!("a password is longer than {LONGEST_SECRET} bytes")))
    }
}
