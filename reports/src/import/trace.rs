//! OpenTelemetry spans, as OTLP JSON and as Go's `stdouttrace` exporter writes them.
//!
//! Spans of our own exporter become the record that they were made from. Spans of BuildKit name their vertex. For any other producer, the
//! children of the root are the steps.

use super::dagger;
use super::draft::{Draft, DraftId, DraftSpan, DraftStep, INFERRED};
use super::instant::{Instant, parse_time};
use super::names::{self, Targets};
use super::trace_span::{SpanLink, TraceSpan};
use super::{gaps, guess};
use buildscope_record::{Fidelity, Instruction, Outcome, Phase, Tool};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Reads the output of `stdouttrace`: a sequence of JSON objects.
pub(crate) fn stdout(text: &str) -> Draft {
    draft(stdout_spans(text))
}

/// Reads OTLP JSON (opentelemetry-proto, `TracesData`).
pub(crate) fn otlp(text: &str) -> Result<Draft, String> {
    let mut spans = Vec::new();
    // The file exporter writes one object per line.
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match document {
            Ok(document) => otlp_spans(&document, &mut spans),
            Err(error) if spans.is_empty() => return Err(error.to_string()),
            // A truncated end: what came before it is kept.
            Err(_) => break,
        }
    }
    Ok(draft(spans))
}

fn stdout_spans(text: &str) -> Vec<TraceSpan> {
    let objects = serde_json::Deserializer::from_str(text).into_iter::<Value>().map_while(Result::ok);
    let span = |object: Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let attributes = object["Attributes"].as_array().into_iter().flatten().map(|attribute| {
            let value = &attribute["Value"]["Value"];
            (text(&attribute["Key"]), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        Some(TraceSpan {
            id: text(&object["SpanContext"]["SpanID"]),
            parent: text(&object["Parent"]["SpanID"]),
            name: text(&object["Name"]),
            start: parse_time(object["StartTime"].as_str()?)?,
            end: parse_time(object["EndTime"].as_str()?)?,
            failed: object["Status"]["Code"]
                .as_str()
                .filter(|code| *code == "Error")
                .map(|_| text(&object["Status"]["Description"])),
            attributes: attributes.collect(),
            links: Vec::new(),
        })
    };
    objects.filter_map(span).collect()
}

fn otlp_spans(document: &Value, spans: &mut Vec<TraceSpan>) {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Proto3 JSON writes 64-bit numbers as text; some writers do not.
    let nanos =
        |value: &Value| value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_u64().map(Instant::from));
    for resource in array(&document["resourceSpans"]) {
        for scope in array(&resource["scopeSpans"]) {
            for span in array(&scope["spans"]) {
                let (Some(start), Some(end)) = (nanos(&span["startTimeUnixNano"]), nanos(&span["endTimeUnixNano"]))
                else {
                    continue;
                };
                let links = array(&span["links"]);
                let links =
                    links.iter().map(|link| SpanLink { span: text(&link["spanId"]), attributes: attributes(link) });
                let failed =
                    span["status"]["code"].as_u64() == Some(2) || span["status"]["code"] == "STATUS_CODE_ERROR";
                spans.push(TraceSpan {
                    id: text(&span["spanId"]),
                    parent: text(&span["parentSpanId"]),
                    name: text(&span["name"]),
                    start,
                    end,
                    failed: failed.then(|| text(&span["status"]["message"])),
                    attributes: attributes(&span),
                    links: links.collect(),
                });
            }
        }
    }
}

/// The attributes of a span or a link in OTLP JSON, as text.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let attributes = of["attributes"].as_array().into_iter().flatten();
    let attribute = |attribute: &Value| {
        let value = attribute["value"].as_object()?.values().next()?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((attribute["key"].as_str().unwrap_or_default().to_owned(), text))
    };
    attributes.filter_map(attribute).collect()
}

