//! What a model is loaded for.

use llamatelemetry_gguf::{Gguf, GgufError, ModelFacts, ModelKind, PoolingType};
use llamatelemetry_server::{Pooling, Purpose};
use std::path::Path;

/// What a model is loaded for. A default llama-server refuses vectors and scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadFor {
    /// What its file says it is for: text, vectors or scores.
    #[default]
    Model,
    /// Vectors, whatever it is for: a model that generates does both then.
    Embeddings,
}

impl LoadFor {
    /// What the server of this model is for. A file that cannot be read is left to the server.
    pub(crate) fn purpose(self, model: &Path) -> Purpose {
        let facts = Gguf::open(model).and_then(|file| file.facts());
        self.of(facts.as_ref())
    }

    fn of(self, facts: Result<&ModelFacts, &GgufError>) -> Purpose {
        let Ok(facts) = facts else {
            return match self {
                Self::Model => Purpose::Generate,
                Self::Embeddings => Purpose::Embed {
                    pooling: Pooling::Mean,
                    longest: None,
                },
            };
        };
        let longest = facts.context_length;
        match (facts.kind, self) {
            (ModelKind::Reranker, _) => Purpose::Rank { longest },
            (ModelKind::Embedding, _) | (_, Self::Embeddings) => Purpose::Embed {
                pooling: match facts.pooling_type {
                    None | Some(PoolingType::None) => Pooling::Mean,
                    Some(_) => Pooling::OfModel,
                },
                longest,
            },
            (_, Self::Model) => Purpose::Generate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_gguf::{Gguf, proof_model};

    #[test]
    fn a_model_that_generates_makes_vectors_only_when_asked() {
        let facts = Gguf::from_bytes(proof_model()).unwrap().facts().unwrap();
        assert_eq!(LoadFor::Model.of(Ok(&facts)), Purpose::Generate);
        assert_eq!(
            LoadFor::Embeddings.of(Ok(&facts)),
            Purpose::Embed {
                pooling: Pooling::Mean,
                longest: Some(2048),
            }
        );
        let mut ranker = facts;
        ranker.kind = ModelKind::Reranker;
        let rank = Purpose::Rank {
            longest: Some(2048),
        };
        assert_eq!(LoadFor::Model.of(Ok(&ranker)), rank);
    }
}
