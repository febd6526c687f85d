//! What a question may do: read.

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::sync::{Arc, Mutex, PoisonError};

/// Pragmas that only tell something.
const TELLING: &[&str] = &[
    "collation_list",
    "compile_options",
    "database_list",
    "function_list",
    "module_list",
    "pragma_list",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Functions that reach beyond the tables.
const REACHING: &[&str] = &["fts3_tokenizer", "load_extension", "sqlite_log"];

/// Lets through what only reads, and remembers what did not get through.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    refused: Arc<Mutex<Option<String>>>,
}

impl Guard {
    /// From now on every statement is looked at before it runs.
    pub(super) fn lock(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let guard = self.clone();
        connection.authorizer(Some(move |asked: AuthContext<'_>| {
            match refusal(&asked.action) {
                None => Authorization::Allow,
                Some(action) => {
                    *guard.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(action);
                    Authorization::Deny
                }
            }
        }))
    }

    /// What was refused last.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What an action is called, if it does more than read.
fn refusal(action: &AuthAction<'_>) -> Option<String> {
    let has = |names: &[&str], name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
    let name = match action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. } => return None,
        AuthAction::Function { function_name } if !has(REACHING, function_name) => return None,
        AuthAction::Function { function_name } => return Some(format!("{function_name}()")),
        AuthAction::Pragma { pragma_name, .. } if has(TELLING, pragma_name) => return None,
        AuthAction::Pragma { pragma_name, .. } => return Some(format!("PRAGMA {pragma_name}")),
        AuthAction::Insert { .. } => "INSERT",
        AuthAction::Update { .. } => "UPDATE",
        AuthAction::Delete { .. } => "DELETE",
        AuthAction::Attach { .. } => "ATTACH",
        AuthAction::Detach { .. } => "DETACH",
        AuthAction::Transaction { .. } => "a transaction",
        AuthAction::Savepoint { .. } => "SAVEPOINT",
        AuthAction::Analyze { .. } => "ANALYZE",
        AuthAction::Reindex { .. } => "REINDEX",
        AuthAction::AlterTable { .. } => "ALTER TABLE",
        AuthAction::DropTable { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropVtable { .. } => "DROP",
        _ => "a change",
    };
    Some(name.to_owned())
}
