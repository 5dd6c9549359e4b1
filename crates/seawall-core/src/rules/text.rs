//! What a subaccount demands of its texts: a registered template, known links, no characters that deceive.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::limit::Mode;
use crate::policy::{Policy, UrlPolicy};
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    if !request.operation.is_message() {
        return;
    }
    let own = of_subaccount(policy, request);
    let (demands, message) = (&own.text, &request.message);
    if demands.require_template && message.template.is_none() {
        let detail =
            format!("{} sends registered templates only, and the text follows none", request.subaccount);
        report(Reason::new(ReasonCode::TextOffTemplate, detail), None);
    }
    if let Some(host) = message.url_hosts.iter().find(|host| !allowed(&demands.urls, host)) {
        let detail = format!("the text links to {host}, which {} does not send", request.subaccount);
        report(Reason::new(ReasonCode::UrlRefused, detail).about(host.clone()), None);
    }
    if demands.look_alikes != Mode::Off
        && let Some(what) = &message.look_alike
    {
        let reason = Reason::new(ReasonCode::LookAlikeText, format!("in the text, {what}"));
        report(reason.in_mode(demands.look_alikes), None);
    }
}

/// A listed host stands for its subdomains too.
fn allowed(urls: &UrlPolicy, host: &str) -> bool {
    let within = |listed: &String| {
        host.strip_suffix(listed.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    match urls {
        UrlPolicy::Any => true,
        UrlPolicy::None => false,
        UrlPolicy::Listed(hosts) => hosts.iter().any(within),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_host_stands_for_its_subdomains() {
        let listed = UrlPolicy::Listed(vec!["acme.com".to_owned()]);
        for (host, fine) in [
            ("acme.com", true),
            ("go.acme.com", true),
            ("notacme.com", false),
            ("acme.com.evil.example", false),
        ] {
            assert_eq!(allowed(&listed, host), fine, "{host}");
        }
        assert!(allowed(&UrlPolicy::Any, "x") && !allowed(&UrlPolicy::None, "x"));
    }
}
