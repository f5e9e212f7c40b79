//! How PostgreSQL begins TLS on a connection: the client asks, and the server agrees
//! (<https://www.postgresql.org/docs/17/protocol-flow.html#PROTOCOL-FLOW-SSL>).

/// The message `SSLRequest`.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What a server says that goes on with TLS.
pub const AGREED: u8 = b'S';
