//! A whole session of one role. Its peer has a transport of its own, so that it gets through the key exchange, and then
//! sends what it likes under the right keys; or bytes that are no packets at all. Time passes in leaps.

use crate::hostile::{self, Repeatable};
use crate::input::Input;
use nacre::error::Error;
use nacre::session::{
    Answer, ChannelId, ClientMethod, Exit, HostKeyCheck, HostKeyPolicy, Keepalive, Limit, Question, QuestionId,
    RekeyLimits, ServerQuestion, Session, SessionConfig, SessionEvent, SessionState, StderrMode, Stream,
};
use nacre::transport::{AlgorithmKind, Config, Role, Transport, available};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

pub fn run_client(data: &[u8]) {
    run(Role::Client, data);
}

pub fn run_server(data: &[u8]) {
    run(Role::Server, data);
}

fn run(role: Role, data: &[u8]) {
    let mut input = Input::new(data);
    let Some(mut world) = World::new(role, &mut input) else { return };
    while !input.is_empty() {
        world.step(&mut input);
        if world.over {
            break;
        }
    }
    world.finish();
}

struct World {
    role: Role,
    session: Session,
    peer: Transport,
    now: Instant,
    open: Vec<(QuestionId, Question)>,
    channels: Vec<ChannelId>,
    /// The application let a user in, or the peer said that it did.
    granted: bool,
    over: bool,
}

impl World {
    fn new(role: Role, input: &mut Input<'_>) -> Option<Self> {
        let now = Instant::now();
        let mut config = SessionConfig::new(role);
        let mut peer = Config::new(if role == Role::Client { Role::Server } else { Role::Client });
        config.host_keys = vec![hostile::keys()[0].clone()];
        peer.host_keys.clone_from(&config.host_keys);
        config.failure_delay_secret = [1; 16];
        let shape = input.byte();
        if shape & 1 != 0 {
            // Whatever there is can be chosen, by name.
            for kind in [AlgorithmKind::Kex, AlgorithmKind::Cipher, AlgorithmKind::Mac, AlgorithmKind::Compression] {
                let name = *input.pick(&available(kind));
                config.algorithms.set(kind, name).expect("a known name");
                peer.algorithms.set(kind, name).expect("a known name");
            }
        }
        config.host_key_policy = match shape >> 1 & 3 {
            0 | 1 => HostKeyPolicy::Any,
            2 => HostKeyPolicy::Unset,
            _ => HostKeyPolicy::Check(Box::new(HostKeyCheck {
                ask: true,
                fixed_order: shape & 64 != 0,
                ..HostKeyCheck::default()
            })),
        };
        if shape & 8 != 0 {
            config.keepalive = Keepalive { interval: Some(Duration::from_secs(1)), max_unanswered: 3 };
            config.rekey = RekeyLimits { bytes: 20_000, packets: 60, interval: Duration::from_secs(30) };
        }
        let mut world = Self {
            role,
            session: Session::new(config, Box::new(Repeatable(1)), now).ok()?,
            peer: Transport::new(peer, Box::new(Repeatable(2)), now).ok()?,
            now,
            open: Vec::new(),
            channels: Vec::new(),
            granted: false,
            over: false,
        };
        if shape & 16 != 0 {
            world.exchange();
        }
        // Most of what there is to find lies behind the login.
        if shape & 32 != 0 {
            world.log_in();
        }
        Some(world)
    }

