//! The command line: every subcommand, what it prints, and its exit code.
//!
//! 0 done, 1 failure, 2 nothing readable, 3 loss under `--strict` or in a backup, 64 wrong usage; `everpost diff` ends with 1
//! for a difference and with 2 for any failure, as `diff` does. With `--json` the object is the only standard output.

mod accounts;
mod backfill;
mod backup;
mod blocks;
mod diff;
mod doctor;
mod domains;
mod export;
mod followers;
mod import;
mod imports;
mod keys;
mod media;
mod moves;
mod output;
mod pins;
mod posts;
mod private;
mod profile;
mod queue;
mod report;
mod restore;
mod resurface;
mod tokens;
mod verify;

use crate::config::{self, Settings, Sources};
use crate::operations::{self, App};
use crate::startup;
use clap::{Args, Parser, Subcommand};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code for wrong usage (`EX_USAGE` of sysexits).
const WRONG_USAGE: u8 = 64;
/// Exit code when nothing readable was found.
const NOTHING_READABLE: u8 = 2;

/// Exit code of a comparison that failed, so that no failure passes for a difference.
const NOT_COMPARED: u8 = 2;

/// Keeps archived posts alive on the fediverse.
#[derive(Debug, Parser)]
#[command(name = "everpost", version, max_term_width = 100)]
pub struct Cli {
    /// A configuration file; config/default.toml is the manual
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One configuration key, as server.bind=0.0.0.0:8080; goes before everything else
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until Ctrl-C
    Serve,
    /// Deliver what is in the queue until Ctrl-C, beside the server, which does so too
    Worker,
    /// Bring the database's tables up to this version
    Migrate,
    /// Import archives; running it again changes nothing
    Import(import::Import),
    Export(export::Export),
    /// List, show and undo imports
    #[command(subcommand)]
    Imports(imports::Command),
    /// Make, describe, publish and delete accounts
    #[command(subcommand)]
    Account(accounts::Command),
    /// List, show, withdraw and restore posts
    #[command(subcommand)]
    Post(posts::Command),
    /// Show posts of an account before all others
    #[command(subcommand)]
    Pin(pins::Command),
    /// Boost old posts of an account to its followers
    #[command(subcommand)]
    Resurface(resurface::Command),
    /// Who follows an account: list, remove, approve, reject
    #[command(subcommand)]
    Follower(followers::Command),
    /// Domains and actors that nothing is taken from and nothing is sent to
    #[command(subcommand)]
    Block(blocks::Command),
    /// Look at stored pictures, films and sounds again
    #[command(subcommand)]
    Media(media::Command),
    /// The host names that this server answers for
    #[command(subcommand)]
    Domain(domains::Command),
    Diff(diff::Diff),
    /// What is to be sent to other servers, and how they take it
    #[command(subcommand)]
    Queue(queue::Command),
    /// What the servers of followers were offered of old posts, and what they have
    #[command(subcommand)]
    Backfill(backfill::Command),
    /// Check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    Verify(verify::Verify),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Doctor(doctor::Doctor),
    /// Owns the private database; started by the other commands
    #[command(name = crate::postgres::SUBCOMMAND, hide = true)]
    Supervise {
        #[arg(long)]
        data_dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the configuration in force, secrets masked
    Check(JsonFlag),
}

/// `--json`, which every command that lists or shows has.
#[derive(Clone, Copy, Debug, Args)]
struct JsonFlag {
    /// Print JSON and nothing else
    #[arg(long)]
    json: bool,
}

/// Which account a command is about.
#[derive(Clone, Debug, Args)]
struct AccountFlag {
    /// The account's handle; optional while there is only one
    #[arg(long, value_name = "HANDLE")]
    account: Option<String>,
}

impl AccountFlag {
    async fn find(&self, app: &App) -> anyhow::Result<crate::domain::account::Account> {
        let handle = self.account.as_deref().map(parse_handle).transpose()?;
        Ok(operations::accounts::find_or_only(app, handle.as_ref()).await?)
    }
}

/// What a shell calls the end of a program that printed to nobody: 128 and the number of SIGPIPE.
const NOBODY_LISTENS: i32 = 141;

/// End without a word when who reads what is printed went away, as `head` does: that is no failure of ours.
fn end_with_the_reader() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(NOBODY_LISTENS);
        }
        tell(panic);
    }));
}

