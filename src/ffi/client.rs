//! What a client is asked, and what it connects with.

use std::ffi::{c_char, c_void};

use super::channel::nacre_channel;
use super::error::{nacre_error, nacre_verdict};
use super::key::nacre_key;
use super::known_hosts::nacre_known_hosts;
use super::server::nacre_request;
use super::status::nacre_status;
use super::structs::public_struct;
use super::ticket::{nacre_decision, nacre_ticket};
use super::transport::nacre_transport;

/// How a server's host key is checked. Any of the given keys and fingerprints is right, and so is a key that `known_hosts`
/// has for the host, unless it is revoked there; another one is asked about when `ask` is there, else refused. A revoked one
/// is refused without a question.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_host_key_check {
    pub size: usize,
    pub userdata: *mut c_void,
    /// Runs exactly once, when no call can follow, also when the call that was given this struct fails.
    pub destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// Any of NACRE_HOST_KEY_*, or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// The keys that are right.
    pub keys: *const *const nacre_key,
    pub key_count: usize,
    /// The fingerprints that are right, as nacre_key_fingerprint gives them ("SHA256:...").
    pub fingerprints: *const *const c_char,
    pub fingerprint_count: usize,
    /// Is this key right? `verdict` is NACRE_VERDICT_UNKNOWN, or NACRE_VERDICT_CHANGED where other keys are given or known,
    /// of other types too. Time that passes here counts against no deadline.
    pub ask: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            key: *const nacre_key,
            verdict: nacre_verdict,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// May be NULL. What it says of `host` and `port` when this struct is given is what counts; kinds of keys that are known
    /// are asked for first. It is kept only for NACRE_HOST_KEY_ADD.
    pub known_hosts: *mut nacre_known_hosts,
    /// With `known_hosts`: the name or address by which the host is known, as the user gave it.
    pub host: *const c_char,
    /// With `known_hosts`: the port; 0 is 22.
    pub port: u32,
    /// 0.
    pub reserved2: u32,
}
public_struct!(nacre_host_key_check, reserved2: u32);

/// nacre_host_key_check: every key is taken, so anyone on the way can read and change everything.
pub const NACRE_HOST_KEY_ANY: u32 = 1;
/// nacre_host_key_check: asks about other keys also without `ask`, through a QUESTION event (NACRE_AS_EVENTS).
pub const NACRE_HOST_KEY_ASK: u32 = 2;
/// nacre_host_key_check: host key algorithms are offered in the order of their list, whatever `keys` are given. Else those
/// that fit a given key come first, unless the first one fits anyway or the application gave the list itself; whoever
/// listens may then learn that a key is known (CVE-2020-14145).
pub const NACRE_HOST_KEY_FIXED_ORDER: u32 = 4;

/// nacre_host_key_check: a key that is accepted when asked about is added to `known_hosts`, and to the end of the file that
/// this was read from, unless another key of its type is known there. nacre_known_hosts_take_error says whether that failed;
/// the connection goes on all the same.
pub const NACRE_HOST_KEY_ADD: u32 = 8;
/// nacre_host_key_check: as NACRE_HOST_KEY_ADD, with the host's name hashed.
pub const NACRE_HOST_KEY_ADD_HASHED: u32 = 16;

/// What a client is asked and told. Rules as for nacre_server_callbacks; NULL refuses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_client_callbacks {
    pub size: usize,
    pub userdata: *mut c_void,
    /// Runs exactly once, when no call can follow, also when the call that was given this struct fails.
    pub destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// Keyboard-interactive: the prompts are the ticket's texts; nacre_ticket_answer_texts answers them.
    pub interactive: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// The server wants the password changed: nacre_ticket_answer_texts gives the new one.
    pub new_password: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            prompt: *const c_char,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    /// May the server open this channel? As in nacre_server_callbacks.
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
    /// A request on a channel. As in nacre_server_callbacks.
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
}
public_struct!(nacre_client_callbacks, disconnected: Option<unsafe extern "C" fn()>);

/// What nacre_transport_connect does: negotiates, checks the host key, authenticates.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_connect_options {
    pub size: usize,
    /// Has to be given; NACRE_ERR_ARGUMENT otherwise, before a byte is sent.
    pub host_key_check: *const nacre_host_key_check,
    /// NULL: no authentication.
    pub user: *const c_char,
    /// A private key, tried first. May be NULL.
    pub key: *const nacre_key,
    /// Tried when there is no key or the key was not enough; falls back to keyboard-interactive. May be NULL.
    pub password: *const c_char,
    /// As nacre_transport_set_client_callbacks. NULL: those that were set before.
    pub callbacks: *const nacre_client_callbacks,
}
public_struct!(nacre_connect_options, callbacks: *const nacre_client_callbacks);
