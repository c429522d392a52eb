//! Asks the application through its callbacks.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{give, lend};
use super::channel::nacre_channel;
use super::client::{nacre_client_callbacks, nacre_host_key_check};
use super::error::{nacre_error, nacre_verdict, verdict_of};
use super::key::{Key, nacre_key};
use super::server::{nacre_request, nacre_server_callbacks};
use super::status::{nacre_status, status_of};
use super::text::{terminated, terminated_anyway};
use super::ticket::{
    NACRE_ACCEPT, NACRE_REJECT, data_of_request, nacre_decision, nacre_ticket, request_of, size_of_terminal,
    texts_of_request, user_of,
};
use super::transport::nacre_transport;
use super::userdata::Owned;
use crate::client::Memory;
use crate::engine::{
    Answer, Asker, ChannelRequest, Decision, ForwardVerb, ListenAt, Notice, Question, ServerQuestion, Ticket, Transport,
};

type Userdata = *mut c_void;
type OfTransport = *mut nacre_transport;
type OfTicket = *mut nacre_ticket;
type Text = *const c_char;

type AskTicket = unsafe extern "C" fn(Userdata, OfTransport, OfTicket) -> nacre_decision;
type AskText = unsafe extern "C" fn(Userdata, OfTransport, Text, OfTicket) -> nacre_decision;
type AskTexts = unsafe extern "C" fn(Userdata, OfTransport, Text, Text, OfTicket) -> nacre_decision;
type AskThreeTexts = unsafe extern "C" fn(Userdata, OfTransport, Text, Text, Text, OfTicket) -> nacre_decision;
type AskKey = unsafe extern "C" fn(Userdata, OfTransport, Text, *const nacre_key, i32, OfTicket) -> nacre_decision;
type AskHostKey =
    unsafe extern "C" fn(Userdata, OfTransport, *const nacre_key, nacre_verdict, OfTicket) -> nacre_decision;
type AskChannel = unsafe extern "C" fn(
    Userdata,
    OfTransport,
    *mut nacre_channel,
    Text,
    *const c_void,
    usize,
    OfTicket,
) -> nacre_decision;
type AskRequest =
    unsafe extern "C" fn(Userdata, OfTransport, *mut nacre_channel, *const nacre_request, OfTicket) -> nacre_decision;
type AskAddress = unsafe extern "C" fn(Userdata, OfTransport, Text, u32, OfTicket) -> nacre_decision;
pub type Forwarded = unsafe extern "C" fn(Userdata, OfTransport, *mut nacre_channel);
type AskData = unsafe extern "C" fn(Userdata, OfTransport, Text, *const c_void, usize, OfTicket) -> nacre_decision;

/// The callbacks of any of the public structs. What is missing refuses.
#[derive(Default)]
struct Table {
    host_key: Option<AskHostKey>,
    interactive: Option<AskTicket>,
    new_password: Option<AskText>,
    connected: Option<unsafe extern "C" fn(Userdata, OfTransport)>,
    banner: Option<unsafe extern "C" fn(Userdata, OfTransport) -> Text>,
    allowed_auths: Option<AskText>,
    auth_none: Option<AskText>,
    auth_password: Option<AskTexts>,
    auth_password_change: Option<AskThreeTexts>,
    auth_publickey: Option<AskKey>,
    auth_interactive: Option<AskTexts>,
    auth_interactive_answers: Option<AskText>,
    authenticated: Option<unsafe extern "C" fn(Userdata, OfTransport, Text)>,
    channel_open: Option<AskChannel>,
    channel_request: Option<AskRequest>,
    global_request: Option<AskData>,
    port_forward: Option<AskAddress>,
    cancel_port_forward: Option<AskAddress>,
    streamlocal_forward: Option<AskText>,
    cancel_streamlocal_forward: Option<AskText>,
    forwarded: Option<Forwarded>,
    disconnected: Option<unsafe extern "C" fn(Userdata, OfTransport, nacre_status, *const nacre_error)>,
}

/// The application's callbacks with the pointer that they get.
pub struct Callbacks {
    owned: Owned,
    table: Table,
    /// Of a host key check.
    memory: Option<Memory>,
}

