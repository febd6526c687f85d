//! Texts into vectors, and documents against a query.

use super::place::{alphabet, refusal, serve};
use llamatelemetry_api::{EmbeddingsRequest, Endpoints as _, Prompt, RerankRequest};
use llamatelemetry_testbed::ranking_model;

const EMBEDDING: [&str; 3] = ["--embeddings", "--pooling", "mean"];
const WIDTH: usize = 64;

fn length(vector: &[f32]) -> f32 {
    vector
        .iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt()
}

#[test]
fn embeddings() {
    let server = alphabet(&EMBEDDING);
    let texts = EmbeddingsRequest::new(vec!["abc".to_owned(), "xyz".into(), "abc".into()]);
    let answer = server.embeddings(&texts).unwrap();
    let vectors: Vec<_> = answer
        .data
        .iter()
        .map(|one| one.embedding.as_slice())
        .collect();
    assert_eq!(vectors.len(), 3);
    assert!(vectors.iter().all(|vector| vector.len() == WIDTH));
    assert!(
        vectors
            .iter()
            .all(|vector| (length(vector) - 1.0).abs() < 1e-4)
    );
    assert_ne!(vectors[0], vectors[1]);
    let apart: f32 = vectors[0]
        .iter()
        .zip(vectors[2])
        .map(|(a, b)| (a - b).abs())
        .sum();
    assert!(apart < 1e-4, "the same text twice: {apart}");
    // Each text and its begin of sequence.
    assert_eq!(answer.usage.unwrap().prompt_tokens, 12);

    let raw = EmbeddingsRequest {
        normalize: Some(EmbeddingsRequest::AS_THEY_ARE),
        ..EmbeddingsRequest::new(Prompt::Tokens(vec![1, 100]))
    };
    let raw = server.embeddings(&raw).unwrap().data.remove(0).embedding;
    assert!((length(&raw) - 1.0).abs() > 0.1, "{}", length(&raw));
}

#[test]
fn embeddings_are_refused_by_a_server_that_generates() {
    let (status, said) = refusal(alphabet(&[]).embeddings(&EmbeddingsRequest::new("abc")));
    assert_eq!(status, 501);
    assert!(said.contains("--embeddings"), "{said}");
}

#[test]
fn embedding() {
    let server = alphabet(&["--embeddings", "--pooling", "none"]);
    let answer = server.embedding(&EmbeddingsRequest::new("abc")).unwrap();
    // One vector a token, begin of sequence included.
    assert_eq!(answer[0].embedding.len(), 4);
    assert!(
        answer[0]
            .embedding
            .iter()
            .all(|vector| vector.len() == WIDTH)
    );
    let pooled = alphabet(&EMBEDDING);
    let answer = pooled.embedding(&EmbeddingsRequest::new("abc")).unwrap();
    assert_eq!(answer[0].embedding.len(), 1);
}

#[test]
fn rerank() {
    let server = serve(&ranking_model(), &["--rerank"]);
    let request = RerankRequest {
        query: "is".into(),
        documents: ["bad bad", "good good", "bad good"]
            .map(str::to_owned)
            .into(),
        ..RerankRequest::default()
    };
    let answer = server.rerank(&request).unwrap();
    let order: Vec<_> = answer.results.iter().map(|result| result.index).collect();
    assert_eq!(order, [1, 2, 0]);
    assert!(answer.results[0].relevance_score > answer.results[1].relevance_score);
    assert!(answer.usage.unwrap().prompt_tokens > 0);
    let best = RerankRequest {
        top_n: Some(1),
        ..request.clone()
    };
    assert_eq!(server.rerank(&best).unwrap().results.len(), 1);

    let (status, said) = refusal(alphabet(&EMBEDDING).rerank(&request));
    assert_eq!(status, 501);
    assert!(said.contains("--reranking"), "{said}");
}
