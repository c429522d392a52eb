//! Tickets: questions to the application, and its answers.

mod answers;

use std::borrow::Cow;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{Handle, free, give, lend, on};
use super::channel::nacre_channel;
use super::error::{nacre_verdict, verdict_of};
use super::key::{Key, nacre_key, put_key};
use super::status::nacre_status;
use super::text::{put, put_bytes, put_text, set, wanted};
use super::transport::nacre_transport;
use crate::engine::{ChannelRequest, Decision, ListenAt, Question, ServerQuestion, Ticket};
use crate::error::Error;
use crate::wire::Writer;

/// One question to the application, with everything that was asked.
///
/// A callback gets it last; unless the callback returns NACRE_DEFER it is nacre's, and gone when the callback returns.
/// With NACRE_DEFER, and in QUESTION events, it is the application's until nacre_ticket_free, whatever happens to the
/// connection. It is answered once, from any thread, also before the callback returned; what such a callback then returns
/// does not count (but NACRE_DEFER keeps the ticket). Freed unanswered it rejects.
pub struct nacre_ticket {
    _private: [u8; 0],
}

impl Handle for nacre_ticket {
    type Object = Ticket;
    const NAME: &'static str = "ticket";

    fn check(ticket: &Arc<Ticket>) -> Result<(), Error> {
        ticket.transport().map_or(Ok(()), |transport| transport.engine().check())
    }
}

/// What the application decides. Any other value rejects.
pub type nacre_decision = i32;

/// No.
pub const NACRE_REJECT: nacre_decision = 0;
/// Yes. Of a channel: it goes to the accept queue.
pub const NACRE_ACCEPT: nacre_decision = 1;
/// Authentication: this step was right, and more are needed.
pub const NACRE_PARTIAL: nacre_decision = 2;
/// The answer comes later, through the ticket. Only callbacks return it.
pub const NACRE_DEFER: nacre_decision = 3;
/// Yes; of a channel: it is the application's from now on, past the accept queue, and has to be freed.
pub const NACRE_KEEP: nacre_decision = 4;

/// What is asked. The comment of each says what nacre_ticket_text, _name and _data give, and which answers there are
/// beside nacre_ticket_answer.
pub type nacre_question = i32;

/// Client: is this host key right? nacre_ticket_key, nacre_ticket_verdict.
pub const NACRE_QUESTION_HOST_KEY: nacre_question = 1;
/// Client, keyboard-interactive: texts are the prompts (nacre_ticket_echo), name and instruction (_data) what to show
/// above them. Answered by nacre_ticket_answer_texts with one text a prompt.
pub const NACRE_QUESTION_PROMPTS: nacre_question = 2;
/// Client: the server wants a new password; text 0 is its prompt. Answered by nacre_ticket_answer_texts with one text.
pub const NACRE_QUESTION_NEW_PASSWORD: nacre_question = 3;
/// Server: which methods may this user try? Answered by nacre_ticket_answer_texts with the names.
pub const NACRE_QUESTION_ALLOWED_AUTHS: nacre_question = 4;
/// Server: may this user in without anything?
pub const NACRE_QUESTION_AUTH_NONE: nacre_question = 5;
/// Server: text 0 is the password. Also answered by nacre_ticket_answer_password_change.
pub const NACRE_QUESTION_AUTH_PASSWORD: nacre_question = 6;
/// Server: text 0 is the old password, text 1 the new one. Also answered by nacre_ticket_answer_password_change.
pub const NACRE_QUESTION_AUTH_PASSWORD_CHANGE: nacre_question = 7;
/// Server: nacre_ticket_key, nacre_ticket_verified; name is the signature algorithm.
pub const NACRE_QUESTION_AUTH_PUBLICKEY: nacre_question = 8;
/// Server: keyboard-interactive begins; text 0 is what submethods the client would like. Also answered by
/// nacre_ticket_answer_prompts.
pub const NACRE_QUESTION_AUTH_INTERACTIVE: nacre_question = 9;
/// Server: texts are the answers to the prompts. Also answered by nacre_ticket_answer_prompts, for another round.
pub const NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS: nacre_question = 10;
/// The peer opens a channel: name is its type, data what the type brings. Also answered by nacre_ticket_answer_refuse.
pub const NACRE_QUESTION_CHANNEL_OPEN: nacre_question = 11;
/// A request on a channel: nacre_ticket_request, and its texts and data as nacre_request names them.
pub const NACRE_QUESTION_CHANNEL_REQUEST: nacre_question = 12;
/// A global request: name and data; nacre_ticket_address of one to listen. Also answered by nacre_ticket_answer_bytes and
/// nacre_ticket_answer_port; a request to listen at port 0 is accepted only by the latter.
pub const NACRE_QUESTION_GLOBAL_REQUEST: nacre_question = 13;

