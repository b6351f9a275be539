//! The life of a room, without a clock or a socket: members, tracks, subscriptions, forwarding
