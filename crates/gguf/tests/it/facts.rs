//! What files say about models.

use llamatelemetry_gguf::{
    FileType, GgmlType, Gguf, GgufError, GgufWriter, ModelFacts, ModelKind, OwnedValue, PerLayer,
    PoolingType,
};

/// A file of the given keys, with one tensor.
fn model(entries: &[(&str, OwnedValue)]) -> Gguf {
    let mut writer = GgufWriter::new();
    for (key, value) in entries {
        writer.set(*key, value.clone()).expect("set");
    }
    writer
        .tensor("token_embd.weight", &[32, 4], GgmlType::Q8_0, vec![0; 136])
        .expect("a tensor");
    writer
        .tensor("output_norm.weight", &[32], GgmlType::F32, vec![0; 128])
        .expect("a tensor");
    Gguf::from_bytes(writer.to_bytes().expect("a file")).expect("it opens")
}

fn facts(entries: &[(&str, OwnedValue)]) -> ModelFacts {
    model(entries).facts().expect("facts")
}

#[test]
fn every_fact_of_a_model() {
    let facts = facts(&[
        ("general.architecture", "gemma9".into()),
        ("general.name", "Some Model".into()),
        ("general.file_type", 15_u32.into()),
        ("gemma9.block_count", 4_u32.into()),
        ("gemma9.embedding_length", 512_u32.into()),
        (
            "gemma9.feed_forward_length",
            vec![1024_i32, 1024, 2048, 2048].into(),
        ),
        ("gemma9.attention.head_count", vec![0_u32, 8, 8, 16].into()),
        (
            "gemma9.attention.head_count_kv",
            vec![0_i32, 2, 2, 4].into(),
        ),
        ("gemma9.attention.value_length", 80_u16.into()),
        ("gemma9.context_length", 131_072_u64.into()),
        ("gemma9.attention.sliding_window", 1024_u32.into()),
        (
            "gemma9.attention.sliding_window_pattern",
            vec![true, true, true, false].into(),
        ),
        ("gemma9.expert_count", 64_u32.into()),
        ("gemma9.expert_used_count", vec![0_u32, 8, 8, 6].into()),
        ("gemma9.vocab_size", 99_u32.into()),
        ("tokenizer.ggml.model", "gpt2".into()),
        ("tokenizer.ggml.pre", "llama-bpe".into()),
        ("tokenizer.ggml.tokens", vec!["a", "b", "c"].into()),
        ("tokenizer.chat_template", "{{ x }}".into()),
        (
            "tokenizer.chat_templates",
            vec!["default", "tool_use"].into(),
        ),
        ("tokenizer.chat_template.tool_use", "{{ tools }}".into()),
        ("something.unknown", vec![1_u8].into()),
    ]);
    assert_eq!(facts.architecture, "gemma9");
    assert_eq!(facts.name.as_deref(), Some("Some Model"));
    assert_eq!(facts.kind, ModelKind::Generative);
    assert_eq!((facts.layers, facts.embedding_length), (Some(4), Some(512)));
    let per_layer = facts.feed_forward_length.expect("there");
    assert_eq!(
        (per_layer.at(2), per_layer.at(4), per_layer.sum(4)),
        (Some(2048), None, 6144)
    );
    assert_eq!(facts.heads, Some(PerLayer::Each(vec![0, 8, 8, 16])));
    assert_eq!(facts.kv_heads, Some(PerLayer::Each(vec![0, 2, 2, 4])));
    // Of the first layer that has heads; what the file says goes before the rule.
    assert_eq!((facts.key_length, facts.value_length), (Some(64), Some(80)));
    assert_eq!(facts.context_length, Some(131_072));
    assert_eq!(facts.sliding_window, Some(1024));
    assert_eq!(
        facts.sliding_window_pattern,
        Some(PerLayer::Each(vec![1, 1, 1, 0]))
    );
    assert_eq!((facts.experts, facts.experts_used), (Some(64), Some(8)));
    assert_eq!(facts.vocabulary, Some(3));
    assert_eq!(facts.tokenizer_model.as_deref(), Some("gpt2"));
    assert_eq!(facts.tokenizer_pre.as_deref(), Some("llama-bpe"));
    assert_eq!(facts.chat_template.as_deref(), Some("{{ x }}"));
    let names: Vec<_> = facts.chat_templates.keys().map(String::as_str).collect();
    assert_eq!(names, ["default", "tool_use"]);
    assert_eq!(
        (facts.parameters, facts.tensor_bytes, facts.tensors),
        (160, 264, 2)
    );
    let shares: Vec<_> = facts
        .quantization
        .iter()
        .map(|share| (share.ggml_type, share.bytes))
        .collect();
    assert_eq!(shares, [(GgmlType::Q8_0, 136), (GgmlType::F32, 128)]);
    assert_eq!(
        facts
            .file_type
            .map(|file_type| file_type.to_string())
            .as_deref(),
        Some("Q4_K_M")
    );
    let json = serde_json::to_value(facts.quantization[0]).expect("JSON");
    assert_eq!(json["ggml_type"], "Q8_0");
}

