//! What of the demo the tests start as well.

pub mod log_in;
