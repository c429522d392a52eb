use super::exchange::{Exchange, Login, Step};
use crate::auth::NONE;
use crate::error::{Error, Result};

/// RFC 4252 section 5.2.
pub struct None;

impl Exchange for None {
    fn name(&self) -> &'static str {
        NONE
    }

    fn begin(&mut self, _login: &Login<'_>) -> Result<Step> {
        Ok(Step::Request { method: NONE, fields: Vec::new().into() })
    }

    fn replied(&mut self, _fields: &[u8], _login: &Login<'_>) -> Result<Step> {
        Err(Error::protocol("the server asks for more where nothing was offered"))
    }

    fn has_proved(&self) -> bool {
        false
    }
}
