//! Finds PostgreSQL's programs on the machine, and tells their version.
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use super::files::Ids;

/// A folder with `initdb` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    /// The major version, as a cluster's `PG_VERSION` writes it.
    pub(super) version: String,
}

/// A command with an empty environment, run by the cluster's user where this process is root.
pub(super) fn command(program: &Path, run_as: Option<Ids>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
    if let Some(ids) = run_as {
        command.uid(ids.uid).gid(ids.gid);
    }
    command
}

/// The programs for a new cluster: the first that run, in the order of [`candidates`].
pub(super) fn for_new_cluster(path_var: Option<&OsStr>, root: &Path, run_as: Option<Ids>) -> Result<Binaries, Error> {
    let found = candidates(path_var, root).into_iter().find_map(|dir| inspect(dir, run_as));
    found.ok_or_else(|| Error::NoBinaries {
        searched: format!(
            "PATH, which is \"{}\", /usr/lib/postgresql, /usr/libexec and /usr/pgsql-*",
            path_var.unwrap_or_default().display()
        ),
    })
}

/// The programs for the cluster in `data`, which must be of exactly its version.
pub(super) fn for_cluster(
    path_var: Option<&OsStr>,
    root: &Path,
    run_as: Option<Ids>,
    data: &Path,
    version: &str,
) -> Result<Binaries, Error> {
    let mut others: Vec<Binaries> = Vec::new();
    for found in candidates(path_var, root).into_iter().filter_map(|dir| inspect(dir, run_as)) {
        if found.version == version {
            return Ok(found);
        }
        if !others.contains(&found) {
            others.push(found);
        }
    }
    let found = match others.as_slice() {
        [] => "no PostgreSQL".to_owned(),
        some => {
            let versions: Vec<&str> = some.iter().map(|found| found.version.as_str()).collect();
            format!("only PostgreSQL {}", versions.join(", "))
        }
    };
    let newer = others.iter().find(|other| number(&other.version) > number(version));
    let remedy = remedy(data, version, newer, run_as);
    Err(Error::WrongVersion { data: data.to_owned(), cluster: version.to_owned(), found, remedy })
}

/// The exact commands for a cluster whose version is not installed.
fn remedy(data: &Path, version: &str, newer: Option<&Binaries>, run_as: Option<Ids>) -> String {
    let mut text = format!(
        "To go on as before, install that version beside the others (Debian and Ubuntu, if need be with the packages \
         of apt.postgresql.org):\n  apt-get install postgresql-{version}"
    );
    let Some(newer) = newer else { return text };
    let (bin, to) = (newer.dir.display(), &newer.version);
    let (old, new, data) =
        (format!("{}.{version}", data.display()), format!("{}.{to}", data.display()), data.display());
    let user = run_as
        .map_or_else(String::new, |ids| format!("setpriv --reuid={} --regid={} --clear-groups ", ids.uid, ids.gid));
    let folder =
        run_as.map_or_else(String::new, |ids| format!("\n  install -d -m 700 -o {} -g {} {new}", ids.uid, ids.gid));
    text += &format!(
        "\nTo move the database to PostgreSQL {to}, install {version} too (as above), stop Everpost, then:\n  cd \
         /tmp{folder}\n  {user}{bin}/initdb -D {new} -U everpost -A trust -E UTF8 \
         --locale=C.UTF-8 -k\n  {user}{bin}/pg_upgrade -b /usr/lib/postgresql/{version}/bin -B {bin} -d {data} \
         -D {new} -U everpost -s /tmp\n  mv {data} {old} && mv {new} {data}"
    );
    text
}