/// Adds facts that only the trace has to a draft of vertices: cache requests, cache loads, the parts of the export.
pub(crate) fn enrich(text: &str, draft: &mut Draft, steps: &HashMap<String, DraftId>) {
    let spans = stdout_spans(text);
    for span in &spans {
        let known = span.attributes.get("vertex").and_then(|digest| steps.get(digest));
        let added = |phase| DraftSpan::new(phase, span.start, span.end).named(span.name.clone());
        match known {
            Some(&step) if span.name.starts_with("cache request:") || span.name.starts_with("load cache:") => {
                draft.steps[step].spans.push(added(Phase::CacheLookup));
            }
            Some(_) => {}
            None => match span.name.as_str() {
                "export layers" => draft.spans.push(added(Phase::Compress)),
                name if name.starts_with("resolving") => draft.spans.push(added(Phase::Resolve)),
                name if name.starts_with("create ") => draft.spans.push(added(Phase::Export)),
                _ => {}
            },
        }
    }
    // The span of the client covers the build as the user saw it.
    if let Some(root) = spans.iter().find(|span| span.name.starts_with("build ")) {
        draft.saw(root.start);
        draft.saw(root.end.max(root.start));
    }
}

fn draft(spans: Vec<TraceSpan>) -> Draft {
    if spans
        .iter()
        .any(|span| span.attributes.contains_key("buildscope.step") || span.attributes.contains_key("buildscope.phase"))
    {
        return ours(&spans);
    }
    if dagger::is_dagger(&spans) {
        return dagger::draft(&spans);
    }
    let vertices: Vec<&TraceSpan> = spans.iter().filter(|span| span.attributes.contains_key("vertex")).collect();
    if vertices.is_empty() { anyones(&spans) } else { buildkits(&spans, &vertices) }
}

fn outcome(span: &TraceSpan) -> Outcome {
    if span.failed.is_some() { Outcome::Failed } else { Outcome::Executed }
}

/// BuildKit's spans. Those with a vertex are steps, with one or more spans each. They contain no edges.
fn buildkits(spans: &[TraceSpan], vertices: &[&TraceSpan]) -> Draft {
    let fidelity = Fidelity { starts: true, ..Fidelity::default() };
    let mut draft = Draft { dated: true, ..Draft::new(Tool::Buildkit, fidelity) };
    let mut ids: HashMap<&str, DraftId> = HashMap::new();
    let targets = Targets::of(vertices.iter().map(|span| span.name.as_str()));
    for span in vertices {
        let digest = span.attributes.get("vertex").map_or("", String::as_str);
        let bare = span.name.trim_start_matches("cache request: ").trim_start_matches("load cache: ");
        let name = names::vertex(bare, &targets);
        let phase = if bare == span.name { names::phase(&name.instruction, &name.text) } else { Phase::CacheLookup };
        let id = *ids.entry(digest).or_insert_with(|| {
            draft.steps.push(DraftStep { outcome: Some(Outcome::Cached), ..DraftStep::named(name) })
        });
        let step = &mut draft.steps[id];
        if bare == span.name {
            step.outcome = Some(outcome(span));
            step.error = span.failed.clone();
            draft.failed |= span.failed.is_some();
        }
        step.start = Some(step.start.map_or(span.start, |start| start.min(span.start)));
        step.end = Some(step.end.map_or(span.end, |end| end.max(span.end)));
        step.spans.push(DraftSpan::new(phase, span.start, span.end));
    }
    for span in spans.iter().filter(|span| span.name.starts_with("exporting")) {
        let spans = vec![DraftSpan::new(Phase::Export, span.start, span.end)];
        let (start, end) = (Some(span.start), Some(span.end));
        let (instruction, text) = (Instruction::Internal, span.name.clone());
        draft.steps.push(DraftStep {
            instruction,
            text,
            outcome: Some(outcome(span)),
            start,
            end,
            spans,
            ..DraftStep::default()
        });
    }
    guess::guess_needs(&mut draft);
    gaps::infer(&mut draft);
    draft
}

