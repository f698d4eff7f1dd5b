//! What encrypted transports share: padding, and the whole life of a message for those that wait for it themselves.

use super::{Door, Engine, Origin, Transport};
use crate::dns::{has_padding, pad};

/// Whether the reply to a query is padded: the query is, and what carries it is encrypted (RFC 7830 6).
pub(super) fn pads_reply(transport: Transport, query: &[u8]) -> bool {
    match transport {
        Transport::Udp | Transport::Tcp => false,
        Transport::Dot | Transport::Doh => has_padding(query),
    }
}

/// The whole life of a message that came over an encrypted transport. `None`: there is no reply.
pub(super) async fn answer(engine: &Engine, door: &Door, message: &[u8], origin: &Origin) -> Option<Vec<u8>> {
    let mut reply = Vec::with_capacity(512);
    let is_answered = engine.answer(door, message, origin, &mut reply).await;
    if pads_reply(origin.transport, message) {
        pad(&mut reply, 0);
    }
    is_answered.then_some(reply)
}
