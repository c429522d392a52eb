//! Users and channels: the messages that most tests need, and the way to a logged-in connection.

use ed25519_dalek::{Signer, SigningKey};

use super::peer::{End, Peer, Side};
use super::{Fields, Message, message};

impl Peer {
    /// Handshake and login, in either role.
    pub fn connect(&mut self) -> Result<(), End> {
        self.handshake()?;
        self.log_in()
    }

    /// Client: with the password. Server: whoever comes with whatever is let in.
    pub fn log_in(&mut self) -> Result<(), End> {
        match self.side {
            Side::Client => {
                self.ask_for_service()?;
                self.send(password_request("user", "secret"));
                self.expect(52).map(drop)
            }
            Side::Server => {
                self.accept_service()?;
                self.expect(50)?;
                self.send(message(52));
                Ok(())
            }
        }
    }

    pub fn ask_for_service(&mut self) -> Result<(), End> {
        self.send(message(5).string("ssh-userauth"));
        self.expect(6).map(drop)
    }
    pub fn accept_service(&mut self) -> Result<(), End> {
        let asked = self.expect(5)?;
        assert_eq!(Fields::of(&asked, 5).text(), "ssh-userauth");
        self.send(message(6).string("ssh-userauth"));
        Ok(())
    }

    /// A signed request; `signed_as` and `algorithm` are the same with an honest peer.
    pub fn publickey_request(&self, user: &str, key: &SigningKey, algorithm: &str, signed_as: &str) -> Message {
        let request = message(50).string(user).string("ssh-connection").string("publickey").boolean(true);
        let request = request.string(algorithm).string(key_blob(key));
        let data = Message::fields().string(&self.session_id).raw(&request);
        let signature = Message::fields().string(signed_as).string(key.sign(data.as_ref()).to_bytes());
        request.string(signature)
    }

    /// Client: a session channel with the number 0 on this side. Gives the library's number.
    pub fn open_session(&mut self, window: u32, packet: u32) -> Result<u32, End> {
        self.send(open("session", 0, window, packet));
        let confirmed = self.expect_late(91)?;
        let mut fields = Fields::of(&confirmed, 91);
        assert_eq!(fields.u32(), 0);
        Ok(fields.u32())
    }
    /// Server: takes the library's channel under the number 0. Gives its number.
    pub fn take_channel(&mut self, window: u32, packet: u32) -> Result<u32, End> {
        let asked = self.expect_late(90)?;
        let mut fields = Fields::of(&asked, 90);
        fields.string();
        let number = fields.u32();
        self.send(confirmation(number, 0, window, packet));
        Ok(number)
    }
}

pub fn key_blob(key: &SigningKey) -> Vec<u8> {
    Message::fields().string("ssh-ed25519").string(key.verifying_key().as_bytes()).0
}

pub fn password_request(user: &str, password: impl AsRef<[u8]>) -> Message {
    message(50).string(user).string("ssh-connection").string("password").boolean(false).string(password)
}
pub fn none_request(user: &str) -> Message {
    message(50).string(user).string("ssh-connection").string("none")
}
pub fn probe(user: &str, algorithm: &str, blob: &[u8]) -> Message {
    let request = message(50).string(user).string("ssh-connection").string("publickey");
    request.boolean(false).string(algorithm).string(blob)
}
pub fn open(kind: &str, number: u32, window: u32, packet: u32) -> Message {
    message(90).string(kind).u32(number).u32(window).u32(packet)
}
pub fn confirmation(to: u32, number: u32, window: u32, packet: u32) -> Message {
    message(91).u32(to).u32(number).u32(window).u32(packet)
}
pub fn channel_request(to: u32, name: &str, want_reply: bool) -> Message {
    message(98).u32(to).string(name).boolean(want_reply)
}
pub fn data(to: u32, bytes: impl AsRef<[u8]>) -> Message {
    message(94).u32(to).string(bytes)
}
