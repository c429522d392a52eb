//! What the library calls. A callback decides by the next byte of the input, and may call anything itself.

use super::arguments::{Memory, Pointer, Struct, with_nul};
use super::{CALLS, Kind, World};
use std::cell::Cell;
use std::ffi::c_void;

const ACCEPT: i32 = 1;
const DEFER: i32 = 3;
const KEEP: i32 = 4;

thread_local! {
    static WORLD: Cell<*const c_void> = const { Cell::new(std::ptr::null()) };
}

/// Callbacks find the world while `body` runs: they come on this thread, for no engine here has another.
pub fn enter(world: &World<'_>, body: impl FnOnce()) {
    WORLD.set((&raw const *world).cast());
    body();
    WORLD.set(std::ptr::null());
}

fn world() -> &'static World<'static> {
    let pointer = WORLD.get();
    assert!(!pointer.is_null(), "a callback on another thread, or after the end");
    // SAFETY: `enter` borrows it until its end; no callback keeps it.
    unsafe { &*pointer.cast() }
}

pub extern "C" fn destroy(userdata: *mut c_void) {
    let world = world();
    let mut all = world.userdata.borrow_mut();
    let entry = &mut all[userdata as usize - 1];
    entry.0 += 1;
    assert_eq!(entry.0, 1, "destroy ran twice");
    assert!(entry.1);
}

/// Every deciding callback: the ticket is its parameter number `AT`.
pub extern "C" fn decide<const AT: usize>(
    _userdata: usize,
    transport: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
    sixth: usize,
    seventh: usize,
) -> i32 {
    let world = world();
    let ticket = [0, 0, third, fourth, fifth, sixth, seventh][AT];
    if world.quiet.get() {
        return ACCEPT;
    }
    // The channel stands third where there is one: in the questions about channels and requests.
    let about_channel = AT == 6;
    let decision = match world.byte() {
        255 => 77,
        0..=127 => ACCEPT,
        choice => i32::from(choice % 5),
    };
    if decision == KEEP && about_channel {
        world.own(Kind::nacre_channel, third as *mut c_void);
        return KEEP;
    }
    call_something(world, &[(Kind::nacre_transport, transport), (Kind::nacre_ticket, ticket)]);
    if decision == DEFER {
        world.own(Kind::nacre_ticket, ticket as *mut c_void);
    }
    decision
}

/// Signs at once or not at all: without a connection the call that asks would wait for the answer.
extern "C" fn sign(_userdata: usize, key: usize, _algorithm: usize, _data: usize, _len: usize, ticket: usize) -> i32 {
    let world = world();
    if world.byte() < 128 {
        let signature = world.data();
        // SAFETY: the ticket is lent, and the memory is as long as it says.
        let status = unsafe {
            super::calls::nacre_ticket_answer_bytes(ticket as *mut c_void, signature.pointer(), signature.length())
        };
        world.check_status(status);
    }
    call_something(world, &[(Kind::nacre_key, key), (Kind::nacre_ticket, ticket)]);
    if world.byte() < 128 { ACCEPT } else { 0 }
}

/// `connected`, `authenticated` and `disconnected`.
extern "C" fn told(_userdata: usize, transport: usize) {
    let world = world();
    if !world.quiet.get() {
        call_something(world, &[(Kind::nacre_transport, transport)]);
    }
}

extern "C" fn banner(_userdata: usize, _transport: usize) -> *const u8 {
    match world().quiet.get() || world().byte() < 128 {
        true => std::ptr::null(),
        false => c"welcome\r\n".as_ptr().cast(),
    }
}

/// At most one level deep, with the handles that the callback was lent.
fn call_something(world: &World<'_>, lent: &[(Kind, usize)]) {
    if world.depth.get() > 0 || world.byte() < 128 {
        return;
    }
    world.depth.set(1);
    world.lent.borrow_mut().extend(lent.iter().map(|(kind, handle)| (*kind, *handle as *mut c_void)));
    let choice = usize::from(world.input.borrow_mut().u16());
    let (name, call) = CALLS[choice % CALLS.len()];
    super::trace(name);
    // SAFETY: as in `World::step`.
    unsafe { call(world) };
    world.lent.borrow_mut().clear();
    world.depth.set(0);
}

/// Where `userdata` and `destroy` end in the structs that have them.
const OWNER_END: usize = 24;

