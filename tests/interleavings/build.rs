//! Compiles the queue's sources for the scheduler.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
}
