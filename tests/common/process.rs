//! The program in a separate process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use super::TIMEOUT;

/// Path of the program that cargo built.
pub(crate) const PLUSTWO: &str = env!("CARGO_BIN_EXE_plustwo");

/// Runs the program and waits until it exits.
pub(crate) fn plustwo(arguments: &[&str]) -> Output {
    Command::new(PLUSTWO).args(arguments).output().unwrap()
}

/// The standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Writes the lab configuration to a file, with the given DNS and admin addresses, and returns its path.
pub(crate) fn lab_file(dir: &Path, dns: &str, admin: &str) -> String {
    let path = dir.join("plustwo.toml");
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    fs::write(&path, lab.replace("127.0.0.1:5300", dns).replace("127.0.0.1:9530", admin)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A daemon in a separate process. Dropping it kills the process.
pub(crate) struct DaemonProcess {
    /// The process.
    pub child: Child,
    /// Address of its first listener.
    pub dns: String,
    /// Admin address, which serves HTTP.
    pub admin: String,
    log: BufReader<ChildStderr>,
}

impl DaemonProcess {
    /// Starts a daemon with a configuration file.
    pub(crate) fn start(file: &str) -> Self {
        let mut command = Command::new(PLUSTWO);
        command.args(["serve", "--log-json", "--config", file]);
        Self::start_as(command)
    }

    /// Runs a command that starts the daemon with JSON logs, and waits until the daemon is serving.
    pub(crate) fn start_as(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut address = |message: &str| loop {
            let entry = next_entry(&mut log).unwrap_or_else(|| panic!("the log ended before `{message}`"));
            if entry["fields"]["message"] == message {
                break entry["fields"]["address"].as_str().unwrap().to_owned();
            }
        };
        let dns = address("Listening for DNS queries.");
        let admin = address("Listening for admin requests.");
        Self { child, dns, admin, log }
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Reads the log up to a message and returns all messages read.
    pub(crate) fn wait_for(&mut self, message: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let entry = next_entry(&mut self.log)
                .unwrap_or_else(|| panic!("the log ended before `{message}`: {seen:?}"));
            seen.push(entry["fields"]["message"].as_str().unwrap_or_default().to_owned());
            if seen.last().is_some_and(|last| last.contains(message)) {
                return seen;
            }
        }
    }

    /// Stops the daemon gracefully.
    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        self.wait_for("Stopped.");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    /// Sends an HTTP request and returns the status line and the body of the response.
    pub(crate) fn http(&self, method: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}

fn next_entry(log: &mut BufReader<ChildStderr>) -> Option<serde_json::Value> {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        // Output before the logger is initialised is plain text.
        if let Ok(entry) = serde_json::from_str(&line) {
            return Some(entry);
        }
        line.clear();
    }
    None
}

impl Drop for DaemonProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
