//! Which models are served, and how each is launched.

use crate::GatewayError;
use llamatelemetry_settings::{KeepAlive, ServedModel, ServerSettings, Settings};
use std::collections::BTreeSet;

/// One model that is served.
#[derive(Debug, Clone)]
pub(super) struct ModelPlan {
    /// What requests call it.
    pub(super) name: String,
    /// What is loaded, by any name that the SDK takes.
    pub(super) model: String,
    /// Further names that requests may use.
    pub(super) aliases: Vec<String>,
    /// It is never unloaded while the program runs.
    pub(super) pin: bool,
    /// It is loaded at the start.
    pub(super) preload: bool,
    /// How long it stays loaded when nobody asks it.
    pub(super) idle: KeepAlive,
    /// How each of its servers is launched. There is one at least.
    pub(super) replicas: Vec<ServerSettings>,
}

impl ModelPlan {
    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// The models that were named, each as the config file says where it does; without any name all
/// of the config file's. A single one is loaded at the start.
///
/// Where a model goes is what the settings say: no plan is made here of what fits on which device.
pub(super) fn plans(named: &[String], settings: &Settings) -> Result<Vec<ModelPlan>, GatewayError> {
    let configured = &settings.serve.models;
    let mut plans = Vec::new();
    let mut seen = BTreeSet::new();
    if named.is_empty() {
        for (name, model) in configured {
            push(&mut plans, name, model, settings);
        }
    }
    let nothing_said = ServedModel::default();
    for name in named.iter().filter(|name| seen.insert(*name)) {
        let model = configured.get(name).unwrap_or(&nothing_said);
        push(&mut plans, name, model, settings);
    }
    if let [only] = plans.as_mut_slice() {
        only.preload = true;
    }
    let servers: usize = plans.iter().map(|plan| plan.replicas.len()).sum();
    if servers > 1 {
        // One port is not enough for all.
        for replica in plans.iter_mut().flat_map(|plan| &mut plan.replicas) {
            replica.port = replica.port.map(|_| 0);
        }
    }
    unique(&plans)?;
    Ok(plans)
}

/// The model, and one more for each of its adapters: llama-server takes an adapter for a single
/// request only by a field of the request's body, which is not ours to change.
fn push(plans: &mut Vec<ModelPlan>, name: &str, model: &ServedModel, settings: &Settings) {
    let plan = ModelPlan {
        name: name.to_owned(),
        model: model.model.clone().unwrap_or_else(|| name.to_owned()),
        aliases: model.aliases.clone(),
        pin: model.pin,
        preload: model.preload,
        idle: model.idle.unwrap_or(settings.serve.idle),
        replicas: replicas(model, &settings.server),
    };
    for (adapter, file) in &model.adapters {
        let mut with_adapter = ModelPlan {
            name: format!("{name}:{adapter}"),
            aliases: model
                .aliases
                .iter()
                .map(|alias| format!("{alias}:{adapter}"))
                .collect(),
            ..plan.clone()
        };
        for replica in &mut with_adapter.replicas {
            let file = file.to_string_lossy().into_owned();
            replica.extra_args.extend(["--lora".to_owned(), file]);
        }
        plans.push(with_adapter);
    }
    plans.push(plan);
}

fn replicas(model: &ServedModel, general: &ServerSettings) -> Vec<ServerSettings> {
    let count = model.replicas.unwrap_or(1).max(1) as usize;
    let mut one = general.clone();
    one.context = model.context.or(one.context);
    one.parallel = model.parallel.or(one.parallel);
    one.threads = model.threads.or(one.threads);
    one.gpu_layers = model.gpu_layers.or(one.gpu_layers);
    if let Some(devices) = &model.devices {
        one.devices.clone_from(devices);
    }
    one.extra_args.extend(model.extra_args.iter().cloned());
    (0..count)
        .map(|number| ServerSettings {
            devices: share_of(&one.devices, number, count),
            ..one.clone()
        })
        .collect()
}

/// The devices of one replica: each has its own, and several where there are more devices than
/// replicas. One server alone splits its model over all of them.
fn share_of(devices: &[String], number: usize, count: usize) -> Vec<String> {
    let own = |place: usize| place % count == number || place == number % devices.len();
    let places = devices.iter().enumerate();
    places
        .filter(|(place, _)| own(*place))
        .map(|(_, device)| device.clone())
        .collect()
}

/// Whether each name means one model.
fn unique(plans: &[ModelPlan]) -> Result<(), GatewayError> {
    let mut seen = BTreeSet::new();
    for plan in plans {
        for name in std::iter::once(&plan.name).chain(&plan.aliases) {
            if !seen.insert(name) {
                return Err(GatewayError::SameName { name: name.clone() });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_settings::{Environment, Flags, resolve};

    fn settings() -> Settings {
        let environment = Environment::from_pairs([("LLAMATELEMETRY_HOME", "/h")]);
        resolve(environment, &Flags::default()).unwrap().settings
    }

    fn names(plans: &[ModelPlan]) -> Vec<&str> {
        plans.iter().map(|plan| plan.name.as_str()).collect()
    }

    #[test]
    fn what_was_named_is_served_and_else_what_is_configured() {
        let mut settings = settings();
        let mut model = ServedModel {
            model: Some("smollm2".into()),
            context: Some(512),
            ..ServedModel::default()
        };
        model.adapters.insert("french".into(), "/f.gguf".into());
        settings.serve.models.insert("a".into(), model);
        settings
            .serve
            .models
            .insert("b".into(), ServedModel::default());
        let all = plans(&[], &settings).unwrap();
        assert_eq!(names(&all), ["a:french", "a", "b"]);
        assert_eq!(all[0].model, "smollm2");
        assert_eq!(all[0].replicas[0].extra_args, ["--lora", "/f.gguf"]);
        assert_eq!(all[1].replicas[0].context, Some(512));
        assert!(!all.iter().any(|plan| plan.preload));
        let named = ["b".to_owned(), "c".to_owned(), "b".to_owned()];
        assert_eq!(names(&plans(&named, &settings).unwrap()), ["b", "c"]);
        assert!(plans(&named[..1], &settings).unwrap()[0].preload);
    }

    #[test]
    fn a_name_means_one_model() {
        let mut settings = settings();
        for name in ["a", "b"] {
            let model = ServedModel {
                aliases: vec!["x".into()],
                ..ServedModel::default()
            };
            settings.serve.models.insert(name.into(), model);
        }
        let error = plans(&[], &settings).unwrap_err();
        assert!(matches!(error, GatewayError::SameName { name } if name == "x"));
    }

    #[test]
    fn replicas_share_out_the_devices() {
        let devices: Vec<String> = ["g0", "g1", "g2", "g3"].map(str::to_owned).into();
        let shares = |devices: &[String], count| -> Vec<String> {
            (0..count)
                .map(|number| share_of(devices, number, count).join("+"))
                .collect()
        };
        assert_eq!(shares(&devices, 1), ["g0+g1+g2+g3"]);
        assert_eq!(shares(&devices, 2), ["g0+g2", "g1+g3"]);
        assert_eq!(shares(&devices[..2], 3), ["g0", "g1", "g0"]);
        assert_eq!(shares(&[], 2), ["", ""]);
    }
}
