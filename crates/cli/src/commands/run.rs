//! `llt run`

use super::Session;
use super::answer::{self, Writer};
use super::shared::{Answerer, Sharing};
use crate::args::RunArgs;
use crate::figures;
use crate::interrupt::Interrupts;
use crate::outcome::{ExitStatus, Usage};
use crate::printer::Layout;
use anyhow::Context as _;
use base64::Engine as _;
use llamatelemetry::{
    ChatMessage, ContentPart, GenerateOptions, ImageUrl, InferResult, MessageContent,
};
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

pub(crate) fn run(args: &RunArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    // What was typed is checked before anything is fetched, built or loaded.
    let prompt = prompt(args)?;
    let options = options(args)?;
    let images = args
        .image
        .iter()
        .map(|path| image(path))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let messages = messages(args.generate.system.as_deref(), prompt, images);
    answer::block_on(ask(args, &messages, &options, session))
}

async fn ask(
    args: &RunArgs,
    messages: &[ChatMessage],
    options: &GenerateOptions,
    session: &Session,
) -> anyhow::Result<ExitStatus> {
    let mut interrupts = Interrupts::listen()?;
    let sharing = if args.isolated {
        Sharing::Never
    } else {
        Sharing::Allowed
    };
    let loaded = Answerer::find(&args.model, sharing, session, &mut interrupts).await?;
    let outcome = answer_once(args, messages, options, &loaded, session, &mut interrupts).await;
    loaded.unload(session).await;
    let result = outcome?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.json(&result, Layout::Whole)?;
    } else {
        printer.say(figures::line(&result, printer.talk_style()));
    }
    Ok(ExitStatus::Done)
}

async fn answer_once(
    args: &RunArgs,
    messages: &[ChatMessage],
    options: &GenerateOptions,
    loaded: &Answerer,
    session: &Session,
    interrupts: &mut Interrupts,
) -> anyhow::Result<InferResult> {
    let model = loaded.model();
    if !args.image.is_empty() && model.projector.is_none() {
        return Err(
            Usage::new(format!("{} cannot see: it has no projector", model.name))
                .hint("a vision model comes with an mmproj file: `llt models search vision`")
                .into(),
        );
    }
    let asking = loaded.chat_stream(messages, options);
    let mut answer = interrupts.unless(asking).await??;
    let mut writer = Writer::new(&session.printer);
    let written = answer::write(&mut answer, &mut writer, interrupts, |_| ()).await;
    // The line is ended also where the answer is not: what follows is talk. Should stdout be gone,
    // the outcome above says so already.
    let ended = writer.end();
    written?;
    ended?;
    answer.finish().await
}

fn prompt(args: &RunArgs) -> anyhow::Result<String> {
    let prompt = match args.prompt.as_deref() {
        Some("-") => stdin()?,
        Some(prompt) => prompt.to_owned(),
        None if io::stdin().is_terminal() => return Err(nothing_to_ask(&args.model).into()),
        None => {
            let piped = stdin()?;
            if piped.trim().is_empty() {
                return Err(nothing_to_ask(&args.model).into());
            }
            piped
        }
    };
    if prompt.trim().is_empty() {
        return Err(Usage::new("the prompt is empty").into());
    }
    Ok(prompt)
}

fn nothing_to_ask(model: &str) -> Usage {
    let usage = Usage::new("there is nothing to ask");
    if model.contains(' ') {
        return usage.hint(format!("the model comes first: llt run MODEL {model:?}"));
    }
    usage
        .hint(format!("llt run {model} \"your question\""))
        .hint(format!("llt chat {model} for a conversation"))
}

fn stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .context("cannot read the prompt from stdin")?;
    Ok(text)
}

fn options(args: &RunArgs) -> anyhow::Result<GenerateOptions> {
    let mut options = answer::options(&args.generate);
    if let Some(path) = &args.json_schema {
        let text = std::fs::read(path)
            .with_context(|| format!("cannot read the schema {}", path.display()))?;
        let schema: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
            Usage::new(format!(
                "the schema is not JSON: {error}: {}",
                path.display()
            ))
        })?;
        if !schema.is_object() {
            return Err(Usage::new(format!(
                "the schema is not a JSON object: {}",
                path.display()
            ))
            .into());
        }
        options.json_schema = Some(schema);
    }
    Ok(options)
}

/// An image as a `data:` URL.
fn image(path: &Path) -> anyhow::Result<String> {
    let bytes =
        std::fs::read(path).with_context(|| format!("cannot read the image {}", path.display()))?;
    let kind = kind_of_image(&bytes).ok_or_else(|| {
        Usage::new(format!(
            "this is no image that can be sent: {}",
            path.display()
        ))
        .hint("PNG, JPEG, GIF, WebP and BMP can be")
    })?;
    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
    Ok(format!("data:image/{kind};base64,{text}"))
}

fn kind_of_image(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("webp"),
        [b'B', b'M', ..] => Some("bmp"),
        _ => None,
    }
}

fn messages(system: Option<&str>, prompt: String, images: Vec<String>) -> Vec<ChatMessage> {
    let mut messages: Vec<ChatMessage> = system.map(ChatMessage::system).into_iter().collect();
    let mut question = ChatMessage::user(prompt.clone());
    if !images.is_empty() {
        let pictures = images.into_iter().map(|url| ContentPart::ImageUrl {
            image_url: ImageUrl { url },
        });
        let text = std::iter::once(ContentPart::Text { text: prompt });
        question.content = MessageContent::Parts(pictures.chain(text).collect());
    }
    messages.push(question);
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_first_bytes() {
        assert_eq!(kind_of_image(b"\x89PNG\r\n\x1a\n"), Some("png"));
        assert_eq!(kind_of_image(b"RIFF\0\0\0\0WEBPVP8 "), Some("webp"));
        assert_eq!(kind_of_image(b"<svg>"), None);
        assert_eq!(kind_of_image(b""), None);
    }

    #[test]
    fn an_image_goes_before_the_question() {
        let messages = messages(Some("be brief"), "what?".into(), vec!["data:x".into()]);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1].content.to_text(), "what?");
        assert!(matches!(
            &messages[1].content,
            MessageContent::Parts(parts) if matches!(parts[0], ContentPart::ImageUrl { .. })
        ));
    }
}
