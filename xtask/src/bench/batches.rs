//! Batches of messages, and a ledger full of them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::report::{Bar, Row, number};
use super::scenes::next_number;
use super::{SERVER_CORE, Scale, cpu};
use crate::live::{Gateway, Wire, median, request};

/// Messages of a batch.
pub const BATCH: usize = 10_000;

/// Batches: accepted only, and accepted and delivered.
pub async fn batch(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let gateway = Gateway::start(binary, Some(SERVER_CORE)).await?;
    gateway.lift_rates().await?;
    let later = later(&gateway).await?;
    let mut rows = Vec::new();
    let cases = [
        ("batch of 10,000 accepted (scheduled for later)", Some(&*later), Bar::AtLeast(40_000.0)),
        ("batch of 10,000 accepted and delivered", None, Bar::None),
    ];
    for (name, scheduled, bar) in cases {
        let mut speeds = Vec::new();
        for _ in 0..scale.repeats {
            let before = cpu::time(gateway.pid())?;
            let count = scale.batches.div_ceil(scale.repeats);
            fill(&gateway, count, scheduled).await?;
            settle(&gateway).await?;
            let spent = cpu::time(gateway.pid())?.saturating_sub(before).as_secs_f64();
            speeds.push((count * BATCH) as f64 / spent.max(0.01));
        }
        let speed = median(speeds);
        let value = format!("{}/CPU-s", number(speed));
        rows.push(Row { name: name.to_owned(), value, floor: "-".to_owned(), result: speed, unit: "", bar });
    }
    Ok(rows)
}

/// An instant two hours ahead by the gateway's clock, which is when a code as durable as can be ends.
pub async fn later(gateway: &Gateway) -> Result<String, String> {
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.subaccount);
    let body = json!({"destination": format!("+{}", next_number()), "codeValidity": 7200});
    let (_, answer) = gateway.call("POST", &path, &gateway.api_key, Some(&body)).await?;
    let end = answer.get("expiresAt").and_then(Value::as_str);
    end.map(str::to_owned).ok_or_else(|| format!("no code is sent: {answer}"))
}

/// Sends batches, one after the other.
pub async fn fill(gateway: &Gateway, batches: usize, scheduled: Option<&str>) -> Result<(), String> {
    let path = format!("/api/v1/subaccounts/{}/messages/batch", gateway.subaccount);
    let mut wire = Wire::open(gateway.addr).await.map_err(|error| error.to_string())?;
    for _ in 0..batches {
        let numbers: Vec<String> = (0..BATCH).map(|_| next_number().to_string()).collect();
        let mut template = json!({"text": "Your parcel arrives today between 14:00 and 16:00."});
        if let (Some(scheduled), Some(template)) = (scheduled, template.as_object_mut()) {
            template.insert("scheduled".to_owned(), scheduled.into());
        }
        let body = json!({"destinations": numbers, "template": template}).to_string();
        let sent = wire.exchange(&request("POST", &path, &gateway.api_key, &body)).await;
        let answer = sent.map_err(|error| format!("a batch was not answered: {error}"))?;
        let told: Value = serde_json::from_slice(answer.body).unwrap_or_default();
        if told.get("acceptedCount").and_then(Value::as_u64) != Some(BATCH as u64) {
            return Err(format!("a batch was not accepted: {} {told}", answer.status));
        }
    }
    Ok(())
}

/// Waits until the gateway has nothing left to do.
pub async fn settle(gateway: &Gateway) -> Result<(), String> {
    const LOOK: Duration = Duration::from_millis(300);
    loop {
        let before = cpu::time(gateway.pid())?;
        tokio::time::sleep(LOOK).await;
        if cpu::time(gateway.pid())?.saturating_sub(before) < LOOK / 10 {
            return Ok(());
        }
    }
}