/// The members of the structs that go in, after their size. Of a struct of `length` bytes the library sees no more:
/// what stands behind is not given.
pub fn members(world: &World<'_>, name: &str, length: usize, kept: &mut Vec<Memory>) -> Vec<u64> {
    let word = |pointer: *const c_void| pointer as u64;
    match name {
        "nacre_host_key_check" | "nacre_client_callbacks" | "nacre_server_callbacks" | "nacre_signer"
            if length < OWNER_END =>
        {
            Vec::new()
        }
        "nacre_signer" => vec![word(world.userdata()), word(world.destroy()), word(sign as *const c_void)],
        "nacre_host_key_check" => {
            let owner = [word(world.userdata()), word(world.destroy())];
            let flags = u64::from(world.byte() % 32);
            let keys = (world.handle(Kind::nacre_key) as usize).to_ne_bytes();
            let (keys, text) = (Memory::of(&keys), world.text(""));
            let fingerprints = Memory::of(&(text.pointer() as usize).to_ne_bytes());
            let ask = if world.byte() < 128 { word(decide::<4> as *const c_void) } else { 0 };
            let counts = world.byte();
            let known_hosts = if counts & 4 != 0 { word(world.handle(Kind::nacre_known_hosts)) } else { 0 };
            let host = world.text("");
            let members = [
                owner[0],
                owner[1],
                flags,
                word(keys.pointer()),
                u64::from(counts & 1),
                word(fingerprints.pointer()),
                u64::from(counts >> 1 & 1),
                ask,
                known_hosts,
                word(host.pointer()),
                u64::from(counts >> 3 & 1) * 2222,
            ];
            kept.extend([keys, text, fingerprints, host]);
            members.to_vec()
        }
        "nacre_connect_options" => {
            let nested = |name: &str, place: usize| match length >= 8 * (place + 1) {
                true => world.given_struct(name, struct_size(name)),
                false => Struct::new(Memory::NONE, Vec::new()),
            };
            let (check, client) = (nested("nacre_host_key_check", 1), nested("nacre_client_callbacks", 5));
            let (user, password) = (world.text(""), world.text(""));
            let members = vec![
                word(check.pointer()),
                word(user.pointer()),
                word(world.handle(Kind::nacre_key)),
                word(password.pointer()),
                word(client.pointer()),
            ];
            kept.extend([user, password]);
            kept.extend(check.into_parts());
            kept.extend(client.into_parts());
            members
        }
        "nacre_client_callbacks" => client_callbacks(world),
        "nacre_server_callbacks" => server_callbacks(world),
        "nacre_engine_options" => {
            let name = with_nul(b"fuzz");
            let members = vec![u64::from(world.byte()) << 32, word(name.pointer()), world.long_number()];
            kept.push(name);
            members
        }
        _ => Vec::new(),
    }
}

fn struct_size(name: &str) -> usize {
    super::calls::STRUCTS.iter().find(|row| row.0 == name).expect("a struct of the header").1
}

/// Some are left out: those refuse.
fn callback_words(world: &World<'_>, callbacks: &[*const c_void]) -> Vec<u64> {
    let mut words = vec![world.userdata() as u64, world.destroy() as u64];
    let left_out = if world.quiet.get() { 0 } else { u32::from(world.byte()) << 8 | u32::from(world.byte()) };
    let sparse = left_out & 1 != 0;
    words.extend(
        callbacks.iter().enumerate().map(
            |(at, callback)| {
                if sparse && left_out >> (at + 1) & 1 != 0 { 0 } else { *callback as u64 }
            },
        ),
    );
    words
}

pub fn client_callbacks(world: &World<'_>) -> Vec<u64> {
    callback_words(
        world,
        &[
            decide::<2> as *const c_void,
            decide::<3> as *const c_void,
            decide::<6> as *const c_void,
            decide::<4> as *const c_void,
            decide::<5> as *const c_void,
            told as *const c_void,
        ],
    )
}

pub fn server_callbacks(world: &World<'_>) -> Vec<u64> {
    callback_words(
        world,
        &[
            told as *const c_void,
            banner as *const c_void,
            decide::<3> as *const c_void,
            decide::<3> as *const c_void,
            decide::<4> as *const c_void,
            decide::<5> as *const c_void,
            decide::<5> as *const c_void,
            decide::<4> as *const c_void,
            decide::<3> as *const c_void,
            told as *const c_void,
            decide::<6> as *const c_void,
            decide::<4> as *const c_void,
            decide::<5> as *const c_void,
            told as *const c_void,
        ],
    )
}
