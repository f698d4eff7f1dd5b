#!/usr/bin/env python3
"""Sends hostile traffic to a daemon on loopback and checks that it continues to answer.

    hostile.py [--server 127.0.0.1:5300] [--seconds 60] [--rate 2000]
               [--connections 100] [--pid PID] [--name NAME] [--seed N]

Requires only Python 3.9 or later. Sends random octets, corrupted queries,
compression loops, two OPT records, garbage and messages of 64 KiB over TCP, and
keeps TCP connections open with incomplete messages. After every 100 packets, it
sends a valid query, alternately over UDP and TCP,
and compares the answer with the first one, regardless
of the order of records. The valid client is 127.0.0.1; the hostile ones are
127.0.0.2 to 127.0.0.5, so that limits per client distinguish them.

The traffic is limited by --rate, --connections and --seconds, and only sent to
loopback addresses.

Exits with 0 if every valid query was answered correctly, and with 1 otherwise.
With --pid, the memory of that process is printed before and after.
"""
import argparse
import collections
import ipaddress
import random
import socket
import struct
import sys
import time

VALID_QUERY_EVERY = 100
TCP_EVERY = 25
TIMEOUT_S = 5
UDP_TIMEOUT_S = 1
UDP_ATTEMPTS = 3
HOSTILE_CLIENTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")

# ---------------------------------------------------------------- messages