/// A signature by a key made with nacre_key_from_signer: nacre_ticket_key, name is the algorithm, data what is to be signed
/// (not hashed). Answered by nacre_ticket_answer_bytes with the signature; any nacre_ticket_answer refuses.
pub const NACRE_QUESTION_SIGN: nacre_question = 14;

/// What a channel request asks for.
pub type nacre_request_kind = i32;

/// A terminal: text 0 is TERM, data the encoded modes (RFC 4254 section 8), and nacre_ticket_size.
pub const NACRE_REQUEST_PTY: nacre_request_kind = 1;
/// The user's shell.
pub const NACRE_REQUEST_SHELL: nacre_request_kind = 2;
/// Text 0 is the command.
pub const NACRE_REQUEST_EXEC: nacre_request_kind = 3;
/// Text 0 is the subsystem's name.
pub const NACRE_REQUEST_SUBSYSTEM: nacre_request_kind = 4;
/// Text 0 is the variable's name, text 1 its value.
pub const NACRE_REQUEST_ENV: nacre_request_kind = 5;
/// The terminal has another size: nacre_ticket_size.
pub const NACRE_REQUEST_WINDOW_CHANGE: nacre_request_kind = 6;
/// Text 0 is the signal's name without SIG.
pub const NACRE_REQUEST_SIGNAL: nacre_request_kind = 7;
/// A break of so many milliseconds (nacre_request).
pub const NACRE_REQUEST_BREAK: nacre_request_kind = 8;
/// Another request: name and data.
pub const NACRE_REQUEST_OTHER: nacre_request_kind = 9;

pub fn question_of(question: &Question) -> nacre_question {
    match question {
        Question::HostKey { .. } => NACRE_QUESTION_HOST_KEY,
        Question::Prompts { .. } => NACRE_QUESTION_PROMPTS,
        Question::PasswordChange { .. } => NACRE_QUESTION_NEW_PASSWORD,
        Question::Server(question) => match question {
            ServerQuestion::AllowedMethods { .. } => NACRE_QUESTION_ALLOWED_AUTHS,
            ServerQuestion::None { .. } => NACRE_QUESTION_AUTH_NONE,
            ServerQuestion::Password { .. } => NACRE_QUESTION_AUTH_PASSWORD,
            ServerQuestion::PasswordChange { .. } => NACRE_QUESTION_AUTH_PASSWORD_CHANGE,
            ServerQuestion::Publickey { .. } => NACRE_QUESTION_AUTH_PUBLICKEY,
            ServerQuestion::InteractiveStart { .. } => NACRE_QUESTION_AUTH_INTERACTIVE,
            ServerQuestion::InteractiveAnswers { .. } => NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS,
        },
        Question::ChannelOpen { .. } => NACRE_QUESTION_CHANNEL_OPEN,
        Question::ChannelRequest { .. } => NACRE_QUESTION_CHANNEL_REQUEST,
        Question::GlobalRequest { .. } => NACRE_QUESTION_GLOBAL_REQUEST,
        Question::Sign(_) => NACRE_QUESTION_SIGN,
    }
}

pub fn request_of(request: &ChannelRequest) -> nacre_request_kind {
    match request {
        ChannelRequest::Pty { .. } => NACRE_REQUEST_PTY,
        ChannelRequest::Shell => NACRE_REQUEST_SHELL,
        ChannelRequest::Exec(_) => NACRE_REQUEST_EXEC,
        ChannelRequest::Subsystem(_) => NACRE_REQUEST_SUBSYSTEM,
        ChannelRequest::Env { .. } => NACRE_REQUEST_ENV,
        ChannelRequest::WindowChange { .. } => NACRE_REQUEST_WINDOW_CHANGE,
        ChannelRequest::Signal(_) => NACRE_REQUEST_SIGNAL,
        ChannelRequest::Break(_) => NACRE_REQUEST_BREAK,
        ChannelRequest::X11 { .. }
        | ChannelRequest::AgentForward
        | ChannelRequest::XonXoff(_)
        | ChannelRequest::Other { .. } => NACRE_REQUEST_OTHER,
    }
}

