//! Prompts continued as they stand.

use super::place::{Place, alphabet, refusal};
use llamatelemetry_api::{
    CompletionRequest, CompletionsRequest, Endpoints as _, Generation, InfillFile, InfillRequest,
    Prompt, StreamOptions,
};
use llamatelemetry_record::FinishReason;

/// An answer that does not end by itself before it is cut.
fn endless() -> Generation {
    Generation {
        ignore_eos: Some(true),
        ..Generation::default()
    }
}

fn native(prompt: impl Into<Prompt>) -> CompletionRequest {
    CompletionRequest {
        prompt: prompt.into(),
        max_tokens: Some(5),
        temperature: Some(0.0),
        ..CompletionRequest::default()
    }
}

fn openai(prompt: impl Into<Prompt>) -> CompletionsRequest {
    CompletionsRequest {
        prompt: prompt.into(),
        max_tokens: Some(5),
        temperature: Some(0.0),
        ..CompletionsRequest::default()
    }
}

#[test]
fn completion() {
    let server = alphabet(&[]);
    let request = CompletionRequest {
        generation: Generation {
            n_probs: Some(2),
            return_tokens: Some(true),
            ..Generation::default()
        },
        ..native("abc")
    };
    let answer = server.completion(&request).unwrap().remove(0);
    assert_eq!(answer.content, "defgh");
    assert_eq!(answer.tokens[0], 3 + i64::from(b'd'));
    assert_eq!(answer.stop_type.as_deref(), Some("limit"));
    assert_eq!(
        (answer.id_slot, answer.tokens_predicted),
        (Some(0), Some(5))
    );
    assert_eq!(answer.timings.unwrap().server.predicted_n, 5);
    let first = &answer.completion_probabilities[0];
    assert_eq!((first.token.as_str(), first.top_logprobs.len()), ("d", 2));
    assert!(first.logprob.unwrap() > -0.1, "{first:?}");

    // One answer for each prompt; tokens are a prompt too.
    let prompts = Prompt::Several(vec!["abc".into(), Prompt::Tokens(vec![1, 3 + 0x78])]);
    let mut answers = server.completion(&native(prompts)).unwrap();
    answers.sort_by_key(|answer| answer.index);
    let texts: Vec<_> = answers
        .iter()
        .map(|answer| answer.content.as_str())
        .collect();
    assert_eq!(texts, ["defgh", "yzabc"]);
}

#[test]
fn completion_holds_to_a_grammar_and_to_a_schema() {
    let server = alphabet(&[]);
    let grammar = CompletionRequest {
        generation: Generation {
            grammar: Some("root ::= \"xyz\"".into()),
            ..Generation::default()
        },
        ..native("abc")
    };
    assert_eq!(server.completion(&grammar).unwrap()[0].content, "xyz");
    let schema = CompletionRequest {
        json_schema: Some(serde_json::json!({"enum": ["no", "never"]})),
        max_tokens: Some(16),
        ..native("abc")
    };
    let said = server.completion(&schema).unwrap().remove(0).content;
    assert!(["\"no\"", "\"never\""].contains(&said.as_str()), "{said}");
    let broken = CompletionRequest {
        generation: Generation {
            grammar: Some("root ::= (".into()),
            ..Generation::default()
        },
        ..native("abc")
    };
    assert_eq!(refusal(server.completion(&broken)).0, 400);
}

#[test]
fn completion_events() {
    let server = alphabet(&[]);
    let request = CompletionRequest {
        generation: Generation {
            return_progress: Some(true),
            ..Generation::default()
        },
        ..native("abc")
    };
    let mut stream = server.completion_events(&request).unwrap();
    let events: Vec<_> = stream.by_ref().map(Result::unwrap).collect();
    let text: String = events.iter().map(|event| event.content.as_str()).collect();
    assert_eq!(text, "defgh");
    assert_eq!(events.iter().filter(|event| event.stop).count(), 1);
    let progress: Vec<_> = events
        .iter()
        .filter_map(|event| event.prompt_progress.as_ref())
        .collect();
    assert_eq!(progress.last().unwrap().total, 4);
    let observed = stream.observed();
    assert_eq!(observed.finish_reason, Some(FinishReason::Length));
    assert_eq!(observed.usage.completion_tokens, Some(5));
}

#[test]
fn completion_events_cut() {
    let server = alphabet(&[]);
    let request = CompletionRequest {
        max_tokens: Some(1900),
        generation: endless(),
        ..native("abc")
    };
    server.cut(server.completion_events(&request));
}

#[test]
fn completions() {
    let server = alphabet(&["--parallel", "2"]);
    let request = CompletionsRequest {
        logprobs: Some(1),
        n: Some(2),
        ..openai("abc")
    };
    let answer = server.completions(&request).unwrap();
    assert_eq!(answer.choices.len(), 2);
    for choice in &answer.choices {
        assert_eq!(choice.text, "defgh");
        assert_eq!(choice.finish_reason, Some(FinishReason::Length));
        assert_eq!(choice.logprobs.as_ref().unwrap().content.len(), 5);
    }
    assert!(answer.timings.is_some() && answer.id.starts_with("chatcmpl-"));
}

#[test]
fn completions_events() {
    let server = alphabet(&[]);
    let request = CompletionsRequest {
        stop: vec!["g".into()],
        stream_options: Some(StreamOptions {
            include_usage: true,
        }),
        ..openai("abc")
    };
    let answer = server.completions_events(&request).unwrap().deltas();
    let answer = answer.finish().unwrap();
    assert_eq!(answer.text, "def");
    assert_eq!(answer.finish_reason, Some(FinishReason::Stop));
}

#[test]
fn completions_events_cut() {
    let server = alphabet(&[]);
    let request = CompletionsRequest {
        max_tokens: Some(1900),
        generation: endless(),
        ..openai("abc")
    };
    server.cut(server.completions_events(&request));
}

/// A server of the alphabet's model with three of its tokens declared to mark the place to fill.
fn filling() -> Place {
    let marks = [("fim_pre", b'<'), ("fim_suf", b'|'), ("fim_mid", b'>')];
    let marks = marks.map(|(name, mark)| {
        let token = 3 + u32::from(mark);
        format!("tokenizer.ggml.{name}_token_id=int:{token}")
    });
    alphabet(&["--override-kv", &marks.join(",")])
}

fn gap() -> InfillRequest {
    InfillRequest {
        input_prefix: "abc".into(),
        input_suffix: "xyz".into(),
        input_extra: vec![InfillFile {
            filename: "other.txt".into(),
            text: "letters".into(),
        }],
        max_tokens: Some(5),
        temperature: Some(0.0),
        ..InfillRequest::default()
    }
}

#[test]
fn infill() {
    let server = filling();
    let answer = server.infill(&gap()).unwrap();
    // After a mark, which is no letter, this model begins the alphabet.
    assert_eq!(answer.content, "abcde");
    let prompt = answer.prompt.unwrap();
    assert!(prompt.contains("abc") && prompt.contains("xyz"), "{prompt}");
    let (status, said) = refusal(alphabet(&[]).infill(&gap()));
    assert_eq!(status, 501);
    assert!(said.contains("Infill is not supported"), "{said}");
}

#[test]
fn infill_events() {
    let server = filling();
    let answer = server.infill_events(&gap()).unwrap().deltas();
    assert_eq!(answer.finish().unwrap().text, "abcde");
}

#[test]
fn infill_events_cut() {
    let server = filling();
    let request = InfillRequest {
        max_tokens: Some(1900),
        generation: endless(),
        ..gap()
    };
    server.cut(server.infill_events(&request));
}
