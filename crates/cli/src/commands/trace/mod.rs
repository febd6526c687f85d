//! `llt trace list|show|export|import|sql|check|purge`

mod check;
mod export;
mod import;
mod list;
mod parquet;
mod purge;
mod run_record;
mod show;
mod sql;

use crate::args::TraceCommand;
use crate::commands::Session;
use crate::outcome::ExitStatus;

pub(super) fn trace(command: &TraceCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        TraceCommand::List(args) => list::list(args, session),
        TraceCommand::Show(args) => show::show(args, session),
        TraceCommand::Export(args) => export::export(args, session),
        TraceCommand::Import(args) => import::import(args, session),
        TraceCommand::Sql(args) if args.views => sql::views(&session.printer),
        TraceCommand::Sql(args) => sql::sql(args, session),
        TraceCommand::Purge(args) => purge::purge(args, session),
        TraceCommand::Check(args) if args.rules => check::rules(&session.printer),
        TraceCommand::Check(args) => check::check(args, session),
    }
}
