//! Nothing but tests: the client on a real cluster of three nodes.