    fn log_in(&mut self) {
        self.exchange();
        self.exchange();
        let messages: &[&[u8]] = match self.role {
            Role::Server => &[
                b"\x05\0\0\0\x0cssh-userauth",
                b"\x32\0\0\0\x01u\0\0\0\x0essh-connection\0\0\0\x08password\0\0\0\0\x01p",
            ],
            Role::Client => &[b"\x06\0\0\0\x0cssh-userauth", b"\x34"],
        };
        if self.role == Role::Client {
            let _ = self.session.trust_host_key();
            let password = Zeroizing::new(b"p".to_vec());
            let method = ClientMethod::Password { password, fallback_to_interactive: false };
            let _ = self.session.authenticate(b"u", method, self.now);
            self.granted = true;
        }
        for message in messages {
            let _ = self.peer.send_raw(message);
            self.exchange();
        }
        while let Some((id, _)) = self.open.pop() {
            self.granted = true;
            let _ = self.session.answer(id, Answer::Accept, self.now);
            self.take_events();
        }
        self.exchange();
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0..=4 => {
                let (number, fields) = hostile::connection_message(input);
                self.send(number, &fields);
            }
            5 => {
                let session_id = self.session.session_id().to_vec();
                let (number, fields) = hostile::auth_message(input, self.role == Role::Server, &session_id);
                self.granted |= self.role == Role::Client && number == 52;
                self.send(number, &fields);
            }
            6 => {
                // DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, EXT_INFO, KEXINIT, NEWKEYS, key exchange, PING, PONG, none.
                let number = *input.pick(&[1, 2, 3, 4, 7, 20, 21, 30, 31, 32, 192, 193, 255, 0]);
                self.send(number, input.bytes(600));
            }
            7 => {
                let bytes = input.bytes(300).to_vec();
                self.deliver(&bytes);
            }
            8 => {
                let _ = self.peer.rekey(self.now);
                self.exchange();
            }
            9 => self.pass_time(input),
            10 | 11 => self.answer(input),
            12 => self.exchange(),
            _ => self.act(input),
        }
        self.take_events();
        self.check();
    }

    fn send(&mut self, number: u8, fields: &[u8]) {
        let _ = self.peer.send_raw(&[&[number], fields].concat());
        self.exchange();
    }

    /// What both have to say goes over, until they are silent.
    fn exchange(&mut self) {
        for _ in 0..8 {
            let bytes = self.peer.output().to_vec();
            self.peer.consume_output(bytes.len());
            self.deliver(&bytes);
            let reply = self.session.output().to_vec();
            self.session.consume_output(reply.len(), self.now);
            self.take_events();
            if bytes.is_empty() && reply.is_empty() {
                return;
            }
            self.peer.receive_buffer().extend_from_slice(&reply);
            while let Ok(Some(_)) = self.peer.next_packet(self.now) {}
            while self.peer.next_event().is_some() {}
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        if self.session.wants_input() {
            self.session.receive(bytes, self.now);
        }
        self.take_events();
    }

    fn pass_time(&mut self, input: &mut Input<'_>) {
        let until = self.now + Duration::from_millis(u64::from(input.byte()) << (input.byte() % 12));
        for _ in 0..1000 {
            let Some(at) = self.session.next_timeout().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.session.timeout(self.now);
            self.take_events();
            let again = self.session.next_timeout();
            assert!(again.is_none_or(|again| again > self.now), "a timer that is due stays due");
        }
        self.now = until;
        self.peer_time();
    }

    fn peer_time(&mut self) {
        if self.peer.next_timeout().is_some_and(|at| at <= self.now) {
            let _ = self.peer.timeout(self.now);
        }
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let at = input.below(self.open.len());
        if self.open.is_empty() {
            return;
        }
        let (id, question) = self.open.swap_remove(at);
        let answer = match input.byte() % 12 {
            0..=3 => Answer::Accept,
            4 | 5 => Answer::Reject,
            6 => Answer::Partial,
            7 => Answer::Texts((0..input.below(4)).map(|_| Zeroizing::new(input.bytes(40).to_vec())).collect()),
            8 => match &question {
                Question::Sign(wanted) => hostile::signature(wanted).map_or_else(Answer::Failed, Answer::Bytes),
                _ => Answer::Bytes(input.bytes(100).to_vec()),
            },
            9 => Answer::Methods((*input.pick(&["password", "publickey,keyboard-interactive", "none,x"])).to_owned()),
            10 => Answer::Prompts {
                name: Vec::new(),
                instruction: input.bytes(40).to_vec(),
                prompts: (0..input.below(3)).map(|_| (input.bytes(40).to_vec(), input.boolean())).collect(),
            },
            _ => Answer::Refuse { code: input.number(), text: input.text(40) },
        };
        let accepts = matches!(answer, Answer::Accept);
        if accepts && let Question::Server(asked) = &question {
            self.granted |= !matches!(
                asked,
                ServerQuestion::AllowedMethods { .. } | ServerQuestion::Publickey { signed: false, .. }
            );
        }
        let channel = match &question {
            Question::ChannelOpen { channel, .. } if accepts => Some(*channel),
            _ => None,
        };
        match self.session.answer(id, answer, self.now) {
            Ok(()) => self.channels.extend(channel),
            Err(Error::Argument(_) | Error::Limit(_)) => self.open.push((id, question)),
            Err(_) => {}
        }
    }

    /// What an application does; errors are its own.
    fn act(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        let choice = input.byte();
        let id = if self.channels.is_empty() { input.number() } else { *input.pick(&self.channels) };
        let session = &mut self.session;
        let stream = if input.boolean() { Stream::Data } else { Stream::STDERR };
        let _ = match choice % 20 {
            0 | 1 => session.open_channel("session", input.bytes(20), None, None, now).map(|id| self.channels.push(id)),
            2 | 3 => session.read(id, stream, &mut [0; 5000], now).map(drop),
            4 => session.peek(id, stream, &mut [0; 50]).map(drop),
            5 | 6 => session.write(id, stream, &vec![b'w'; input.number() as usize % 300_000], now).map(drop),
            7 => session.send_eof(id, now),
            8 => session.close_channel(id, now),
            9 => {
                session.forget_channel(id, now);
                self.channels.retain(|known| *known != id);
                Ok(())
            }
            10 => session.set_stderr(id, *input.pick(&[StderrMode::Combine, StderrMode::Discard]), now),
            11 => session.finish_with(id, Exit::Status(input.number()), now),
            12 => session.channel_request(id, &input.text(40), input.bytes(100), input.boolean(), now).map(drop),
            13 => session.global_request(&input.text(40), input.bytes(100), input.boolean(), now).map(drop),
            14 => session.rekey(now),
            15 => session.send_ignore(input.bytes(100), now),
            16 => {
                let limit = *input.pick(Limit::ALL);
                session.set_limit(limit, u64::from(input.number()))
            }
            17 if self.role == Role::Client => {
                let method = match input.byte() % 4 {
                    0 => ClientMethod::None,
                    1 => ClientMethod::Interactive { submethods: String::new() },
                    2 => ClientMethod::Publickey { key: hostile::keys()[0].clone(), probe: input.boolean() },
                    _ => ClientMethod::Publickey { key: hostile::outside(0), probe: input.boolean() },
                };
                session.authenticate(input.bytes(20), method, now)
            }
            17 => session.send_banner(input.bytes(100), now),
            18 if self.role == Role::Client => session.trust_host_key(),
            _ => {
                match input.byte() {
                    250.. => session.close(now),
                    240.. => session.disconnect(input.number(), &input.text(40), now),
                    230.. => session.end_of_stream(None, now),
                    _ => session.release_idle_buffers(),
                }
                Ok(())
            }
        };
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.next_event() {
            assert!(!self.over, "{event:?} after the last event");
            match event {
                SessionEvent::Question { id, question } => self.open.push((id, question)),
                SessionEvent::QuestionWithdrawn { id } => self.open.retain(|open| open.0 != id),
                SessionEvent::Ended(_) => self.over = true,
                SessionEvent::Authenticated { .. } => assert!(self.granted, "nobody let the user in"),
                SessionEvent::AuthFinished(Ok(())) => assert!(self.granted, "nobody let us in"),
                _ => {}
            }
        }
    }

    fn check(&self) {
        assert!(self.granted || self.session.state() != SessionState::Authenticated);
        assert!(self.session.output().len() < 8 << 20, "{} bytes of output", self.session.output().len());
        assert_eq!(self.over, self.session.state() == SessionState::Ended);
        assert!(self.open.len() < 10_000);
        let _ = (self.session.counters(), self.session.negotiated(), self.session.is_flushed());
    }

    /// However it stands, an end of the stream is an end.
    fn finish(mut self) {
        self.session.end_of_stream(None, self.now);
        self.take_events();
        assert!(self.over, "no end");
        assert!(self.session.next_timeout().is_none());
        for id in self.channels.clone() {
            while self.session.read(id, Stream::Data, &mut [0; 5000], self.now).is_ok_and(|count| count > 0) {}
            self.session.forget_channel(id, self.now);
        }
    }
}
