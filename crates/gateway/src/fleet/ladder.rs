//! What is given up, step by step, when a model finds no memory.

use llamatelemetry_settings::{GpuLayers, ServerSettings};

/// Slots that llama-server makes when it is told nothing.
const DEFAULT_SLOTS: u32 = 4;
/// The context that a model starts to step down from when its own is too large, tokens.
const FIRST_CONTEXT: u32 = 8192;
/// Less context than this is of no use, tokens of one slot.
const LEAST_CONTEXT: u32 = 512;

/// The next smaller way to launch, and what is given up for it. First slots go, with their share
/// of the context, so that each request keeps what it has; then context; then layers on GPUs.
pub(super) fn step(settings: &ServerSettings) -> Option<(ServerSettings, String)> {
    let mut next = settings.clone();
    let slots = settings.parallel.unwrap_or(DEFAULT_SLOTS);
    let told = if slots > 1 {
        next.parallel = Some(slots / 2);
        next.context = settings
            .context
            .map(|context| context / slots * (slots / 2));
        format!("{} slots instead of {slots}", slots / 2)
    } else if let Some(less) = less_context(settings.context) {
        next.context = Some(less);
        let before = settings
            .context
            .filter(|context| *context > 0)
            .map_or("the model's own".to_owned(), |context| context.to_string());
        format!("{less} tokens of context instead of {before}")
    } else {
        let (layers, told) = less_layers(settings.gpu_layers)?;
        next.gpu_layers = layers;
        told
    };
    Some((next, told))
}

fn less_context(context: Option<u32>) -> Option<u32> {
    match context {
        // Zero leaves it to the model.
        None | Some(0) => Some(FIRST_CONTEXT),
        Some(context) => Some(context / 2).filter(|half| *half >= LEAST_CONTEXT),
    }
}

fn less_layers(layers: Option<GpuLayers>) -> Option<(Option<GpuLayers>, String)> {
    match layers {
        Some(GpuLayers::All) => Some((
            None,
            "as many layers on GPUs as llama-server finds room for".into(),
        )),
        Some(GpuLayers::Count(0)) => None,
        Some(GpuLayers::Count(count)) => Some((
            Some(GpuLayers::Count(count / 2)),
            format!("{} layers on GPUs instead of {count}", count / 2),
        )),
        None => Some((Some(GpuLayers::Count(0)), "no layer on GPUs".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_smaller_and_there_is_an_end() {
        let mut settings = ServerSettings {
            context: Some(4096),
            parallel: Some(4),
            gpu_layers: Some(GpuLayers::All),
            ..ServerSettings::default()
        };
        let mut told = Vec::new();
        while let Some((next, step)) = step(&settings) {
            settings = next;
            told.push(step);
        }
        assert_eq!(
            told,
            [
                "2 slots instead of 4",
                "1 slots instead of 2",
                "512 tokens of context instead of 1024",
                "as many layers on GPUs as llama-server finds room for",
                "no layer on GPUs",
            ]
        );
    }

    #[test]
    fn what_was_left_to_llama_server_steps_down_too() {
        let (next, _) = step(&ServerSettings::default()).unwrap();
        assert_eq!((next.parallel, next.context), (Some(2), None));
        let one_slot = ServerSettings {
            parallel: Some(1),
            ..ServerSettings::default()
        };
        assert_eq!(step(&one_slot).unwrap().0.context, Some(FIRST_CONTEXT));
    }
}
