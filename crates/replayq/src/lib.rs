//! A durable FIFO queue on local disk or in memory, for any payload.