impl Callbacks {
    pub fn of_server(given: &nacre_server_callbacks) -> Self {
        let table = Table {
            connected: given.connected,
            banner: given.banner,
            allowed_auths: given.allowed_auths,
            auth_none: given.auth_none,
            auth_password: given.auth_password,
            auth_password_change: given.auth_password_change,
            auth_publickey: given.auth_publickey,
            auth_interactive: given.auth_interactive,
            auth_interactive_answers: given.auth_interactive_answers,
            authenticated: given.authenticated,
            channel_open: given.channel_open,
            channel_request: given.channel_request,
            global_request: given.global_request,
            port_forward: given.port_forward,
            cancel_port_forward: given.cancel_port_forward,
            streamlocal_forward: given.streamlocal_forward,
            cancel_streamlocal_forward: given.cancel_streamlocal_forward,
            disconnected: given.disconnected,
            ..Table::default()
        };
        Self::new(Owned::new(given.userdata, given.destroy), table)
    }

    pub fn of_client(given: &nacre_client_callbacks) -> Self {
        let table = Table {
            interactive: given.interactive,
            new_password: given.new_password,
            channel_open: given.channel_open,
            channel_request: given.channel_request,
            global_request: given.global_request,
            disconnected: given.disconnected,
            ..Table::default()
        };
        Self::new(Owned::new(given.userdata, given.destroy), table)
    }

    pub fn of_host_key_check(given: &nacre_host_key_check) -> Self {
        let table = Table { host_key: given.ask, ..Table::default() };
        Self::new(Owned::new(given.userdata, given.destroy), table)
    }

    pub fn of_interactive(interactive: Option<AskTicket>, owned: Owned) -> Self {
        Self::new(owned, Table { interactive, ..Table::default() })
    }

    pub fn of_forward(forwarded: Forwarded, owned: Owned) -> Self {
        Self::new(owned, Table { forwarded: Some(forwarded), ..Table::default() })
    }

    fn new(owned: Owned, table: Table) -> Self {
        Self { owned, table, memory: None }
    }

    /// Accepted host keys are added to a list.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }

    pub fn asks_about_host_keys(&self) -> bool {
        self.table.host_key.is_some()
    }

    /// The answer of the callback that this question has, or a refusal.
    fn decision(&self, transport: &Arc<Transport>, ticket: &Arc<Ticket>, lent: OfTicket) -> nacre_decision {
        let (userdata, of) = (self.owned.pointer(), lend(transport));
        let table = &self.table;
        let asked = match ticket.question() {
            Question::HostKey { key, verdict } => table.host_key.map(|ask| {
                let key = Arc::new(Key::from(key.clone()));
                // SAFETY, here and below: the application gave the callback for this question, with this userdata.
                unsafe { ask(userdata, of, lend::<nacre_key>(&key), verdict_of(*verdict), lent) }
            }),
            Question::Prompts { .. } => table.interactive.map(|ask| unsafe { ask(userdata, of, lent) }),
            Question::PasswordChange { prompt } => table.new_password.map(|ask| {
                let prompt = terminated_anyway(prompt);
                unsafe { ask(userdata, of, prompt.as_ptr().cast(), lent) }
            }),
            // The key has its own signer.
            Question::Sign(_) => None,
            Question::Server(question) => self.auth_decision(question, of, lent),
            Question::ChannelOpen { .. } if table.forwarded.is_some() => self.forwarded(of, ticket),
            Question::ChannelOpen { kind, data, .. } => table.channel_open.and_then(|ask| {
                let kind = terminated(kind.as_bytes())?;
                let channel = ticket.channel().map(lend)?;
                let (kind, data, length) = (kind.as_ptr().cast(), data.as_ptr().cast(), data.len());
                Some(unsafe { ask(userdata, of, channel, kind, data, length, lent) })
            }),
            Question::ChannelRequest { request, want_reply, .. } => table.channel_request.and_then(|ask| {
                let channel = ticket.channel().map(lend)?;
                with_request(request, *want_reply, |request| unsafe { ask(userdata, of, channel, request, lent) })
            }),
            Question::GlobalRequest { name, data, .. } => {
                self.forward_decision(of, ticket, lent).unwrap_or_else(|| {
                    let (ask, name) = (table.global_request?, terminated(name.as_bytes())?);
                    Some(unsafe { ask(userdata, of, name.as_ptr().cast(), data.as_ptr().cast(), data.len(), lent) })
                })
            }
        };
        asked.unwrap_or(NACRE_REJECT)
    }

