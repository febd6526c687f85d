//! What a server is for: by default llama-server generates and refuses everything else.

/// What a server is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Generates text. Vectors and scores are refused.
    #[default]
    Generate,
    /// Turns texts into vectors; a model that generates still does.
    Embed {
        /// How the vectors of tokens become one.
        pooling: Pooling,
        /// Tokens of the longest text, where the model has a limit. A text is evaluated at once.
        longest: Option<u32>,
    },
    /// Scores documents against a query.
    Rank {
        /// Tokens of the longest query and document together, where the model has a limit.
        longest: Option<u32>,
    },
}

/// How the vectors of tokens become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pooling {
    /// As the model's file says.
    #[default]
    OfModel,
    /// Their mean.
    Mean,
}

/// Tokens that are evaluated at once at most: the memory for them grows with their square.
const AT_ONCE_AT_MOST: u32 = 2048;
/// Tokens that llama-server evaluates at once by itself.
const AT_ONCE_ANYWAY: u32 = 512;

impl Purpose {
    /// The arguments that make a server fit for it.
    pub(crate) fn arguments(self) -> Vec<(&'static str, Option<String>)> {
        let (mut arguments, longest) = match self {
            Self::Generate => return Vec::new(),
            Self::Embed { pooling, longest } => {
                let mut arguments = vec![("--embeddings", None)];
                if pooling == Pooling::Mean {
                    arguments.push(("--pooling", Some("mean".to_owned())));
                }
                (arguments, longest)
            }
            Self::Rank { longest } => (vec![("--reranking", None)], longest),
        };
        let at_once = longest.unwrap_or(AT_ONCE_ANYWAY).min(AT_ONCE_AT_MOST);
        if at_once > AT_ONCE_ANYWAY {
            arguments.push(("--ubatch-size", Some(at_once.to_string())));
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_flags() {
        assert_eq!(Purpose::Generate.arguments(), []);
        let embed = |pooling, longest| Purpose::Embed { pooling, longest }.arguments();
        assert_eq!(embed(Pooling::OfModel, Some(512)), [("--embeddings", None)]);
        assert_eq!(
            embed(Pooling::Mean, Some(131_072)),
            [
                ("--embeddings", None),
                ("--pooling", Some("mean".into())),
                ("--ubatch-size", Some("2048".into())),
            ]
        );
        let rank = Purpose::Rank {
            longest: Some(1024),
        };
        assert_eq!(
            rank.arguments(),
            [
                ("--reranking", None),
                ("--ubatch-size", Some("1024".into()))
            ]
        );
    }
}
