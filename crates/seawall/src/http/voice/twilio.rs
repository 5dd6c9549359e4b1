//! Twilio asks by a signed form and is answered in TwiML. One address serves a number's voice URL, the end of its dial,
//! its status callback and its recordings.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use seawall_connect::{Echo, Inbound, Secret};
use seawall_core::masking::call::{CallResult, Progress};
use seawall_store::masking::Recording;

use super::number;
use super::twilio_signature::is_right;
use crate::app::App;
use crate::app::masking::progress;
use crate::app::masking::route::{Answer, Incoming, NotAnswered, route};
use crate::http::native::whole;
use crate::http::problem::Problem;
use crate::http::{callbacks, extract};

const VIA: &str = "twilio";
/// Fields of one form at most.
const FIELDS: usize = 200;
/// Seconds that the other phone rings.
const RINGS: u32 = 30;

/// A form whose signature is right.
struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a form, if Twilio signed it.
async fn signed(app: &App, request: Request) -> Result<Form, Problem> {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let body = extract::body(request, &()).await?;
    let fields: Vec<(String, String)> = form(&body);
    let unsigned = || {
        let detail =
            "The request is not signed with voice.twilio_auth_token for the address under voice.public_url.";
        Problem::new(StatusCode::FORBIDDEN, "signature-wrong", detail)
    };
    let token = app.config.voice.twilio_auth_token.as_deref().ok_or_else(unsigned)?;
    let signature =
        headers.get("x-twilio-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let url = called(app, &uri, &headers);
    if fields.len() <= FIELDS && is_right(token, &url, &fields, signature) {
        Ok(Form(fields))
    } else {
        Err(unsigned())
    }
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    let mut url = reqwest::Url::parse("http://form.invalid/").ok();
    if let Some(url) = &mut url {
        url.set_query(std::str::from_utf8(body).ok());
    }
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

/// The address that Twilio called.
fn called(app: &App, uri: &Uri, headers: &HeaderMap) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let base = app.config.voice.public_url.clone().unwrap_or_else(|| format!("https://{}", host()));
    format!("{}{path}", base.trim_end_matches('/'))
}

/// Take a call of Twilio's for a virtual number, or news of one. Its voice URL, its status callback and the callbacks in
/// our answers all lead here. Signed with `X-Twilio-Signature`.
#[utoipa::path(
    post,
    path = "/v1/masking/calls/twilio",
    operation_id = "takeTwilioCall",
    tag = "masking",
    request_body(content = std::collections::HashMap<String, String>, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "TwiML.", content_type = "text/xml", body = String),
        (status = 403, description = "The signature is wrong."),
    )
)]
pub async fn call(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let form = signed(&app, request).await?;
    let done = whole(async move { taken(&app, &form).await }).await;
    done.map(|body| ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], body).into_response())
}

async fn taken(app: &App, form: &Form) -> Result<String, Problem> {
    let sid = form.get("CallSid").filter(|sid| (1..=64).contains(&sid.len())).unwrap_or_default().to_owned();
    if sid.is_empty() {
        return Err(Problem::field("CallSid", "`CallSid` is missing."));
    }
    if let Some(recording) = recording(form) {
        progress::recorded(app, VIA, &sid, recording).await.map_err(failed)?;
        return Ok(respond(""));
    }
    if let Some(end) = ended(form) {
        if form.get("DialCallDuration").is_some() && end == Some(CallResult::Completed) {
            // The dial was answered; Twilio tells so when it is over.
            progress::note(app, VIA, &sid, Progress::Answered).await.map_err(failed)?;
        }
        progress::note(app, VIA, &sid, Progress::Ended(end)).await.map_err(failed)?;
        return Ok(respond("<Hangup/>"));
    }
    let said = |name| form.get(name).and_then(number);
    let incoming = Incoming { caller: None, via: VIA, reference: sid, from: said("From"), to: said("To") };
    match route(app, incoming).await {
        Ok(answer) => Ok(twiml(app, answer)),
        Err(NotAnswered::Stranger(_)) => Ok(respond("<Reject/>")),
        Err(NotAnswered::Refused(refusal)) => Err(crate::http::native::answers::refused(refusal)),
    }
}

fn failed(error: seawall_store::StoreError) -> Problem {
    crate::http::native::answers::refused(error.into())
}