    /// A connection came to where the server listens for us: it is taken, and the handler has it from then on.
    fn forwarded(&self, of: OfTransport, ticket: &Arc<Ticket>) -> Option<nacre_decision> {
        let (forwarded, channel) = (self.table.forwarded?, ticket.channel()?);
        ticket.decide(Decision::Keep).ok()?;
        // SAFETY: as above.
        unsafe { forwarded(self.owned.pointer(), of, lend(channel)) };
        Some(NACRE_ACCEPT)
    }

    /// The client wants the server to listen, or to listen no more. Outer None: no callback is for this request alone;
    /// inner None: a string would end early.
    fn forward_decision(&self, of: OfTransport, ticket: &Ticket, lent: OfTicket) -> Option<Option<nacre_decision>> {
        let (userdata, table) = (self.owned.pointer(), &self.table);
        let (verb, at) = ticket.listen_at()?;
        // SAFETY, in both: the application gave the callback for this question, with this userdata.
        match at {
            ListenAt::Tcp(at) => {
                let ask = match verb {
                    ForwardVerb::Listen => table.port_forward?,
                    ForwardVerb::Cancel => table.cancel_port_forward?,
                };
                let host = terminated(&at.host);
                Some(host.map(|host| unsafe { ask(userdata, of, host.as_ptr().cast(), at.port.into(), lent) }))
            }
            ListenAt::Path(path) => {
                let ask = match verb {
                    ForwardVerb::Listen => table.streamlocal_forward?,
                    ForwardVerb::Cancel => table.cancel_streamlocal_forward?,
                };
                Some(terminated(&path).map(|path| unsafe { ask(userdata, of, path.as_ptr().cast(), lent) }))
            }
        }
    }

    /// None: there is no callback, or a string would end early.
    fn auth_decision(&self, question: &ServerQuestion, of: OfTransport, lent: OfTicket) -> Option<nacre_decision> {
        let userdata = self.owned.pointer();
        let table = &self.table;
        let user = terminated(user_of(question))?;
        let user: Text = user.as_ptr().cast();
        // SAFETY, in all of these: the application gave the callback for this question, with this userdata.
        match question {
            ServerQuestion::AllowedMethods { .. } => {
                Some(table.allowed_auths.map_or(NACRE_ACCEPT, |ask| unsafe { ask(userdata, of, user, lent) }))
            }
            ServerQuestion::None { .. } => table.auth_none.map(|ask| unsafe { ask(userdata, of, user, lent) }),
            ServerQuestion::Password { password, .. } => {
                let (ask, password) = (table.auth_password?, terminated(password)?);
                Some(unsafe { ask(userdata, of, user, password.as_ptr().cast(), lent) })
            }
            ServerQuestion::PasswordChange { old, new, .. } => {
                let (ask, old, new) = (table.auth_password_change?, terminated(old)?, terminated(new)?);
                Some(unsafe { ask(userdata, of, user, old.as_ptr().cast(), new.as_ptr().cast(), lent) })
            }
            ServerQuestion::Publickey { key, signed, .. } => {
                let (ask, key) = (table.auth_publickey?, Arc::new(Key::from(key.clone())));
                Some(unsafe { ask(userdata, of, user, lend::<nacre_key>(&key), i32::from(*signed), lent) })
            }
            ServerQuestion::InteractiveStart { submethods, .. } => {
                let (ask, submethods) = (table.auth_interactive?, terminated(submethods.as_bytes())?);
                Some(unsafe { ask(userdata, of, user, submethods.as_ptr().cast(), lent) })
            }
            ServerQuestion::InteractiveAnswers { .. } => {
                table.auth_interactive_answers.map(|ask| unsafe { ask(userdata, of, user, lent) })
            }
        }
    }

