//! Batched sending and receiving of datagrams.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

/// Maximum number of datagrams per call.
pub(crate) const BATCH: usize = 64;

/// Maximum length of a received datagram. All queries announce a payload size of 1232 octets.
const LONGEST: usize = 2048;

/// Buffers for received datagrams.
pub(crate) struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Box<[[u8; LONGEST]]>,
}

impl Inbox {
    /// Creates buffers for one batch.
    pub(crate) fn new() -> Self {
        let buffers = vec![[0; LONGEST]; BATCH].into_boxed_slice();
        Self { headers: MultiHeaders::preallocate(BATCH, None), buffers }
    }

    /// Receives waiting datagrams, calls `each` for each of them, and returns their number.
    pub(crate) fn receive(
        &mut self,
        socket: &UdpSocket,
        flags: MsgFlags,
        mut each: impl FnMut(&[u8], Option<SockaddrIn>),
    ) -> io::Result<usize> {
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let received = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for message in received {
            each(message.iovs().next().unwrap_or_default(), message.address);
            count += 1;
        }
        Ok(count)
    }
}

/// Headers of datagrams to be sent.
pub(crate) struct Outbox {
    headers: MultiHeaders<SockaddrIn>,
}

impl Outbox {
    /// Creates headers for one batch.
    pub(crate) fn new() -> Self {
        Self { headers: MultiHeaders::preallocate(BATCH, None) }
    }

    /// Sends at most one batch, each datagram to its address or, if that is `None`, to the address that the
    /// socket is connected to. Returns the number of datagrams sent.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        slices: &[[IoSlice<'_>; 1]],
        to: &[Option<SockaddrIn>],
    ) -> io::Result<usize> {
        let flags = MsgFlags::empty();
        let sent = sendmmsg(socket.as_raw_fd(), &mut self.headers, slices, to, [], flags)?;
        Ok(sent.count())
    }
}

/// Enlarges the socket buffers, so that datagrams are lost only if the server does not keep up.
pub(crate) fn enlarge_buffers(socket: &UdpSocket) -> io::Result<()> {
    setsockopt(socket, sockopt::RcvBuf, &(4 << 20))?;
    setsockopt(socket, sockopt::SndBuf, &(4 << 20))?;
    Ok(())
}
