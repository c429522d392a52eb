use super::exchange::{Begun, Exchange, Step, decide};
use super::{ServerAnswer, ServerContext, ServerQuestion};
use crate::error::Result;
use crate::wire::messages::UserauthRequest;

/// RFC 4252 section 5.2.
struct None;

pub fn begin(_context: &ServerContext, request: &UserauthRequest<'_>) -> Begun {
    if !request.fields.0.is_empty() {
        return Begun::Failed { counted: true };
    }
    Begun::Running(Box::new(None), ServerQuestion::None { user: request.user.to_vec() })
}

impl Exchange for None {
    fn answered(&mut self, answer: ServerAnswer) -> Result<Step> {
        decide(&answer)
    }
}
