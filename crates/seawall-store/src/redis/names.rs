//! Where the server is, as configured, and how keys are named there.

use redis::{ConnectionInfo, IntoConnectionInfo};

/// Where the server is.
#[derive(Clone, Debug)]
pub enum Target {
    /// One server: `redis://`, `rediss://`, `unix://`.
    Single(Box<ConnectionInfo>),
    /// A Cluster, by any of its nodes: `redis+cluster://host:port,host:port`.
    Cluster(Vec<ConnectionInfo>),
    /// The primary that sentinels name: `redis+sentinel://host:port,host:port/name`. Credentials and database
    /// are those of the primary.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<ConnectionInfo>,
        /// What they call the primary.
        name: String,
        /// How to sign in there.
        primary: Box<ConnectionInfo>,
    },
}

impl Target {
    /// Reads an address. The error says what would be right, and repeats no password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(help)?;
        let (plain, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        match (plain, kind) {
            ("redis" | "rediss" | "unix", "") => Ok(Target::Single(Box::new(info(url)?))),
            ("redis" | "rediss", "cluster") => Ok(Target::Cluster(each(plain, rest)?)),
            ("redis" | "rediss", "sentinel") => sentinel(plain, rest),
            _ => Err(help()),
        }
    }
}

fn help() -> String {
    "write \"redis://HOST:PORT\", \"rediss://…\" (TLS), \"redis+cluster://HOST:PORT,…\" or \
     \"redis+sentinel://HOST:PORT,…/NAME\""
        .to_owned()
}

fn info(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|_| help())
}

/// Hosts that are separated by commas, each with the same credentials in front and the same path behind.
fn each(scheme: &str, rest: &str) -> Result<Vec<ConnectionInfo>, String> {
    let (user, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, hosts)| (user, hosts));
    let (hosts, path) = hosts.split_once('/').unwrap_or((hosts, ""));
    let at = if user.is_empty() { "" } else { "@" };
    hosts.split(',').map(|host| info(&format!("{scheme}://{user}{at}{host}/{path}"))).collect()
}

fn sentinel(scheme: &str, rest: &str) -> Result<Target, String> {
    let (user, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, hosts)| (user, hosts));
    let (hosts, path) = hosts.split_once('/').ok_or_else(help)?;
    let (name, database) = path.split_once('/').unwrap_or((path, "0"));
    if name.is_empty() {
        return Err(help());
    }
    let at = if user.is_empty() { "" } else { "@" };
    // Its host and port are what the sentinels say.
    let primary = Box::new(info(&format!("{scheme}://{user}{at}primary/{database}"))?);
    Ok(Target::Sentinel { sentinels: each(scheme, hosts)?, name: name.to_owned(), primary })
}

/// The keys of one installation. The part in braces puts all of them into one hash slot.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) base: String,
    /// Which windows are in force.
    pub(super) mark: Vec<u8>,
    /// Who refills them.
    pub(super) lock: Vec<u8>,
    /// Who fills the windows of what is new.
    pub(super) turn: Vec<u8>,
    /// Which of them were filled, and for which version.
    pub(super) fresh: Vec<u8>,
    /// What nodes tell each other.
    pub(super) news: Vec<u8>,
    /// Which nodes there are, by when they were last heard of.
    pub(super) nodes: Vec<u8>,
}

impl Names {
    pub(super) fn new(installation: u64) -> Self {
        // 30 bits tell the installations of one server apart, and keep keys short.
        let base = format!("{{sw{}}}", letters(installation, 5));
        let name = |what: &str| format!("{base}{what}").into_bytes();
        Names {
            mark: name("mark"),
            lock: name("lock"),
            turn: name("turn"),
            fresh: name("fresh"),
            news: name("news"),
            nodes: name("nodes"),
            base,
        }
    }
}

/// A number in letters and digits, six bits each.
pub(super) fn letters(number: u64, count: u32) -> String {
    const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    let letter = |place: u32| {
        let six = usize::try_from(number >> (6 * place) & 63).unwrap_or(0);
        char::from(*LETTERS.get(six).unwrap_or(&b'0'))
    };
    (0..count).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_wrong_ones_say_what_is_right() {
        assert!(matches!(Target::parse("redis://u:p@h:7000/2"), Ok(Target::Single(_))));
        assert!(matches!(Target::parse("rediss://h"), Ok(Target::Single(_))));
        let Ok(Target::Cluster(nodes)) = Target::parse("redis+cluster://:p@a:1,b:2") else { panic!() };
        assert_eq!(nodes.iter().map(|n| n.addr().to_string()).collect::<Vec<_>>(), ["a:1", "b:2"]);
        assert_eq!(nodes[1].redis_settings().password(), Some("p"));
        let Ok(Target::Sentinel { sentinels, name, primary }) =
            Target::parse("redis+sentinel://u:p@a:1,b:2/main/3")
        else {
            panic!()
        };
        assert_eq!((sentinels.len(), name.as_str(), primary.redis_settings().db()), (2, "main", 3));
        assert_eq!(sentinels[0].redis_settings().password(), None);
        for wrong in ["redis:", "http://h", "redis+sentinel://a:1", "redis+moon://a:1", "redis://:secret@"] {
            let error = Target::parse(wrong).unwrap_err();
            assert!(error.contains("redis://HOST:PORT") && !error.contains("secret"), "{error}");
        }
    }
}
