//! A client on russh: one command, on one channel or on several at once.

use std::sync::Arc;

use peer_russh::{Options, Result};
use russh::client::{self, Handle, KeyboardInteractiveAuthResponse, Msg};
use russh::keys::{
    Algorithm, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, load_public_key, load_secret_key,
};
use russh::{Channel, ChannelMsg, ChannelReadHalf, Disconnect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Known(PublicKey);

impl client::Handler for Known {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> std::result::Result<bool, russh::Error> {
        Ok(matches!(shown, PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == self.0.key_data()))
    }
}

async fn log_in(session: &mut Handle<Known>, options: &Options) -> Result<bool> {
    let user = &options.user;
    match options.auth.as_str() {
        "none" => Ok(session.authenticate_none(user).await?.success()),
        "password" => Ok(session.authenticate_password(user, &options.password).await?.success()),
        "publickey" => {
            let key = load_secret_key(&options.key, None)?;
            let hash = match key.algorithm() {
                Algorithm::Rsa { .. } => session.best_supported_rsa_hash().await?.flatten(),
                _ => None,
            };
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            Ok(session.authenticate_publickey(user, key).await?.success())
        }
        "keyboard-interactive" => {
            let mut answer = session.authenticate_keyboard_interactive_start(user, None).await?;
            while let KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } = answer {
                let answers = prompts.iter().map(|_| options.password.clone()).collect();
                answer = session.authenticate_keyboard_interactive_respond(answers).await?;
            }
            Ok(matches!(answer, KeyboardInteractiveAuthResponse::Success))
        }
        method => Err(format!("there is no method {method}").into()),
    }
}

async fn start(session: &Handle<Known>, command: &str) -> Result<Channel<Msg>> {
    let channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    Ok(channel)
}

/// Output and errors to ours, as they come; returns the exit status.
async fn pass_output(from: &mut ChannelReadHalf) -> Result<u32> {
    let (mut out, mut err, mut status) = (tokio::io::stdout(), tokio::io::stderr(), None);
    while let Some(message) = from.wait().await {
        match message {
            ChannelMsg::Data { data } => out.write_all(&data).await?,
            ChannelMsg::ExtendedData { data, ext: 1 } => err.write_all(&data).await?,
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Failure => return Err("the command was refused".into()),
            _ => {}
        }
    }
    out.flush().await?;
    status.ok_or_else(|| "there was no exit status".into())
}

async fn run_one(session: &Handle<Known>, command: &str) -> Result<u32> {
    let (mut from, to) = start(session, command).await?.split();
    let input = tokio::spawn(async move {
        let (mut stdin, mut buffer) = (tokio::io::stdin(), vec![0; 65536]);
        while let Ok(count @ 1..) = stdin.read(&mut buffer).await {
            if to.data_bytes(buffer[..count].to_vec()).await.is_err() {
                return;
            }
        }
        let _ = to.eof().await;
    });
    let status = pass_output(&mut from).await;
    input.abort();
    status
}

/// All channels are open before the first is read; the status is the greatest.
async fn run_many(session: &Handle<Known>, options: &Options) -> Result<u32> {
    let mut open = Vec::new();
    for _ in 0..options.channels {
        open.push(start(session, &options.command).await?);
    }
    let mut worst = 0;
    for channel in open {
        let (mut from, to) = channel.split();
        to.eof().await?;
        worst = worst.max(pass_output(&mut from).await?);
    }
    Ok(worst)
}

async fn run(options: &Options) -> Result<u32> {
    let config = client::Config {
        limits: options.limits(),
        preferred: options.preferred()?,
        nodelay: true,
        ..Default::default()
    };
    let known = Known(load_public_key(&options.known_host_key)?);
    let mut session = client::connect(Arc::new(config), (options.host.as_str(), options.port), known).await?;
    if !log_in(&mut session, options).await? {
        return Err("the login was refused".into());
    }
    let status = match options.channels {
        1 => run_one(&session, &options.command).await?,
        _ => run_many(&session, options).await?,
    };
    session.disconnect(Disconnect::ByApplication, "", "").await?;
    Ok(status)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let status = match Options::parse() {
        Ok(options) => run(&options).await,
        Err(error) => Err(error),
    };
    // Not a return: the thread that reads our input may never come back.
    std::process::exit(status.map(|status| status as i32).unwrap_or_else(|error| {
        eprintln!("{error}");
        255
    }));
}
