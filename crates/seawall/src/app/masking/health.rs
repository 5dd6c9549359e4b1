//! How virtual numbers do: judged from their last calls whenever somebody needs to know.

use seawall_core::masking::health::{Health, HealthRule, LOOKED_AT, judge};
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;

use super::super::App;

/// How a virtual number does now.
pub async fn of(app: &App, number: Msisdn) -> Result<Health, StoreError> {
    let results = app.store.directory.last_results(number, LOOKED_AT).await?;
    Ok(judge(&results, &rule(app, number), app.now()))
}

fn rule(app: &App, number: Msisdn) -> HealthRule {
    let snapshot = app.snapshot.load();
    let found = snapshot.masking.numbers.get(&number);
    found.and_then(|number| snapshot.masking.pool_of(number)).map(|pool| pool.health).unwrap_or_default()
}

/// Those that work, in the given order.
pub async fn working(app: &App, numbers: Vec<Msisdn>) -> Result<Vec<Msisdn>, StoreError> {
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        if !of(app, number).await?.failing {
            found.push(number);
        }
    }
    Ok(found)
}
