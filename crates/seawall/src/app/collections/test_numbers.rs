//! Numbers with a code of their own.

use std::time::Duration;

use seawall_core::code::Code;
use seawall_core::id::IdKind;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{TestNumber, collection};
use super::around::Around;
use super::subaccounts::label;
use super::{Collection, Wrong};

/// A back door must not be forgotten open.
const LONGEST: Duration = Duration::from_secs(90 * 86_400);
/// More are not for tests.
const MOST: usize = 100;

/// A test number as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestNumberInput {
    /// The number, E.164 with `+`.
    #[schema(example = "+447700900123")]
    pub msisdn: String,
    /// Its code, 4 to 10 letters and digits.
    #[schema(min_length = 4, max_length = 10, example = "246810")]
    pub code: String,
    /// An ordinary number from then on, at most 90 days ahead.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// For people.
    #[schema(max_length = 100)]
    pub note: Option<String>,
}

/// A test number as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = TestNumber)]
pub struct TestNumberView {
    /// `tnr_…`
    pub id: String,
    /// The number.
    pub msisdn: String,
    /// An ordinary number from then on.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// For people.
    pub note: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct TestNumbers;

fn build(
    app: &App,
    id: String,
    at: Timestamp,
    input: TestNumberInput,
    now: Timestamp,
) -> Result<TestNumber, Wrong> {
    let msisdn = Msisdn::parse(&input.msisdn, None).map_err(|e| Wrong::field("msisdn", e.to_string()))?;
    Code::given(&input.code).map_err(|e| Wrong::field("code", e.to_string()))?;
    let least = usize::from(app.config.verification.min_code_length);
    if input.code.len() < least {
        return Err(Wrong::field(
            "code",
            format!("has fewer than the {least} characters that are required here"),
        ));
    }
    label("note", input.note.as_deref())?;
    let expires_at = Timestamp::parse(&input.expires_at)
        .filter(|until| *until > now && *until <= now.plus(LONGEST))
        .ok_or_else(|| {
            Wrong::field("expires_at", "is a time ahead, at most 90 days, such as 2026-03-01T00:00:00Z")
        })?;
    Ok(TestNumber {
        id,
        key: format!("{:016x}", app.store.vault.index().msisdn(msisdn.msisdn)),
        msisdn: msisdn.msisdn.to_e164(),
        code: input.code,
        expires_at,
        note: input.note,
        created_at: at,
    })
}

impl Collection for TestNumbers {
    const NAME: &'static str = collection::TEST_NUMBERS;
    type Input = TestNumberInput;
    type Entity = TestNumber;
    type View = TestNumberView;

    fn make(
        app: &App,
        input: TestNumberInput,
        around: &Around,
    ) -> Result<(TestNumber, Option<String>), Wrong> {
        if app.snapshot.load().test_numbers.len() >= MOST {
            return Err(Wrong::InUse(format!("there are {MOST} test numbers already; delete one first")));
        }
        let id = app.ids.next(around.now)?.show(IdKind::TestNumber);
        let made = build(app, id, around.now, input, around.now)?;
        match app.snapshot.load().test_numbers.get(&made.msisdn) {
            Some(there) => Err(Wrong::Present(format!("it is a test number already: change {}", there.id))),
            None => Ok((made, None)),
        }
    }

    fn input(entity: &TestNumber) -> TestNumberInput {
        TestNumberInput {
            msisdn: entity.msisdn.clone(),
            code: entity.code.clone(),
            expires_at: entity.expires_at.to_rfc3339(),
            note: entity.note.clone(),
        }
    }

    fn change(
        app: &App,
        entity: &mut TestNumber,
        input: TestNumberInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        *entity = build(app, entity.id.clone(), entity.created_at, input, around.now)?;
        Ok(())
    }

    fn view(entity: &TestNumber, _around: &Around, _once: Option<String>) -> TestNumberView {
        TestNumberView {
            id: entity.id.clone(),
            msisdn: entity.msisdn.clone(),
            expires_at: entity.expires_at,
            note: entity.note.clone(),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &TestNumber) -> String {
        entity.id.clone()
    }

    /// A keyed hash stands in for the number: names of documents are not sealed.
    fn unique(entity: &TestNumber) -> Option<String> {
        Some(entity.key.clone())
    }
}
