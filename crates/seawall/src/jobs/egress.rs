//! The only way out to an address that someone else chose. A name is resolved once, every address it has
//! is checked, and the connection goes to what was checked; nothing follows redirects or a proxy.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url, redirect};

use crate::config::Config;

/// From the first byte to the last one.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// More of an answer is not read.
pub const BODY_AT_MOST: usize = 64 * 1024;
/// Longer URLs are refused.
const URL_AT_MOST: usize = 2048;

/// What the deployment allows; no caller can widen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Unencrypted, too.
    pub allow_http: bool,
    /// Private, loopback and link-local addresses, too.
    pub allow_private: bool,
    /// Any port. Only for URLs that the operator set up.
    pub any_port: bool,
}

impl Rules {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        let given = config.webhooks;
        Rules { allow_http: given.allow_http, allow_private: given.allow_private, any_port: false }
    }

    /// The same for a URL that the operator set up.
    pub fn any_port(self) -> Self {
        Rules { any_port: true, ..self }
    }
}

/// Refused always.
const NEVER: [&str; 23] = [
    "0.0.0.0/8",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // The unspecified address, and IPv4-compatible ones, which some stacks still translate.
    "::/127",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fec0::/10",
    "ff00::/8",
    "4000::/2",
    "8000::/2",
];

/// Refused unless the deployment allows private addresses.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

static TABLES: LazyLock<(Vec<IpNet>, Vec<IpNet>)> = LazyLock::new(|| {
    let read = |texts: &[&str]| texts.iter().filter_map(|t| t.parse().ok()).collect();
    (read(&NEVER), read(&PRIVATE))
});

/// Whether we connect there.
pub fn allowed(ip: IpAddr, rules: Rules) -> bool {
    // IPv4 in IPv6 clothes is judged as what it is.
    let ip = ip.to_canonical();
    if let IpAddr::V6(v6) = ip
        && let [0x2002, high, low, ..] = v6.segments()
    {
        let embedded = (u32::from(high) << 16) | u32::from(low);
        return allowed(IpAddr::V4(embedded.into()), rules);
    }
    let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
    let (never, private) = &*TABLES;
    if within(private) {
        return rules.allow_private;
    }
    !within(never)
}

/// Whether a URL may be called at all, as far as can be told without asking DNS.
pub fn check_url(text: &str, rules: Rules) -> Result<Url, &'static str> {
    if text.len() > URL_AT_MOST {
        return Err("a URL has at most 2048 characters");
    }
    let url = Url::parse(text.trim()).map_err(|_| "not an absolute URL such as https://example.com/hook")?;
    match url.scheme() {
        "https" => {}
        "http" if rules.allow_http => {}
        "http" => return Err("unencrypted http is refused here; use https (or webhooks.allow_http)"),
        _ => return Err("the scheme has to be https"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password in a URL are refused; use httpAuthorization");
    }
    check_port(&url, rules)?;
    check_host(&url, rules)?;
    Ok(url)
}

/// Ports of web servers only, so that a webhook cannot speak to a mail server or a database.
fn check_port(url: &Url, rules: Rules) -> Result<(), &'static str> {
    match url.port_or_known_default() {
        Some(0) | None => Err("the URL has no port"),
        _ if rules.allow_private || rules.any_port => Ok(()),
        Some(443 | 8443) => Ok(()),
        Some(80 | 8080) if rules.allow_http => Ok(()),
        Some(_) => Err("the port has to be 443 or 8443 (80 and 8080 with webhooks.allow_http)"),
    }
}

fn check_host(url: &Url, rules: Rules) -> Result<(), &'static str> {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return if allowed(ip, rules) { Ok(()) } else { Err(FORBIDDEN) };
    }
    let local =
        host.is_empty() || host == "localhost" || host.ends_with(".localhost") || host.ends_with(".internal");
    if local && !rules.allow_private { Err(FORBIDDEN) } else { Ok(()) }
}

const FORBIDDEN: &str = "the address is private, reserved or this machine's; such addresses are not called";

/// A name pointed to where we do not connect.
#[derive(Debug, thiserror::Error)]
#[error("{FORBIDDEN}")]
struct Forbidden;

/// Resolves, and gives nothing at all if one of the answers is forbidden.
struct Guard(Rules);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(checked(found, rules)?.into_iter()) as Addrs)
        })
    }
}

/// All of them, or none.
fn checked(found: Vec<SocketAddr>, rules: Rules) -> Result<Vec<SocketAddr>, Forbidden> {
    if found.iter().all(|a| allowed(a.ip(), rules)) { Ok(found) } else { Err(Forbidden) }
}

