//! Processes on a core each, controlled by lines on standard input, with the kernel's figures of them.

use std::fs;
use std::io::{BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A copy of this program in another role, pinned to a core, at a low priority.
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    first_line: String,
}

/// A command pinned to cores.
pub(crate) fn pinned(cores: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores, "nice", "-n", "5", program]);
    command
}

impl Peer {
    /// Starts this program with other arguments, and waits for its first line.
    pub(crate) fn pinned(core: usize, arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("our own path");
        let mut child = pinned(&core.to_string(), program.to_str().expect("a UTF-8 path"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a peer; taskset and nice are needed");
        let input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let first_line = line(&mut output);
        Self {
            child,
            input,
            output,
            first_line,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn first_line(&self) -> &str {
        &self.first_line
    }

    /// Sends a command, and waits until it is done.
    pub(crate) fn ask(&mut self, command: &str) {
        writeln!(self.input, "{command}").expect("a peer listens");
        let answer = line(&mut self.output);
        assert_eq!(answer, "done", "{command}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn line(output: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("a peer answers");
    line.trim().to_owned()
}

/// Nanoseconds on a CPU of all threads there are.
pub(crate) fn cpu_nanoseconds(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let spent = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(|task| spent(task.ok()?)).sum()
}

/// Bytes of anonymous resident memory.
pub(crate) fn anonymous_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .expect("RssAnon");
    let kilobytes: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kilobytes * 1_024
}
