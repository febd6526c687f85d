use super::*;

#[test]
fn a_name_tells_tag_and_part() {
    let name = FileName::read("BF16/Big-Model.q8_0-00002-of-00010.gguf").expect("a GGUF");
    assert_eq!(name.prefix, "BF16/Big-Model.q8_0");
    assert_eq!(name.tag, "Q8_0");
    assert_eq!((name.index, name.count), (2, 10));
    assert_eq!(name.part(10), "BF16/Big-Model.q8_0-00010-of-00010.gguf");
    let whole = FileName::read("SmolLM2-135M-Instruct.Q4_1.gguf").expect("a GGUF");
    assert_eq!(
        (whole.tag.as_str(), whole.index, whole.count),
        ("Q4_1", 1, 1)
    );
    assert_eq!(FileName::read("model.safetensors"), None);
    assert_eq!(
        FileName::read("-00001-of-00002.gguf").map(|name| name.count),
        Some(1)
    );
}

#[test]
fn the_default_is_q4_k_m_then_q8_0_then_the_first() {
    let all = ["m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"];
    assert_eq!(default_model(&all), Some("m-Q4_K_M.gguf"));
    assert_eq!(
        default_model(&["m-Q2_K.gguf", "m-Q8_0.gguf"]),
        Some("m-Q8_0.gguf")
    );
    assert_eq!(
        default_model(&["mmproj-F16.gguf", "m-Q2_K.gguf"]),
        Some("m-Q2_K.gguf")
    );
    assert_eq!(
        default_model(&["mmproj-F16.gguf", "imatrix.gguf", "README.md"]),
        None
    );
}

#[test]
fn a_quantization_is_found_in_any_case_and_only_as_a_whole_word() {
    let files = [
        "m-IQ4_XS.gguf",
        "m-q4_k_m.gguf",
        "m-Q4_K_M_L.gguf",
        "Q8_0/m.gguf",
    ];
    assert_eq!(of_quant(&files, "Q4_K_M"), Some("m-q4_k_m.gguf"));
    assert_eq!(of_quant(&files, "q4_k_m_l"), Some("m-Q4_K_M_L.gguf"));
    assert_eq!(of_quant(&files, "Q4_K"), None);
    assert_eq!(
        of_quant(&files, "Q8_0"),
        None,
        "the folder's name ends in a slash"
    );
    assert_eq!(
        of_quant(&["BF16/m-BF16-00001-of-00002.gguf"], "bf16"),
        Some("BF16/m-BF16-00001-of-00002.gguf")
    );
}

#[test]
fn a_split_model_is_taken_by_its_first_part_and_whole() {
    let files = [
        "m-Q8_0-00002-of-00003.gguf",
        "m-Q8_0-00001-of-00003.gguf",
        "m-Q8_0-00001-of-00002.gguf",
    ];
    assert_eq!(of_quant(&files, "Q8_0"), Some("m-Q8_0-00001-of-00003.gguf"));
    let (have, missing) = parts(&files, "m-Q8_0-00001-of-00003.gguf");
    assert_eq!(
        have,
        ["m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00002-of-00003.gguf"]
    );
    assert_eq!(missing, ["m-Q8_0-00003-of-00003.gguf"]);
}

#[test]
fn the_projector_nearest_in_folder_and_bits_is_taken() {
    let files = [
        "mmproj-BF16.gguf",
        "mmproj-F32.gguf",
        "mmproj-Q8_0.gguf",
        "m-Q4_K_M.gguf",
    ];
    assert_eq!(projector(&files, "m-Q4_K_M.gguf"), Some("mmproj-Q8_0.gguf"));
    assert_eq!(
        projector(&files[..2], "m-Q4_K_M.gguf"),
        Some("mmproj-BF16.gguf")
    );
    assert_eq!(
        projector(&["mmproj-F16.gguf", "a/mmproj-F32.gguf"], "a/m-Q4_0.gguf"),
        Some("a/mmproj-F32.gguf")
    );
    assert_eq!(projector(&["b/mmproj-F16.gguf"], "a/m-Q4_0.gguf"), None);
    assert_eq!(projector(&["m.gguf"], "m.gguf"), None);
}

#[test]
fn what_there_is_is_listed_once() {
    let files = [
        "m-Q8_0-00001-of-00002.gguf",
        "m-Q8_0-00002-of-00002.gguf",
        "m-q4_0.gguf",
        "mmproj-F16.gguf",
        "plain.gguf",
    ];
    assert_eq!(quants(&files), ["Q8_0", "Q4_0", "plain.gguf"]);
}
