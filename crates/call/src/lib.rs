//! The life of a call, without a clock or a socket: the server's Call and the device's CallSession
