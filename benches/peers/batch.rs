//! Many datagrams in one system call.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

/// The most datagrams in one call.
pub const BATCH: usize = 64;

/// The longest datagram that is read whole. All queries allow replies of 1232 octets.
const LONGEST: usize = 2048;

/// Room for datagrams that come in.
pub struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    room: Box<[[u8; LONGEST]]>,
}

impl Inbox {
    /// Room for one batch.
    pub fn new() -> Self {
        let room = vec![[0; LONGEST]; BATCH].into_boxed_slice();
        Self { headers: MultiHeaders::preallocate(BATCH, None), room }
    }

    /// Hands on what has come; how many datagrams it was.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        flags: MsgFlags,
        mut each: impl FnMut(&[u8], Option<SockaddrIn>),
    ) -> io::Result<usize> {
        let mut slices: Vec<_> = self.room.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
        let received = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for message in received {
            each(message.iovs().next().unwrap_or_default(), message.address);
            count += 1;
        }
        Ok(count)
    }
}

/// Headers of datagrams that go out.
pub struct Outbox {
    headers: MultiHeaders<SockaddrIn>,
}

impl Outbox {
    /// Room for one batch.
    pub fn new() -> Self {
        Self { headers: MultiHeaders::preallocate(BATCH, None) }
    }

    /// Sends at most one batch, each to its address, or where the socket is connected to; how many went.
    pub fn send(
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

/// Has the kernel keep many datagrams: what is lost is to be the server's doing.
pub fn widen(socket: &UdpSocket) -> io::Result<()> {
    setsockopt(socket, sockopt::RcvBuf, &(4 << 20))?;
    setsockopt(socket, sockopt::SndBuf, &(4 << 20))?;
    Ok(())
}
