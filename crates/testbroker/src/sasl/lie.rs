//! Lies of a server in a SCRAM exchange.

/// Lie of a broker in a SCRAM exchange (RFC 5802). Clients must refuse all of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ScramLie {
    /// The final message carries another signature: the server does not know the password.
    WrongSignature,
    /// The exchange succeeds without any signature.
    NoSignature,
    /// The server asks for so many iterations: far too few, or more than a client should compute.
    Iterations(i64),
    /// The server adds nothing to the client's nonce.
    NonceNotExtended,
    /// The server's nonce does not begin with the client's.
    ForeignNonce,
    /// The salt is not Base64.
    SaltNotBase64,
    /// The first message ends in an extension that makes it at least so many bytes long.
    LongMessage(usize),
    /// The final message is an error in place of a signature.
    ServerError(String),
    /// The client's proof is not looked at.
    AnyProof,
}