/// The end of a dial, or of the call.
fn ended(form: &Form) -> Option<Option<CallResult>> {
    let (dial, call) = (form.get("DialCallStatus"), form.get("CallStatus"));
    let word =
        dial.or(call.filter(|word| !matches!(*word, "ringing" | "queued" | "in-progress" | "initiated")))?;
    Some(match (word, dial.is_some()) {
        ("completed", true) => Some(CallResult::Completed),
        // The caller's own leg: whether the two spoke was told by the dial.
        ("completed", false) => None,
        ("busy", _) => Some(CallResult::Busy),
        ("no-answer", _) => Some(CallResult::NoAnswer),
        ("canceled", _) => Some(CallResult::Canceled),
        _ => Some(CallResult::Failed),
    })
}

fn recording(form: &Form) -> Option<Recording> {
    let status = match form.get("RecordingStatus")? {
        "completed" => "ready",
        "in-progress" => "processing",
        _ => "failed",
    };
    Some(Recording {
        id: form.get("RecordingSid")?.chars().take(64).collect(),
        status: status.to_owned(),
        url: form.get("RecordingUrl").filter(|url| url.len() <= 2048).map(str::to_owned),
        seconds: form.get("RecordingDuration").and_then(|seconds| seconds.parse().ok()),
        started_at: None,
    })
}

/// TwiML for an answer.
fn twiml(app: &App, answer: Answer) -> String {
    let mut inner = String::new();
    match answer {
        Answer::Connect { to, shown, record, say, .. } => {
            if let Some((text, language)) = say {
                said(&mut inner, &text, &language);
            }
            let back = format!(
                "{}/v1/masking/calls/twilio",
                app.config.voice.public_url.as_deref().unwrap_or_default().trim_end_matches('/')
            );
            let back = escaped(&back);
            let recorded = match record {
                true => format!(" record=\"record-from-answer\" recordingStatusCallback=\"{back}\""),
                false => String::new(),
            };
            let _ = write!(
                inner,
                "<Dial callerId=\"{}\" action=\"{back}\" timeout=\"{RINGS}\"{recorded}><Number>{}</Number></Dial>",
                escaped(&shown.to_e164()),
                escaped(&to.to_e164()),
            );
        }
        Answer::Refuse { say: (text, language), .. } => {
            said(&mut inner, &text, &language);
            inner.push_str("<Hangup/>");
        }
    }
    respond(&inner)
}

fn said(out: &mut String, text: &str, language: &str) {
    let _ = write!(out, "<Say language=\"{}\">{}</Say>", escaped(language), escaped(text));
}

fn respond(inner: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{inner}</Response>")
}

/// Text as it may stand in XML, in an element or an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // XML has no way to say other control characters.
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => {}
            c => out.push(c),
        }
    }
    out
}

/// Take a text of Twilio's to a virtual number. It goes on to the other party over the gateway's own routes. Signed with
/// `X-Twilio-Signature`.
#[utoipa::path(
    post,
    path = "/v1/masking/messages/twilio",
    operation_id = "takeTwilioText",
    tag = "masking",
    request_body(content = std::collections::HashMap<String, String>, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Empty TwiML: the gateway answers by itself.", content_type = "text/xml", body = String),
        (status = 403, description = "The signature is wrong."),
    )
)]
pub async fn text(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let form = signed(&app, request).await?;
    let (Some(from), Some(to)) = (form.get("From"), form.get("To")) else {
        return Err(Problem::field("From", "`From` and `To` are needed."));
    };
    let text = form.get("Body").unwrap_or_default();
    let inbound = Inbound { from: Secret::new(from), to: to.to_owned(), text: Secret::new(text) };
    callbacks::put(&app, VIA, vec![Echo::Inbound(inbound)]).await?;
    Ok(([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], respond("")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_escaped() {
        assert_eq!(
            escaped("a<b> & \"c\" 'd'\u{0}\u{8}e\n"),
            "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;e\n"
        );
    }

    #[test]
    fn the_end_of_a_call_is_understood() {
        let form = |pairs: &[(&str, &str)]| {
            Form(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(ended(&form(&[("CallStatus", "ringing")])), None);
        assert_eq!(ended(&form(&[("CallStatus", "completed")])), Some(None));
        let dial = |word| ended(&form(&[("CallStatus", "in-progress"), ("DialCallStatus", word)]));
        assert_eq!(dial("completed"), Some(Some(CallResult::Completed)));
        assert_eq!(dial("no-answer"), Some(Some(CallResult::NoAnswer)));
        assert_eq!(dial("busy"), Some(Some(CallResult::Busy)));
    }
}
