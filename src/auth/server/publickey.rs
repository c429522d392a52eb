use super::exchange::{Begun, Exchange, Step, decide};
use super::{ServerAnswer, ServerContext, ServerQuestion};
use crate::auth::publickey::{Acceptable, HOSTBOUND_NAME, Request};
use crate::error::{Error, Result};
use crate::keys::{PublicKey, SecurityKeyUse};
use crate::wire::messages::UserauthRequest;

/// RFC 4252 section 7. Nothing is remembered from one request to the next: what counts is the key that signed.
enum Publickey {
    /// Would this key do? The client asks, so that it need not sign in vain.
    Probe {
        acceptable: Vec<u8>,
    },
    Verified,
}

/// The application hears of a signed request only after the signature was verified.
pub fn begin(context: &ServerContext, request: &UserauthRequest<'_>) -> Begun {
    let Ok(decoded) = Request::decode(request.fields.0, request.method == HOSTBOUND_NAME) else {
        return Begun::Failed { counted: true };
    };
    // A probe gives nothing away and proves nothing: the limit of requests is enough for it.
    let counted = decoded.signature.is_some();
    match check(context, request.user, &decoded) {
        Ok((key, security_key)) => {
            let exchange = match decoded.signature {
                Some(_) => Publickey::Verified,
                None => Publickey::Probe {
                    acceptable: Acceptable { algorithm: decoded.algorithm.as_bytes(), blob: decoded.blob }.encode(),
                },
            };
            let question = ServerQuestion::Publickey {
                user: request.user.to_vec(),
                algorithm: decoded.algorithm.to_owned(),
                key,
                signed: counted,
                security_key,
            };
            Begun::Running(Box::new(exchange), question)
        }
        Err(_) => Begun::Failed { counted },
    }
}

fn check(context: &ServerContext, user: &[u8], request: &Request<'_>) -> Result<(PublicKey, Option<SecurityKeyUse>)> {
    // Before the blob is looked at: what is not allowed reaches no parser.
    if !context.pubkey_algorithms.contains(&request.algorithm) {
        return Err(Error::algorithm("the signature algorithm is not allowed"));
    }
    if request.host_key.is_some() && request.host_key != context.host_key_blob.as_deref() {
        return Err(Error::protocol("the request is for another server"));
    }
    let key = PublicKey::from_blob(request.blob)?;
    if !key.fits(request.algorithm) {
        return Err(Error::algorithm("the signature algorithm does not fit the key"));
    }
    let rules = &context.signature_rules;
    rules.allow_size_of(&key)?;
    let Some(signature) = request.signature else { return Ok((key, None)) };
    let data = request.signed_data(&context.session_id, user);
    let security_key = key.verify_under(rules, request.algorithm, &data, signature)?;
    Ok((key, security_key))
}

impl Exchange for Publickey {
    fn answered(&mut self, answer: ServerAnswer) -> Result<Step> {
        match (self, decide(&answer)?) {
            (Self::Verified, step) => Ok(step),
            (Self::Probe { acceptable }, Step::Accept | Step::Partial) => {
                Ok(Step::Conclude(std::mem::take(acceptable)))
            }
            (Self::Probe { .. }, _) => Ok(Step::Fail { counted: false }),
        }
    }
}
