//! `llt chat`

mod input;

use super::Session;
use super::answer::{self, Broken, Writer};
use super::shared::{Answerer, Sharing};
use crate::args::ChatArgs;
use crate::figures;
use crate::interrupt::{Interrupted, Interrupts};
use crate::outcome::ExitStatus;
use crate::printer::Layout;
use input::{Input, Typed};
use llamatelemetry::{ChatMessage, GenerateOptions};
use std::hash::{BuildHasher as _, RandomState};

const HELP: &str = "\
/system TEXT   what the model is told to be; alone it shows that
/clear         forget the conversation
/help          this list
/exit          end (also Ctrl-D)
Ctrl-C stops an answer. A line that ends in \\ goes on in the next.";

pub(crate) fn chat(args: &ChatArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    answer::block_on(converse(args, session))
}

async fn converse(args: &ChatArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut interrupts = Interrupts::listen()?;
    let sharing = if args.isolated {
        Sharing::Never
    } else {
        Sharing::Allowed
    };
    let loaded = Answerer::find(&args.model, sharing, session, &mut interrupts).await?;
    let mut input = Input::open(session)?;
    if input.is_interactive() {
        let name = &loaded.model().name;
        session
            .printer
            .say(format!("{name} listens; /help lists the commands"));
    }
    let mut conversation = Conversation {
        system: args.generate.system.clone(),
        messages: Vec::new(),
        options: answer::options(&args.generate),
    };
    conversation.options.conversation_id = Some(conversation_id());
    let outcome = turns(
        &mut conversation,
        &mut input,
        &loaded,
        session,
        &mut interrupts,
    )
    .await;
    drop(input);
    loaded.unload(session).await;
    outcome
}

async fn turns(
    conversation: &mut Conversation,
    input: &mut Input,
    loaded: &Answerer,
    session: &Session,
    interrupts: &mut Interrupts,
) -> anyhow::Result<ExitStatus> {
    loop {
        let typed = match interrupts.unless(input.read()).await {
            Ok(typed) => typed?,
            // On a terminal the editor reads Ctrl-C as a key; what comes by another way was meant
            // for an answer that has just ended.
            Err(Interrupted::Interrupt) if input.is_interactive() => continue,
            Err(stopped) => return Err(stopped.into()),
        };
        let line = match typed {
            Typed::Line(line) => line,
            Typed::Nothing => continue,
            Typed::End => return Ok(ExitStatus::Done),
        };
        match Command::parse(&line) {
            Some(Command::Exit) => return Ok(ExitStatus::Done),
            Some(command) => conversation.obey(command, session),
            None => {
                let turn = conversation.turn(line, loaded, session, interrupts).await;
                let Err(error) = turn else { continue };
                // A refused question or a server that is being restarted ends the turn; whoever
                // types can go on. A script must not, or its answers would not fit its questions.
                if !input.is_interactive() || !is_of_turn(&error) {
                    return Err(error);
                }
                conversation.messages.pop();
                session
                    .printer
                    .warn(format!("{error:#}; /clear forgets the conversation"));
            }
        }
    }
}

/// Whether only the turn has failed, and not what the conversation needs.
fn is_of_turn(error: &anyhow::Error) -> bool {
    error.is::<llamatelemetry::Error>() || error.is::<llamatelemetry_gateway::GatewayError>()
}

/// A line that is for us and not for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command<'a> {
    Help,
    Exit,
    Clear,
    System(&'a str),
    Unknown(&'a str),
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let word = line.split_whitespace().next()?;
        let rest = line.get(word.len()..).unwrap_or_default().trim();
        let name = word.strip_prefix('/')?;
        // A path or a comment is something to ask about.
        if !name.chars().all(char::is_alphabetic) {
            return None;
        }
        Some(match name {
            "help" => Self::Help,
            "exit" | "quit" | "bye" => Self::Exit,
            "clear" => Self::Clear,
            "system" => Self::System(rest),
            _ => Self::Unknown(word),
        })
    }
}

struct Conversation {
    system: Option<String>,
    messages: Vec<ChatMessage>,
    options: GenerateOptions,
}

impl Conversation {
    fn obey(&mut self, command: Command<'_>, session: &Session) {
        let printer = &session.printer;
        match command {
            Command::Help => printer.say(HELP),
            Command::Clear => {
                self.messages.clear();
                self.options.conversation_id = Some(conversation_id());
                printer.say("forgotten");
            }
            Command::System("") => match &self.system {
                Some(system) => printer.say(system),
                None => printer.say("the model is told nothing"),
            },
            Command::System(text) => self.system = Some(text.to_owned()),
            Command::Unknown(word) => {
                printer.say(format!("there is no {word}; /help lists the commands"));
            }
            Command::Exit => {}
        }
    }

    /// Asks and answers once. Ctrl-C ends the answer only; what came of it stays said.
    async fn turn(
        &mut self,
        line: String,
        loaded: &Answerer,
        session: &Session,
        interrupts: &mut Interrupts,
    ) -> anyhow::Result<()> {
        self.messages.push(ChatMessage::user(line));
        let system = self.system.as_deref().map(ChatMessage::system);
        let messages: Vec<ChatMessage> = system
            .into_iter()
            .chain(self.messages.iter().cloned())
            .collect();
        let printer = &session.printer;
        let mut said = String::new();
        let asking = loaded.chat_stream(&messages, &self.options);
        let mut answer = match interrupts.unless(asking).await {
            Ok(answer) => answer?,
            Err(Interrupted::Interrupt) => {
                self.messages.pop();
                return Ok(());
            }
            Err(stopped @ Interrupted::Terminate) => return Err(stopped.into()),
        };
        let mut writer = Writer::new(printer);
        let written = answer::write(&mut answer, &mut writer, interrupts, |delta| {
            said.push_str(&delta.text);
        })
        .await;
        let ended = writer.end();
        match written {
            Ok(()) => {
                ended?;
                let result = answer.finish().await?;
                if printer.is_json() {
                    printer.json(&result, Layout::Line)?;
                } else {
                    printer.say(figures::line(&result, printer.talk_style()));
                }
            }
            Err(Broken::Stopped(Interrupted::Interrupt)) => {
                drop(answer);
                printer.say("stopped");
            }
            Err(broken) => return Err(broken.into()),
        }
        self.messages.push(ChatMessage::assistant(said));
        Ok(())
    }
}

/// A name for the conversation in telemetry. It need not be secret, only its own.
fn conversation_id() -> String {
    let random = || RandomState::new().hash_one(std::time::SystemTime::now());
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_questions() {
        assert_eq!(Command::parse("/help"), Some(Command::Help));
        assert_eq!(Command::parse(" /quit "), Some(Command::Exit));
        assert_eq!(
            Command::parse("/system  be brief"),
            Some(Command::System("be brief"))
        );
        assert_eq!(Command::parse("/sytem x"), Some(Command::Unknown("/sytem")));
        assert_eq!(Command::parse("/etc/passwd says?"), None);
        assert_eq!(Command::parse("what is /help?"), None);
    }
}
