//! Framing of messages on a stream: two octets of length, followed by the message (RFC 1035 section 4.2.2).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Initial capacity, and capacity for each further read: ten times the size of most queries; a thousand idle
/// connections need half a megabyte.
const INITIAL_CAPACITY: usize = 512;

/// Capacity for a further read of a client that fills its buffer: about sixty queries per call.
const BUSY_CAPACITY: usize = 4096;

/// Maximum capacity that is retained after the message that needed it has been taken.
pub(super) const MAX_RETAINED: usize = 8192;

/// Starts a message at the end of a batch. Its length is set by [`end`], so that both are written together
/// (RFC 7766 section 8). Returns the offset of the frame.
pub(super) fn begin(batch: &mut Vec<u8>) -> usize {
    let frame = batch.len();
    batch.extend_from_slice(&[0; 2]);
    frame
}

/// Ends the last message of the batch, whose frame starts at `frame`. A message has at most 65,535
/// octets.
pub(super) fn end(batch: &mut [u8], frame: usize) {
    let length = batch.len() - frame - 2;
    // Guaranteed by the encoder's limit.
    batch[frame..frame + 2].copy_from_slice(&(length as u16).to_be_bytes());
}

/// Data that has been read from a stream but not yet taken as messages.
///
/// Grows with the data that arrives, not with the announced length: to occupy 64 KiB, a client must send 64
/// KiB.
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Offset of the first message that has not been taken; never past the end.
    taken: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::with_capacity(INITIAL_CAPACITY), taken: 0 }
    }

    /// Whether a complete message is available.
    pub(super) fn has_message(&self) -> bool {
        let rest = self.buffer.get(self.taken..).and_then(|rest| rest.split_first_chunk::<2>());
        rest.is_some_and(|(length, rest)| rest.len() >= usize::from(u16::from_be_bytes(*length)))
    }

    /// The next complete message, without its length; `None` until more is read.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        let (length, rest) = self.buffer.get(self.taken..)?.split_first_chunk::<2>()?;
        let message = rest.get(..u16::from_be_bytes(*length).into())?;
        self.taken += length.len() + message.len();
        Some(message)
    }

    /// Reads once; 0 is the end of the stream. Cancellation-safe.
    pub(super) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.compact();
        stream.read_buf(&mut self.buffer).await
    }

    /// Discards taken messages and adapts the capacity.
    fn compact(&mut self) {
        // A read that filled the buffer has probably left more to read.
        let is_full = self.buffer.len() == self.buffer.capacity();
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.len() < INITIAL_CAPACITY && self.buffer.capacity() > MAX_RETAINED {
            self.buffer.shrink_to(MAX_RETAINED);
        }
        self.buffer.reserve(if is_full { BUSY_CAPACITY } else { INITIAL_CAPACITY });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(stream: &mut Vec<u8>, message: &[u8]) {
        let frame = begin(stream);
        stream.extend_from_slice(message);
        end(stream, frame);
    }

    /// Splits `stream` into messages, read `step` octets at a time.
    async fn messages(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Frames) {
        let mut frames = Frames::new();
        let mut received = Vec::new();
        for mut part in stream.chunks(step) {
            while !part.is_empty() {
                frames.fill(&mut part).await.expect("memory reads");
                while let Some(message) = frames.take() {
                    received.push(message.to_vec());
                }
            }
        }
        (received, frames)
    }

    #[tokio::test]
    async fn messages_do_not_depend_on_how_the_stream_is_split() {
        let sent: Vec<Vec<u8>> =
            [0, 1, 40, 511, 512, 513, 5000, 65_535, 12].map(|length| vec![7; length]).to_vec();
        let mut stream = Vec::new();
        for message in &sent {
            append(&mut stream, message);
        }
        for step in [1, 2, 3, 500, 514, 4096, stream.len()] {
            let (received, _) = messages(&stream, step).await;
            assert!(received == sent, "in steps of {step}");
        }
    }

    #[tokio::test]
    async fn memory_is_released_after_a_large_message() {
        let mut stream = Vec::new();
        append(&mut stream, &[1; 65_535]);
        let (received, mut frames) = messages(&stream, 1400).await;
        assert_eq!(received.len(), 1);
        frames.compact();
        assert!(frames.buffer.capacity() <= 2 * MAX_RETAINED);
    }

    #[tokio::test]
    async fn memory_depends_on_the_octets_received_not_on_the_announced_length() {
        let (received, frames) = messages(&[0xff, 0xff, 1, 2, 3], 5).await;
        assert!(received.is_empty());
        assert!(frames.buffer.capacity() <= 2 * INITIAL_CAPACITY);
    }
}