/// The texts of a request, as the constants above say.
pub fn texts_of_request(request: &ChannelRequest) -> Vec<&[u8]> {
    match request {
        ChannelRequest::Pty { term, .. } => vec![term],
        ChannelRequest::Exec(command) | ChannelRequest::Subsystem(command) => vec![command],
        ChannelRequest::Env { name, value } => vec![name, value],
        ChannelRequest::Signal(name) => vec![name.as_bytes()],
        _ => Vec::new(),
    }
}

/// The data of a request: the modes of a terminal, and of what has no kind of its own everything.
pub fn data_of_request(request: &ChannelRequest) -> Cow<'_, [u8]> {
    match request {
        ChannelRequest::Pty { modes: data, .. } | ChannelRequest::Other { data, .. } => Cow::Borrowed(data),
        ChannelRequest::X11 { single_connection, protocol, cookie, screen } => {
            let data = Writer::new().boolean(*single_connection).string(protocol.as_bytes());
            Cow::Owned(data.string(cookie.as_bytes()).u32(*screen).finish())
        }
        ChannelRequest::XonXoff(client_can_do) => Cow::Owned(Writer::new().boolean(*client_can_do).finish()),
        _ => Cow::Borrowed(&[]),
    }
}

fn texts_of(question: &Question) -> Vec<&[u8]> {
    match question {
        Question::Prompts { prompts, .. } => prompts.iter().map(|(prompt, _)| prompt.as_slice()).collect(),
        Question::PasswordChange { prompt } => vec![prompt],
        Question::Server(ServerQuestion::Password { password, .. }) => vec![password],
        Question::Server(ServerQuestion::PasswordChange { old, new, .. }) => vec![old, new],
        Question::Server(ServerQuestion::InteractiveStart { submethods, .. }) => vec![submethods.as_bytes()],
        Question::Server(ServerQuestion::InteractiveAnswers { answers, .. }) => {
            answers.iter().map(|answer| answer.as_slice()).collect()
        }
        Question::ChannelRequest { request, .. } => texts_of_request(request),
        _ => Vec::new(),
    }
}

pub fn user_of(question: &ServerQuestion) -> &[u8] {
    match question {
        ServerQuestion::AllowedMethods { user }
        | ServerQuestion::None { user }
        | ServerQuestion::Password { user, .. }
        | ServerQuestion::PasswordChange { user, .. }
        | ServerQuestion::Publickey { user, .. }
        | ServerQuestion::InteractiveStart { user, .. }
        | ServerQuestion::InteractiveAnswers { user, .. } => user,
    }
}

fn missing() -> Error {
    Error::not_found("this question has no such field")
}

/// What is asked: a NACRE_QUESTION_* value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_kind(ticket: *const nacre_ticket, kind: *mut nacre_question) -> nacre_status {
    unsafe { on(ticket, |ticket| set(kind, question_of(ticket.question()))) }
}

/// The transport that asks, borrowed. NACRE_ERR_CLOSED: it is gone, or (NACRE_QUESTION_SIGN) there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_transport(
    ticket: *const nacre_ticket,
    transport: *mut *mut nacre_transport,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| {
            set(transport, std::ptr::null_mut())?;
            set(transport, lend(&ticket.transport().ok_or_else(|| Error::closed("the transport is gone"))?))
        })
    }
}

/// The channel in question, borrowed: it lives as long as the ticket. NACRE_ERR_NOT_FOUND: it is about none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_channel(
    ticket: *const nacre_ticket,
    channel: *mut *mut nacre_channel,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| {
            set(channel, std::ptr::null_mut())?;
            set(channel, lend(ticket.channel().ok_or_else(missing)?))
        })
    }
}

