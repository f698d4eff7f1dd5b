//! Messages on a stream: two octets of length, then as many of message (RFC 1035 section 4.2.2).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Room at first, and for each further read: most queries fit ten times over, and a thousand idle
/// connections cost half a megabyte.
const START: usize = 512;

/// Room for each further read of a client that fills what it has: some sixty queries with one call.
const BUSY: usize = 4096;

/// Room that is kept when the message that needed it is gone.
pub(super) const KEEP: usize = 8192;

/// Begins a message at the end of a batch: its length is set by [`end`], so that both leave in one write
/// (RFC 7766 section 8). Gives the place where it begins.
pub(super) fn begin(batch: &mut Vec<u8>) -> usize {
    let frame = batch.len();
    batch.extend_from_slice(&[0; 2]);
    frame
}

/// Ends the message that begins at a place, and with which the batch ends. A message has at most 65,535 octets.
pub(super) fn end(batch: &mut [u8], frame: usize) {
    let length = batch.len() - frame - 2;
    // The encoder's own bound.
    batch[frame..frame + 2].copy_from_slice(&(length as u16).to_be_bytes());
}

/// What has been read of a stream and not yet taken as a message.
///
/// Grows with the octets that arrive, not with the length announced: to have us hold 64 KiB, a client must
/// send them.
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Where the first message not yet taken begins; never past the end.
    taken: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::with_capacity(START), taken: 0 }
    }

    /// Whether a whole message is there.
    pub(super) fn has_message(&self) -> bool {
        let rest = self.buffer.get(self.taken..).and_then(|rest| rest.split_first_chunk::<2>());
        rest.is_some_and(|(length, rest)| rest.len() >= usize::from(u16::from_be_bytes(*length)))
    }

    /// The next whole message, without its length; `None` until more is read.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        let (length, rest) = self.buffer.get(self.taken..)?.split_first_chunk::<2>()?;
        let message = rest.get(..u16::from_be_bytes(*length).into())?;
        self.taken += length.len() + message.len();
        Some(message)
    }

    /// Reads once; 0 is the end of the stream. Loses nothing when dropped.
    pub(super) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room();
        stream.read_buf(&mut self.buffer).await
    }

    /// Forgets what was taken, and fits the room to what is to come.
    fn make_room(&mut self) {
        // A read that filled the buffer has probably left more behind.
        let busy = self.buffer.len() == self.buffer.capacity();
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.len() < START && self.buffer.capacity() > KEEP {
            self.buffer.shrink_to(KEEP);
        }
        self.buffer.reserve(if busy { BUSY } else { START });
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

    /// Everything in `stream` as messages, read `step` octets at a time.
    async fn messages(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Frames) {
        let mut frames = Frames::new();
        let mut found = Vec::new();
        for mut part in stream.chunks(step) {
            while !part.is_empty() {
                frames.fill(&mut part).await.expect("memory reads");
                while let Some(message) = frames.take() {
                    found.push(message.to_vec());
                }
            }
        }
        (found, frames)
    }

    #[tokio::test]
    async fn messages_do_not_depend_on_how_they_arrive() {
        let sent: Vec<Vec<u8>> =
            [0, 1, 40, 511, 512, 513, 5000, 65_535, 12].map(|length| vec![7; length]).to_vec();
        let mut stream = Vec::new();
        for message in &sent {
            append(&mut stream, message);
        }
        for step in [1, 2, 3, 500, 514, 4096, stream.len()] {
            let (found, _) = messages(&stream, step).await;
            assert!(found == sent, "in steps of {step}");
        }
    }

    #[tokio::test]
    async fn room_is_given_back_after_a_big_message() {
        let mut stream = Vec::new();
        append(&mut stream, &[1; 65_535]);
        let (found, mut frames) = messages(&stream, 1400).await;
        assert_eq!(found.len(), 1);
        frames.make_room();
        assert!(frames.buffer.capacity() <= 2 * KEEP);
    }

    #[tokio::test]
    async fn room_follows_what_arrives_not_what_is_announced() {
        let (found, frames) = messages(&[0xff, 0xff, 1, 2, 3], 5).await;
        assert!(found.is_empty());
        assert!(frames.buffer.capacity() <= 2 * START);
    }
}
