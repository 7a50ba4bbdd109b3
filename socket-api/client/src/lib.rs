//! What every stream client has in common: it connects, drives a core, and begins again when the
//! connection is lost.
