//! Configuration as an operator meets it: files, environment, flags, errors, generated pages.

use std::path::PathBuf;
use std::time::Duration;

use seawall::config::{Config, LogFormat, OnLoss, Overrides, Peers, reference};

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<Vec<_>>()
        .into_iter()
}

fn load(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    Config::load(None, env(pairs), Overrides::default())
        .map_err(|e| e.iter().map(ToString::to_string).collect())
}

fn load_file(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seawall.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path), env(&[]), Overrides::default()).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n").replace(&dir.path().display().to_string(), "")
    })
}

#[test]
fn nothing_given_is_a_working_configuration() {
    let config = load(&[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.peers, Peers::Anyone);
    assert_eq!(config.data_dir(), PathBuf::from("./seawall-data"));
    assert_eq!((config.server.max_body, config.server.max_batch_body), (65_536, 4 << 20));
    assert_eq!(config.verification, seawall_core::policy::VerificationBounds::default());
    assert_eq!(config.retention, seawall_store::records::Retention::default());
    assert_eq!((config.counters.on_loss, config.log.format), (OnLoss::Refuse, LogFormat::Text));
    assert!(config.warnings.is_empty() && config.tls.is_none() && !config.sandbox.clock);
}

#[test]
fn flags_outrank_the_environment_which_outranks_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:1\"\nmax_body = \"2KiB\"\n[log]\nlevel = \"warn\"")
        .unwrap();
    let flags = Overrides { data_dir: Some("/x/y".into()), listen: Some("127.0.0.1:3".to_owned()) };
    let given =
        [("SEAWALL_SERVER__LISTEN", "127.0.0.1:2"), ("SEAWALL_LOG__LEVEL", "error"), ("PATH", "/bin")];
    let config = Config::load(Some(&path), env(&given), flags).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!((config.log.level.as_str(), config.server.max_body), ("error", 2048));
    assert_eq!(config.data_dir(), PathBuf::from("/x/y"));
}

#[test]
fn a_flag_that_is_wrong_is_named_with_its_variable() {
    let flags = Overrides { listen: Some("nonsense".to_owned()), ..Overrides::default() };
    let errors = Config::load(None, env(&[]), flags).unwrap_err();
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["--listen or SEAWALL_LISTEN: server.listen = \"nonsense\": not an address with a port; \
          write e.g. \"127.0.0.1:8080\" or \"[::]:8080\""]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_what_to_do() {
    let refused = load_file(
        "listen = \"x\"\n\
        [server]\nlisen = \"127.0.0.1:80\"\nlisten = 8080\ntrusted_proxies = [\"0.0.0.0/0\"]\nclient_ip_header = \"a b\"\n\
        [store]\nurl = \"mysql://u:secret@h/db\"\n[counters]\nurl = \"redis://h\"\non_loss = \"maybe\"\n\
        [log]\nlevel = \"loud=very\"\n[verification]\nmin_code_length = 3\ndefault_ttl = \"5\"\n\
        [retention]\ntexts = \"100d\"\n[tls]\nkey = \"k.pem\"\n[limits]\nheader_timeout = 10\n[typo]\nx = 1\n",
    );
    insta::assert_snapshot!(refused.unwrap_err());
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    insta::assert_snapshot!(load_file("[server]\nlisten = \n").unwrap_err());
}

#[test]
fn the_environment_is_checked_like_the_file() {
    let refused = load(&[
        ("SEAWALL_SERVER__LISEN", "x"),
        ("SEAWALL_SERVER_LISTEN", "x"),
        ("SEAWALL_PORT", "tcp://10.0.0.1"),
        ("SEAWALL_SANDBOX__CLOCK", "yes"),
        ("SEAWALL_LIMITS__MAX_CONNECTIONS", "0"),
        ("SEAWALL_STORE__URL_FILE", "/nonexistent"),
    ]);
    insta::assert_snapshot!(refused.unwrap_err().join("\n"));
}

#[test]
fn a_secret_comes_from_a_file_and_never_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("url");
    std::fs::write(&path, "sqlite:/data\n").unwrap();
    let file = path.to_str().unwrap();
    let config = load(&[("SEAWALL_STORE__URL_FILE", file)]).unwrap();
    assert_eq!(config.data_dir(), PathBuf::from("/data"));
    let twice = load(&[("SEAWALL_STORE__URL_FILE", file), ("SEAWALL_STORE__URL", "sqlite:x")]).unwrap_err();
    assert!(twice[0].contains("SEAWALL_STORE__URL is set, too"), "{twice:?}");
}

#[test]
fn keys_never_cross_a_network_in_clear_by_accident() {
    let open = ("SEAWALL_SERVER__LISTEN", "0.0.0.0:8080");
    let refused = load(&[open]).unwrap_err();
    assert!(refused[0].contains("allow_plain_http"), "{refused:?}");
    let proxied = load(&[open, ("SEAWALL_SERVER__TRUSTED_PROXIES", "10.0.0.1/8, 192.0.2.7")]).unwrap();
    assert_eq!(proxied.server.peers, Peers::ProxiesOnly);
    assert_eq!(proxied.warnings.len(), 2, "host bits, and who is answered: {:?}", proxied.warnings);
    let meant = load(&[open, ("SEAWALL_SERVER__ALLOW_PLAIN_HTTP", "true")]).unwrap();
    assert_eq!(meant.server.peers, Peers::Anyone);
    assert!(load(&[("SEAWALL_SERVER__LISTEN", "[::1]:1")]).is_ok());
}

#[test]
fn what_is_printed_is_a_configuration_again() {
    let config =
        load(&[("SEAWALL_LIMITS__IDLE_TIMEOUT", "5s"), ("SEAWALL_METRICS__LISTEN", "127.0.0.1:9")]).unwrap();
    let again = load_file(config.effective()).unwrap();
    assert_eq!(again.limits.idle_timeout, Duration::from_secs(5));
    assert_eq!(
        (again.server, again.metrics, again.log),
        (config.server.clone(), config.metrics, config.log.clone())
    );
    assert!(config.effective().contains("idle_timeout = \"5s\"  # environment SEAWALL_LIMITS__IDLE_TIMEOUT"));
}

#[test]
fn generated_pages_are_up_to_date() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let pages = [("configuration.md", reference::configuration()), ("reasons.md", reference::reasons())];
    for (name, page) in pages {
        let path = docs.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&docs).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        let tracked = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            tracked == page,
            "docs/{name} is out of date: UPDATE_DOCS=1 cargo test -p seawall --test it generated"
        );
    }
}
