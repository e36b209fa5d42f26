//! Several targets lowered into one graph.

use super::super::prepare::{self, Naming, Prepared, PreparedPart, Shared};
use super::super::{BuildError, Engine, Progress, cache_import, epoch};
use super::Delivery;
use crate::http;
use crate::images::ImportedCache;
use crate::plan::{End, Fleet, LowerRequest, NamedContext, SharedInputs};
use buildscope_dockerfile::FileText;
use buildscope_oci::Platform;
use buildscope_record::{Phase, Probe};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The prefix of a context that is another target.
const TARGET: &str = "target:";

/// Lowers all targets into one graph. A target that others use as a context comes before them.
pub(super) fn prepare(
    engine: &Engine,
    deliveries: &[Delivery],
    progress: &Arc<dyn Progress>,
    probe: &Probe,
) -> Result<Prepared, BuildError> {
    let started = http::now();
    let mut lowering = Lowering {
        engine,
        progress,
        probe,
        shared: Shared::with(Naming::Value),
        fleet: Fleet::default(),
        owners: Vec::new(),
        ends: HashMap::new(),
        imported: ImportedCache::default(),
        sources: HashSet::new(),
    };
    let mut parts: Vec<Option<PreparedPart>> = deliveries.iter().map(|_| None).collect();
    for index in order(deliveries)? {
        let delivery = &deliveries[index];
        let part = lowering.add(index, delivery).map_err(|error| in_target(&delivery.name, error))?;
        parts[index] = Some(part);
    }
    let Lowering { fleet, owners, imported, .. } = lowering;
    // A step may use layers that only the cache of another target has.
    let imported = Arc::new(imported);
    let with_caches = |part: PreparedPart| PreparedPart { imported: Arc::clone(&imported), ..part };
    let parts = parts.into_iter().flatten().map(with_caches).collect();
    Ok(Prepared { plan: Arc::new(fleet.plan()), parts, owners, started })
}

struct Lowering<'a> {
    engine: &'a Engine,
    progress: &'a Arc<dyn Progress>,
    probe: &'a Probe,
    shared: Shared,
    fleet: Fleet,
    owners: Vec<usize>,
    /// The ends of the targets so far, for each platform.
    ends: HashMap<String, Vec<(Platform, Arc<End>)>>,
    /// The caches of all targets, each imported once.
    imported: ImportedCache,
    /// The caches that were imported, with the platforms.
    sources: HashSet<String>,
}

impl Lowering<'_> {
    fn add(&mut self, index: usize, delivery: &Delivery) -> Result<PreparedPart, BuildError> {
        let Self { engine, progress, probe, .. } = *self;
        let mut request = delivery.request.clone();
        let is_target = |value: &String| value.starts_with(TARGET);
        let used: BTreeMap<String, String> =
            request.named_contexts.extract_if(.., |_, value| is_target(value)).collect();
        let input = prepare::read(engine, &request, &mut self.shared, probe)?;
        let parsed = prepare::parse(&input, &request, probe)?;
        let _span = probe.phase(Phase::Lower);
        let (platform, others) = prepare::platforms(&request)?;
        let (images, contexts, named) = prepare::named_contexts(engine, &request, &mut self.shared, progress, probe)?;
        let wanted: Vec<_> = [platform].into_iter().chain(others).collect();
        let is_new = |source: &String| self.sources.insert(format!("{source} {wanted:?}"));
        request.cache_from.retain(is_new);
        self.imported.absorb(cache_import::import(&request, &images, &wanted, progress)?);
        let first_stage = self.fleet.stages();
        let mut of_first = prepare::lower_request(&request, wanted[0].clone(), contexts);
        // The stage that has the time is FROM scratch, so it uses no target.
        let sources =
            epoch::EpochSources { context: &input.context, named: &named, images: &images, store: &engine.store };
        let epoch = sources.resolve(&parsed, &mut of_first, probe)?;
        of_first.sharing = Some(SharedInputs {
            contexts: format!("{:p} {:?}", Arc::as_ptr(&input.context), addresses(&named)),
            options: format!("{:?} {} {:?} {epoch:?}", request.run, request.no_cache, request.no_cache_stages),
            ignored_stages: request.no_cache_stages.clone(),
        });
        let mut targets = Vec::with_capacity(wanted.len());
        for platform in wanted {
            let mut lower = LowerRequest { platform: platform.clone(), ..of_first.clone() };
            for (name, value) in &used {
                lower.contexts.insert(name.clone(), NamedContext::Target(self.end(value, &platform)?));
            }
            let end = self.fleet.add(&parsed, &lower, &*images).map_err(|errors| errors.named(&input.name))?;
            let end = end.labelled(&request.labels);
            targets.push(end.step);
            self.ends.entry(delivery.name.clone()).or_default().push((platform, Arc::new(end)));
        }
        let ignored = self.fleet.steps_of_stages(first_stage, &request.no_cache_stages);
        self.fleet.label_stages(first_stage, &delivery.name);
        self.owners.resize(self.fleet.steps(), index);
        let dockerfile = FileText::new(&input.name, input.text.clone());
        let (context, imported) = (input.context, Arc::default());
        Ok(PreparedPart { images, context, named, imported, dockerfile, epoch, targets, ignored })
    }

    /// The end of a target for a platform. A target of a single platform serves all.
    fn end(&self, value: &str, platform: &Platform) -> Result<Arc<End>, BuildError> {
        let name = value.trim_start_matches(TARGET);
        let ends = self.ends.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = match ends {
            [(_, only)] => Some(only),
            several => several.iter().find(|(of, _)| of == platform).map(|(_, end)| end),
        };
        let missing = || BuildError::Request(format!("the target {name} is not built for {platform}"));
        found.cloned().ok_or_else(missing)
    }
}

/// The opened contexts, by name and identity.
fn addresses<T>(named: &BTreeMap<String, Arc<T>>) -> Vec<(&String, *const T)> {
    named.iter().map(|(name, context)| (name, Arc::as_ptr(context))).collect()
}

/// The targets in an order in which each comes after those that it uses.
fn order(deliveries: &[Delivery]) -> Result<Vec<usize>, BuildError> {
    fn visit(
        index: usize,
        deliveries: &[Delivery],
        positions: &HashMap<&str, usize>,
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
    ) -> Result<(), BuildError> {
        if order.contains(&index) {
            return Ok(());
        }
        let name = &deliveries[index].name;
        if path.contains(&index) {
            return Err(BuildError::Request(format!("target {name} uses itself as a context")));
        }
        path.push(index);
        for used in deliveries[index].request.named_contexts.values().filter_map(|value| value.strip_prefix(TARGET)) {
            let missing = || BuildError::Request(format!("target {name}: unknown target {used}"));
            visit(*positions.get(used).ok_or_else(missing)?, deliveries, positions, path, order)?;
        }
        path.pop();
        order.push(index);
        Ok(())
    }
    let positions = deliveries.iter().enumerate().map(|(index, delivery)| (delivery.name.as_str(), index)).collect();
    let mut ordered = Vec::with_capacity(deliveries.len());
    for index in 0..deliveries.len() {
        visit(index, deliveries, &positions, &mut Vec::new(), &mut ordered)?;
    }
    Ok(ordered)
}

/// Puts the name of the target into an error of its request.
pub(super) fn in_target(name: &str, error: BuildError) -> BuildError {
    match error {
        BuildError::Request(message) => BuildError::Request(format!("target {name}: {message}")),
        other => other,
    }
}
