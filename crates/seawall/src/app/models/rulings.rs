//! What operators said of incidents, as labels: what they closed was an attack, what they called a false alarm was
//! none.

use seawall_core::model::label::{Key, Ruling};

use super::super::App;
use super::super::detection::happened::Judgement;
use super::super::incidents::incident::Incident;

/// Every word on an incident, for each range, address and network in it.
pub(super) fn all(app: &App) -> Vec<Ruling> {
    app.detection.watch(|watch| watch.incidents.attacks().flat_map(of).collect())
}

fn of(incident: &Incident) -> Vec<Ruling> {
    let Some((judgement, ..)) = &incident.judged else { return Vec::new() };
    let ranges = incident.ranges.sorted();
    let blocks = ranges.iter().filter_map(|(range, _)| range.trim_start_matches('+').parse().ok());
    let clients = [incident.addresses.sorted(), incident.networks.sorted()];
    let clients = clients.into_iter().flatten().map(|(client, _)| Key::Client(client));
    let ruling = |key| Ruling {
        key,
        from: incident.started,
        to: incident.ended.unwrap_or(incident.last),
        attack: *judgement == Judgement::Closed,
    };
    blocks.map(Key::Block).chain(clients).map(ruling).collect()
}