def wire(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def header(number, flags=0x0100, counts=(1, 0, 0, 0)):
    return struct.pack(">6H", number, flags, *counts)


def question(name, qtype=1, qclass=1):
    return wire(name) + struct.pack(">2H", qtype, qclass)


def opt(payload=1232, version=0, data=b""):
    return b"\0" + struct.pack(">HHBBHH", 41, payload, 0, version, 0, len(data)) + data


def option(code, data=b""):
    return struct.pack(">2H", code, len(data)) + data


def valid_query(number, name):
    return header(number, counts=(1, 0, 0, 1)) + question(name) + opt()


def random_octets(rng, name):
    return rng.randbytes(rng.randrange(600))


def truncated(rng, name):
    message = valid_query(rng.randrange(65536), name)
    return message[: rng.randrange(len(message))]


def compression_loop(rng, name):
    at = 12 + rng.randrange(3)
    names = (
        bytes([0xC0, 12]),
        b"\1a" + bytes([0xC0, 12]),
        bytes([0xC0, 14, 0xC0, 12]),
        bytes([0xC0 | rng.randrange(64), at]),
    )
    pointer_owner = header(1, counts=(1, 0, 0, 1)) + question(name) + bytes([0xC0, 12]) + opt()[1:]
    return rng.choice([header(2) + one + b"\0\1\0\1" for one in names] + [pointer_owner])


def two_opts(rng, name):
    return header(3, counts=(1, 0, 0, 2)) + question(name) + opt() + opt(version=rng.randrange(2))


def unusual_opt(rng, name):
    data = rng.choice(
        [
            rng.randbytes(rng.randrange(40)),
            option(8, rng.randbytes(rng.randrange(24))),
            option(8, bytes([0, 1, 24, 0]) + rng.randbytes(3)),
            option(10, rng.randbytes(rng.randrange(50))),
            option(65001),
            option(12, bytes(rng.randrange(1000))) * 20,
        ]
    )
    return header(4, counts=(1, 0, 0, 1)) + question(name) + opt(rng.randrange(65536), rng.choice((0, 0, 0, 1)), data)


def corrupted(rng, name):
    message = bytearray(valid_query(rng.randrange(65536), name))
    for _ in range(rng.randrange(1, 6)):
        message[rng.randrange(len(message))] = rng.randrange(256)
    return bytes(message)


def unusual_question(rng, name):
    labels = [rng.randbytes(rng.randrange(1, 64)) for _ in range(rng.randrange(4))]
    qname = b"".join(bytes([len(label)]) + label for label in labels) + wire(rng.choice(("", name, "corp.internal")))
    return header(5) + qname[:255] + struct.pack(">2H", rng.randrange(65536), rng.choice((1, 1, 3, 4, 255)))


def wrong_counts(rng, name):
    counts = [rng.choice((0, 1, 2, 65535)) for _ in range(4)]
    return header(6, rng.randrange(32768), counts) + question(name) + opt()


def large(rng, name):
    # Close to the maximum size of a datagram on loopback.
    return header(7, counts=(1, 0, 0, 1)) + question(name) + opt(data=option(12, bytes(60_000)))


KINDS = (
    random_octets,
    truncated,
    compression_loop,
    two_opts,
    unusual_opt,
    corrupted,
    unusual_question,
    wrong_counts,
    large,
)

# ---------------------------------------------------------------- answers


def skip_name(message, at):
    while True:
        length = message[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if length == 0:
            return at


def addresses(message, number):
    """Returns the sorted A records of a reply, or a string that describes an error."""
    if len(message) < 12:
        return "shorter than a header"
    ident, flags, questions, answers = struct.unpack(">4H", message[:8])
    if ident != number or not flags & 0x8000:
        return "not the reply to this query"
    if flags & 15 or flags & 0x0200:
        return f"rcode {flags & 15}, TC {flags >> 9 & 1}"
    at, found = 12, []
    try:
        for _ in range(questions):
            at = skip_name(message, at) + 4
        for _ in range(answers):
            at = skip_name(message, at)
            rtype, _, _, length = struct.unpack(">HHIH", message[at : at + 10])
            if rtype == 1:
                found.append(socket.inet_ntoa(message[at + 10 : at + 14]))
            at += 10 + length
    except (IndexError, struct.error):
        return "malformed"
    return sorted(found) or "no addresses"


def receive_exactly(stream, length):
    data = b""
    while len(data) < length:
        part = stream.recv(length - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def send_valid_query(server, name, number, over_tcp):
    """Returns the answer to a valid query, or a string that describes an error, and the number of attempts.

    Over UDP, a query without a reply is retried up to twice, as stub resolvers do: a burst of large datagrams can fill
    the receive buffer of the daemon, and the system then drops others.
    """
    message = valid_query(number, name)
    if over_tcp:
        try:
            with socket.create_connection(server, TIMEOUT_S, ("127.0.0.1", 0)) as stream:
                stream.sendall(struct.pack(">H", len(message)) + message)
                (length,) = struct.unpack(">H", receive_exactly(stream, 2))
                return addresses(receive_exactly(stream, length), number), 1
        except OSError as error:
            return f"TCP: {error}", 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(UDP_TIMEOUT_S)
        client.bind(("127.0.0.1", 0))
        client.connect(server)
        error = "UDP: no reply"
        for attempt in range(UDP_ATTEMPTS):
            try:
                client.send(message)
                return addresses(client.recv(65535), number), attempt + 1
            except OSError as reason:
                error = f"UDP: {reason}"
        return error, UDP_ATTEMPTS


# ---------------------------------------------------------------- connections


class Connections:
    """Hostile TCP connections, limited in number."""

    def __init__(self, server, limit, rng):
        self.server, self.limit, self.rng = server, limit, rng
        self.open = collections.deque()
        self.opened = collections.Counter()

    def add(self, name):
        """Opens a connection and sends hostile data; closes the oldest one if the limit is reached."""
        while len(self.open) >= self.limit:
            self.open.popleft().close()
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        kind = self.rng.choice(("garbage", "64 KiB", "incomplete", "incomplete", "never reads", "dribble"))
        try:
            stream.bind((self.rng.choice(HOSTILE_CLIENTS), 0))
            stream.settimeout(TIMEOUT_S)
            stream.connect(self.server)
            # From now on, nothing blocks: data that the daemon does not accept is discarded.
            stream.setblocking(False)
            stream.send(self.octets(kind, name))
        except OSError:
            kind += ", closed by the server"
        self.opened[kind] += 1
        self.open.append(stream)

    def octets(self, kind, name):
        query = valid_query(8, name)
        framed = struct.pack(">H", len(query)) + query
        if kind == "garbage":
            return self.rng.randbytes(self.rng.randrange(1, 5000))
        if kind == "64 KiB":
            return (b"\xff\xff" + self.rng.randbytes(65535)) * 2
        if kind == "never reads":
            return framed * 2000
        return framed[: self.rng.randrange(len(framed))]

    def dribble(self):
        """Sends another octet over some of the connections."""
        for stream in self.rng.sample(list(self.open), min(5, len(self.open))):
            try:
                stream.send(b"\0")
            except OSError:
                pass

    def close(self):
        for stream in self.open:
            stream.close()


# ---------------------------------------------------------------- main


def memory(pid):
    """Returns the current and the peak resident memory in KiB, and the number of threads."""
    if pid is None:
        return None
    fields = {}
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            key, _, value = line.partition(":")
            fields[key] = value.split()[0] if value.split() else ""
    return {"rss_kib": int(fields["VmRSS"]), "peak_kib": int(fields["VmHWM"]), "threads": int(fields["Threads"])}


def loopback_address(text):
    host, _, port = text.rpartition(":")
    address = ipaddress.IPv4Address(host)
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address")
    return host, int(port)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=loopback_address, default=("127.0.0.1", 5300), metavar="ADDRESS:PORT")
    parser.add_argument("--seconds", type=float, default=60, help="duration of the test")
    parser.add_argument("--rate", type=int, default=2000, help="maximum number of packets per second")
    parser.add_argument("--connections", type=int, default=100, help="maximum number of open hostile TCP connections")
    parser.add_argument("--pid", type=int, help="process ID of the daemon, to print its memory")
    parser.add_argument("--name", default="sns.ap-northeast-1.amazonaws.com", help="name with A records to query")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random number generator")
    return parser.parse_args()


def main():
    args = parse_arguments()
    rng = random.Random(args.seed)
    expected, _ = send_valid_query(args.server, args.name, 1, over_tcp=False)
    if isinstance(expected, str):
        print(f"{args.name} is not answered before the test: {expected}")
        return 1
    before = memory(args.pid)
    senders = []
    for client in HOSTILE_CLIENTS:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((client, 0))
        sender.setblocking(False)
        senders.append(sender)
    connections = Connections(args.server, args.connections, rng)
    sent, replies, failures = collections.Counter(), collections.Counter(), []
    valid = retries = total = 0
    slowest_s = 0.0
    start = time.monotonic()
    next_at = start
    while (now := time.monotonic()) - start < args.seconds:
        if now < next_at:
            time.sleep(next_at - now)
        # Lost time is not made up for, since that would cause a burst.
        next_at = max(now, next_at) + 1 / args.rate
        kind, sender = rng.choice(KINDS), rng.choice(senders)
        try:
            sender.sendto(kind(rng, args.name), args.server)
            sent[kind.__name__] += 1
        except OSError:
            sent[f"{kind.__name__}, not sent"] += 1
        total += 1
        try:
            reply = sender.recv(65535)
            replies["shorter than a header" if len(reply) < 12 else f"rcode {reply[3] & 15}"] += 1
        except OSError:
            pass
        if total % TCP_EVERY == 0:
            connections.add(args.name)
            connections.dribble()
        if total % VALID_QUERY_EVERY == 0:
            valid += 1
            sent_at = time.monotonic()
            answer, attempts = send_valid_query(args.server, args.name, total % 65536, over_tcp=valid % 2 == 0)
            retries += attempts - 1
            slowest_s = max(slowest_s, time.monotonic() - sent_at)
            if answer != expected:
                failures.append(f"after {total} packets: {answer}")
    connections.close()
    after = memory(args.pid)
    print(f"{total} packets and {sum(connections.opened.values())} connections in {args.seconds:g} s")
    for title, counts in (("sent", sent), ("connections", connections.opened), ("replies received", replies)):
        print(f"  {title}: " + ", ".join(f"{key} {count}" for key, count in sorted(counts.items())))
    print(f"  valid queries: {valid} sent, {valid - len(failures)} answered correctly, "
        f"{retries} retries, the slowest in {slowest_s * 1000:.0f} ms")
    for line in failures[:10]:
        print(f"    {line}")
    if before:
        print(f"  memory before: {before}\n  memory after:  {after}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
