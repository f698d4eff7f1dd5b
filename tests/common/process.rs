//! The program in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use super::TIMEOUT;

/// The program that cargo built.
pub const PLUSTWO: &str = env!("CARGO_BIN_EXE_plustwo");

/// Runs it to its end.
pub fn plustwo(arguments: &[&str]) -> Output {
    Command::new(PLUSTWO).args(arguments).output().unwrap()
}

/// Its standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Its standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The lab in a file, on ports that are free or taken as the test wants.
pub fn lab_file(dir: &Path, dns: &str, admin: &str) -> String {
    let path = dir.join("plustwo.toml");
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    fs::write(&path, lab.replace("127.0.0.1:5300", dns).replace("127.0.0.1:9530", admin)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A daemon in a process of its own. Killed, if the test did not end it.
pub struct DaemonProcess {
    /// The process.
    pub child: Child,
    /// Where it answers DNS.
    pub dns: String,
    /// Where it serves HTTP.
    pub admin: String,
    log: BufReader<ChildStderr>,
}

impl DaemonProcess {
    /// Serves a file.
    pub fn start(file: &str) -> Self {
        let mut command = Command::new(PLUSTWO);
        command.args(["serve", "--log-json", "--config", file]);
        Self::start_as(command)
    }

    /// Runs a command that becomes the daemon, logging JSON, and waits until its doors are open.
    pub fn start_as(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut address = |of: &str| loop {
            let entry = next_entry(&mut log).unwrap_or_else(|| panic!("it ended before `{of}`"));
            if entry["fields"]["message"] == of {
                break entry["fields"]["address"].as_str().unwrap().to_owned();
            }
        };
        let dns = address("Answering DNS.");
        let admin = address("Serving metrics and explanations.");
        Self { child, dns, admin, log }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Reads the log up to a message, and gives all messages up to it.
    pub fn wait_for(&mut self, message: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let entry =
                next_entry(&mut self.log).unwrap_or_else(|| panic!("it ended before `{message}`: {seen:?}"));
            seen.push(entry["fields"]["message"].as_str().unwrap_or_default().to_owned());
            if seen.last().is_some_and(|last| last.contains(message)) {
                return seen;
            }
        }
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        self.signal("-TERM");
        self.wait_for("Stopped.");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    /// The status line and the body of what it answers over HTTP.
    pub fn http(&self, method: &str, path: &str) -> (String, String) {
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
        // What is said before logging begins is words.
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
