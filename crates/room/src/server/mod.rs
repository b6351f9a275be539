//! The server's brain of one room.
