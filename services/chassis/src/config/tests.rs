use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::*;

const PREFIX: &str = "TANDEM_STORAGE__";

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    listen: String,
    verbose: bool,
    ratio: f64,
    pool: Pool,
    names: Vec<String>,
    ports: Vec<u16>,
    mode: Mode,
    labels: BTreeMap<String, String>,
    key: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "unix:/run/storage".to_owned(),
            verbose: false,
            ratio: 0.5,
            pool: Pool::default(),
            names: Vec::new(),
            ports: Vec::new(),
            mode: Mode::Slow,
            labels: BTreeMap::new(),
            key: None,
        }
    }
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Pool {
    max_connections: u32,
    #[serde(with = "duration")]
    wait: Duration,
    #[serde(with = "duration::option")]
    idle: Option<Duration>,
    #[serde(with = "byte_size")]
    buffer: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_connections: 10,
            wait: Duration::from_secs(1),
            idle: None,
            buffer: 4096,
        }
    }
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Slow,
    VeryFast,
}

struct File(tempfile::NamedTempFile);

impl File {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Self(file)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn read<T: DeserializeOwned>(file: Option<&File>, variables: &[(&str, &str)]) -> Result<T, Error> {
    let environment = variables
        .iter()
        .map(|(name, text)| (OsString::from(name), OsString::from(text)));
    load_from(file.map(File::path), PREFIX, environment)
}

/// Path and origin of the wrong key, and the message.
fn invalid(file: Option<&File>, variables: &[(&str, &str)]) -> (String, Origin, String) {
    match read::<Config>(file, variables) {
        Err(Error::Invalid { path, origin, message }) => (path, origin, message),
        other => panic!("expected an invalid key, got {other:?}"),
    }
}

#[test]
fn nothing_given_means_defaults() {
    assert_eq!(read::<Config>(None, &[]).unwrap(), Config::default());
}

#[test]
fn environment_wins_over_file_wins_over_default() {
    let file = File::new(
        r#"
        listen = "http://0.0.0.0:1"
        [pool]
        max_connections = 20
        wait = "250ms"
        "#,
    );
    let config: Config = read(
        Some(&file),
        &[
            ("TANDEM_STORAGE__POOL__MAX_CONNECTIONS", "30"),
            ("TANDEM_STORAGE__POOL__BUFFER", "8MiB"),
            ("TANDEM_ORCHESTRATOR__POOL__MAX_CONNECTIONS", "99"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(
        config,
        Config {
            listen: "http://0.0.0.0:1".to_owned(),
            pool: Pool {
                max_connections: 30,
                wait: Duration::from_millis(250),
                idle: None,
                buffer: 8 * 1024 * 1024,
            },
            ..Config::default()
        }
    );
}

#[test]
fn variables_become_what_the_target_wants() {
    let config: Config = read(
        None,
        &[
            ("TANDEM_STORAGE__LISTEN", "1234"),
            ("TANDEM_STORAGE__VERBOSE", "true"),
            ("TANDEM_STORAGE__RATIO", "0.25"),
            ("TANDEM_STORAGE__NAMES", "a, b,3"),
            ("TANDEM_STORAGE__PORTS", "[1, 2]"),
            ("TANDEM_STORAGE__MODE", "very_fast"),
            ("TANDEM_STORAGE__LABELS__TEAM", "7"),
            ("TANDEM_STORAGE__KEY", "0123"),
            ("TANDEM_STORAGE__POOL__IDLE", "2m"),
        ],
    )
    .unwrap();
    assert_eq!(
        config,
        Config {
            listen: "1234".to_owned(),
            verbose: true,
            ratio: 0.25,
            names: vec!["a".to_owned(), "b".to_owned(), "3".to_owned()],
            ports: vec![1, 2],
            mode: Mode::VeryFast,
            labels: BTreeMap::from([("team".to_owned(), "7".to_owned())]),
            key: Some(Secret::from("0123")),
            pool: Pool {
                idle: Some(Duration::from_secs(120)),
                ..Pool::default()
            },
        }
    );
}

#[test]
fn comma_lists_hold_numbers_too() {
    let config: Config = read(None, &[("TANDEM_STORAGE__PORTS", "80,443")]).unwrap();
    assert_eq!(config.ports, [80, 443]);
}

#[test]
fn empty_variables_count_as_not_set() {
    let config: Config = read(None, &[("TANDEM_STORAGE__VERBOSE", "")]).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn wrong_value_names_its_path_and_the_variable() {
    let name = "TANDEM_STORAGE__POOL__MAX_CONNECTIONS";
    let (path, origin, message) = invalid(None, &[(name, "many")]);
    assert_eq!(path, "pool.max_connections");
    assert_eq!(origin, Origin::Variable(name.to_owned()));
    assert!(message.contains("many"), "{message}");
}

#[test]
fn wrong_value_names_its_path_and_the_file() {
    let file = File::new("[pool]\nwait = \"soon\"");
    let (path, origin, message) = invalid(Some(&file), &[]);
    assert_eq!(path, "pool.wait");
    assert_eq!(origin, Origin::File(file.path().to_owned()));
    assert!(message.contains("no duration"), "{message}");
}

#[test]
fn unknown_keys_are_refused_with_their_path_and_origin() {
    let file = File::new("[pool]\nmax_conections = 3");
    let (path, origin, _) = invalid(Some(&file), &[]);
    assert_eq!(path, "pool.max_conections");
    assert_eq!(origin, Origin::File(file.path().to_owned()));

    let name = "TANDEM_STORAGE__POOL__MAX_CONECTIONS";
    let (path, origin, message) = invalid(None, &[(name, "3")]);
    assert_eq!(path, "pool.max_conections");
    assert_eq!(origin, Origin::Variable(name.to_owned()));
    assert!(message.contains("max_connections"), "{message}");
}

#[test]
fn wrong_list_element_is_named() {
    let file = File::new("ports = [1, 70000]");
    let (path, _, _) = invalid(Some(&file), &[]);
    assert_eq!(path, "ports[1]");

    let (path, origin, _) = invalid(None, &[("TANDEM_STORAGE__PORTS", "1,x")]);
    assert_eq!(path, "ports[1]");
    assert_eq!(origin, Origin::Variable("TANDEM_STORAGE__PORTS".to_owned()));
}

#[test]
fn missing_key_is_said_to_be_not_set() {
    #[derive(Debug, Deserialize)]
    struct Needy {
        #[expect(dead_code, reason = "only its absence matters")]
        database: String,
    }
    let Err(Error::Invalid { origin, message, .. }) = read::<Needy>(None, &[]) else {
        panic!("nothing was set");
    };
    assert_eq!(origin, Origin::Unset);
    assert!(message.contains("database"), "{message}");
}

#[test]
fn variables_for_a_table_and_its_key_contradict() {
    let both = [
        ("TANDEM_STORAGE__POOL", "{ max_connections = 1 }"),
        ("TANDEM_STORAGE__POOL__WAIT", "1s"),
    ];
    assert!(matches!(read::<Config>(None, &both), Err(Error::Overlap { .. })));
}

#[test]
fn inline_table_in_a_variable_replaces_the_files() {
    let file = File::new("[pool]\nmax_connections = 3\nwait = \"9s\"");
    let config: Config = read(Some(&file), &[("TANDEM_STORAGE__POOL", "{ max_connections = 1 }")]).unwrap();
    assert_eq!(
        config.pool,
        Pool {
            max_connections: 1,
            ..Pool::default()
        }
    );
}

#[test]
fn broken_toml_names_the_line_and_does_not_repeat_it() {
    let file = File::new("listen = \"x\"\nkey = \"hunter2\" oops");
    let Err(error @ Error::Syntax { .. }) = read::<Config>(Some(&file), &[]) else {
        panic!("the file is broken");
    };
    let text = error.to_string();
    assert!(text.contains("line 2"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn unreadable_file_is_named() {
    let Err(error) = load_from::<Config>(Some(Path::new("/nowhere/tandem.toml")), PREFIX, []) else {
        panic!("there is no such file");
    };
    assert!(error.to_string().contains("/nowhere/tandem.toml"));
}

#[test]
fn secret_is_read_from_text_or_file_and_never_shown() {
    let held = File::new("  hunter2\n");
    let inline = File::new("key = \"hunter2\"");
    let by_file = File::new(&format!("key = {{ file = {:?} }}", held.path()));
    let path = held.path().to_str().unwrap();
    let sources = [
        read::<Config>(Some(&inline), &[]),
        read::<Config>(Some(&by_file), &[]),
        read::<Config>(None, &[("TANDEM_STORAGE__KEY", "hunter2")]),
        read::<Config>(None, &[("TANDEM_STORAGE__KEY__FILE", path)]),
    ];
    for config in sources {
        let config = config.unwrap();
        assert_eq!(config.key.as_ref().unwrap().expose(), "hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
    }
}

#[test]
fn missing_secret_file_is_named() {
    let name = "TANDEM_STORAGE__KEY__FILE";
    let (path, origin, message) = invalid(None, &[(name, "/nowhere/key")]);
    assert_eq!(path, "key");
    assert_eq!(origin, Origin::Variable(name.to_owned()));
    assert!(message.contains("/nowhere/key"), "{message}");
}

#[test]
fn secret_also_reads_through_plain_toml() {
    #[derive(Deserialize)]
    struct Plain {
        key: Secret,
    }
    let plain: Plain = toml::from_str("key = \"hunter2\"").unwrap();
    assert_eq!(plain.key.expose(), "hunter2");
}
