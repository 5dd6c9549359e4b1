//! The text around a one-time code: a line that binds it to a site or an app, the payment it is for, and a
//! warning not to share it.

/// What is added to the template of a code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeLines {
    /// Where the code may be filled in by itself.
    pub app: Option<BoundApp>,
    /// The payment that the code confirms.
    pub payment: Option<Payment>,
    /// Warn in this language (BCP 47) not to share it.
    pub warn: Option<String>,
}

/// Who may read the code off the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundApp {
    /// A web site: the last line is `@domain #code` (WICG, "Origin-bound one-time codes delivered via SMS").
    /// Browsers and iOS fill such a code in on that domain only.
    Site(String),
    /// An Android app: the message ends with the eleven characters of its hash (Google's SMS Retriever).
    Android(String),
}

/// A payment that a code is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// As it is shown: `EUR 12.50`.
    pub amount: String,
    /// Who is paid.
    pub payee: String,
}

impl Payment {
    /// One text for one payment, to be compared at the check.
    pub fn canonical(&self) -> String {
        format!("{}\u{1f}{}", self.amount, self.payee)
    }
}

impl CodeLines {
    /// The template with everything added. A template that names `{amount}` and `{payee}` has them filled;
    /// otherwise the payment is said in a sentence of its own.
    pub fn compose(&self, template: &str) -> String {
        let mut text = match &self.payment {
            Some(p) if template.contains("{amount}") && template.contains("{payee}") => {
                template.replace("{amount}", &plain(&p.amount)).replace("{payee}", &plain(&p.payee))
            }
            Some(p) => format!("{template}\n{} -> {}", plain(&p.amount), plain(&p.payee)),
            None => template.to_owned(),
        };
        if let Some(language) = &self.warn {
            text.push('\n');
            text.push_str(warning(language));
        }
        match &self.app {
            Some(BoundApp::Site(domain)) => format!("{text}\n\n@{domain} #{{code}}"),
            Some(BoundApp::Android(hash)) => format!("{text}\n{hash}"),
            None => text,
        }
    }
}

/// Values of the caller cannot smuggle placeholders in.
fn plain(value: &str) -> String {
    value.replace(['{', '}'], "")
}

const WARNINGS: [(&str, &str); 14] = [
    ("en", "Do not share it with anyone."),
    ("de", "Gib ihn niemandem weiter."),
    ("fr", "Ne le communiquez à personne."),
    ("es", "No lo compartas con nadie."),
    ("pt", "Não o partilhe com ninguém."),
    ("it", "Non condividerlo con nessuno."),
    ("nl", "Deel hem met niemand."),
    ("id", "Jangan berikan kepada siapa pun."),
    ("ms", "Jangan kongsi dengan sesiapa."),
    ("pl", "Nie podawaj go nikomu."),
    ("tr", "Kimseyle paylaşmayın."),
    ("vi", "Không chia sẻ với bất kỳ ai."),
    ("ru", "Никому его не сообщайте."),
    ("zh", "请勿告诉任何人。"),
];

/// The warning in a language, or in English.
fn warning(language: &str) -> &'static str {
    let primary = language.split('-').next().unwrap_or_default();
    let found = WARNINGS.iter().find(|(tag, _)| primary.eq_ignore_ascii_case(tag));
    found.map_or("Do not share it with anyone.", |(_, text)| text)
}

/// Whether a text is a domain name as browsers compare them.
pub fn is_domain(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

/// Whether a text is the hash of an Android app: eleven characters of base64.
pub fn is_app_hash(text: &str) -> bool {
    text.len() == 11 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_the_order_that_readers_need() {
        let base = "{code} is your code";
        let with = |app, payment, warn: Option<&str>| {
            CodeLines { app, payment, warn: warn.map(str::to_owned) }.compose(base)
        };
        assert_eq!(with(None, None, None), base);
        let site = with(Some(BoundApp::Site("acme.com".to_owned())), None, Some("de-AT"));
        assert_eq!(site, "{code} is your code\nGib ihn niemandem weiter.\n\n@acme.com #{code}");
        let android = with(Some(BoundApp::Android("FA+9qCX9VSu".to_owned())), None, None);
        assert!(android.ends_with("\nFA+9qCX9VSu"));
        let paid = Payment { amount: "EUR 12.50".to_owned(), payee: "Ac{code}me".to_owned() };
        assert_eq!(with(None, Some(paid.clone()), None), "{code} is your code\nEUR 12.50 -> Accodeme");
        let own = CodeLines { payment: Some(paid), ..CodeLines::default() };
        assert_eq!(own.compose("Pay {amount} to {payee}: {code}"), "Pay EUR 12.50 to Accodeme: {code}");
    }

    #[test]
    fn domains_and_hashes() {
        assert!(is_domain("acme.com") && is_domain("login.acme.co.uk") && is_domain("xn--bcher-kva.example"));
        for text in ["acme", "https://acme.com", "acme.com/x", "Acme.com", "-a.com", "a..com", ""] {
            assert!(!is_domain(text), "{text}");
        }
        assert!(is_app_hash("FA+9qCX9VSu") && !is_app_hash("FA+9qCX9VS") && !is_app_hash("FA+9qCX9VS-"));
    }
}
