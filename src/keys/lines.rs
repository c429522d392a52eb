//! One public key as a line of text: type, base64 of the blob, comment.

use super::PublicKey;
use crate::error::{Error, Result};
use crate::wire::{Reader, clean};
use base64ct::{Base64, Encoding};

/// A line with the largest key that is taken has less than a tenth of this.
const LONGEST_LINE: usize = 64 * 1024;

impl PublicKey {
    /// The key and the comment, which may be empty. Options before the type belong to authorized_keys and are
    /// refused here. Only spaces and tabs separate.
    pub fn from_line(line: &str) -> Result<(Self, String)> {
        let line = line.trim_matches([' ', '\t', '\r', '\n']);
        if line.len() > LONGEST_LINE || line.contains(['\r', '\n', '\0']) {
            return Err(Error::key_format("not one line of a public key"));
        }
        let (name, rest) = first_word(line);
        let (encoded, comment) = first_word(rest);
        let blob = Base64::decode_vec(encoded).map_err(|_| Error::key_format("the key in the line is not base64"))?;
        let inner = Reader::new(&blob).ascii().map_err(|_| Error::key_format("the line holds no public key"))?;
        if inner != name {
            return Err(Error::key_format("the type at the start of the line is not the type of the key in it"));
        }
        Ok((Self::from_blob(&blob)?, comment.to_owned()))
    }

    /// Without a newline at the end. What could end the line or hide in it is replaced in the comment.
    pub fn to_line(&self, comment: &str) -> String {
        let mut line = format!("{} {}", self.key_type(), Base64::encode_string(self.blob()));
        let comment = clean(comment.as_bytes(), usize::MAX);
        if !comment.is_empty() {
            line.push(' ');
            line.push_str(&comment);
        }
        line
    }
}

/// The word, and what follows after the white space.
fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start_matches([' ', '\t']))
}
