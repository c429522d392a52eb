use super::exchange::{Begun, Exchange, Step, decide};
use super::{ServerAnswer, ServerContext, ServerQuestion};
use crate::auth::interactive::{InfoRequest, MOST_PROMPTS, Request, decode_answers};
use crate::error::{Error, Result};
use crate::wire::messages::{UserauthInfoResponse, UserauthRequest};

const LONGEST_SUBMETHODS: usize = 1024;
/// What the application asks must fit the smallest packet that every peer takes.
const LONGEST_CHALLENGE: usize = 32_000;

/// RFC 4256: rounds of prompts, as many as the application wants.
struct Interactive {
    user: Vec<u8>,
    /// How many prompts the client was sent.
    prompts: usize,
}

pub fn begin(_context: &ServerContext, request: &UserauthRequest<'_>) -> Begun {
    let submethods = Request::decode(request.fields.0)
        .ok()
        .filter(|decoded| decoded.submethods.len() <= LONGEST_SUBMETHODS)
        .and_then(|decoded| std::str::from_utf8(decoded.submethods).ok());
    let Some(submethods) = submethods else {
        return Begun::Failed { counted: true };
    };
    let user = request.user.to_vec();
    let question = ServerQuestion::InteractiveStart { user: user.clone(), submethods: submethods.to_owned() };
    Begun::Running(Box::new(Interactive { user, prompts: 0 }), question)
}

impl Exchange for Interactive {
    fn answered(&mut self, answer: ServerAnswer) -> Result<Step> {
        let ServerAnswer::Prompts { name, instruction, prompts } = answer else {
            return decide(&answer);
        };
        if prompts.len() > MOST_PROMPTS {
            return Err(Error::argument(format!("more than {MOST_PROMPTS} prompts at once")));
        }
        let count = prompts.len();
        let fields = InfoRequest { name, instruction, prompts }.encode();
        if fields.len() > LONGEST_CHALLENGE {
            return Err(Error::argument(format!("the prompts are longer than {LONGEST_CHALLENGE} bytes")));
        }
        self.prompts = count;
        Ok(Step::Challenge(fields))
    }

    fn responded(&mut self, payload: &[u8], context: &ServerContext) -> Result<Step> {
        let answers = UserauthInfoResponse::decode(payload)
            .and_then(|response| decode_answers(response.count, response.responses.0));
        match answers {
            Ok(answers)
                if answers.len() == self.prompts
                    && answers.iter().all(|answer| answer.len() <= context.limits.secret_length) =>
            {
                Ok(Step::Ask(ServerQuestion::InteractiveAnswers { user: self.user.clone(), answers }))
            }
            _ => Ok(Step::Fail { counted: true }),
        }
    }
}
