//! `llt trace`

mod check;

use crate::args::TraceCommand;
use crate::commands::Session;
use crate::outcome::ExitStatus;

pub(super) fn trace(command: &TraceCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        TraceCommand::Check(args) if args.rules => check::rules(&session.printer),
        TraceCommand::Check(args) => check::check(args, &session.printer),
    }
}
