#!/usr/bin/env python3
"""Troubles a daemon on loopback for a while, and watches that it goes on answering.

    hostile.py [--server 127.0.0.1:5300] [--seconds 60] [--rate 2000]
               [--connections 100] [--pid PID] [--name NAME] [--seed N]

Needs nothing but Python 3.9 or later. Sends random octets, spoilt queries,
compression loops, two OPT records, garbage and messages of 64 KiB over TCP, and
holds TCP connections half open. Every 100 packets a good query is asked, over
UDP and TCP in turn, and its answer compared with the first one; records may
rotate. The good client is 127.0.0.1, the bad ones 127.0.0.2 and up, so that
bounds for each client tell them apart.

Bounded: no more packets a second than --rate, no more connections at once than
--connections, no longer than --seconds, and never to another host.

Ends with 0 when every good query was answered well, else with 1. With --pid the
memory of that process is shown before and after.
"""
import argparse
import collections
import ipaddress
import random
import socket
import struct
import sys
import time

GOOD_EVERY = 100
TCP_EVERY = 25
PATIENCE_S = 5
UDP_PATIENCE_S = 1
UDP_ATTEMPTS = 3
BAD_CLIENTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")

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


def good(number, name):
    return header(number, counts=(1, 0, 0, 1)) + question(name) + opt()


def random_octets(dice, name):
    return dice.randbytes(dice.randrange(600))


def cut_short(dice, name):
    message = good(dice.randrange(65536), name)
    return message[: dice.randrange(len(message))]


def compression_loop(dice, name):
    at = 12 + dice.randrange(3)
    names = (
        bytes([0xC0, 12]),
        b"\1a" + bytes([0xC0, 12]),
        bytes([0xC0, 14, 0xC0, 12]),
        bytes([0xC0 | dice.randrange(64), at]),
    )
    pointer_owner = header(1, counts=(1, 0, 0, 1)) + question(name) + bytes([0xC0, 12]) + opt()[1:]
    return dice.choice([header(2) + one + b"\0\1\0\1" for one in names] + [pointer_owner])


def two_opts(dice, name):
    return header(3, counts=(1, 0, 0, 2)) + question(name) + opt() + opt(version=dice.randrange(2))


def odd_opt(dice, name):
    data = dice.choice(
        [
            dice.randbytes(dice.randrange(40)),
            option(8, dice.randbytes(dice.randrange(24))),
            option(8, bytes([0, 1, 24, 0]) + dice.randbytes(3)),
            option(10, dice.randbytes(dice.randrange(50))),
            option(65001),
            option(12, bytes(dice.randrange(1000))) * 20,
        ]
    )
    return header(4, counts=(1, 0, 0, 1)) + question(name) + opt(dice.randrange(65536), dice.choice((0, 0, 0, 1)), data)


def spoilt(dice, name):
    message = bytearray(good(dice.randrange(65536), name))
    for _ in range(dice.randrange(1, 6)):
        message[dice.randrange(len(message))] = dice.randrange(256)
    return bytes(message)


def odd_question(dice, name):
    labels = [dice.randbytes(dice.randrange(1, 64)) for _ in range(dice.randrange(4))]
    qname = b"".join(bytes([len(label)]) + label for label in labels) + wire(dice.choice(("", name, "corp.internal")))
    return header(5) + qname[:255] + struct.pack(">2H", dice.randrange(65536), dice.choice((1, 1, 3, 4, 255)))


def wrong_counts(dice, name):
    counts = [dice.choice((0, 1, 2, 65535)) for _ in range(4)]
    return header(6, dice.randrange(32768), counts) + question(name) + opt()


def large(dice, name):
    # As long as loopback carries in one datagram.
    return header(7, counts=(1, 0, 0, 1)) + question(name) + opt(data=option(12, bytes(60_000)))