    /// The methods that have a callback.
    fn methods(&self) -> String {
        let table = &self.table;
        let methods = [
            ("publickey", table.auth_publickey.is_some()),
            ("password", table.auth_password.is_some()),
            ("keyboard-interactive", table.auth_interactive.is_some()),
        ];
        methods.iter().filter(|(_, there)| *there).map(|(method, _)| *method).collect::<Vec<_>>().join(",")
    }
}

impl Asker for Callbacks {
    fn ask(&self, transport: &Arc<Transport>, ticket: &Arc<Ticket>) -> Decision {
        let decision = super::ticket::ask(ticket, |lent| self.decision(transport, ticket, lent));
        if decision == Decision::Defer {
            return decision;
        }
        let opens = matches!(ticket.question(), Question::ChannelOpen { .. });
        if opens && decision == Decision::Keep && !ticket.is_answered() && ticket.decide(decision).is_err() {
            // Nothing waits for it any more, but the application has been told that the channel is its own: it is to be
            // freed, as any other.
            if let Some(channel) = ticket.channel() {
                channel.add_owner();
                give::<nacre_channel>(Arc::clone(channel));
            }
        }
        let names_methods = matches!(ticket.question(), Question::Server(ServerQuestion::AllowedMethods { .. }));
        if names_methods && decision == Decision::Accept {
            // Fails when the callback has named them itself.
            let _ = ticket.answer(Answer::Methods(self.methods()));
        }
        decision
    }

    fn notify(&self, transport: &Arc<Transport>, notice: &Notice) {
        let (userdata, of) = (self.owned.pointer(), lend(transport));
        // SAFETY, in all of these: the application gave the callback for this notice, with this userdata.
        match notice {
            Notice::Connected => {
                if let Some(connected) = self.table.connected {
                    unsafe { connected(userdata, of) };
                }
                if let Some(banner) = self.table.banner {
                    let banner = unsafe { super::text::optional_text(banner(userdata, of)) };
                    // It fails when the connection is gone meanwhile, which others tell.
                    let _ = banner.map(|text| text.map(|text| transport.send_banner(text)));
                }
            }
            Notice::HostKeyAccepted(key) => {
                if let Some(memory) = &self.memory {
                    memory.add(key);
                }
            }
            Notice::Authenticated { user, .. } => {
                if let (Some(authenticated), Some(user)) = (self.table.authenticated, terminated(user)) {
                    unsafe { authenticated(userdata, of, user.as_ptr().cast()) };
                }
            }
            Notice::Disconnected(error) => {
                if let Some(disconnected) = self.table.disconnected {
                    let shared = Arc::new(error.clone());
                    unsafe { disconnected(userdata, of, status_of(error), lend::<nacre_error>(&shared)) };
                }
            }
        }
    }
}

fn with_request(
    request: &ChannelRequest,
    want_reply: bool,
    ask: impl FnOnce(*const nacre_request) -> nacre_decision,
) -> Option<nacre_decision> {
    let (name, data) = (terminated(request.name().as_bytes())?, data_of_request(request));
    let texts: Vec<_> = texts_of_request(request).into_iter().map(terminated_anyway).collect();
    let text = |index: usize| {
        texts.get(index).map_or((std::ptr::null(), 0), |text| (text.as_ptr().cast::<c_char>(), text.len() - 1))
    };
    let [columns, rows, width_pixels, height_pixels] = size_of_terminal(request).unwrap_or_default();
    let described = nacre_request {
        size: size_of::<nacre_request>(),
        kind: request_of(request),
        want_reply: i32::from(want_reply),
        name: name.as_ptr().cast(),
        text: text(0).0,
        text_len: text(0).1,
        value: text(1).0,
        value_len: text(1).1,
        data: data.as_ptr().cast(),
        data_len: data.len(),
        columns,
        rows,
        width_pixels,
        height_pixels,
        break_ms: if let ChannelRequest::Break(length) = request { u64::from(*length) } else { 0 },
    };
    Some(ask(&raw const described))
}
