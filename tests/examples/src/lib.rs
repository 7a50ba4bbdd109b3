//! Its tests run `cargo run --example …` and look at what is printed.
