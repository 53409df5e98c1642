//! The configuration as a file: what is in force, without what is secret. It goes into backups.

use super::{Settings, default_entries, effective};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The variable that holds a backup's passphrase, for who cannot be asked.
const PASSPHRASE: &str = "EVERPOST_BACKUP_PASSPHRASE";

/// The passphrase of a backup, if the environment has one.
pub fn backup_passphrase() -> Option<String> {
    std::env::var(PASSPHRASE).ok().filter(|text| !text.is_empty())
}

/// What is in force, as a configuration file. `database.url`, which may hold a password, is left out; of other secrets the
/// configuration holds the places of their files and no more.
pub fn to_file(settings: &Settings) -> String {
    let kinds = default_entries();
    let typed = |(key, text): (&str, String)| {
        let value = match kinds.get(key).map(|entry| &entry.value) {
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
            Some(Value::Array(_)) => {
                let items = text.split(',').filter(|item| !item.is_empty());
                Some(Value::Array(items.map(Value::from).collect()))
            }
            _ => Some(Value::String(text)),
        };
        Some((key.to_owned(), value?))
    };
    let keys = effective(settings).into_iter().filter_map(typed).filter(|(key, _)| key != "database.url");
    let note = match settings.database.url {
        Some(_) => "# database.url is not written down, for it may hold a password.\n",
        None => "",
    };
    format!("# The configuration that was in force when the backup was made.\n{note}{}", written(keys))
}

/// A file that [`to_file`] wrote, for this machine; `None` if it is none.
///
/// The place of media is that in `settings`, those of data and key file are those given. Keys that this version does not know
/// are left out.
pub fn for_this_machine(text: &str, settings: &Settings, data_dir: &Path, key_file: Option<&Path>) -> Option<String> {
    let table: Table = text.parse().ok()?;
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    for (section, values) in &table {
        for (key, value) in values.as_table()? {
            keys.insert(format!("{section}.{key}"), value.clone());
        }
    }
    let here = effective(settings).into_iter().find(|(key, _)| *key == "storage.media");
    let path = |path: &Path| Value::String(path.display().to_string());
    keys.insert("storage.data_dir".to_owned(), path(data_dir));
    keys.extend(here.map(|(key, text)| (key.to_owned(), Value::String(text))));
    keys.extend(key_file.map(|file| ("secrets.key_file".to_owned(), path(file))));
    let known = default_entries();
    keys.retain(|key, _| known.contains_key(key));
    let head = "# The configuration from the backup, with the places of this machine. Look it through before you use it:\n\
                #   everpost --config THIS-FILE config check\n\
                # database.url is not in it; without one Everpost runs a private PostgreSQL.\n";
    Some(format!("{head}{}", written(keys.into_iter())))
}

/// Keys in the shape of a configuration file; those of a section come one after the other.
fn written(keys: impl Iterator<Item = (String, Value)>) -> String {
    let (mut text, mut current) = (String::new(), String::new());
    for (key, value) in keys {
        let (section, name) = key.split_once('.').unwrap_or(("", &key));
        if section != current {
            text += &format!("\n[{section}]\n");
            current = section.to_owned();
        }
        text += &format!("{name} = {value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn settings(flags: &[&str]) -> Settings {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    fn read(text: &str) -> Settings {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() })
            .unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    #[test]
    fn what_is_written_is_read_as_it_was_but_for_the_database() {
        let flags = [
            "server.contact=a\"b\\c",
            "server.trusted_proxies=10.0.0.0/8,::1",
            "federation.allow_http=localhost:8080",
            "federation.push_max_age=90m",
            "media.strip_metadata=false",
            "storage.media=file:///srv/a b",
            "import.max_ratio=7",
            "log.format=json",
        ];
        let there = settings(&flags);
        assert_eq!(read(&to_file(&there)), there);
        let secret = [&flags[..], &["database.url=postgres://ann:hunter2@db.example/everpost"]].concat();
        let text = to_file(&settings(&secret));
        assert!(!text.contains("hunter2") && !text.contains("db.example"), "{text}");
        assert_eq!(read(&text), there);
    }

    #[test]
    fn on_another_machine_the_places_are_those_of_that_machine() {
        let there =
            to_file(&settings(&["storage.data_dir=/old", "secrets.key_file=/old/key", "server.contact=ann@a.example"]));
        let here = settings(&["storage.data_dir=/new", "storage.media=file:///new/media"]);
        let text = for_this_machine(&there, &here, Path::new("/new"), Some(Path::new("/new/key"))).unwrap();
        let read = read(&text);
        assert_eq!((&read.storage, read.server.contact.as_str()), (&here.storage, "ann@a.example"));
        assert_eq!(read.secrets.key_file.as_deref(), Some(Path::new("/new/key")));
        assert_eq!(for_this_machine("x", &here, Path::new("/new"), None), None);
    }
}
