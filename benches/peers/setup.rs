//! Who stays on which processor.

/// A set-up's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum SetupName {
    /// The server, with one thread, has a processor of its own; generator and upstream share another.
    Pin1,
    /// The server has two threads, and the system places everybody.
    Free2,
}

/// How servers and load share the machine.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its name, as tables show it.
    pub name: &'static str,
    /// The processor of the server.
    pub server_cpu: Option<usize>,
    /// The processor of generator and upstream.
    pub generator_cpu: Option<usize>,
    /// Threads that answer.
    pub threads: usize,
    /// Sockets that ask.
    pub sockets: usize,
    /// Queries on their way at once, over all sockets.
    pub outstanding: usize,
}

impl Setup {
    /// A set-up on a machine with these processors.
    ///
    /// # Errors
    ///
    /// There is one processor only, and two are to be kept apart.
    pub fn new(name: SetupName, processors: &[usize]) -> Result<Self, String> {
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

    /// What it is, for the head of a table.
    pub fn meaning(&self) -> String {
        match (self.server_cpu, self.generator_cpu) {
            (Some(server), Some(generator)) => format!(
                "server: one thread on processor {server}; generator and upstream on processor {generator}; {} \
                 queries on their way over {} sockets",
                self.outstanding, self.sockets
            ),
            _ => format!(
                "server: {} threads; nothing is pinned; {} queries on their way over {} sockets",
                self.threads, self.outstanding, self.sockets
            ),
        }
    }
}
