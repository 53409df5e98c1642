//! The real server as a process: started, watched through its log, ended by a signal.

use super::Program;
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for anything that a server does.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `everpost serve`. Ends with this value.
pub struct Serving {
    child: Child,
    log: Arc<Mutex<String>>,
    pub address: SocketAddr,
}

impl Serving {
    /// Start it on a free port of the loopback address and wait until it listens.
    pub fn start(program: &Program) -> Serving {
        let mut command = program.command();
        command.args(["serve", "--set", "server.bind=127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (log, stderr) = (Arc::new(Mutex::new(String::new())), child.stderr.take().unwrap());
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut serving = Serving { child, log, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let log = serving.wait_for("listening");
        let (_, rest) = log.split_once("127.0.0.1:").unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        serving.address.set_port(port.parse().unwrap());
        serving
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The log, once it holds `text`.
    pub fn wait_for(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            assert!(begun.elapsed() < PATIENCE, "{text:?} was not logged: {log}");
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() || self.log().contains(text), "the server ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not end: {}", self.log());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        drop(self.child.wait());
    }
}
