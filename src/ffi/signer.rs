//! Keys that the application signs for.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{give, lend};
use super::error::{making, nacre_error};
use super::key::{Key, nacre_key};
use super::status::nacre_status;
use super::structs::{Read, public_struct, read_with_unknown};
use super::text::{piece, set, terminated};
use super::ticket::{NACRE_REJECT, nacre_decision, nacre_ticket};
use super::userdata::Owned;
use crate::engine::{Decision, PublicKey, Question, Signer, Ticket, key_of_signer};

/// Signs for a key whose private half only the application can reach: a token, a security module, another process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_signer {
    pub size: usize,
    pub userdata: *mut c_void,
    /// Runs exactly once, when no call can follow, also when nacre_key_from_signer fails.
    pub destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    /// Signs `data`, which is not hashed, as `algorithm` says ("ssh-ed25519", "rsa-sha2-256", ...), and gives the bare
    /// signature to nacre_ticket_answer_bytes: of Ed25519 64 bytes; of RSA as many as the modulus has; of ECDSA both numbers
    /// side by side, each as long as the curve's field (PKCS #11), or in DER, or as SSH has them. A whole signature blob, as
    /// nacre_key_sign gives it, is taken too. It is verified before it is sent.
    ///
    /// With NACRE_DEFER the answer may come later, from any thread; every other value without an answer refuses. NULL:
    /// refuses, but with NACRE_AS_EVENTS a QUESTION event comes (NACRE_QUESTION_SIGN), then also when it is not NULL.
    pub sign: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            key: *const nacre_key,
            algorithm: *const c_char,
            data: *const c_void,
            len: usize,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
}
public_struct!(nacre_signer, sign: Option<unsafe extern "C" fn()>);

struct Application {
    owned: Owned,
    sign: Option<
        unsafe extern "C" fn(
            *mut c_void,
            *const nacre_key,
            *const c_char,
            *const c_void,
            usize,
            *mut nacre_ticket,
        ) -> nacre_decision,
    >,
}

impl Signer for Application {
    fn sign(&self, ticket: &Arc<Ticket>) -> Decision {
        let (Some(sign), Question::Sign(wanted)) = (self.sign, ticket.question()) else { return Decision::Reject };
        let key = Arc::new(Key::from(Arc::clone(&wanted.key)));
        super::ticket::ask(ticket, |lent| {
            terminated(wanted.algorithm.as_bytes()).map_or(NACRE_REJECT, |algorithm| {
                let (data, length) = (wanted.data.as_ptr().cast(), wanted.data.len());
                // SAFETY: the application gave the callback with this userdata; what it is lent lives until it returns.
                unsafe {
                    sign(self.owned.pointer(), lend::<nacre_key>(&key), algorithm.as_ptr().cast(), data, length, lent)
                }
            })
        })
    }
}

/// Makes a key that signs through the application: for users (nacre_transport_auth_publickey), as host key
/// (nacre_transport_add_host_key) and for nacre_key_sign.
///
/// `public_blob` is the public half as it is on the wire (nacre_key_public_blob). `signer` is copied. While a connection
/// waits for a signature the decision limit applies (NACRE_LIMIT_DECISION), on the server also the limits of the
/// handshake and the login; without a connection 60 s do. A signature that does not verify, that is refused or that does
/// not come ends what it was for: NACRE_ERR_CALLBACK, and NACRE_ERR_TIMEOUT for the last.
/// Errors: NACRE_ERR_KEY_FORMAT and _UNSUPPORTED for the blob, _ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_from_signer(
    public_blob: *const c_void,
    len: usize,
    signer: *const nacre_signer,
    key: *mut *mut nacre_key,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        // Taken over before anything can fail; what fails is destroyed when the call is over.
        let read = read_with_unknown(signer, "the signer").map(|Read { value, unknown }| {
            (Arc::new(Application { owned: Owned::new(value.userdata, value.destroy), sign: value.sign }), unknown)
        });
        making(err, || {
            set(key, std::ptr::null_mut())?;
            let (application, unknown) = read.as_ref().map_err(Clone::clone)?;
            unknown.clone()?;
            let public = PublicKey::from_blob(piece(public_blob, len)?)?;
            let signer: Arc<dyn Signer> = Arc::clone(application) as Arc<dyn Signer>;
            set(key, give(Arc::new(Key::from(Arc::new(key_of_signer(public, String::new(), signer))))))
        })
    }
}
