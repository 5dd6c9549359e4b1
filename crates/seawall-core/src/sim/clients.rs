//! What clients call themselves: 60 that people use, some of them much more than others, and those of bots.

use super::rng::{Rng, Weights};

/// Clients that people use.
pub const PEOPLES: u8 = 60;
/// The app's next release, which nobody has before it is out.
pub const NEXT_RELEASE: u8 = 60;
/// The first of the bots' clients.
const FIRST_BOT: u8 = 61;

/// Clients of bots; what does not hide calls itself so.
static BOTS: [&str; 6] = [
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "okhttp/3.12.1",
    "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.88 Safari/537.36",
];

static PHONES: [&str; 8] =
    ["SM-A155F", "SM-S918B", "Redmi Note 13", "CPH2591", "V2206", "Pixel 8", "TECNO KI5", "moto g54 5G"];

/// A bot's client.
pub fn bot(kind: u8) -> u8 {
    FIRST_BOT.saturating_add(kind % 6)
}

/// The shares of the 60 clients (Zipf), and how well each leads to a confirmation.
#[derive(Clone, Debug)]
pub struct Clients {
    shares: Weights,
    confirms: Vec<f64>,
}

impl Clients {
    /// The clients of one seed.
    pub fn new(rng: &mut Rng) -> Self {
        let shares = Weights::new((1..=PEOPLES).map(|rank| 1.0 / f64::from(rank)));
        let confirms = (0..=NEXT_RELEASE).map(|_| rng.between(0.85, 1.0)).collect();
        Clients { shares, confirms }
    }

    /// The client of some person.
    pub fn any(&self, rng: &mut Rng) -> u8 {
        u8::try_from(self.shares.pick(rng)).unwrap_or(0)
    }

    /// What the client makes of the probability to confirm, 0.85 to 1.
    pub fn confirms(&self, client: u8) -> f64 {
        self.confirms.get(usize::from(client)).copied().unwrap_or(1.0)
    }
}

/// What the client calls itself.
pub fn user_agent(client: u8) -> String {
    let rank = usize::from(client);
    let (minor, phone) = (rank / 6, PHONES.get(rank % PHONES.len()).copied().unwrap_or("SM-A155F"));
    if client == NEXT_RELEASE {
        return "AcmeApp/7.0.0 (Android 15; Pixel 8) okhttp/4.12.0".to_owned();
    }
    if let Some(bot) = client.checked_sub(FIRST_BOT) {
        return BOTS.get(usize::from(bot)).copied().unwrap_or("curl/8.5.0").to_owned();
    }
    match rank % 6 {
        0 | 3 => format!(
            "AcmeApp/6.{}.{} (Android {}; {phone}) okhttp/4.12.0",
            9 - minor.min(9),
            rank % 4,
            11 + rank % 5
        ),
        1 | 4 => format!(
            "AcmeApp/6.{} (iPhone{},{}; iOS {}.{minor}) CFNetwork/1568",
            9 - minor.min(9),
            12 + rank % 5,
            1 + rank % 5,
            15 + rank % 4
        ),
        2 => format!(
            "Mozilla/5.0 (Linux; Android {}; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
            10 + rank % 5,
            143 - minor
        ),
        _ => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS {}_{minor} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.0 Mobile/15E148 Safari/604.1",
            15 + rank % 4,
            15 + rank % 4
        ),
    }
}

/// What else is known of it: one fingerprint a client.
pub fn fingerprint(client: u8) -> String {
    format!("fp{:02}", client.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_client_has_a_name_of_its_own() {
        let names: HashSet<String> = (0..67).map(user_agent).collect();
        assert_eq!(names.len(), 67);
    }

    #[test]
    fn the_first_client_is_the_most_common() {
        let mut rng = Rng::new(1, "clients");
        let clients = Clients::new(&mut rng);
        let first = (0..10_000).filter(|_| clients.any(&mut rng) == 0).count();
        assert!((1900..2400).contains(&first), "{first}");
    }
}
