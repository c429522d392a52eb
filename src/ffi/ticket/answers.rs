//! Answers to questions.

use std::ffi::{c_char, c_void};

use zeroize::Zeroizing;

use super::{decision_of, nacre_decision, nacre_ticket};
use crate::engine::{Answer, Question, ServerQuestion};
use crate::error::Error;
use crate::ffi::boundary::on;
use crate::ffi::status::nacre_status;
use crate::ffi::text::{self, bytes, name, optional_text, piece};

/// Answers with a decision.
///
/// Errors of this and all other answers: NACRE_ERR_STATE when it was answered before, NACRE_ERR_CLOSED when nothing waits
/// for the answer any more, NACRE_ERR_ARGUMENT when this question cannot be answered so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer(ticket: *mut nacre_ticket, decision: nacre_decision) -> nacre_status {
    unsafe { on(ticket, |ticket| ticket.decide(decision_of(decision))) }
}

/// Answers with texts: to prompts (one each), for a new password (one), or with the names of methods.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer_texts(
    ticket: *mut nacre_ticket,
    texts: *const *const c_char,
    count: usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| {
            let given = text::texts(texts, count)?;
            ticket.answer(match ticket.question() {
                Question::Prompts { prompts, .. } if prompts.len() == count => texts_to_answer(&given),
                Question::PasswordChange { .. } if count == 1 => texts_to_answer(&given),
                Question::Server(ServerQuestion::AllowedMethods { .. }) => {
                    let names = given.join(&b","[..]);
                    Answer::Methods(String::from_utf8(names).map_err(|_| Error::argument("a method is not UTF-8"))?)
                }
                _ => return Err(unfitting()),
            })
        })
    }
}

/// Accepts a global request with data for the reply; gives the signature that was asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer_bytes(
    ticket: *mut nacre_ticket,
    data: *const c_void,
    len: usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::GlobalRequest { .. } | Question::Sign(_) => {
                ticket.answer(Answer::Bytes(piece(data, len)?.to_vec()))
            }
            _ => Err(unfitting()),
        })
    }
}

/// Accepts a request to listen with the port that was bound; where the client asked for a certain port, it has to be that
/// one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer_port(ticket: *mut nacre_ticket, port: u32) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::GlobalRequest { .. } => ticket.answer_port(u16::try_from(port).map_err(|_| unfitting())?),
            _ => Err(unfitting()),
        })
    }
}

/// Server, keyboard-interactive: sends prompts, `count` of them (may be 0); `echo[i]` is 1 when the answer may be shown.
/// The answers come as the next question. `name` and `instruction` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer_prompts(
    ticket: *mut nacre_ticket,
    name: *const c_char,
    instruction: *const c_char,
    prompts: *const *const c_char,
    echo: *const i32,
    count: usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| {
            let prompts = text::texts(prompts, count)?;
            let echo = bytes(echo.cast(), count * size_of::<i32>())?.chunks_exact(size_of::<i32>());
            let echo = echo.map(|value| value.iter().any(|byte| *byte != 0));
            let copy = |string| optional_text(string).map(|text| text.unwrap_or_default().to_vec());
            match ticket.question() {
                Question::Server(
                    ServerQuestion::InteractiveStart { .. } | ServerQuestion::InteractiveAnswers { .. },
                ) => ticket.answer(Answer::Prompts {
                    name: copy(name)?,
                    instruction: copy(instruction)?,
                    prompts: prompts.into_iter().map(<[u8]>::to_vec).zip(echo).collect(),
                }),
                _ => Err(unfitting()),
            }
        })
    }
}

/// Server: the password has to be changed first; the client is shown `prompt`. The change comes as the next question.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer_password_change(
    ticket: *mut nacre_ticket,
    prompt: *const c_char,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Server(ServerQuestion::Password { .. } | ServerQuestion::PasswordChange { .. }) => {
                ticket.answer(Answer::ChangePassword { prompt: text::text(prompt, "the prompt")?.to_vec() })
            }
            _ => Err(unfitting()),
        })
    }
}

/// Refuses a channel with a reason code (RFC 4254 section 5.1) and a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_answer_refuse(
    ticket: *mut nacre_ticket,
    code: u32,
    text: *const c_char,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::ChannelOpen { .. } => {
                ticket.answer(Answer::Refuse { code, text: name(text, "the text")?.to_owned() })
            }
            _ => Err(unfitting()),
        })
    }
}

fn texts_to_answer(given: &[&[u8]]) -> Answer {
    Answer::Texts(given.iter().map(|text| Zeroizing::new(text.to_vec())).collect())
}

fn unfitting() -> Error {
    Error::argument("this question cannot be answered so")
}
