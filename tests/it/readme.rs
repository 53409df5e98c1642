//! The README's commands, run in order as they stand, in a copy of the checkout; and the output that it shows for them.

use crate::support::Program;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The first line of a block that starts a server.
const STARTS_A_SERVER: &str = "# starts a server; Ctrl-C stops it";
/// What the server's script prints when everything is there.
const RUNNING: &str = "Everpost is running";
/// What runs these tests; it is not run from inside itself.
const ITSELF: &str = "script/test";
/// A release build from nothing takes minutes.
const PATIENCE: Duration = Duration::from_secs(1500);

/// The commands of each `sh` block.
fn blocks(markdown: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for line in markdown.lines() {
        match (&mut open, line.trim()) {
            (None, "```sh") => open = Some(Vec::new()),
            (Some(_), "```") => found.extend(open.take()),
            (Some(block), command) if !command.is_empty() => block.push(command.to_owned()),
            _ => {}
        }
    }
    found
}

/// What the script that starts a server is given, and the output that the README shows for it.
fn served(markdown: &str) -> (String, String) {
    let (_, after) =
        markdown.split_once(&format!("```sh\n{STARTS_A_SERVER}\nscript/server ")).expect("it starts a server");
    let (archive, after) = after.split_once('\n').unwrap();
    let (_, after) = after.split_once("```text\n").expect("and shows what that prints");
    (archive.to_owned(), after.split_once("```").unwrap().0.to_owned())
}

/// A report without the time that it took.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" in ") {
        Some((before, took)) if took.ends_with(" s") => before.trim_end().to_owned(),
        _ => line.to_owned(),
    };
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_output_that_the_readme_shows_is_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (archive, output) = served(&readme);
    assert_eq!(archive, "examples/mastodon", "the first thing that a user does is to import a Mastodon archive");
    let program = Program::new();
    let run = program.command().args(["import", &archive]).current_dir(root).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let printed = String::from_utf8(run.stdout).unwrap();
    let printed = format!("{}\n\n{RUNNING}. Ctrl-C stops it.", printed.trim_end());
    assert_eq!(timeless(&output), timeless(&printed), "it prints now:\n{printed}");
}

/// The tracked and new files of the checkout, copied; the build folder is shared so that nothing is built twice.
fn copy_checkout(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(root).output().unwrap();
    for name in String::from_utf8(list.stdout).unwrap().lines() {
        let (from, to) = (root.join(name), to.join(name));
        if from.is_file() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        }
    }
    let profile = Path::new(env!("CARGO_BIN_EXE_everpost")).parent().unwrap();
    std::os::unix::fs::symlink(profile.parent().unwrap(), to.join("target")).unwrap();
}

fn shell(command: &str, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("EVERPOST_") || name == "DATABASE_URL" || name == "CARGO_TARGET_DIR" {
            shell.env_remove(&*name);
        }
    }
    shell
}

/// A running server script, ended as Ctrl-C ends it.
struct Server(Child);

impl Server {
    /// Start it, and see that it prints `shown`.
    fn start(command: &str, shown: &str, folder: &Path) -> Server {
        use std::os::unix::process::CommandExt;
        let mut child = shell(command, folder).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let server = Server(child);
        let begun = Instant::now();
        let mut said = String::new();
        while !said.contains(RUNNING) {
            assert!(begun.elapsed() < PATIENCE, "{command} does not come up: {said}");
            assert!(lines.read_line(&mut said).unwrap() > 0, "{command} ended: {said}");
        }
        // The rest is read, so that the server is never held up by a full pipe.
        std::thread::spawn(move || std::io::copy(&mut lines.by_ref(), &mut std::io::sink()));
        assert!(timeless(&said).ends_with(&timeless(shown)), "it prints now:\n{said}");
        server
    }

    fn stop(mut self) {
        interrupt(&self.0);
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        interrupt(&self.0);
        drop(self.0.wait());
    }
}

/// What a terminal does on Ctrl-C: SIGINT to the whole process group.
fn interrupt(child: &Child) {
    let group = rustix::process::Pid::from_child(child);
    // It may have ended by itself.
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::INT);
}

#[test]
fn the_readmes_commands_work_as_they_stand() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let folder = tempfile::Builder::new().prefix("everpost-readme-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    copy_checkout(folder.path());
    let (mut server, mut commands) = (None, 0);
    for block in blocks(&readme) {
        if block[0] == STARTS_A_SERVER {
            assert!(server.is_none(), "one server is enough");
            server = Some(Server::start(&block[1..].join("\n"), &served(&readme).1, folder.path()));
            continue;
        }
        for command in block.iter().filter(|command| !command.starts_with('#') && *command != ITSELF) {
            let output = shell(command, folder.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{command}: {said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(!said.contains("\"error\""), "{command}: {said}");
            commands += 1;
        }
    }
    assert!(server.is_some() && commands >= 3, "the README starts a server and has {commands} commands");
    server.unwrap().stop();
    let begun = Instant::now();
    while let Some(left) = process_that_names(folder.path().to_str().unwrap()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "a process is left over: {left}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The command line of a running process that names a folder.
fn process_that_names(folder: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let line = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).ok();
    processes.filter_map(line).find(|line| line.contains(folder))
}
