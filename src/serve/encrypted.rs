//! Common to the encrypted transports: padding, and handling of a message for listeners that await the reply
//! themselves.

use super::{Engine, ListenerIdentity, MessageSource, Transport};
use crate::dns::{has_padding, pad};

/// Whether the reply to a query is padded: the query is padded and the transport is encrypted (RFC 7830
/// sections 4 and 6).
pub(super) fn pads_reply(transport: Transport, query: &[u8]) -> bool {
    match transport {
        Transport::Udp | Transport::Tcp => false,
        Transport::Dot | Transport::Doh => has_padding(query),
    }
}

/// Handles a message that arrived over an encrypted transport. Returns `None` if there is no reply.
pub(super) async fn answer(
    engine: &Engine,
    listener: &ListenerIdentity,
    message: &[u8],
    source: &MessageSource,
) -> Option<Vec<u8>> {
    let mut reply = Vec::with_capacity(512);
    let is_answered = engine.answer(listener, message, source, &mut reply).await;
    if pads_reply(source.transport, message) {
        pad(&mut reply, 0);
    }
    is_answered.then_some(reply)
}
