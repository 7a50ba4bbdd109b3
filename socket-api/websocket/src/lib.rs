//! WebSockets as carriers: whole messages or a byte stream, natively and the page's own.
