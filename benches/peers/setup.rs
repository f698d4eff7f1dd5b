//! Set-ups: the assignment of servers and load to processors.

/// The name of a set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum SetupName {
    /// The server, with one thread, has its own processor; generator and upstream share another
    Pin1,
    /// The server has two threads, and nothing is pinned
    Free2,
}

/// How servers and load share the machine.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Its name in tables.
    pub name: &'static str,
    /// The processor of the server.
    pub server_cpu: Option<usize>,
    /// The processor of generator and upstream.
    pub generator_cpu: Option<usize>,
    /// Number of server threads.
    pub threads: usize,
    /// Number of client sockets.
    pub sockets: usize,
    /// Number of queries in flight, over all sockets.
    pub outstanding: usize,
}

impl Setup {
    /// Creates a set-up for a machine with these processors.
    ///
    /// # Errors
    ///
    /// The set-up needs two processors and there is only one.
    pub(crate) fn new(name: SetupName, processors: &[usize]) -> Result<Self, String> {
        match (name, processors) {
            (SetupName::Pin1, [server, generator, ..]) => Ok(Self {
                name: "pin1",
                server_cpu: Some(*server),
                generator_cpu: Some(*generator),
                threads: 1,
                sockets: 4,
                outstanding: 128,
            }),
            (SetupName::Pin1, _) => Err("pin1 needs two processors".to_owned()),
            (SetupName::Free2, _) => Ok(Self {
                name: "free2",
                server_cpu: None,
                generator_cpu: None,
                threads: 2,
                sockets: 16,
                outstanding: 256,
            }),
        }
    }

    /// Description for the heading of a table.
    pub(crate) fn summary(&self) -> String {
        match (self.server_cpu, self.generator_cpu) {
            (Some(server), Some(generator)) => format!(
                "server: one thread on processor {server}; generator and upstream on processor {generator}; {} \
                 queries in flight over {} sockets",
                self.outstanding, self.sockets
            ),
            _ => format!(
                "server: {} threads; nothing is pinned; {} queries in flight over {} sockets",
                self.threads, self.outstanding, self.sockets
            ),
        }
    }
}
