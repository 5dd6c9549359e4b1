//! Trained models in the running gateway. A model enters in shadow: what it would do is recorded and changes
//! nothing. It may decide once it has proved better than the engine over requests whose outcome is known.

mod comparison;
mod past;
mod rulings;
mod samples;
mod set_up;
mod stored;

use std::sync::Arc;

use arc_swap::ArcSwap;
use seawall_core::detect::Evidence;
use seawall_core::detect::dial::DetectionPolicy;
use seawall_core::facts::Facts;
use seawall_core::model::{Model, Opinion, Subject};
use seawall_core::recorded::Recorded;
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;
use seawall_store::Store;
use seawall_store::StoreError;

pub use comparison::compare;
pub use samples::{Samples, SamplesInput, samples};
pub use set_up::{create, delete, get, list, patch};
pub use stored::{ModelInput, ModelPatch, ModelState, ModelView};

use super::entities::collection;
use stored::StoredModel;

/// Models that there may be at once: each is asked for every code.
pub const AT_MOST: usize = 5;

/// The models that are asked.
#[derive(Default)]
pub struct Models(ArcSwap<Vec<Running>>);

/// One of them.
struct Running {
    name: String,
    enforced: bool,
    model: Model,
}

impl Models {
    /// What they think of a request to send a code, once its evidence is known. Why is said only where it counts:
    /// at the probability from which a message is refused.
    pub fn judge(
        &self,
        request: &Request,
        facts: &Facts,
        dial: &DetectionPolicy,
        now: Timestamp,
    ) -> Vec<Opinion> {
        let models = self.0.load();
        let Some(evidence) = facts.evidence.known().filter(|_| !models.is_empty()) else { return Vec::new() };
        if request.operation != Operation::VerifyStart {
            return Vec::new();
        }
        let recorded = Recorded::of(request, facts, now);
        let block = request.to.as_u64() / 10_000;
        let subject = Subject { facts: &recorded, block, client_ip: request.client.ip };
        models.iter().map(|running| running.opinion(&subject, evidence, dial)).collect()
    }
}

impl Running {
    fn opinion(&self, subject: &Subject<'_>, evidence: &Evidence, dial: &DetectionPolicy) -> Opinion {
        let row = self.model.row(subject);
        let p = self.model.probability(&row);
        let speaks = p >= dial.thresholds(evidence.price).block;
        Opinion {
            model: self.name.clone(),
            enforced: self.enforced,
            probability: single(p),
            contributions: if speaks { self.model.explain(&row, subject) } else { Vec::new() },
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a probability with seven digits is exact enough")]
fn single(p: f64) -> f32 {
    p as f32
}

/// Reads what is stored, and asks those models from now on. One that this version cannot read is left out, loudly.
pub async fn load(store: &Store, into: &Models) -> Result<(), StoreError> {
    let documents = store.directory.documents(collection::MODELS).await?;
    let running = documents.iter().filter_map(|document| {
        let stored: Result<StoredModel, _> = serde_json::from_value(document.body.clone());
        let built = stored.map_err(|e| e.to_string()).and_then(|stored| {
            let model = stored.model()?;
            Ok(Running { name: stored.name, enforced: stored.state == ModelState::Enforce, model })
        });
        built.inspect_err(|error| tracing::error!(model = document.id, error, "a model is not in use")).ok()
    });
    into.0.store(Arc::new(running.collect()));
    Ok(())
}
