//! What screening asks, by many at the same time: each gets the answer to its own question.

use futures_util::future::try_join_all;
use seawall_core::consent::OptOutScope;

use super::Backend;
use super::directory::audit;
use super::fixtures::{acceptance, at, id, msisdn, verification};
use crate::records::{OptOut, VerificationRecord};
use crate::{Result, StoreError};

/// Numbers that are asked about.
const NUMBERS: u64 = 300;

/// Milliseconds of a number, after some others.
fn ms(after: i64, n: u64) -> i64 {
    after + i64::try_from(n).unwrap_or(0)
}

async fn confirm(store: &Backend, n: u64) -> Result<()> {
    let (mut v, mut m) = verification(ms(1_000, n), n)?;
    (v.subaccount, m.subaccount) = ("other".to_owned(), "other".to_owned());
    let (id, when) = (v.id, at(ms(2_000, n)));
    store.ledger.accept(acceptance(v, m)).await?;
    let step = Box::new(move |v: &mut VerificationRecord, budget: &mut _| {
        v.lifecycle.present(true, budget, 6, when)
    });
    store.ledger.check("other", id, step).await.map(drop)
}

/// Of the numbers every third opted out, every fifth was confirmed elsewhere, every seventh has an open verification.
pub(super) async fn each_gets_its_own_answer(store: &Backend) -> Result<()> {
    for n in 0..NUMBERS {
        if n % 3 == 0 {
            let (scope, source) = (OptOutScope::of(Some("main")), "stop".to_owned());
            let entry = OptOut { id: id(1), msisdn: msisdn(n)?, scope, source, note: None, at: at(1) };
            store.directory.add_opt_out(entry, audit(1)).await?;
        }
        if n % 5 == 0 {
            confirm(store, n).await?;
        }
        if n % 7 == 0 {
            let (v, m) = verification(ms(0, n), n)?;
            store.ledger.accept(acceptance(v, m)).await?;
        }
    }
    let ask = async |n: u64, sub: &'static str| {
        let to = msisdn(n)?;
        let (out, known, open) = futures_util::future::join3(
            store.directory.opted_out(to),
            store.ledger.known_number(to),
            store.ledger.open_verification(sub, to, at(5_000)),
        )
        .await;
        Ok::<_, StoreError>((out?, known?, open?))
    };
    let twice = (0..NUMBERS).flat_map(|n| [(n, "main"), (n, "other")]);
    let answers = try_join_all(twice.clone().map(|(n, sub)| ask(n, sub))).await?;
    for ((n, sub), (out, known, open)) in twice.zip(answers) {
        assert_eq!(out.len(), usize::from(n % 3 == 0), "{n}");
        assert_eq!(known.map(|k| k.last_at), (n % 5 == 0).then(|| at(ms(2_000, n))), "{n}");
        let to = open.map(|v| (v.to, v.subaccount));
        let pending = n % 7 == 0 && sub == "main";
        assert_eq!(to, pending.then(|| msisdn(n).map(|to| (to, sub.to_owned()))).transpose()?, "{n}");
    }
    Ok(())
}
