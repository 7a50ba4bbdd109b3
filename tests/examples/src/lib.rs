//! Tests of the examples: they run `cargo run --example …` and look at what is printed.
