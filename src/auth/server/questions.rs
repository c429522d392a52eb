use crate::auth::interactive::Prompt;
use crate::keys::{PublicKey, SecurityKeyUse};
use crate::wire::clean;
use std::fmt;
use zeroize::Zeroizing;

/// What only the application can decide.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerQuestion {
    /// Which methods may continue: asked once for each user name, and again after each partial success.
    /// [`ServerAnswer::Methods`]; or all that there are ([`ServerAnswer::Accept`]), or none.
    AllowedMethods {
        user: Vec<u8>,
    },
    None {
        user: Vec<u8>,
    },
    Password {
        user: Vec<u8>,
        password: Zeroizing<Vec<u8>>,
    },
    PasswordChange {
        user: Vec<u8>,
        old: Zeroizing<Vec<u8>>,
        new: Zeroizing<Vec<u8>>,
    },
    /// `signed`: the key's owner is there: the signature was verified. Else the question is whether a signature by
    /// this key would do.
    Publickey {
        user: Vec<u8>,
        algorithm: String,
        key: PublicKey,
        signed: bool,
        /// Signed, and by a key in a security key: what that says.
        security_key: Option<SecurityKeyUse>,
    },
    InteractiveStart {
        user: Vec<u8>,
        submethods: String,
    },
    /// One for each prompt.
    InteractiveAnswers {
        user: Vec<u8>,
        answers: Vec<Zeroizing<Vec<u8>>>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAnswer {
    Accept,
    Reject,
    /// This step was right; more are needed.
    Partial,
    /// Comma separated. What this library does not know is left out.
    Methods(String),
    /// Of keyboard-interactive: the next round.
    Prompts {
        name: Vec<u8>,
        instruction: Vec<u8>,
        prompts: Vec<Prompt>,
    },
    /// Of a password, or of the change of one: (another) new one is needed.
    ChangePassword {
        prompt: Vec<u8>,
    },
}

/// Without the secrets.
impl fmt::Debug for ServerQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, user) = match self {
            Self::AllowedMethods { user } => ("AllowedMethods", user),
            Self::None { user } => ("None", user),
            Self::Password { user, .. } => ("Password", user),
            Self::PasswordChange { user, .. } => ("PasswordChange", user),
            Self::Publickey { user, .. } => ("Publickey", user),
            Self::InteractiveStart { user, .. } => ("InteractiveStart", user),
            Self::InteractiveAnswers { user, .. } => ("InteractiveAnswers", user),
        };
        let mut out = f.debug_struct(name);
        out.field("user", &clean(user, 64));
        if let Self::Publickey { algorithm, key, signed, .. } = self {
            return out.field("algorithm", algorithm).field("key", key).field("signed", signed).finish();
        }
        out.finish_non_exhaustive()
    }
}
