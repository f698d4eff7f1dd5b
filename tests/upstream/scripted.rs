//! Name servers that do as they are told, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use plustwo::dns::{Annotations, Answer, Query, Rcode, Rdata, RecordType, RrSet, encode, encode_turn_away};
use plustwo::world::{Server, ServerTransport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// What a server sends back for a message: any number of messages.
pub type Script = Arc<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync>;

/// Who sent what.
pub type Seen = Arc<Mutex<Vec<(SocketAddr, Vec<u8>)>>>;

/// A server at work, and what it saw: who sent what, over UDP or TCP.
pub struct Scripted {
    pub address: SocketAddr,
    pub seen: Seen,
}

impl Scripted {
    /// A server with one script for datagrams. Its TCP port is closed.
    pub async fn udp(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let scripted = Self { address: socket.local_addr().unwrap(), seen: Arc::default() };
        tokio::spawn(serve_udp(socket, Arc::new(script), scripted.seen.clone()));
        scripted
    }

    /// A server with a script for datagrams and one for its TCP port.
    pub async fn both(
        udp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
        tcp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let Ok(socket) = UdpSocket::bind(address).await else {
                continue; // somebody else has this port
            };
            let seen: Seen = Arc::default();
            tokio::spawn(serve_udp(socket, Arc::new(udp), seen.clone()));
            tokio::spawn(serve_tcp(listener, Arc::new(tcp), seen.clone()));
            return Self { address, seen };
        }
    }

    pub fn server(&self) -> Server {
        Server::new(self.address, ServerTransport::Udp)
    }

    /// How many messages came.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn serve_udp(socket: UdpSocket, script: Script, seen: Seen) {
    let mut buffer = vec![0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        seen.lock().unwrap().push((peer, buffer[..length].to_vec()));
        for message in script(&buffer[..length]) {
            let _ = socket.send_to(&message, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Script, seen: Seen) {
    while let Ok((stream, peer)) = listener.accept().await {
        let (script, seen) = (script.clone(), seen.clone());
        tokio::spawn(serve_stream(stream, peer, script, seen));
    }
}

/// Answers the messages of one connection.
pub async fn serve_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    script: Script,
    seen: Seen,
) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        seen.lock().unwrap().push((peer, message.clone()));
        for reply in script(&message) {
            stream.write_u16(reply.len() as u16).await.unwrap();
            stream.write_all(&reply).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

/// The message that gives an answer to a query.
pub fn reply(message: &[u8], answer: &Answer) -> Vec<u8> {
    let query = Query::parse(message).unwrap();
    assert!(query.recursion_desired && !query.checking_disabled);
    assert!(query.edns.as_ref().is_none_or(|edns| edns.payload == 1232 && !edns.dnssec_ok));
    let mut out = Vec::new();
    encode(&query, answer, &Annotations::default(), 65_535, 0, &mut out);
    out
}

/// One address for the name asked.
pub fn address(message: &[u8]) -> Answer {
    let query = Query::parse(message).unwrap();
    let rdata = Rdata::a(Ipv4Addr::new(192, 0, 2, 1));
    Answer::of(vec![RrSet::new(query.question.qname, RecordType::A, 60, vec![rdata])])
}

/// Answers every question with one address.
pub fn good(message: &[u8]) -> Vec<Vec<u8>> {
    vec![reply(message, &address(message))]
}

/// Says nothing.
pub fn silent(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

/// Answers every question with an error.
pub fn error(rcode: Rcode) -> impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync {
    move |message| vec![reply(message, &Answer::empty(rcode))]
}

/// FORMERR for what has EDNS, header alone, as old servers do it; else one address.
pub fn before_edns(message: &[u8]) -> Vec<Vec<u8>> {
    if Query::parse(message).unwrap().edns.is_none() {
        return good(message);
    }
    let turned = plustwo::dns::TurnAway {
        id: u16::from_be_bytes([message[0], message[1]]),
        opcode: plustwo::dns::Opcode::QUERY,
        checking_disabled: false,
        recursion_desired: true,
        rcode: Rcode::FORMERR,
        question: None,
        edns: false,
        dnssec_ok: false,
    };
    let mut out = Vec::new();
    encode_turn_away(&turned, &mut out);
    vec![out]
}
