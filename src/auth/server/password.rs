use super::exchange::{Begun, Exchange, Step, decide};
use super::{ServerAnswer, ServerContext, ServerQuestion};
use crate::auth::password::{ChangeRequest, Request};
use crate::error::Result;
use crate::wire::messages::UserauthRequest;
use zeroize::Zeroizing;

/// RFC 4252 section 8.
struct Password;

pub fn begin(context: &ServerContext, request: &UserauthRequest<'_>) -> Begun {
    let Ok(Request { password, new_password }) = Request::decode(request.fields.0) else {
        return Begun::Failed { counted: true };
    };
    let longest = context.limits.secret_length;
    if password.len() > longest || new_password.is_some_and(|new| new.len() > longest) {
        return Begun::Failed { counted: true };
    }
    let user = request.user.to_vec();
    let password = Zeroizing::new(password.to_vec());
    let question = match new_password {
        Some(new) => ServerQuestion::PasswordChange { user, old: password, new: Zeroizing::new(new.to_vec()) },
        None => ServerQuestion::Password { user, password },
    };
    Begun::Running(Box::new(Password), question)
}

impl Exchange for Password {
    fn answered(&mut self, answer: ServerAnswer) -> Result<Step> {
        match answer {
            ServerAnswer::ChangePassword { prompt } => Ok(Step::Conclude(ChangeRequest { prompt: &prompt }.encode())),
            other => decide(&other),
        }
    }
}
