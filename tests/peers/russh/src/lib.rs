//! What the client and the server share: the options, and lists of algorithms in russh's terms.

use std::time::Duration;

use russh::{Limits, Preferred, cipher, compression, kex, mac};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Default)]
pub struct Options {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub auth: String,
    pub key: String,
    pub known_host_key: String,
    pub hostkey: String,
    pub authorized_key: String,
    pub kex: Option<String>,
    pub host_key_algorithms: Option<String>,
    pub ciphers: Option<String>,
    pub macs: Option<String>,
    pub compression: Option<String>,
    pub rekey_bytes: Option<usize>,
    pub channels: usize,
    pub command: String,
}

impl Options {
    pub fn parse() -> Result<Self> {
        let mut options = Self { channels: 1, ..Self::default() };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let Some(option) = name.strip_prefix("--") else {
                options.command = name;
                continue;
            };
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            match option {
                "host" => options.host = value,
                "port" => options.port = value.parse()?,
                "user" => options.user = value,
                "password" => options.password = value,
                "auth" => options.auth = value,
                "key" => options.key = value,
                "known-host-key" => options.known_host_key = value,
                "hostkey" => options.hostkey = value,
                "authorized-key" => options.authorized_key = value,
                "kex" => options.kex = Some(value),
                "host-key-algorithms" => options.host_key_algorithms = Some(value),
                "ciphers" => options.ciphers = Some(value),
                "macs" => options.macs = Some(value),
                "compression" => options.compression = Some(value),
                "rekey-bytes" => options.rekey_bytes = Some(value.parse()?),
                "channels" => options.channels = value.parse()?,
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        Ok(options)
    }

    /// What russh prefers, but for the lists that were given.
    pub fn preferred(&self) -> Result<Preferred> {
        let mut preferred = Preferred::default();
        if let Some(list) = &self.kex {
            let mut names = named(list, |name| kex::Name::try_from(name).ok())?;
            names.extend([
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_SUPPORT_AS_SERVER,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
            ]);
            preferred.kex = names.into();
        }
        if let Some(list) = &self.host_key_algorithms {
            preferred.key = named(list, |name| name.parse().ok())?.into();
        }
        if let Some(list) = &self.ciphers {
            preferred.cipher = named(list, |name| cipher::Name::try_from(name).ok())?.into();
        }
        if let Some(list) = &self.macs {
            preferred.mac = named(list, |name| mac::Name::try_from(name).ok())?.into();
        }
        if let Some(list) = &self.compression {
            preferred.compression = named(list, |name| compression::Name::try_from(name).ok())?.into();
        }
        Ok(preferred)
    }

    pub fn limits(&self) -> Limits {
        match self.rekey_bytes {
            Some(bytes) => Limits::new(bytes, bytes, Duration::from_secs(3600)),
            None => Limits::default(),
        }
    }
}

fn named<T>(list: &str, find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    list.split(',').map(|name| find(name).ok_or_else(|| format!("russh has no {name}").into())).collect()
}
