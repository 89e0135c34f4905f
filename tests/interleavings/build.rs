//! Compiles the queue's sources for the scheduler, and has clippy hold them to the rules of the
//! crates.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    println!("cargo::rustc-env=CLIPPY_CONF_DIR={rules}");
}
