//! What a server is asked.

use std::ffi::{c_char, c_void};

use super::channel::nacre_channel;
use super::error::nacre_error;
use super::key::nacre_key;
use super::status::nacre_status;
use super::structs::public_struct;
use super::ticket::{nacre_decision, nacre_request_kind, nacre_ticket};
use super::transport::nacre_transport;

/// A channel request as a callback gets it. Its pointers are good until the callback returns; the ticket has copies.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_request {
    pub size: usize,
    /// A NACRE_REQUEST_* value.
    pub kind: nacre_request_kind,
    /// 1 when the peer wants a reply; what is written to the channel inside the callback goes out after it.
    pub want_reply: i32,
    /// The request's name on the wire.
    pub name: *const c_char,
    /// Exec: the command. Subsystem, signal: the name. Env: the variable. Pty: TERM. Ends with NUL, and may hold others.
    pub text: *const c_char,
    pub text_len: usize,
    /// Env: the value. Ends with NUL, and may hold others.
    pub value: *const c_char,
    pub value_len: usize,
    /// Pty: the encoded modes. Other requests: their data.
    pub data: *const c_void,
    pub data_len: usize,
    /// Pty, window change: the size of the terminal.
    pub columns: u32,
    pub rows: u32,
    pub width_pixels: u32,
    pub height_pixels: u32,
    /// Break: its length in milliseconds. 64 bits, so that the struct has no padding at its end.
    pub break_ms: u64,
}
public_struct!(nacre_request, break_ms: u64);

/// What a server is asked and told. Each function gets `userdata` first and the transport second, and runs where the
/// threads section at the top says; those that decide return a NACRE_ACCEPT-like value. NULL refuses, where nothing else is
/// said. Pointers are good until the callback returns.
///
/// A user name or password with a NUL byte in it is refused without a call, so that no string can end early.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_server_callbacks {
    pub size: usize,
    pub userdata: *mut c_void,
    /// Runs exactly once, when no call can follow, also when the call that was given this struct fails.
    pub destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// Keys are in use.
    pub connected: Option<unsafe extern "C" fn(userdata: *mut c_void, transport: *mut nacre_transport)>,
    /// What to show before the login; it is copied as soon as the function returns. NULL: nothing.
    pub banner: Option<unsafe extern "C" fn(userdata: *mut c_void, transport: *mut nacre_transport) -> *const c_char>,
    /// Which methods may this user try? Answered by nacre_ticket_answer_texts. When the function is NULL, or accepts
    /// without naming any: those that have a function here.
    pub allowed_auths: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// May this user in without anything?
    pub auth_none: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// Is this the password? nacre_ticket_answer_password_change asks for another.
    pub auth_password: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            password: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// Accepting changes the password and lets the user in.
    pub auth_password_change: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            old_password: *const c_char,
            new_password: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// Is this one of the user's keys? Called with `verified` 0 while the client only asks, and with 1 when it has signed
    /// and the signature is right; only then accepting lets the user in.
    pub auth_publickey: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            key: *const nacre_key,
            verified: i32,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// Keyboard-interactive begins: nacre_ticket_answer_prompts sends the first prompts.
    pub auth_interactive: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            submethods: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// Keyboard-interactive: the answers are the ticket's texts; nacre_ticket_answer_prompts begins another round.
    pub auth_interactive_answers: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            user: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// A user is authenticated.
    pub authenticated:
        Option<unsafe extern "C" fn(userdata: *mut c_void, transport: *mut nacre_transport, user: *const c_char)>,
    /// May the peer open this channel? NACRE_ACCEPT: it goes to the accept queue. NACRE_KEEP: `channel` is the
    /// application's from now on. `kind` is the channel's type ("session"), `data` what the type brings.
    pub channel_open: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            channel: *mut nacre_channel,
            kind: *const c_char,
            data: *const c_void,
            len: usize,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// A request on a channel: pty, shell, exec, subsystem, env, window change, signal, break, or another.
    pub channel_request: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            channel: *mut nacre_channel,
            request: *const nacre_request,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// A request on the connection.
    pub global_request: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            name: *const c_char,
            data: *const c_void,
            len: usize,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// The connection is over. `error` is borrowed and says why.
    pub disconnected: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            status: nacre_status,
            error: *const nacre_error,
        ),
    >,
    /// May the client have connections to this host (empty: all addresses) and port? Port 0: one is chosen here, and
    /// accepting is nacre_ticket_answer_port. What comes is brought by nacre_transport_open_forwarded_tcpip. This and the
    /// next three when NULL: global_request is asked.
    pub port_forward: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            host: *const c_char,
            port: u32,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// The client wants no more of them.
    pub cancel_port_forward: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            host: *const c_char,
            port: u32,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// The same for a Unix socket; what comes is brought by nacre_transport_open_forwarded_streamlocal.
    pub streamlocal_forward: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            path: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    pub cancel_streamlocal_forward: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            path: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
}
public_struct!(nacre_server_callbacks, cancel_streamlocal_forward: Option<unsafe extern "C" fn()>);
