//! A model against the engine, over what came after it was added: recomputed from the ledger each time, so that a
//! restart forgets nothing and nothing has to be kept.

use seawall_core::model::Model;
use seawall_core::model::compare::Comparison;
use seawall_core::model::label::{Excluded, Label};

use super::super::App;
use super::super::collections::Wrong;
use super::past::{self, Labelled, Take};
use super::stored::StoredModel;

struct Judged {
    model: Model,
    tally: Comparison,
}

impl Take for Judged {
    fn labelled(&mut self, one: &Labelled<'_>) {
        let stops = self.model.probability(&self.model.row(&one.subject)) >= one.threshold;
        let bad = matches!(one.label, Label::Bad(..));
        self.tally.count(one.engine_stops, stops, bad, one.price, one.count);
    }

    fn excluded(&mut self, _: Excluded, _: u64) {}
}

/// Asks the model again about every request since it was added of which is known what it was.
pub async fn compare(app: &App, stored: &StoredModel) -> Result<Comparison, Wrong> {
    let model = stored.model().map_err(|why| Wrong::field("model", why))?;
    let judged = Judged { model, tally: Comparison::default() };
    let judged = past::read(app, stored.created_at, app.now(), judged).await?;
    Ok(judged.tally)
}
