//! DTLS over any UDP socket of the socket API.