/// Parse the arguments, run the command, and say how it ended.
pub fn run() -> ExitCode {
    end_with_the_reader();
    let cli = match Cli::try_parse().and_then(Cli::checked) {
        Ok(cli) => cli,
        Err(error) => {
            // Printing fails only when nobody listens any more.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(WRONG_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let compares = matches!(cli.command, Command::Diff(_));
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("everpost: {error:#}");
            match error.downcast_ref::<operations::Error>() {
                Some(operations::Error::NothingReadable(_)) => ExitCode::from(NOTHING_READABLE),
                _ if compares => ExitCode::from(NOT_COMPARED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

impl Cli {
    /// Look at what a parser of single arguments cannot see.
    fn checked(self) -> Result<Cli, clap::Error> {
        if let Command::Post(command) = &self.command {
            command.check()?;
        }
        Ok(self)
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::Supervise { data_dir } = &cli.command {
        start_log(&cli.command, false);
        startup::supervise(data_dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = config::load(&Sources::of_process(cli.config, cli.set));
    start_log(&cli.command, settings.as_ref().is_ok_and(|settings| settings.log.json));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        // It says what is wrong with the configuration too.
        Command::Doctor(doctor) => runtime.block_on(doctor.run(settings)),
        other => runtime.block_on(command(other, settings?)),
    }
}

async fn command(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => startup::serve(&settings).await?,
        Command::Worker => startup::work(&settings).await?,
        Command::Backfill(command) => command.run(&open(&settings).await?).await?,
        Command::Queue(command) => command.run(&open(&settings).await?).await?,
        Command::Migrate => migrate(&settings).await?,
        Command::Config(ConfigCommand::Check(flag)) => check(&settings, flag.json)?,
        Command::Import(import) => return import.run(&open(&settings).await?, settings.import).await,
        Command::Export(export) => export.run(&open(&settings).await?).await?,
        Command::Imports(command) => command.run(&open(&settings).await?).await?,
        Command::Account(command) => command.run(&open(&settings).await?).await?,
        Command::Post(command) => command.run(&open(&settings).await?).await?,
        Command::Pin(command) => command.run(&open(&settings).await?).await?,
        Command::Resurface(command) => command.run(&open(&settings).await?).await?,
        Command::Follower(command) => command.run(&open(&settings).await?).await?,
        Command::Block(command) => command.run(&open(&settings).await?).await?,
        Command::Media(command) => {
            if !command.run(&open(&settings).await?).await? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Verify(verify) => {
            if !verify.run(&open(&settings).await?).await? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Backup(backup) => return backup.run(&settings).await,
        Command::Restore(restore) => restore.run(&settings).await?,
        Command::Diff(diff) => return diff.run(&open(&settings).await?, settings.import).await,
        Command::Domain(command) => command.run(&settings).await?,
        Command::Doctor(_) | Command::Supervise { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(settings: &Settings) -> anyhow::Result<startup::Started> {
    let started = startup::open(settings).await?;
    if let Some(notice) = &started.notice {
        eprintln!("everpost: {notice}");
    }
    Ok(started)
}

async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    operations::backup::restore::refuse_unfinished(&settings.storage.data_dir)?;
    let database = startup::database(settings).await?;
    let url = database.url.clone();
    let done = tokio::task::spawn_blocking(move || crate::store::Store::migrate(&url)).await??;
    match done.as_slice() {
        [] => println!("The tables are up to date."),
        done => done.iter().for_each(|name| println!("migrated: {name}")),
    }
    Ok(())
}

fn check(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let entries = config::effective(settings);
    if json {
        let object: serde_json::Map<_, _> =
            entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        return output::json(&serde_json::Value::Object(object));
    }
    for (key, value) in entries {
        println!("{key} = {value}");
    }
    Ok(())
}

fn parse_handle(text: &str) -> anyhow::Result<crate::domain::account::Handle> {
    crate::domain::account::Handle::parse(text).map_err(|message| anyhow::anyhow!(message))
}

/// The log goes to standard error. A server says what it does; a command is quiet unless something is wrong.
fn start_log(command: &Command, json: bool) {
    let usual = match command {
        Command::Serve | Command::Worker | Command::Supervise { .. } => "info,actix_server=warn",
        _ => "warn",
    };
    let filter = config::log_filter().unwrap_or_else(|| usual.to_owned());
    let mut filter = tracing_subscriber::EnvFilter::try_new(&filter).unwrap_or_else(|_| usual.into());
    // The driver logs the values of every statement, private keys among them, and the HTML parser every word of posts that are
    // not public: never below a warning.
    for quiet in ["tokio_postgres=warn", "html5ever=warn"] {
        if let Ok(quiet) = quiet.parse() {
            filter = filter.add_directive(quiet);
        }
    }
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber is possible in tests alone.
    let _ = match json {
        true => log.json().flatten_event(true).with_span_list(false).try_init(),
        false => log.with_target(false).with_ansi(terminal).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
