//! `include/nacre.h` is what cbindgen makes of the source. `make header` writes it anew.

use std::path::Path;

#[test]
fn the_committed_header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    // The C side alone, with the files that it names: constants of other rooms are no business of a C program.
    let builder = cbindgen::Builder::new().with_src(root.join("src/ffi/mod.rs"));
    let bindings = builder.with_config(config).generate().expect("cbindgen reads the source");
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = String::from_utf8(made).expect("the header is UTF-8");

    let path = root.join("include/nacre.h");
    if std::env::var_os("NACRE_WRITE_HEADER").is_some() {
        std::fs::create_dir_all(root.join("include")).expect("include can be made");
        std::fs::write(&path, &made).expect("the header can be written");
        return;
    }
    let committed = std::fs::read_to_string(&path).expect("include/nacre.h is there");
    let differs = committed.lines().zip(made.lines()).position(|(a, b)| a != b);
    assert!(
        committed == made,
        "include/nacre.h is stale from line {}: run `make header`",
        differs.map_or_else(|| committed.lines().count().min(made.lines().count()) + 1, |line| line + 1)
    );
}
