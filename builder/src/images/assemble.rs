//! Assembles the configuration of an image from its steps and layers, as BuildKit does.

use super::ResolvedImage;
use crate::http::rfc3339;
use buildscope_oci::{History, ImageConfig, Platform};
use buildscope_record::DiffId;
use buildscope_storage::Timestamp;
use std::sync::Arc;

/// The `comment` in every history entry of BuildKit's Dockerfile frontend.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// The contribution of one instruction to an image.
#[derive(Clone, Debug)]
pub struct BuiltStep {
    /// The instruction, as the history shows it.
    pub created_by: String,
    /// The time at which the layer was made. `None` for an instruction without a layer.
    pub created: Option<Timestamp>,
    /// The diff id of the layer. RUN, COPY, ADD and WORKDIR make one, even if it is empty.
    pub layer: Option<DiffId>,
}

/// An assembled image, ready to be exported.
#[derive(Clone, Debug)]
pub struct Image {
    /// The complete configuration, with layers, history and times.
    pub config: ImageConfig,
    /// The number of layers, from the lowest, that belong to the base image.
    pub base_layers: usize,
    /// The base image, if there is one. Its layers may still have to be fetched.
    pub base: Option<Arc<ResolvedImage>>,
}

/// Assembles an image. `config` is the configuration after the target step, `base` the image that the first stage
/// starts from, and `made` the instructions from there to the target, in order. With an `epoch` (`SOURCE_DATE_EPOCH`,
/// seconds since 1970) it replaces all times that this build adds.
pub fn assemble(
    config: &ImageConfig,
    base: Option<&Arc<ResolvedImage>>,
    made: &[BuiltStep],
    epoch: Option<i64>,
    now: Timestamp,
) -> Image {
    let mut config = config.clone();
    let (mut history, base_layers) = match base {
        Some(base) => (base.config.history.clone(), base.layers.clone()),
        None => (Vec::new(), Vec::new()),
    };
    fill_up(&mut history, base_layers.len());
    let start = history.len();
    history.extend(made.iter().map(|made| History {
        created: made.created.map(rfc3339),
        created_by: Some(made.created_by.clone()),
        author: None,
        comment: Some(COMMENT.into()),
        empty_layer: made.layer.is_none(),
    }));
    let epoch = epoch.map(|seconds| rfc3339(Timestamp { seconds, nanos: 0 }));
    date(&mut history, start, epoch.as_deref());
    config.created = match &epoch {
        Some(_) => epoch,
        None => history[start..].iter().rev().find_map(|entry| entry.created.clone()).or_else(|| Some(rfc3339(now))),
    };
    config.rootfs.kind = "layers".into();
    config.rootfs.diff_ids = base_layers.iter().map(|layer| layer.diff_id).collect();
    config.rootfs.diff_ids.extend(made.iter().filter_map(|made| made.layer));
    config.history = history;
    Image { config, base_layers: base_layers.len(), base: base.cloned() }
}

/// Adds entries for layers that the base image's history does not mention. Readers expect an entry for each layer.
fn fill_up(history: &mut Vec<History>, layers: usize) {
    let mentioned = history.iter().filter(|entry| !entry.empty_layer).count();
    let unknown = || History { created_by: Some("unknown".into()), ..History::default() };
    history.extend(std::iter::repeat_with(unknown).take(layers.saturating_sub(mentioned)));
}

/// Gives a time to entries without one, by BuildKit's rule: the time of the previous layer, or for the first entries of
/// this build that of the next layer. `start` is the index of the first entry of this build.
fn date(history: &mut [History], start: usize, epoch: Option<&str>) {
    let (base, own) = history.split_at_mut(start);
    if let Some(epoch) = epoch {
        // Every entry of this build is later than an epoch in the past. An epoch in the future is used as well.
        return own.iter_mut().for_each(|entry| entry.created = Some(epoch.to_owned()));
    }
    let first = own.iter().find_map(|entry| entry.created.clone());
    let mut last = first.or_else(|| base.iter().rev().find_map(|entry| entry.created.clone()));
    for entry in own {
        match &entry.created {
            Some(_) => last.clone_from(&entry.created),
            None => entry.created.clone_from(&last),
        }
    }
}

impl Image {
    /// An image without a base image, from a complete configuration.
    pub fn base(config: ImageConfig) -> Self {
        Self { config, base_layers: 0, base: None }
    }

    /// The platform of the image.
    pub fn platform(&self) -> Platform {
        self.config.platform()
    }

    /// The bytes of the configuration: JSON on one line, as BuildKit writes it.
    pub fn config_bytes(&self) -> Vec<u8> {
        // Serialising cannot fail: all keys are strings.
        serde_json::to_vec(&self.config).expect("plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    fn made(created_by: &str, created: Option<i64>, layer: Option<&str>) -> BuiltStep {
        BuiltStep { created_by: created_by.into(), created: created.map(at), layer: layer.map(DiffId::of) }
    }

    #[test]
    fn history_is_dated_like_buildkits() {
        let steps = [
            made("ENV A=1", None, None),
            made("RUN one", Some(100), Some("one")),
            made("LABEL b=2", None, None),
            made("RUN two", Some(200), Some("two")),
            made("CMD c", None, None),
        ];
        let image = assemble(&ImageConfig::default(), None, &steps, None, at(300));
        let seen: Vec<_> =
            image.config.history.iter().map(|h| (h.created.as_deref().unwrap(), h.empty_layer)).collect();
        let (one, two) = ("1970-01-01T00:01:40Z", "1970-01-01T00:03:20Z");
        assert_eq!(seen, [(one, true), (one, false), (one, true), (two, false), (two, true)]);
        assert_eq!(image.config.created.as_deref(), Some(two));
        assert_eq!(image.config.rootfs.diff_ids, [DiffId::of("one"), DiffId::of("two")]);
        assert!(image.config.history.iter().all(|entry| entry.comment.as_deref() == Some("buildkit.dockerfile.v0")));
    }

    #[test]
    fn an_epoch_replaces_all_times() {
        let steps = [made("RUN one", Some(1_600_000_000), Some("one")), made("CMD c", None, None)];
        let image = assemble(&ImageConfig::default(), None, &steps, Some(1_500_000_000), at(1_700_000_000));
        let epoch = Some("2017-07-14T02:40:00Z");
        assert!(image.config.history.iter().all(|entry| entry.created.as_deref() == epoch));
        assert_eq!(image.config.created.as_deref(), epoch);
    }

    #[test]
    fn keys_have_buildkits_order() {
        let mut config = ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
        config.config.env = vec!["PATH=/bin".into()];
        config.config.cmd = Some(vec!["sh".into()]);
        config.config.working_dir = "/".into();
        let image = assemble(&config, None, &[made("RUN x", Some(0), Some("abc"))], None, at(0));
        // The output of BuildKit 0.26. Its exporter sorts the keys of the outermost object.
        assert_eq!(
            String::from_utf8(image.config_bytes()).unwrap(),
            concat!(
                r#"{"architecture":"amd64","config":{"Env":["PATH=/bin"],"Cmd":["sh"],"WorkingDir":"/"},"#,
                r#""created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z","created_by":"RUN x","#,
                r#""comment":"buildkit.dockerfile.v0"}],"os":"linux","rootfs":{"type":"layers","diff_ids":"#,
                r#"["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]}}"#
            )
        );
    }
}