/// Server: the user that wants in. May hold any bytes: `needed` says how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_user(
    ticket: *const nacre_ticket,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Server(question) => put_text(user_of(question), buf, cap, needed),
            _ => Err(missing()),
        })
    }
}

/// The key in question, the caller's to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_key(ticket: *const nacre_ticket, key: *mut *mut nacre_key) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::HostKey { key: asked, .. } | Question::Server(ServerQuestion::Publickey { key: asked, .. }) => {
                put_key(key, || Ok(Key::from(asked.clone())))
            }
            Question::Sign(wanted) => put_key(key, || Ok(Key::from(Arc::clone(&wanted.key)))),
            _ => Err(missing()),
        })
    }
}

/// NACRE_QUESTION_HOST_KEY: NACRE_VERDICT_UNKNOWN or NACRE_VERDICT_CHANGED, as in nacre_host_key_check.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_verdict(
    ticket: *const nacre_ticket,
    verdict: *mut nacre_verdict,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::HostKey { verdict: known, .. } => set(verdict, verdict_of(*known)),
            _ => Err(missing()),
        })
    }
}

/// NACRE_QUESTION_AUTH_PUBLICKEY: 0 when the client only asks whether this key would do, 1 when it has signed and the
/// signature is right. Accepting lets the user in only then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_verified(ticket: *const nacre_ticket, verified: *mut i32) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Server(ServerQuestion::Publickey { signed, .. }) => set(verified, i32::from(*signed)),
            _ => Err(missing()),
        })
    }
}

/// The security key was touched for this signature: a bit of nacre_ticket_security_key.
pub const NACRE_SECURITY_KEY_PRESENT: u32 = 1;
/// The security key made sure who its user is: a bit of nacre_ticket_security_key.
pub const NACRE_SECURITY_KEY_VERIFIED: u32 = 4;

/// NACRE_QUESTION_AUTH_PUBLICKEY, signed by a key in a security key: what that says of the signature. `flags`:
/// NACRE_SECURITY_KEY_* bits. `counter`: of its signatures; one that does not grow from login to login tells of a copy of
/// the key, but some always say 0. Either pointer may be NULL.
///
/// NACRE_ERR_NOT_FOUND: another question, another kind of key, or nothing is signed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_security_key(
    ticket: *const nacre_ticket,
    flags: *mut u32,
    counter: *mut u32,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Server(ServerQuestion::Publickey { security_key: Some(usage), .. }) => {
                let present = if usage.is_present() { NACRE_SECURITY_KEY_PRESENT } else { 0 };
                let verified = if usage.is_verified() { NACRE_SECURITY_KEY_VERIFIED } else { 0 };
                put(flags, present | verified);
                put(counter, usage.counter);
                Ok(())
            }
            _ => Err(missing()),
        })
    }
}

/// A name: of the channel's type, the request, the signature algorithm, or the heading of prompts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_name(
    ticket: *const nacre_ticket,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Prompts { name, .. } => put_text(name, buf, cap, needed),
            Question::ChannelOpen { kind: name, .. }
            | Question::GlobalRequest { name, .. }
            | Question::Server(ServerQuestion::Publickey { algorithm: name, .. }) => {
                put_text(name.as_bytes(), buf, cap, needed)
            }
            Question::ChannelRequest { request, .. } => put_text(request.name().as_bytes(), buf, cap, needed),
            Question::Sign(wanted) => put_text(wanted.algorithm.as_bytes(), buf, cap, needed),
            _ => Err(missing()),
        })
    }
}

/// Bytes: what a channel type or a request brings, the modes of a terminal, the instruction of prompts, or what is to be
/// signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_data(
    ticket: *const nacre_ticket,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Prompts { instruction, .. } => put_bytes(instruction, buf, cap, needed),
            Question::ChannelOpen { data, .. } | Question::GlobalRequest { data, .. } => {
                put_bytes(data, buf, cap, needed)
            }
            Question::ChannelRequest { request, .. } => put_bytes(&data_of_request(request), buf, cap, needed),
            Question::Sign(wanted) => put_bytes(&wanted.data, buf, cap, needed),
            _ => Err(missing()),
        })
    }
}

