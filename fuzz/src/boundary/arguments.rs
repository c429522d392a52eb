//! What the calls are given.

use super::{World, callbacks};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{CString, c_void};

pub trait Pointer {
    fn pointer(&self) -> *mut c_void;
}

/// Memory of exactly so many bytes, aligned as malloc does; NULL for none wanted.
pub struct Memory {
    start: *mut u8,
    length: usize,
}

impl Memory {
    pub fn zeroed(length: usize) -> Self {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(Self::layout(length)) };
        assert!(!start.is_null());
        Self { start, length }
    }

    pub fn of(bytes: &[u8]) -> Self {
        let memory = Self::zeroed(bytes.len());
        // SAFETY: so many bytes are there.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.start, bytes.len()) };
        memory
    }

    pub const NONE: Self = Self { start: std::ptr::null_mut(), length: 0 };

    fn layout(length: usize) -> Layout {
        Layout::from_size_align(length.max(1), 16).expect("a layout")
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes are there; NULL has none, and is not looked at.
        if self.start.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(self.start, self.length) } }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.start.is_null() {
            // SAFETY: from `alloc_zeroed` with this layout.
            unsafe { dealloc(self.start, Self::layout(self.length)) };
        }
    }
}

impl Pointer for Memory {
    fn pointer(&self) -> *mut c_void {
        self.start.cast()
    }
}

/// A place for a result of up to eight bytes, or NULL.
pub struct Cell(Option<Box<u64>>);

impl Cell {
    pub fn value(&self) -> u64 {
        self.0.as_ref().map_or(0, |value| {
            // SAFETY: the library wrote behind the compiler's back.
            unsafe { std::ptr::read_volatile(&raw const **value) }
        })
    }
}

impl Pointer for Cell {
    fn pointer(&self) -> *mut c_void {
        self.0.as_ref().map_or(std::ptr::null_mut(), |value| (&raw const **value).cast_mut().cast())
    }
}

/// A public struct of the size that it names.
pub struct Struct {
    memory: Memory,
    /// What its members point to.
    _kept: Vec<Memory>,
}

impl Struct {
    pub fn new(memory: Memory, kept: Vec<Memory>) -> Self {
        Self { memory, _kept: kept }
    }

    pub fn into_parts(self) -> impl Iterator<Item = Memory> {
        std::iter::once(self.memory).chain(self._kept)
    }

    pub fn words(&self) -> Vec<u64> {
        let chunks = self.memory.bytes().chunks_exact(8);
        chunks.map(|chunk| u64::from_ne_bytes(chunk.try_into().expect("eight bytes"))).collect()
    }
}

impl Pointer for Struct {
    fn pointer(&self) -> *mut c_void {
        self.memory.pointer()
    }
}

/// An array of strings.
pub struct Texts {
    pointers: Memory,
    count: usize,
    _texts: Vec<Memory>,
}

impl Texts {
    pub fn length(&self) -> usize {
        self.count
    }
}

impl Pointer for Texts {
    fn pointer(&self) -> *mut c_void {
        self.pointers.pointer()
    }
}

const WORDS: &[&str] = &[
    "session",
    "u",
    "p",
    "root",
    "none",
    "password",
    "publickey,password",
    "exec",
    "env",
    "TERM",
    "LANG",
    "xterm",
    "echo hello",
    "sftp",
    "INT",
    "SIGTERM",
    "keepalive@openssh.com",
    "tcpip-forward",
    "no-more-sessions@openssh.com",
    "ssh-ed25519",
    "rsa-sha2-512",
    "ecdsa-sha2-nistp256",
    "curve25519-sha256",
    "+aes256-ctr",
    "-aes256-ctr",
    "^aes128-ctr",
    "aes128-ctr,aes256-ctr",
    "hmac-sha2-256",
    "zlib",
    "+",
    "a,b,,c",
    "threads",
    "\x1b[31m",
];

