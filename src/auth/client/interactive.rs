use super::LONGEST_SECRET;
use super::exchange::{Exchange, Login, Step, UserQuestion};
use crate::auth::interactive::{InfoRequest, NAME, Request};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// RFC 4256.
pub struct Interactive {
    submethods: String,
    source: Source,
    /// How many answers the open question wants.
    wanted: usize,
    answered_any: bool,
}

/// Who answers the prompts.
enum Source {
    User,
    /// For servers that take passwords in this method only: one prompt is taken for the password's.
    Password(Zeroizing<Vec<u8>>),
}

impl Interactive {
    pub fn by_user(submethods: String) -> Result<Self> {
        if submethods.len() > LONGEST_SECRET {
            return Err(Error::argument("the list of submethods is too long"));
        }
        Ok(Self::new(submethods, Source::User))
    }

    pub fn by_password(password: Zeroizing<Vec<u8>>) -> Self {
        Self::new(String::new(), Source::Password(password))
    }

    fn new(submethods: String, source: Source) -> Self {
        Self { submethods, source, wanted: 0, answered_any: false }
    }

    fn respond(&mut self, answers: Vec<Zeroizing<Vec<u8>>>) -> Step {
        self.answered_any |= !answers.is_empty();
        Step::Respond(answers)
    }
}

impl Exchange for Interactive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn begin(&mut self, _login: &Login<'_>) -> Result<Step> {
        let fields = Request { submethods: self.submethods.as_bytes() }.encode();
        Ok(Step::Request { method: NAME, fields: fields.into() })
    }

    fn replied(&mut self, fields: &[u8], _login: &Login<'_>) -> Result<Step> {
        let InfoRequest { name, instruction, prompts } = InfoRequest::decode(fields)?;
        match (&self.source, prompts.len()) {
            (Source::Password(_), 0) => Ok(self.respond(Vec::new())),
            (Source::Password(password), 1) => {
                let password = password.clone();
                Ok(self.respond(vec![password]))
            }
            (Source::Password(_), _) => Ok(Step::Refuse("the server asks for more than the password".to_owned())),
            // Nothing to ask and nothing to show: OpenSSH ends every exchange like this.
            (Source::User, 0) if name.is_empty() && instruction.is_empty() => Ok(self.respond(Vec::new())),
            (Source::User, wanted) => {
                self.wanted = wanted;
                Ok(Step::Ask(UserQuestion::Prompts { name, instruction, prompts }))
            }
        }
    }

    fn answered(&mut self, texts: Vec<Zeroizing<Vec<u8>>>) -> Result<Step> {
        if texts.len() != self.wanted {
            return Err(Error::argument(format!("{} answers to {} prompts", texts.len(), self.wanted)));
        }
        if texts.iter().map(|text| text.len()).sum::<usize>() > LONGEST_SECRET {
            return Err(Error::argument(format!("the answers are longer than {LONGEST_SECRET} bytes")));
        }
        Ok(self.respond(texts))
    }

    fn has_proved(&self) -> bool {
        self.answered_any
    }
}
