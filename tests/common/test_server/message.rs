//! Messages written octet by octet, so that they can be malformed.

/// A received query.
pub(super) struct ReceivedQuery<'m> {
    pub message: &'m [u8],
    /// Offset of the end of the question.
    pub end: usize,
    /// The name in lower case without its final dot.
    pub name: String,
    pub qtype: u16,
    /// Whether there is an additional record, which is assumed to be an OPT record.
    pub edns: bool,
}

impl<'m> ReceivedQuery<'m> {
    /// Parses a query. `None` if the message is not a query.
    pub(super) fn parse(message: &'m [u8]) -> Option<Self> {
        let (mut labels, mut at) = (Vec::new(), 12);
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let qtype = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
        let end = at + 4;
        (message.len() >= end && message[2] & 0x80 == 0).then(|| Self {
            message,
            end,
            name: labels.join("."),
            qtype,
            edns: message[11] != 0,
        })
    }

    /// Creates an empty reply with the question, and with an OPT record if the query has one.
    pub(super) fn reply(&self) -> Message {
        Message {
            id: u16::from_be_bytes([self.message[0], self.message[1]]),
            flags: 0x8180,
            rcode: 0,
            question: self.message[12..self.end].to_vec(),
            answers: Vec::new(),
            authority: Vec::new(),
            additional: if self.edns { vec![opt(0, &[])] } else { Vec::new() },
            counts: None,
        }
    }

    /// The question for another name.
    pub(super) fn question_for(&self, name: &[u8]) -> Vec<u8> {
        [name, &self.message[self.end - 4..self.end]].concat()
    }

    /// The question with one octet of its type and class changed.
    pub(super) fn question_with_octet_changed(&self, octet: usize, by: u8) -> Vec<u8> {
        let mut question = self.message[12..self.end].to_vec();
        let at = question.len() - 4 + octet;
        question[at] ^= by;
        question
    }
}

/// A message to be sent.
pub(super) struct Message {
    pub id: u16,
    pub flags: u16,
    pub rcode: u16,
    pub question: Vec<u8>,
    pub answers: Vec<Vec<u8>>,
    pub authority: Vec<Vec<u8>>,
    pub additional: Vec<Vec<u8>>,
    /// Overrides the counts in the header.
    pub counts: Option<[u16; 4]>,
}

impl Message {
    /// Changes the ID.
    pub(super) fn with_id_changed(self, by: u16) -> Self {
        Self { id: self.id ^ by, ..self }
    }

    /// The message in wire form without its additional section.
    pub(super) fn without_additional(self) -> Vec<u8> {
        Self { additional: Vec::new(), ..self }.octets()
    }

    /// The message in wire form.
    pub(super) fn octets(&self) -> Vec<u8> {
        let sections = [&self.answers, &self.authority, &self.additional];
        let [answers, authority, additional] = sections.map(|section| section.len() as u16);
        let questions = u16::from(!self.question.is_empty());
        let counts = self.counts.unwrap_or([questions, answers, authority, additional]);
        let words = [self.id, self.flags | self.rcode].into_iter().chain(counts);
        let mut octets: Vec<u8> = words.flat_map(u16::to_be_bytes).collect();
        octets.extend(&self.question);
        octets.extend(sections.into_iter().flatten().flatten());
        octets
    }
}

/// Encodes a record.
pub(super) fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut octets = owner.to_vec();
    octets.extend(rtype.to_be_bytes());
    octets.extend(class.to_be_bytes());
    octets.extend(ttl.to_be_bytes());
    octets.extend((data.len() as u16).to_be_bytes());
    octets.extend(data);
    octets
}

/// Encodes an OPT record with the high bits of the rcode, and options.
pub(super) fn opt(high_rcode: u8, options: &[u8]) -> Vec<u8> {
    record(&[0], 41, 1232, u32::from(high_rcode) << 24, options)
}

/// Encodes an extended error as an option (RFC 8914).
pub(super) fn ede(code: u16, text: &str) -> Vec<u8> {
    let words = [15, text.len() as u16 + 2, code];
    let mut octets: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
    octets.extend(text.as_bytes());
    octets
}

/// Encodes the SOA record of a zone, with a MINIMUM of 60 seconds.
pub(super) fn soa(zone: &str, ttl: u32) -> Vec<u8> {
    let names = [wire(&format!("ns.{zone}")), wire(&format!("hostmaster.{zone}"))].concat();
    let times: Vec<u8> = [1u32, 2, 3, 4, 60].into_iter().flat_map(u32::to_be_bytes).collect();
    record(&wire(zone), 6, 1, ttl, &[names, times].concat())
}

/// Encodes a name.
pub(super) fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    octets.push(0);
    octets
}