KINDS = (
    random_octets,
    cut_short,
    compression_loop,
    two_opts,
    odd_opt,
    spoilt,
    odd_question,
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
    """The A records of a reply, sorted; an error in words where it is none."""
    if len(message) < 12:
        return "shorter than a header"
    ident, flags, questions, answers = struct.unpack(">4H", message[:8])
    if ident != number or not flags & 0x8000:
        return "not the reply"
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


def ask(server, name, number, over_tcp):
    """The answer to a good query, or an error in words; and how often it was asked.

    A lost datagram is asked for twice more, as a stub does: a burst of large ones can fill the daemon's
    receive buffer, and the system drops what comes then.
    """
    message = good(number, name)
    if over_tcp:
        try:
            with socket.create_connection(server, PATIENCE_S, ("127.0.0.1", 0)) as stream:
                stream.sendall(struct.pack(">H", len(message)) + message)
                (length,) = struct.unpack(">H", receive_exactly(stream, 2))
                return addresses(receive_exactly(stream, length), number), 1
        except OSError as error:
            return f"TCP: {error}", 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(UDP_PATIENCE_S)
        client.bind(("127.0.0.1", 0))
        client.connect(server)
        error = "UDP: nothing"
        for attempt in range(UDP_ATTEMPTS):
            try:
                client.send(message)
                return addresses(client.recv(65535), number), attempt + 1
            except OSError as reason:
                error = f"UDP: {reason}"
        return error, UDP_ATTEMPTS


# ---------------------------------------------------------------- connections


class Connections:
    """TCP connections that do no good, at most so many at once."""

    def __init__(self, server, most, dice):
        self.server, self.most, self.dice = server, most, dice
        self.held = collections.deque()
        self.opened = collections.Counter()

    def one_more(self, name):
        """Opens one, the oldest making room for it, and does something bad with it."""
        while len(self.held) >= self.most:
            self.held.popleft().close()
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        kind = self.dice.choice(("garbage", "64 KiB", "half open", "half open", "never reads", "dribble"))
        try:
            stream.bind((self.dice.choice(BAD_CLIENTS), 0))
            stream.settimeout(PATIENCE_S)
            stream.connect(self.server)
            # From here on nothing waits: what the daemon does not take is not sent.
            stream.setblocking(False)
            stream.send(self.octets(kind, name))
        except OSError:
            kind += ", cut off"
        self.opened[kind] += 1
        self.held.append(stream)

    def octets(self, kind, name):
        query = good(8, name)
        framed = struct.pack(">H", len(query)) + query
        if kind == "garbage":
            return self.dice.randbytes(self.dice.randrange(1, 5000))
        if kind == "64 KiB":
            return (b"\xff\xff" + self.dice.randbytes(65535)) * 2
        if kind == "never reads":
            return framed * 2000
        return framed[: self.dice.randrange(len(framed))]

    def dribble(self):
        """One more octet for some that are held."""
        for stream in self.dice.sample(list(self.held), min(5, len(self.held))):
            try:
                stream.send(b"\0")
            except OSError:
                pass

    def close(self):
        for stream in self.held:
            stream.close()


# ---------------------------------------------------------------- the whole


def memory(pid):
    """Resident memory now and at most, in KiB, and threads."""
    if pid is None:
        return None
    fields = {}
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            key, _, value = line.partition(":")
            fields[key] = value.split()[0] if value.split() else ""
    return {"rss_kib": int(fields["VmRSS"]), "peak_kib": int(fields["VmHWM"]), "threads": int(fields["Threads"])}


def local(text):
    host, _, port = text.rpartition(":")
    address = ipaddress.IPv4Address(host)
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not loopback, and nothing else is troubled")
    return host, int(port)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=local, default=("127.0.0.1", 5300), metavar="ADDRESS:PORT")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=2000, help="packets a second at most")
    parser.add_argument("--connections", type=int, default=100, help="bad TCP connections at once at most")
    parser.add_argument("--pid", type=int, help="the daemon's process, whose memory is shown")
    parser.add_argument("--name", default="sns.ap-northeast-1.amazonaws.com", help="a name that has A records")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    given = arguments()
    dice = random.Random(given.seed)
    expected, _ = ask(given.server, given.name, 1, over_tcp=False)
    if isinstance(expected, str):
        print(f"{given.name} is not answered before anything was done: {expected}")
        return 1
    before = memory(given.pid)
    senders = []
    for client in BAD_CLIENTS:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((client, 0))
        sender.setblocking(False)
        senders.append(sender)
    connections = Connections(given.server, given.connections, dice)
    sent, replies, wrong = collections.Counter(), collections.Counter(), []
    asked = again = total = 0
    slowest_s = 0.0
    begin = time.monotonic()
    next_at = begin
    while (now := time.monotonic()) - begin < given.seconds:
        if now < next_at:
            time.sleep(next_at - now)
        # Time lost is not made up for: that would be a burst.
        next_at = max(now, next_at) + 1 / given.rate
        kind, sender = dice.choice(KINDS), dice.choice(senders)
        try:
            sender.sendto(kind(dice, given.name), given.server)
            sent[kind.__name__] += 1
        except OSError:
            sent[f"{kind.__name__}, not taken"] += 1
        total += 1
        try:
            reply = sender.recv(65535)
            replies["shorter than a header" if len(reply) < 12 else f"rcode {reply[3] & 15}"] += 1
        except OSError:
            pass
        if total % TCP_EVERY == 0:
            connections.one_more(given.name)
            connections.dribble()
        if total % GOOD_EVERY == 0:
            asked += 1
            asked_at = time.monotonic()
            answer, attempts = ask(given.server, given.name, total % 65536, over_tcp=asked % 2 == 0)
            again += attempts - 1
            slowest_s = max(slowest_s, time.monotonic() - asked_at)
            if answer != expected:
                wrong.append(f"after {total} packets: {answer}")
    connections.close()
    after = memory(given.pid)
    print(f"{total} packets and {sum(connections.opened.values())} connections in {given.seconds:g} s")
    for title, counts in (("sent", sent), ("connections", connections.opened), ("replies seen", replies)):
        print(f"  {title}: " + ", ".join(f"{key} {count}" for key, count in sorted(counts.items())))
    print(f"  good queries: {asked} asked, {asked - len(wrong)} answered well, "
        f"{again} asked again, the slowest in {slowest_s * 1000:.0f} ms")
    for line in wrong[:10]:
        print(f"    {line}")
    if before:
        print(f"  memory before: {before}\n  memory after:  {after}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
