//! The C boundary: rows of calls of every function in the header, with arguments that a careless or hostile program
//! would give within C's own rules (a handle is one that nacre gave or NULL, memory is as long as was said).
//!
//! `build.rs` writes one caller for each function from the header; [`World`] makes the arguments. Memory is allocated
//! to the byte, so that AddressSanitizer sees a read or a write beyond what was said. In the end every owner is given
//! up: then nothing may be left of memory, of descriptors, of userdata without its `destroy`.

mod arguments;
mod callbacks;
mod setting;

use crate::input::Input;
use arguments::Pointer;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::OnceLock;

#[allow(dead_code, clippy::missing_safety_doc, clippy::unused_unit, clippy::let_unit_value)]
mod calls {
    use super::World;
    use super::arguments::Pointer;
    use super::setting::{
        call_nacre_engine_new, call_nacre_key_generate, call_nacre_poll, call_nacre_transport_dial,
        call_nacre_transport_from_fd,
    };
    use std::ffi::c_void;

    include!(concat!(env!("OUT_DIR"), "/calls.rs"));
}
pub use calls::{CALLS, Kind};

pub fn run(data: &[u8]) {
    let descriptors = setting::count_descriptors();
    let world = World::new(Input::new(data));
    callbacks::enter(&world, || {
        setting::begin(&world);
        while !world.input.borrow().is_empty() {
            world.step();
        }
        world.finish();
    });
    drop(world);
    setting::check_descriptors(descriptors);
}

/// The program that calls.
pub struct World<'a> {
    input: RefCell<Input<'a>>,
    /// One entry an owner.
    owned: RefCell<Vec<(Kind, *mut c_void)>>,
    /// Lent to the callback that runs.
    lent: RefCell<Vec<(Kind, *mut c_void)>>,
    operations: RefCell<Vec<u64>>,
    /// How often the `destroy` of each userdata ran, and whether it was given.
    userdata: RefCell<Vec<(u32, bool)>>,
    /// The other ends of sockets that no handle has.
    peers: RefCell<Vec<i32>>,
    depth: Cell<u32>,
    /// Callbacks say yes and call nothing.
    quiet: Cell<bool>,
}

impl<'a> World<'a> {
    fn new(input: Input<'a>) -> Self {
        Self {
            input: RefCell::new(input),
            owned: RefCell::default(),
            lent: RefCell::default(),
            operations: RefCell::default(),
            userdata: RefCell::default(),
            peers: RefCell::default(),
            depth: Cell::new(0),
            quiet: Cell::new(false),
        }
    }

    fn byte(&self) -> u8 {
        self.input.borrow_mut().byte()
    }

    fn step(&self) {
        match self.byte() {
            250.. => setting::write_to_peer(self),
            240..=249 => setting::dispatch(self),
            low => {
                let choice = usize::from(low) << 8 | usize::from(self.byte());
                let (name, call) = CALLS[choice % CALLS.len()];
                trace(name);
                // SAFETY: the arguments are what C's rules ask for.
                unsafe { call(self) }
            }
        }
    }

    fn own(&self, kind: Kind, handle: *mut c_void) {
        assert!(!handle.is_null());
        self.owned.borrow_mut().push((kind, handle));
    }

    fn own_optional(&self, kind: Kind, place: &arguments::Cell) {
        let handle = place.value() as *mut c_void;
        if !handle.is_null() {
            self.own(kind, handle);
        }
    }

    /// An owned handle of this kind, which is freed next.
    fn give_up(&self, kind: Kind) -> Option<*mut c_void> {
        let choice = usize::from(self.byte());
        let mut owned = self.owned.borrow_mut();
        let places: Vec<usize> = (0..owned.len()).filter(|at| owned[*at].0 == kind).collect();
        let at = *places.get(choice % places.len().max(1))?;
        Some(owned.swap_remove(at).1)
    }

    /// One that lives, seldom NULL. NULL would be the default engine, whose threads are nothing for this test.
    fn handle(&self, kind: Kind) -> *mut c_void {
        let choice = usize::from(self.byte());
        let candidates: Vec<*mut c_void> = [&self.owned, &self.lent]
            .iter()
            .flat_map(|list| {
                list.borrow().iter().filter(|entry| entry.0 == kind).map(|entry| entry.1).collect::<Vec<_>>()
            })
            .collect();
        if kind == Kind::nacre_engine {
            return match candidates.get(choice % candidates.len().max(1)) {
                Some(engine) => *engine,
                None => setting::new_engine(self),
            };
        }
        match candidates.is_empty() || choice == 255 {
            true => std::ptr::null_mut(),
            false => candidates[choice % candidates.len()],
        }
    }

    fn check_status(&self, status: i32) {
        // ERR_INTERNAL would be a panic that was caught, or a broken promise within.
        assert!((-33..=0).contains(&status), "status {status}");
    }

    fn check_text(&self, text: *mut c_void) {
        assert!(!text.is_null());
    }

    fn take_event(&self, event: &arguments::Struct) {
        // After size, kind, status, op, transport, channel, two userdata and value.
        let words = event.words();
        if let Some(message) = words.get(8).filter(|word| **word != 0) {
            self.own(Kind::nacre_message, *message as *mut c_void);
        }
        if let Some(ticket) = words.get(9).filter(|word| **word != 0) {
            self.own(Kind::nacre_ticket, *ticket as *mut c_void);
        }
    }

    fn note_operation(&self, place: &arguments::Cell) {
        if place.value() != 0 {
            self.operations.borrow_mut().push(place.value());
        }
    }

    /// Gives everything up, in an order that the input chose by what it did before.
    fn finish(&self) {
        self.quiet.set(true);
        for _ in 0..2 {
            setting::dispatch(self);
        }
        loop {
            let Some((kind, handle)) = self.owned.borrow_mut().pop() else { break };
            let free = calls::KINDS.iter().find(|row| row.0 == kind).expect("every kind has its free").1;
            // SAFETY: this owner's last use.
            unsafe { free(handle) };
        }
        for peer in self.peers.borrow_mut().drain(..) {
            // SAFETY: the descriptor is this test's own.
            unsafe { libc::close(peer) };
        }
        for (at, (count, given)) in self.userdata.borrow().iter().enumerate() {
            assert_eq!(*count, u32::from(*given), "destroy of userdata {at}");
        }
    }
}

/// With NACRE_FUZZ_TRACE each call is named: for whoever looks into a find.
fn trace(name: &str) {
    static WANTED: OnceLock<bool> = OnceLock::new();
    if *WANTED.get_or_init(|| std::env::var_os("NACRE_FUZZ_TRACE").is_some()) {
        eprintln!("{name}");
    }
}

/// For arguments that are pointers as they are.
impl Pointer for *mut c_void {
    fn pointer(&self) -> *mut c_void {
        *self
    }
}

impl Pointer for *const c_void {
    fn pointer(&self) -> *mut c_void {
        self.cast_mut()
    }
}
