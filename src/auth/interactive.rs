//! The fields of the messages of "keyboard-interactive" (RFC 4256).

use crate::error::{Error, Result};
use crate::wire::{Reader, Writer, put_boolean, put_string, put_u32};
use zeroize::Zeroizing;

pub const NAME: &str = "keyboard-interactive";

/// As OpenSSH. More at once helps nobody.
pub const MOST_PROMPTS: usize = 100;

/// A prompt, and whether what is typed may be shown.
pub type Prompt = (Vec<u8>, bool);

pub struct Request<'a> {
    pub submethods: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn decode(fields: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(fields);
        let _language = reader.string()?;
        let submethods = reader.string()?;
        reader.finish()?;
        Ok(Self { submethods })
    }

    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string("").string(self.submethods).finish()
    }
}

/// INFO_REQUEST.
pub struct InfoRequest {
    pub name: Vec<u8>,
    pub instruction: Vec<u8>,
    pub prompts: Vec<Prompt>,
}

impl InfoRequest {
    pub fn decode(fields: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(fields);
        let name = reader.string()?.to_vec();
        let instruction = reader.string()?.to_vec();
        let _language = reader.string()?;
        let count = checked_count(reader.u32()?)?;
        let mut prompts = Vec::new();
        for _ in 0..count {
            prompts.push((reader.string()?.to_vec(), reader.boolean()?));
        }
        reader.finish()?;
        Ok(Self { name, instruction, prompts })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Writer::new().string(&self.name).string(&self.instruction).string("").finish();
        put_u32(&mut fields, u32::try_from(self.prompts.len()).unwrap_or(u32::MAX));
        for (prompt, echo) in &self.prompts {
            put_string(&mut fields, prompt);
            put_boolean(&mut fields, *echo);
        }
        fields
    }
}

/// The strings of INFO_RESPONSE.
pub fn encode_answers(answers: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let length = answers.iter().map(|answer| answer.len() + 4).sum();
    let mut fields = Zeroizing::new(Vec::with_capacity(length));
    for answer in answers {
        put_string(&mut fields, answer);
    }
    fields
}

pub fn decode_answers(count: u32, responses: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let mut reader = Reader::new(responses);
    let mut answers = Vec::new();
    for _ in 0..checked_count(count)? {
        answers.push(Zeroizing::new(reader.string()?.to_vec()));
    }
    reader.finish()?;
    Ok(answers)
}

fn checked_count(count: u32) -> Result<usize> {
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= MOST_PROMPTS)
        .ok_or_else(|| Error::protocol(format!("keyboard-interactive with {count} prompts or answers at once")))
}
