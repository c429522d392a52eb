//! Patterns of host names and addresses, as known_hosts and authorized_keys have them (ssh_config(5), PATTERNS).

use crate::error::{Error, Result};
use std::net::IpAddr;

/// What a list of patterns says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    Yes,
    No,
    /// A pattern with `!` before it fits: whatever the others say, the answer is no.
    Excluded,
}

/// Whether the name is one that the pattern describes: `*` stands for any number of bytes, `?` for one.
///
/// The time is that of name times pattern divided by 64, whatever they are: all positions in the pattern that the name
/// read so far can have reached are followed at once, as bits, and no position is come back to (CVE-2026-0967).
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if !pattern.contains(&b'*') {
        let fits = |(wanted, byte): (&u8, &u8)| *wanted == b'?' || wanted == byte;
        return pattern.len() == name.len() && pattern.iter().zip(name).all(fits);
    }
    let automaton = Automaton::new(pattern);
    let mut reached = automaton.start();
    for byte in name {
        automaton.step(&mut reached, *byte);
    }
    automaton.is_end(&reached)
}

/// State `n`, a bit: so many bytes of the pattern that are no `*` were met.
struct Automaton {
    /// How many bytes of the pattern are no `*`.
    length: usize,
    words: usize,
    /// States before which there is a `*`: any byte leaves them where they are.
    loops: Vec<u64>,
    /// For each byte a row of states that it leads out of.
    accepts: Vec<u64>,
    /// States before a `?`.
    any: Vec<u64>,
}

impl Automaton {
    fn new(pattern: &[u8]) -> Self {
        let length = pattern.iter().filter(|byte| **byte != b'*').count();
        let words = length / 64 + 1;
        let mut made =
            Self { length, words, loops: vec![0; words], accepts: vec![0; words * 256], any: vec![0; words] };
        let mut state = 0;
        for byte in pattern {
            let row = match byte {
                b'*' => Some(&mut made.loops[..]),
                b'?' => Some(&mut made.any[..]),
                byte => made.accepts.chunks_exact_mut(words).nth(usize::from(*byte)),
            };
            if let Some(word) = row.and_then(|row| row.get_mut(state / 64)) {
                *word |= 1 << (state % 64);
            }
            state += usize::from(*byte != b'*');
        }
        made
    }

    fn start(&self) -> Vec<u64> {
        let mut reached = vec![0; self.words];
        if let Some(first) = reached.first_mut() {
            *first = 1;
        }
        reached
    }

    fn step(&self, reached: &mut [u64], byte: u8) {
        let Some(accepts) = self.accepts.chunks_exact(self.words).nth(usize::from(byte)) else { return };
        let mut carry = 0;
        for (((word, accepts), any), loops) in reached.iter_mut().zip(accepts).zip(&self.any).zip(&self.loops) {
            let led_on = *word & (accepts | any);
            *word = (led_on << 1) | carry | (*word & loops);
            carry = led_on >> 63;
        }
    }

    fn is_end(&self, reached: &[u64]) -> bool {
        reached.get(self.length / 64).is_some_and(|word| word >> (self.length % 64) & 1 == 1)
    }
}

/// Holds a name against patterns with commas between them. Capitals and small letters are the same.
pub fn match_list(list: &[u8], name: &[u8]) -> Matching {
    let name = name.to_ascii_lowercase();
    let list = list.to_ascii_lowercase();
    first_exclusion(&list, |pattern| matches(pattern, &name))
}

fn first_exclusion(list: &[u8], fits: impl Fn(&[u8]) -> bool) -> Matching {
    let mut answer = Matching::No;
    for item in list.split(|byte| *byte == b',') {
        let (excludes, pattern) = item.strip_prefix(b"!").map_or((false, item), |pattern| (true, pattern));
        // Two patterns never make one, and an empty one is nobody's name.
        if pattern.is_empty() || !fits(pattern) {
            continue;
        }
        if excludes {
            return Matching::Excluded;
        }
        answer = Matching::Yes;
    }
    answer
}

/// An address, or all that begin as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// "192.0.2.0/24", "2001:db8::/32", or an address alone. None: it is not written as one. An error: it is, but the
    /// prefix is too long or leaves bits of the address out.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let Ok(address) = address.parse::<IpAddr>() else { return Ok(None) };
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let wrong = || Error::key_format(format!("'{}' is no network", crate::error::clean(text.as_bytes(), 64)));
        let prefix = match prefix {
            None => bits,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        let network = Self { address, prefix };
        if network.beginning(address) != number(address) {
            return Err(wrong());
        }
        Ok(Some(network))
    }

    /// An IPv4 address in an IPv6 one is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.beginning(address) == number(self.address)
    }

    fn beginning(&self, address: IpAddr) -> u128 {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let left_out = bits - self.prefix;
        number(address).checked_shr(left_out).unwrap_or(0).checked_shl(left_out).unwrap_or(0)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// From where somebody may come: patterns of names and addresses, and networks (sshd(8), `from=`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    list: Box<[u8]>,
}

impl Origins {
    /// An error: an item is written as a network and is none, or there is no item at all.
    pub fn parse(list: &[u8]) -> Result<Self> {
        let list = list.to_ascii_lowercase();
        for item in list.split(|byte| *byte == b',') {
            let pattern = item.strip_prefix(b"!").unwrap_or(item);
            if pattern.is_empty() {
                return Err(Error::key_format("an empty item in a list of hosts"));
            }
            if let Ok(text) = std::str::from_utf8(pattern) {
                Network::parse(text)?;
            }
        }
        Ok(Self { list: list.into() })
    }

    pub fn text(&self) -> &[u8] {
        &self.list
    }

    /// Whether somebody may come from this address, whose name is `host` where that is known.
    pub fn allow(&self, address: Option<IpAddr>, host: Option<&str>) -> bool {
        let address = address.map(|address| address.to_canonical());
        let by_address = address.map_or(Matching::No, |address| self.by_address(address));
        // Whoever has a name for an address in the DNS can have it look like another address.
        let host = host.filter(|host| host.parse::<IpAddr>().is_err());
        let by_name = host.map_or(Matching::No, |host| match_list(&self.list, host.as_bytes()));
        let excluded = by_address == Matching::Excluded || by_name == Matching::Excluded;
        !excluded && (by_address == Matching::Yes || by_name == Matching::Yes)
    }

    fn by_address(&self, address: IpAddr) -> Matching {
        let shown = address.to_string();
        first_exclusion(&self.list, |pattern| {
            match std::str::from_utf8(pattern).ok().and_then(|text| Network::parse(text).ok().flatten()) {
                Some(network) => network.contains(address),
                None => matches(pattern, shown.as_bytes()),
            }
        })
    }
}
