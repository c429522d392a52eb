//! Gives the shared library its name for the loader, and keeps it loaded once it is.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnacre.so.0");
    // Unloading a library whose threads and thread-local destructors may still run is unsound.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