/// Every folder that may hold the programs, best first, canonical and without repetition: those of `PATH`, then
/// the usual places below `root`, highest version first.
fn candidates(path_var: Option<&OsStr>, root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let path = path_var.unwrap_or_default().as_bytes().split(|byte| *byte == b':');
    // Relative entries are left out: they would depend on the folder in which Everpost was started.
    let path = path.map(|dir| PathBuf::from(OsStr::from_bytes(dir))).filter(|dir| dir.is_absolute());
    let usual = [("usr/lib/postgresql", ""), ("usr/libexec", "postgresql"), ("usr", "pgsql-")];
    let usual = usual.into_iter().flat_map(|(parent, prefix)| by_version(&root.join(parent), prefix));
    for dir in path.chain(usual.flat_map(|dir| [dir.join("bin"), dir])).filter_map(programs_in) {
        if !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// The subfolders whose names start with `prefix`, highest version first.
fn by_version(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<OsString> = names.filter(|name| name.as_bytes().starts_with(prefix.as_bytes())).collect();
    names.sort_by(|a, b| number(&b.to_string_lossy()).cmp(&number(&a.to_string_lossy())).then_with(|| a.cmp(b)));
    names.into_iter().map(|name| parent.join(name)).collect()
}

/// The numbers in a name, for comparing versions.
fn number(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The canonical folder of the programs that `dir` holds or links to.
fn programs_in(dir: PathBuf) -> Option<PathBuf> {
    let real = fs::canonicalize(dir.join("initdb")).ok()?;
    let dir = real.parent()?;
    dir.join("postgres").is_file().then(|| dir.to_owned())
}

/// Asks the programs for their version; None if the cluster's user cannot run them.
fn inspect(dir: PathBuf, run_as: Option<Ids>) -> Option<Binaries> {
    let output = command(&dir.join("postgres"), run_as).arg("--version").output().ok()?;
    let version = major(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { dir, version })
}

/// The major version in the answer to `postgres --version`.
fn major(answer: &str) -> Option<String> {
    let full = answer.strip_prefix("postgres (PostgreSQL) ")?;
    let digits: String = full.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn install(dir: &Path, version: &str) {
        fs::create_dir_all(dir).expect("a folder");
        for program in ["initdb", "postgres"] {
            let file = dir.join(program);
            fs::write(&file, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).expect("a program");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(), Some("15"));
        assert_eq!(major("postgres (PostgreSQL) 19beta2").as_deref(), Some("19"));
        assert_eq!(major("sh: not found"), None);
    }

    #[test]
    fn the_path_comes_first_then_the_highest_version() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = fs::canonicalize(root.path()).expect("canonical");
        for (dir, version) in [
            ("usr/lib/postgresql/9/bin", "9.6.1"),
            ("usr/lib/postgresql/15/bin", "15.1"),
            ("usr/libexec/postgresql17", "17.2"),
            ("usr/lib/postgresql/16/bin", "16.1"),
        ] {
            install(&root.join(dir), version);
        }
        fs::create_dir_all(root.join("links")).expect("a folder");
        symlink(root.join("usr/lib/postgresql/15/bin/initdb"), root.join("links/initdb")).expect("a link");
        let dirs = |path: Option<&OsStr>| -> Vec<String> {
            let strip = |dir: PathBuf| dir.strip_prefix(&root).expect("below").display().to_string();
            candidates(path, &root).into_iter().map(strip).collect()
        };
        let rest = [
            "usr/lib/postgresql/16/bin",
            "usr/lib/postgresql/15/bin",
            "usr/lib/postgresql/9/bin",
            "usr/libexec/postgresql17",
        ];
        assert_eq!(dirs(None), rest);
        assert_eq!(dirs(Some(OsStr::new("::bin:/none"))), rest);
        let path = format!("/none:{}", root.join("links").display());
        assert_eq!(dirs(Some(OsStr::new(&path)))[0], "usr/lib/postgresql/15/bin");
        assert_eq!(dirs(Some(OsStr::new(&path))).len(), 4);
        assert_eq!(for_new_cluster(None, &root, None).expect("found").version, "16");
        let data = Path::new("/d/data");
        assert_eq!(
            for_cluster(None, &root, None, data, "17").expect("found").dir,
            root.join("usr/libexec/postgresql17")
        );
        let refused = for_cluster(None, &root, None, data, "14").expect_err("not installed").to_string();
        for part in [
            "PostgreSQL 14",
            "only PostgreSQL 16, 15, 9, 17",
            "apt-get install postgresql-14",
            "pg_upgrade -b /usr/lib/postgresql/14/bin",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        let refused = for_cluster(None, &root, None, data, "99").expect_err("not installed").to_string();
        assert!(refused.contains("postgresql-99") && !refused.contains("pg_upgrade"), "{refused}");
    }

    #[test]
    fn nothing_installed_is_an_error_that_helps() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let error = for_new_cluster(Some(OsStr::new("")), root.path(), None).expect_err("nothing there");
        assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
        let error = for_cluster(None, root.path(), None, Path::new("/d/data"), "15").expect_err("nothing there");
        assert!(error.to_string().contains("has no PostgreSQL"), "{error}");
    }
}