/// A request to listen, or to listen no more: the host (empty: all addresses) and the port (may be NULL), or the path of a
/// Unix socket and 0. Any bytes. NACRE_ERR_NOT_FOUND: it is another question.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_address(
    ticket: *const nacre_ticket,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
    port: *mut u32,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| {
            let (host, number) = match ticket.listen_at().ok_or_else(missing)?.1 {
                ListenAt::Tcp(at) => (at.host, at.port),
                ListenAt::Path(path) => (path, 0),
            };
            super::text::put(port, number.into());
            put_text(&host, buf, cap, needed)
        })
    }
}

/// How many texts the question has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_text_count(ticket: *const nacre_ticket, count: *mut usize) -> nacre_status {
    unsafe { on(ticket, |ticket| set(count, texts_of(ticket.question()).len())) }
}

/// One of the texts, from 0: prompts, answers, passwords, the command; see NACRE_QUESTION_*. May hold any bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_text(
    ticket: *const nacre_ticket,
    index: usize,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| put_text(texts_of(ticket.question()).get(index).ok_or_else(missing)?, buf, cap, needed))
    }
}

/// NACRE_QUESTION_PROMPTS: 1 when the answer to this prompt may be shown while it is typed, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_echo(ticket: *const nacre_ticket, index: usize, echo: *mut i32) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::Prompts { prompts, .. } => set(echo, i32::from(prompts.get(index).ok_or_else(missing)?.1)),
            _ => Err(missing()),
        })
    }
}

/// NACRE_QUESTION_CHANNEL_REQUEST: a NACRE_REQUEST_* value; `want_reply` (may be NULL): 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_request(
    ticket: *const nacre_ticket,
    kind: *mut nacre_request_kind,
    want_reply: *mut i32,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| match ticket.question() {
            Question::ChannelRequest { request, want_reply: wanted_reply, .. } => {
                wanted(kind, "the kind")?;
                super::text::put(want_reply, i32::from(*wanted_reply));
                set(kind, request_of(request))
            }
            _ => Err(missing()),
        })
    }
}

/// NACRE_REQUEST_PTY and NACRE_REQUEST_WINDOW_CHANGE: the size of the terminal. Any pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_size(
    ticket: *const nacre_ticket,
    columns: *mut u32,
    rows: *mut u32,
    width_pixels: *mut u32,
    height_pixels: *mut u32,
) -> nacre_status {
    unsafe {
        on(ticket, |ticket| {
            let Question::ChannelRequest { request, .. } = ticket.question() else { return Err(missing()) };
            let size = size_of_terminal(request).ok_or_else(missing)?;
            for (out, value) in [columns, rows, width_pixels, height_pixels].into_iter().zip(size) {
                super::text::put(out, value);
            }
            Ok(())
        })
    }
}

/// Columns, rows, and pixels.
pub fn size_of_terminal(request: &ChannelRequest) -> Option<[u32; 4]> {
    match request {
        ChannelRequest::Pty { size, .. } | ChannelRequest::WindowChange(size) => {
            Some([size.columns, size.rows, size.width_pixels, size.height_pixels])
        }
        _ => None,
    }
}

/// Gives a ticket up that is the application's. Unanswered, the question is rejected. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_ticket_free(ticket: *mut nacre_ticket) {
    unsafe { free(ticket, |_| {}) };
}

/// Asks a callback that gets the ticket last.
pub fn ask(ticket: &Arc<Ticket>, callback: impl FnOnce(*mut nacre_ticket) -> nacre_decision) -> Decision {
    // One count is the application's from the start: with DEFER it may free the ticket before the callback returns.
    let lent = give::<nacre_ticket>(Arc::clone(ticket));
    let decision = decision_of(callback(lent));
    if decision != Decision::Defer {
        // SAFETY: not deferred, so that count is not the application's any more.
        drop(unsafe { Arc::from_raw(lent.cast_const().cast::<Ticket>()) });
    }
    decision
}

/// Whatever is not a decision rejects.
pub fn decision_of(decision: nacre_decision) -> Decision {
    match decision {
        NACRE_ACCEPT => Decision::Accept,
        NACRE_PARTIAL => Decision::Partial,
        NACRE_DEFER => Decision::Defer,
        NACRE_KEEP => Decision::Keep,
        _ => Decision::Reject,
    }
}