impl World<'_> {
    pub fn cell(&self) -> Cell {
        Cell((self.byte() < 240).then(Box::default))
    }

    pub fn number(&self) -> u32 {
        self.input.borrow_mut().number()
    }

    pub fn long_number(&self) -> u64 {
        match self.byte() {
            255 => self.input.borrow_mut().u64(),
            254 => u64::MAX,
            _ => u64::from(self.number()),
        }
    }

    /// Mostly a value that an enumeration has.
    pub fn small_number(&self) -> i32 {
        match self.byte() {
            255 => i32::MAX,
            254 => i32::MIN,
            253 => -1,
            // NACRE_KEEP would give a handle to somebody who cannot know of it here.
            252 => 99,
            choice => [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16][usize::from(choice % 16)],
        }
    }

    /// Never for long.
    pub fn timeout(&self) -> i32 {
        match self.byte() {
            255 => i32::MIN,
            254 => -2,
            250..=253 => 1,
            _ => 0,
        }
    }

    pub fn operation(&self) -> u64 {
        let operations = self.operations.borrow();
        match self.byte() {
            choice if !operations.is_empty() && choice < 230 => operations[usize::from(choice) % operations.len()],
            255 => u64::MAX,
            choice => u64::from(choice % 4),
        }
    }

    pub fn data(&self) -> Memory {
        match self.byte() {
            255 => Memory::NONE,
            254 => Memory::zeroed(300_000),
            253 => Memory::zeroed(usize::from(self.input.borrow_mut().u16())),
            _ => Memory::of(self.input.borrow_mut().bytes(500)),
        }
    }

    pub fn room(&self) -> Memory {
        match self.byte() {
            255 => Memory::NONE,
            254 => Memory::zeroed(100_000),
            choice => Memory::zeroed(usize::from(choice)),
        }
    }

    pub fn text(&self, parameter: &str) -> Memory {
        if parameter == "path" {
            return self.path();
        }
        match self.byte() {
            255 => Memory::NONE,
            254 => {
                let mut bytes = self.input.borrow_mut().bytes(2000).to_vec();
                bytes.retain(|byte| *byte != 0);
                with_nul(&bytes)
            }
            choice => with_nul(WORDS[usize::from(choice) % WORDS.len()].as_bytes()),
        }
    }

    /// Nothing but files of this process in its own folder, and what cannot be.
    fn path(&self) -> Memory {
        let folder = super::setting::folder();
        match self.byte() {
            255 => Memory::NONE,
            254 => with_nul(b""),
            253 => with_nul(b"/nonexistent/key"),
            252 => with_nul(folder.as_bytes()),
            choice => with_nul(format!("{folder}/{}", choice % 3).as_bytes()),
        }
    }

    pub fn texts(&self) -> Texts {
        let count = usize::from(self.byte() % 16);
        let texts: Vec<Memory> = (0..count).map(|_| self.text("")).collect();
        let pointers: Vec<u8> = texts.iter().flat_map(|text| (text.pointer() as usize).to_ne_bytes()).collect();
        let pointers = if count == 15 { Memory::NONE } else { Memory::of(&pointers) };
        Texts { pointers, count, _texts: texts }
    }

    /// As many as `texts` may have.
    pub fn numbers(&self) -> Memory {
        if self.byte() > 250 { Memory::NONE } else { Memory::zeroed(15 * 4) }
    }

    /// Index and one: never NULL.
    pub fn userdata(&self) -> *mut c_void {
        let mut userdata = self.userdata.borrow_mut();
        userdata.push((0, false));
        userdata.len() as *mut c_void
    }

    /// Of the last userdata.
    pub fn destroy(&self) -> *const c_void {
        if self.byte() > 240 {
            return std::ptr::null();
        }
        self.userdata.borrow_mut().last_mut().expect("userdata comes before").1 = true;
        callbacks::destroy as *const c_void
    }

    pub fn interactive(&self) -> *const c_void {
        if self.byte() > 240 { std::ptr::null() } else { callbacks::decide::<2> as *const c_void }
    }

    pub fn registered(&self, _done: bool) {
        // `destroy` runs once whether the call succeeded or not: `finish` looks.
    }

    /// A struct that the call fills in.
    pub fn struct_for_result(&self, size: usize) -> Struct {
        let memory = self.sized(size);
        Struct::new(memory, Vec::new())
    }

    /// With the size that it names: the right one, a shorter, or a longer one with or without unknown members.
    fn sized(&self, size: usize) -> Memory {
        let (named, spoilt) = match self.byte() {
            255 => return Memory::NONE,
            254 => (usize::from(self.byte()), false),
            253 => (size + 8, false),
            252 => (size + 8, true),
            _ => (size, false),
        };
        let memory = Memory::zeroed(named.max(8));
        // SAFETY: at least eight bytes are there.
        unsafe {
            memory.start.cast::<usize>().write(named);
            if spoilt {
                memory.start.add(size).write(1);
            }
        }
        memory
    }

    /// A struct that the call reads.
    pub fn given_struct(&self, name: &str, size: usize) -> Struct {
        let memory = self.sized(size);
        let mut kept = Vec::new();
        let words = callbacks::members(self, name, memory.length(), &mut kept);
        for (at, word) in words.into_iter().enumerate() {
            let place = 8 * (at + 1);
            if place + 8 <= memory.length() {
                // SAFETY: within the memory.
                unsafe { memory.start.add(place).cast::<u64>().write(word) };
            }
        }
        Struct::new(memory, kept)
    }
}

pub fn with_nul(bytes: &[u8]) -> Memory {
    let text = CString::new(bytes).unwrap_or_default();
    Memory::of(text.as_bytes_with_nul())
}
