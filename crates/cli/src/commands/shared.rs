//! Who answers `llt run` and `llt chat`: a server of their own, or an `llt serve` of the same home
//! that runs the same model in the same way.

use super::Session;
use super::answer::Loaded;
use crate::interrupt::Interrupts;
use llamatelemetry::models::{self, LocalModel};
use llamatelemetry::{AnswerStream, ChatMessage, Delta, GenerateOptions, InferResult, runtime};
use llamatelemetry_gateway::control::{Answering, AskChat, Running, Said, launch_of, running};
use llamatelemetry_settings::Settings;

/// Whether a server that runs may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Allowed,
    /// `--isolated`
    Never,
}

/// Who answers.
pub(crate) enum Answerer {
    Own(Box<Loaded>),
    Running(Box<Borrowed>),
}

/// A server that somebody else started.
pub(crate) struct Borrowed {
    server: Running,
    model: LocalModel,
    /// What is asked each time, but for the messages.
    ask: AskChat,
}

/// An answer on its way.
pub(crate) enum Answer {
    Own(Box<AnswerStream>),
    /// And the result, once it is here.
    Running(Box<Answering>, Option<Box<InferResult>>),
}

impl Answerer {
    /// Finds who answers, or loads the model; a signal ends the wait.
    pub(crate) async fn find(
        model: &str,
        sharing: Sharing,
        session: &Session,
        interrupts: &mut Interrupts,
    ) -> anyhow::Result<Self> {
        // Spans that are to be printed here must be made here.
        let alone = sharing == Sharing::Never || session.settings().telemetry.console;
        if !alone
            && let Some(borrowed) = interrupts
                .unless(Borrowed::find(model, session.settings()))
                .await?
        {
            let pid = borrowed.server.status.pid;
            session
                .printer
                .say(format!("answered by the server that runs (process {pid})"));
            return Ok(Self::Running(Box::new(borrowed)));
        }
        let loaded = Loaded::load(model, session, interrupts).await?;
        Ok(Self::Own(Box::new(loaded)))
    }

    /// The model that answers.
    pub(crate) fn model(&self) -> &LocalModel {
        match self {
            Self::Own(loaded) => loaded.engine.server().model(),
            Self::Running(borrowed) => &borrowed.model,
        }
    }

    /// Asks; the answer streams.
    pub(crate) async fn chat_stream(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
    ) -> anyhow::Result<Answer> {
        match self {
            Self::Own(loaded) => {
                let stream = loaded.engine.chat_stream(messages, options).await?;
                Ok(Answer::Own(Box::new(stream)))
            }
            Self::Running(borrowed) => borrowed.chat_stream(messages, options).await,
        }
    }

    /// Stops an own server and sends the spans that wait.
    pub(crate) async fn unload(self, session: &Session) {
        if let Self::Own(loaded) = self {
            loaded.unload(session).await;
        }
    }
}

impl Borrowed {
    /// A server of this home that answers as an own one would, if one runs.
    async fn find(model: &str, settings: &Settings) -> Option<Self> {
        let mut servers = running(settings)
            .await
            .inspect_err(|error| tracing::debug!(%error, "no server is looked for"))
            .ok()?;
        servers.retain(|server| !server.status.models.is_empty());
        if servers.is_empty() {
            return None;
        }
        let found = {
            let (name, settings) = (model.to_owned(), settings.clone());
            tokio::task::spawn_blocking(move || {
                let model = models::find(&name, &settings).ok()?;
                // What is chosen already costs a few look-ups; nothing is built for this.
                let runtime = runtime::chosen(&settings)?;
                Some((model, runtime))
            })
        };
        let (local, runtime) = found.await.ok()??;
        let ask = AskChat {
            model: model.to_owned(),
            file: local.path.clone(),
            server: runtime.server,
            launch: launch_of(settings),
            messages: Vec::new(),
            max_tokens: None,
            temperature: None,
            seed: None,
            json_schema: None,
            conversation_id: None,
        };
        for server in servers {
            match server.fits(&ask).await {
                Ok(true) => {
                    return Some(Self {
                        server,
                        model: local,
                        ask,
                    });
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "a server that runs is passed over"),
            }
        }
        None
    }

    async fn chat_stream(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
    ) -> anyhow::Result<Answer> {
        let ask = AskChat {
            messages: messages.to_vec(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            json_schema: options.json_schema.clone(),
            conversation_id: options.conversation_id.clone(),
            ..self.ask.clone()
        };
        match self.server.chat(&ask).await? {
            Some(answering) => Ok(Answer::Running(Box::new(answering), None)),
            None => anyhow::bail!("the server that answered so far serves something else now"),
        }
    }
}

impl Answer {
    /// The next piece; `None` once it is whole.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Delta>> {
        match self {
            Self::Own(stream) => Ok(stream.next().await?),
            Self::Running(_, Some(_)) => Ok(None),
            Self::Running(answering, whole) => match answering.next().await? {
                Said::Piece(delta) => Ok(Some(delta)),
                Said::Result(result) => {
                    *whole = Some(result);
                    Ok(None)
                }
            },
        }
    }

    /// The whole answer with its figures.
    pub(crate) async fn finish(mut self) -> anyhow::Result<InferResult> {
        while self.next().await?.is_some() {}
        match self {
            Self::Own(stream) => Ok(stream.finish().await?),
            Self::Running(_, Some(result)) => Ok(*result),
            Self::Running(_, None) => anyhow::bail!("the answer has no end"),
        }
    }
}
