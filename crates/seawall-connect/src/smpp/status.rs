//! What an SMSC's command status means for a submission.

use std::time::Duration;

use rusmpp::CommandStatus;

use crate::{ErrorClass, Submission};

/// An SMSC says "slow down" without saying how long; a second is what its counters usually span.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The outcome of a `submit_sm` that was answered with an error.
pub(super) fn refusal(status: CommandStatus) -> Submission {
    match status {
        CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful => {
            Submission::Throttled { retry_after: BACK_OFF }
        }
        other => Submission::Refused { class: class(other), detail: describe(other) },
    }
}

fn class(status: CommandStatus) -> ErrorClass {
    use CommandStatus as S;
    match status {
        S::EsmeRinvsrcadr | S::EsmeRinvsrcton | S::EsmeRinvsrcnpi => ErrorClass::InvalidSource,
        S::EsmeRinvdstadr | S::EsmeRinvdstton | S::EsmeRinvdstnpi => ErrorClass::InvalidDestination,
        S::EsmeRinvbndsts | S::EsmeRbindfail | S::EsmeRinvpaswd | S::EsmeRinvsysid | S::EsmeRinvsystyp => {
            ErrorClass::Denied
        }
        S::EsmeRinvmsglen
        | S::EsmeRinvcmdlen
        | S::EsmeRinvcmdid
        | S::EsmeRinvprtflg
        | S::EsmeRinvregdlvflg
        | S::EsmeRinvsertyp
        | S::EsmeRinvesmclass
        | S::EsmeRinvrepflag
        | S::EsmeRinvsched
        | S::EsmeRinvexpiry
        | S::EsmeRinvtlvstream
        | S::EsmeRtlvnotallwd
        | S::EsmeRinvtlvlen
        | S::EsmeRmissingtlv
        | S::EsmeRinvtlvval => ErrorClass::InvalidFormat,
        S::EsmeRsyserr | S::EsmeRxTAppn | S::EsmeRdeliveryfailure | S::EsmeRunknownerr => {
            ErrorClass::ProviderFault
        }
        _ => ErrorClass::Rejected,
    }
}

/// The status as SMSC manuals list it, e.g. `command_status 0x0000000B (EsmeRinvdstadr)`.
pub(super) fn describe(status: CommandStatus) -> String {
    let number = u32::from(status);
    match status {
        CommandStatus::Other(_) => format!("command_status 0x{number:08X}"),
        named => format!("command_status 0x{number:08X} ({named:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_outcomes() {
        for slow in [0x58, 0x14] {
            let outcome = refusal(CommandStatus::from(slow));
            assert!(matches!(outcome, Submission::Throttled { .. }), "{slow:#x}");
        }
        for (number, expected) in [
            (0x0B, ErrorClass::InvalidDestination),
            (0x0A, ErrorClass::InvalidSource),
            (0x0E, ErrorClass::Denied),
            (0x08, ErrorClass::ProviderFault),
            (0x45, ErrorClass::Rejected),
            (0x0400, ErrorClass::Rejected),
        ] {
            let Submission::Refused { class, detail } = refusal(CommandStatus::from(number)) else {
                panic!("{number:#x} is a refusal")
            };
            assert_eq!(class, expected, "{number:#x}");
            assert!(detail.contains(&format!("0x{number:08X}")), "{detail}");
        }
    }
}
