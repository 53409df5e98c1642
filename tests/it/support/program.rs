//! The real program, run as a person runs it.

use super::TestDatabase;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A configured `everpost` with a data folder of its own.
pub struct Program {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    database: Option<TestDatabase>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// With a database from the run's Postgres: the usual, fast way.
    pub fn new() -> Program {
        let database = TestDatabase::new();
        let mut program = Program::private();
        program.set("EVERPOST_DATABASE__URL", &database.url());
        program.database = Some(database);
        program
    }

    /// With its own private Postgres, as a new user has it.
    pub fn private() -> Program {
        let folder = tempfile::Builder::new().prefix("everpost-").tempdir().unwrap();
        // The database's unprivileged user must be able to reach the folder.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let mut program = Program { folder, environment: Vec::new(), database: None };
        let data_dir = program.data_dir();
        program.set("EVERPOST_STORAGE__DATA_DIR", data_dir.to_str().unwrap());
        program
    }

    /// Forget an environment variable.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Set an environment variable for every later run.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A scratch folder beside the data folder.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The database of [`Program::new`].
    pub fn database(&self) -> &TestDatabase {
        self.database.as_ref().expect("a private program has no test database")
    }

    /// The program, ready to be given arguments: none of this process's configuration reaches it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_everpost"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EVERPOST_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().cloned()).current_dir(self.scratch()).stdin(Stdio::null());
        command
    }

    /// Run to the end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let Output { status, stdout, stderr } = self.command().args(arguments).output().unwrap();
        Outcome {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Run, succeed, and read what it printed as JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {outcome:?}"))
    }

    /// Run and succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        outcome.stdout
    }
}