#[test]
fn what_the_file_does_not_say() {
    let facts = facts(&[("general.architecture", "mamba".into())]);
    assert_eq!(
        (facts.layers, facts.heads, facts.kv_heads),
        (None, None, None)
    );
    assert_eq!((facts.key_length, facts.vocabulary), (None, None));
    assert_eq!((facts.chat_template, facts.file_type), (None, None));
}

#[test]
fn defaults_as_in_llama_cpp() {
    let facts = facts(&[
        ("general.architecture", "llama".into()),
        ("llama.embedding_length", 4096_u32.into()),
        ("llama.attention.head_count", 32_u32.into()),
        ("llama.vocab_size", 1000_u32.into()),
        ("general.file_type", (1024_u32 + 7).into()),
    ]);
    assert_eq!(facts.kv_heads, Some(PerLayer::Same(32)));
    assert_eq!(
        (facts.key_length, facts.value_length),
        (Some(128), Some(128))
    );
    assert_eq!(facts.vocabulary, Some(1000));
    let file_type = facts.file_type.expect("there");
    assert_eq!(
        (file_type.name(), file_type.is_guessed()),
        (Some("Q8_0"), true)
    );
    assert_eq!(FileType(500).to_string(), "file type 500");
}

#[test]
fn kinds() {
    let kind = |entries: &[(&str, OwnedValue)]| facts(entries).kind;
    let of = |architecture: &str| ("general.architecture", OwnedValue::from(architecture));
    assert_eq!(kind(&[of("llama")]), ModelKind::Generative);
    assert_eq!(kind(&[of("bert")]), ModelKind::Embedding);
    assert_eq!(
        kind(&[of("qwen3"), ("qwen3.pooling_type", 3_u32.into())]),
        ModelKind::Embedding
    );
    assert_eq!(
        kind(&[of("qwen3"), ("qwen3.pooling_type", 4_u32.into())]),
        ModelKind::Reranker
    );
    assert_eq!(
        kind(&[of("llama"), ("llama.pooling_type", 0_u32.into())]),
        ModelKind::Generative
    );
    let causal = |architecture: &str| (format!("{architecture}.attention.causal"), false);
    let (key, value) = causal("lfm2");
    assert_eq!(
        kind(&[of("lfm2"), (&key, value.into())]),
        ModelKind::Embedding
    );
    let (key, value) = causal("llada");
    assert_eq!(
        kind(&[of("llada"), (&key, value.into())]),
        ModelKind::Generative
    );
    assert_eq!(kind(&[of("clip")]), ModelKind::Projector);
    assert_eq!(
        kind(&[of("llama"), ("general.type", "adapter".into())]),
        ModelKind::Adapter
    );
    assert_eq!(
        kind(&[of("x"), ("general.type", "mmproj".into())]),
        ModelKind::Projector
    );
    assert_eq!(
        kind(&[("general.type", "imatrix".into())]),
        ModelKind::Other
    );
    assert_eq!(kind(&[of("wavtokenizer-dec")]), ModelKind::Other);

    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama").expect("set");
    writer.set("tokenizer.ggml.model", "llama").expect("set");
    let file = Gguf::from_bytes(writer.to_bytes().expect("a file")).expect("it opens");
    assert_eq!(file.facts().expect("facts").kind, ModelKind::Vocabulary);
}

#[test]
fn pooling() {
    let of = |number: u32| {
        let entries = [
            ("general.architecture", "bert".into()),
            ("bert.pooling_type", number.into()),
        ];
        facts(&entries).pooling_type
    };
    assert_eq!(of(1), Some(PoolingType::Mean));
    assert_eq!(
        of(2).map(|pooling| pooling.to_string()).as_deref(),
        Some("cls")
    );
    assert_eq!(of(77), Some(PoolingType::Unknown(77)));
}

#[test]
fn wrong_types_name_key_and_place() {
    let file = model(&[
        ("general.architecture", "llama".into()),
        ("llama.block_count", "many".into()),
    ]);
    let error = file.facts().expect_err("not a number");
    assert_eq!(error.offset(), file.value_offset("llama.block_count"));
    let GgufError::WrongType { key, found, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (key.as_str(), found.as_str()),
        ("llama.block_count", "a string")
    );

    for value in [
        OwnedValue::from(-1_i32),
        vec![1.0_f32].into(),
        (1_u64 << 32).into(),
    ] {
        let file = model(&[
            ("general.architecture", "llama".into()),
            ("llama.attention.head_count", value),
        ]);
        assert!(matches!(file.facts(), Err(GgufError::WrongType { .. })));
    }
    let error = model(&[("general.name", "x".into())])
        .facts()
        .expect_err("no architecture");
    assert!(matches!(error, GgufError::MissingKey { .. }));
    assert_eq!(
        error.to_string(),
        "the metadata has no key general.architecture"
    );
}
