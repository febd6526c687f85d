//! Every text that came from outside: of a record, a happening, a line.

use llamatelemetry_record::{
    Content, Happening, LoggedLine, MarkKind, Message, Part, RequestRecord, ServerExit, What,
};
use serde_json::Value;

type Visit<'a> = &'a mut dyn FnMut(&mut String);

pub(super) fn record(record: &mut RequestRecord, visit: Visit<'_>) {
    if let Some(failure) = &mut record.failure {
        visit(&mut failure.message);
    }
    if let Some(conversation) = &mut record.conversation_id {
        visit(conversation);
    }
    record.parameters.stop.iter_mut().for_each(&mut *visit);
    for (_, value) in &mut record.baggage {
        visit(value);
    }
    for exit in record
        .waits
        .iter_mut()
        .filter_map(|wait| wait.exit.as_mut())
    {
        self::exit(exit, visit);
    }
    for mark in &mut record.marks {
        if let MarkKind::ServerEnded(exit) = &mut mark.kind {
            self::exit(exit, visit);
        }
    }
    if let Some(content) = &mut record.content {
        self::content(content, visit);
    }
}

fn exit(exit: &mut ServerExit, visit: Visit<'_>) {
    exit.log_tail.iter_mut().for_each(visit);
}

pub(super) fn happening(happening: &mut Happening, visit: Visit<'_>) {
    if let Some(failure) = &mut happening.failure {
        visit(&mut failure.message);
    }
    match &mut happening.what {
        What::ToolExecution {
            content: Some(content),
            ..
        } => {
            visit(&mut content.arguments);
            content.result.iter_mut().for_each(visit);
        }
        What::Restart { exit, .. } => self::exit(exit, visit),
        _ => {}
    }
}

pub(super) fn line(line: &mut LoggedLine, visit: Visit<'_>) {
    visit(&mut line.text);
    for (_, value) in &mut line.fields {
        visit(value);
    }
}

fn content(content: &mut Content, visit: Visit<'_>) {
    for part in &mut content.system_instructions {
        self::part(part, visit);
    }
    for tool in &mut content.tool_definitions {
        document(tool, visit);
    }
    for message in content.input.iter_mut().chain(&mut content.output) {
        self::message(message, visit);
    }
}

fn message(message: &mut Message, visit: Visit<'_>) {
    message.name.iter_mut().for_each(&mut *visit);
    for part in &mut message.parts {
        self::part(part, visit);
    }
}

fn part(part: &mut Part, visit: Visit<'_>) {
    match part {
        Part::Text { content } | Part::Reasoning { content } => visit(content),
        Part::ToolCall { arguments, .. } => visit(arguments),
        Part::ToolCallResponse { response, .. } => visit(response),
        Part::Uri { uri, .. } => visit(uri),
        // Ids and digests.
        _ => {}
    }
}

fn document(value: &mut Value, visit: Visit<'_>) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| document(item, visit)),
        Value::Object(fields) => fields.values_mut().for_each(|value| document(value, visit)),
        _ => {}
    }
}