/// The spans of our own exporter.
fn ours(spans: &[TraceSpan]) -> Draft {
    let mut draft = Draft {
        dated: true,
        ..Draft::new(Tool::Buildscope, Fidelity { waits: false, resources: false, ..Fidelity::FULL })
    };
    let number = |span: &TraceSpan, key: &str| span.attributes.get(key).and_then(|value| value.parse::<usize>().ok());
    let mut ids: HashMap<usize, DraftId> = HashMap::new();
    for span in spans.iter().filter(|span| !span.attributes.contains_key("buildscope.phase")) {
        let Some(step) = number(span, "buildscope.step") else { continue };
        let text = span.attributes.get("buildscope.text").cloned().unwrap_or_else(|| span.name.clone());
        let line = number(span, "buildscope.line").and_then(|line| u32::try_from(line).ok());
        draft.failed |= span.failed.is_some();
        let id = draft.steps.push(DraftStep {
            stage: span.attributes.get("buildscope.stage").cloned(),
            instruction: names::instruction(&text),
            text,
            lines: line.map(|line| (line, line)),
            outcome: Some(if span.attributes.get("buildscope.outcome").is_some_and(|known| known == "cached") {
                Outcome::Cached
            } else {
                outcome(span)
            }),
            start: Some(span.start),
            end: Some(span.end),
            error: span.failed.clone(),
            ..DraftStep::default()
        });
        ids.insert(step, id);
    }
    for span in spans {
        if let Some(&id) = number(span, "buildscope.step").and_then(|step| ids.get(&step)) {
            let needs = span.attributes.get("buildscope.needs").map(String::as_str).unwrap_or_default();
            let needs = needs.split(' ').filter_map(|need| ids.get(&need.parse().ok()?));
            draft.steps[id].needs.extend(needs);
        }
        let Some(phase) = span.attributes.get("buildscope.phase").and_then(|name| Phase::from_name(name)) else {
            if span.parent.is_empty() {
                draft.saw(span.start);
                draft.saw(span.end.max(span.start));
            }
            continue;
        };
        let added = DraftSpan::new(phase, span.start, span.end);
        match number(span, "buildscope.step").and_then(|step| ids.get(&step)) {
            Some(&id) => draft.steps[id].spans.push(added),
            None => draft.spans.push(added),
        }
    }
    draft
}

/// The spans of any other producer: the root is the build, and its children (or the roots, if there are several) are the steps.
fn anyones(spans: &[TraceSpan]) -> Draft {
    let fidelity = Fidelity { starts: true, ..Fidelity::default() };
    let mut draft = Draft { dated: true, ..Draft::new(Tool::Otlp, fidelity) };
    let known: HashMap<&str, &TraceSpan> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let roots: Vec<&TraceSpan> = spans.iter().filter(|span| !known.contains_key(span.parent.as_str())).collect();
    let steps: Vec<&TraceSpan> = match roots.as_slice() {
        [root] => {
            draft.saw(root.start);
            draft.saw(root.end.max(root.start));
            draft.failed |= root.failed.is_some();
            let children: Vec<_> = spans.iter().filter(|span| span.parent == root.id).collect();
            if children.is_empty() { roots } else { children }
        }
        _ => roots,
    };
    for span in steps {
        let name = names::vertex(&span.name, &Targets::default());
        draft.failed |= span.failed.is_some();
        let phase = names::phase(&name.instruction, &name.text);
        draft.steps.push(DraftStep {
            // A platform in such a name is not a target platform of the build.
            platform: None,
            spans: vec![DraftSpan::new(phase, span.start, span.end).named(INFERRED)],
            outcome: Some(outcome(span)),
            start: Some(span.start),
            end: Some(span.end),
            error: span.failed.clone(),
            ..DraftStep::named(name)
        });
    }
    // A step that started after the end of another may have waited for it.
    let mut ends: Vec<_> = draft.steps.entries().filter_map(|(id, step)| Some((step.end?, id))).collect();
    ends.sort_unstable();
    for id in draft.steps.indices() {
        let Some(start) = draft.steps[id].start else { continue };
        let before = &ends[..ends.partition_point(|(end, _)| *end <= start)];
        let last = before.iter().rev().map(|(_, other)| *other).find(|other| *other != id);
        draft.steps[id].after.extend(last);
    }
    draft
}
