//! Runs a part of a test in a process of its own, and reads how much memory a
//! process uses.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// The variable that tells a test binary which part to play.
const ROLE: &str = "OFFSHOOT_TEST_ROLE";

/// Which part this process plays: `None` for the test itself.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A process of the running test binary that plays `role` in the test `name`.
#[derive(Debug)]
pub struct Part {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Part {
    /// Starts it.
    ///
    /// # Panics
    /// When the process cannot be started.
    pub fn start(name: &str, role: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test's program"))
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a part of the test");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    /// What it said next with [`say`].
    ///
    /// # Panics
    /// When it ended without saying anything.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let n = self.output.read_line(&mut line).expect("read a part's output");
            assert!(n > 0, "a part of the test ended early: {:?}", self.child.wait());
            if let Some((_, said)) = line.split_once(MARK) {
                return said.trim_end().to_owned();
            }
        }
    }

    /// Lets it go on past one [`wait`].
    ///
    /// # Panics
    /// When it has ended.
    pub fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input).and_then(|()| input.flush()).expect("let a part go on");
    }

    /// Lets it go on past every [`wait`], and waits until it has ended.
    ///
    /// # Panics
    /// When it failed.
    pub fn finish(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        while self.output.read_line(&mut rest).expect("read a part's output") > 0 {}
        assert!(self.child.wait().expect("wait for a part").success(), "{rest}");
    }

    /// Ends it at once, wherever it is.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("end a part of the test");
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Sets what a part says apart from what the test harness prints.
const MARK: &str = "offshoot-part: ";

/// Says a line to the test that started this part.
///
/// # Panics
/// When nobody listens any more.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}").and_then(|()| out.flush()).expect("say something");
}

/// Waits until the test lets this part go on.
///
/// # Panics
/// When the input cannot be read.
pub fn wait() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("wait for the test");
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Private pages that are in no file.
    pub anonymous: u64,
    /// All pages, each divided by the number of processes that have it.
    pub proportional: u64,
}

/// Memory of a process as Linux counts it.
///
/// # Panics
/// Where there is no `/proc`.
pub fn memory(process: u32) -> Memory {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(&path).expect("read smaps_rollup");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a known line");
        let kilobytes = line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    };
    Memory { anonymous: value("Anonymous:"), proportional: value("Pss:") }
}