/// A client that keeps the rules. [`check_url`] has to be asked before each request, because an address
/// that stands in a URL is not resolved.
pub fn client(rules: Rules) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(seawall_connect::tls_config(None)?)
        .dns_resolver(Guard(rules))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(4))
        .user_agent(concat!("seawall/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| format!("the HTTP client cannot be set up: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Rules = Rules { allow_http: false, allow_private: false, any_port: false };
    const PRIVATE_TOO: Rules = Rules { allow_private: true, ..CLOSED };

    /// (address, by default, with allow_private)
    fn addresses() -> Vec<(&'static str, bool, bool)> {
        let mut all = Vec::new();
        let open = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2400:cb00::1",
            "::ffff:1.1.1.1",
            "2002:101:101::1",
            "2001:200::1",
        ];
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "0.255.255.255",
            "192.0.0.1",
            "192.0.0.255",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::2",
            "::1.2.3.4",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "ff0e::1",
            "::ffff:0.0.0.0",
            "::ffff:224.0.0.1",
            "2002:e000:1::1",
            "2002:0:0::1",
            "4000::1",
            "8000::1",
            "bfff::1",
        ];
        let private = [
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.168.255.255",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:1::1",
            "2002:a00:1::",
        ];
        all.extend(open.map(|a| (a, true, true)));
        all.extend(never.map(|a| (a, false, false)));
        all.extend(private.map(|a| (a, false, true)));
        all
    }

    #[test]
    fn forbidden_addresses_are_never_connected_to() {
        for (text, closed, private) in addresses() {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(allowed(ip, CLOSED), closed, "{text}");
            assert_eq!(allowed(ip, PRIVATE_TOO), private, "{text} with allow_private");
        }
        assert_eq!((TABLES.0.len(), TABLES.1.len()), (NEVER.len(), PRIVATE.len()), "every net parses");
    }

    #[test]
    fn urls_are_judged_after_parsing() {
        let open = [
            "https://example.com/hook",
            "HTTPS://EXAMPLE.com",
            "https://example.com:8443/a?b=c",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]/",
        ];
        let refused = [
            "",
            "example.com",
            "/hook",
            "http://example.com/",
            "HTTP://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "javascript:alert(1)",
            "data:text/plain,x",
            "https://",
            "https://user@example.com/",
            "https://user:pw@example.com/",
            "https://example.com:22/",
            "https://example.com:25/",
            "https://example.com:6379/",
            "https://example.com:0/",
            "https://localhost/",
            "https://LOCALHOST/",
            "https://localhost./",
            "https://a.localhost/",
            "https://metadata.google.internal/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://0x7f.1/",
            "https://0/",
            "https://0.0.0.0/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fec0::1]/",
            "https://[fe80::1]/",
            "https://[fc00::1]/",
            "https://10.1.2.3/",
            "https://192.168.1.1/",
            "https://172.16.0.1/",
            "https://100.64.0.1/",
            "https://192.0.0.8/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://①②⑦.⓪.⓪.①/",
            "https://127.0.0.1./",
            "https://0300.0250.1.1/",
        ];
        for url in open {
            assert!(check_url(url, CLOSED).is_ok(), "{url}");
        }
        for url in refused {
            assert!(check_url(url, CLOSED).is_err(), "{url}");
        }
        let vectors = addresses().len() + open.len() + refused.len();
        assert!(vectors >= 120, "{vectors} vectors");
        assert!(check_url("http://127.0.0.1:9999/x", Rules { allow_http: true, ..PRIVATE_TOO }).is_ok());
        assert!(check_url("http://127.0.0.1:80/x", Rules { allow_http: true, ..CLOSED }).is_err());
        assert!(check_url("https://example.com:9443/x", CLOSED.any_port()).is_ok());
        assert!(check_url("https://10.0.0.1:9443/x", CLOSED.any_port()).is_err());
        assert!(check_url(&format!("https://e.com/{}", "a".repeat(2048)), CLOSED).is_err());
    }

    #[test]
    fn one_forbidden_answer_spoils_a_name() {
        let addr = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert!(checked(vec![addr("1.1.1.1"), addr("8.8.8.8")], CLOSED).is_ok());
        assert!(checked(vec![addr("1.1.1.1"), addr("127.0.0.1")], CLOSED).is_err());
        assert!(checked(vec![addr("::ffff:10.0.0.1")], CLOSED).is_err());
    }

    #[tokio::test]
    async fn a_name_that_points_home_is_not_called() {
        let client = client(Rules { allow_http: true, ..CLOSED }).unwrap();
        let error = client.get("http://localhost:1/").send().await.unwrap_err();
        let all: Vec<String> = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
            .map(|e| e.to_string())
            .collect();
        assert!(all.iter().any(|e| e.contains("not called")), "{all:?}");
    }
}
