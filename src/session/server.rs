//! What only a server does: deciding about users.

use std::time::Instant;

use super::questions::{Pending, Question};
use super::sink::Sink;
use super::{Session, SessionEvent, Stage};
use crate::auth::{AuthLimits, ServerAuth, ServerAuthEvent, ServerContext};
use crate::error::{Error, Result};

impl Session {
    /// Sent before the next authentication reply.
    pub fn send_banner(&mut self, text: &[u8], now: Instant) -> Result<()> {
        self.check_running()?;
        self.check_is_server()?;
        match &mut self.stage {
            Stage::Negotiating | Stage::Keyed => {
                self.banner = Some(text.to_vec());
                Ok(())
            }
            Stage::ServerAuth(auth) => {
                auth.send_banner(text, &mut Sink { transport: &mut self.transport, failure: &mut self.failure })?;
                self.settle(now);
                Ok(())
            }
            Stage::ClientAuth(_) | Stage::Connected(_) => Err(Error::state("the user is authenticated already")),
        }
    }

    pub(super) fn begin_server_auth(&mut self, now: Instant) -> Result<()> {
        let context = ServerContext {
            session_id: self.transport.session_id().to_vec(),
            host_key_blob: self.transport.initial_host_key_blob().map(<[u8]>::to_vec),
            limits: AuthLimits {
                attempts: self.config.limits.auth_attempts,
                requests: self.config.limits.auth_requests,
                ..AuthLimits::default()
            },
            pubkey_algorithms: self.config.algorithms.pubkey_signature.clone(),
            signature_rules: self.config.signature_rules,
            failure_delay_secret: self.config.failure_delay_secret,
        };
        let mut auth = ServerAuth::new(context, now);
        if let Some(text) = self.banner.take() {
            auth.send_banner(&text, &mut Sink { transport: &mut self.transport, failure: &mut self.failure })?;
        }
        self.stage = Stage::ServerAuth(Box::new(auth));
        Ok(())
    }

    pub(super) fn take_server_events(&mut self, now: Instant) -> Result<()> {
        loop {
            let Stage::ServerAuth(auth) = &mut self.stage else { return Ok(()) };
            let Some(event) = auth.next_event() else { return Ok(()) };
            match event {
                ServerAuthEvent::Question { id, question } => {
                    self.ask(Pending::ServerAuth { question: id }, Question::Server(question), now);
                }
                ServerAuthEvent::Authenticated { user, method } => {
                    self.user = Some(user.clone());
                    self.method = Some(method);
                    self.connect(now);
                    self.events.push_back(SessionEvent::Authenticated { user, method });
                }
            }
        }
    }
}
