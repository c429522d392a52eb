//! A server on russh: one user, commands with /bin/sh.

use std::borrow::Cow;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use peer_russh::{Options, Result};
use russh::keys::{PublicKey, load_public_key, load_secret_key};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Server as _, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

struct Server {
    options: Arc<Options>,
    key: PublicKey,
}

struct Connection {
    options: Arc<Options>,
    key: PublicKey,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl russh::server::Server for Server {
    type Handler = Connection;

    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Connection {
        Connection { options: self.options.clone(), key: self.key.clone(), channels: HashMap::new() }
    }
}

impl Connection {
    fn decide(&self, user: &str, right: bool) -> Auth {
        if right && user == self.options.user { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> std::result::Result<Auth, russh::Error> {
        Ok(self.decide(user, password == self.options.password))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> std::result::Result<Auth, russh::Error> {
        Ok(self.decide(user, key.public_key.key_data() == self.key.key_data()))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> std::result::Result<Auth, russh::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            });
        };
        let right = response.next().is_some_and(|answer| &answer[..] == self.options.password.as_bytes());
        Ok(self.decide(user, right && response.next().is_none()))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> std::result::Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> std::result::Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let command = String::from_utf8_lossy(command).into_owned();
        tokio::spawn(async move {
            if let Err(error) = serve(channel, &command).await {
                eprintln!("{command}: {error}");
            }
        });
        Ok(())
    }
}

async fn serve(channel: Channel<Msg>, command: &str) -> Result<()> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut from, to) = channel.split();
    let input = tokio::spawn(async move {
        while let Some(message) = from.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    if let Some(pipe) = &mut stdin
                        && pipe.write_all(&data).await.is_err()
                    {
                        stdin = None;
                    }
                }
                ChannelMsg::Eof => stdin = None,
                _ => {}
            }
        }
    });
    let (output, errors) = (pass(stdout, &to, None), pass(stderr, &to, Some(1)));
    tokio::try_join!(output, errors)?;
    let status = child.wait().await?;
    to.exit_status(status.code().unwrap_or(255) as u32).await?;
    to.eof().await?;
    to.close().await?;
    input.abort();
    Ok(())
}

async fn pass(pipe: Option<impl AsyncRead + Unpin>, to: &ChannelWriteHalf<Msg>, kind: Option<u32>) -> Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 65536];
    loop {
        let count = pipe.read(&mut buffer).await?;
        match kind {
            _ if count == 0 => return Ok(()),
            None => to.data_bytes(buffer[..count].to_vec()).await?,
            Some(kind) => to.extended_data_bytes(kind, buffer[..count].to_vec()).await?,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse()?;
    let config = Config {
        keys: vec![load_secret_key(&options.hostkey, None)?],
        auth_rejection_time: Duration::ZERO,
        limits: options.limits(),
        preferred: options.preferred()?,
        nodelay: true,
        ..Default::default()
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut server = Server { key: load_public_key(&options.authorized_key)?, options: Arc::new(options) };
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = server.run_on_socket(Arc::new(config), &listener) => Ok(result?),
        _ = terminate.recv() => Ok(()),
    }
}
