//! Draws the plan: the steps that run, their dependencies, and the order edges of a policy.

use super::graph::{Dependency, Op, Plan, Step};
use buildscope_record::Policy;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// A format of the drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DrawingFormat {
    /// Graphviz.
    Dot,
    /// Mermaid, which code hosts render.
    Mermaid,
    /// JSON, for other programs.
    Json,
}

/// The error of an unknown format. It holds the name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown graph format `{0}`: use dot, mermaid or json")]
pub struct UnknownFormat(pub String);

impl FromStr for DrawingFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "dot" => Ok(Self::Dot),
            "mermaid" => Ok(Self::Mermaid),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// A plan under one policy.
pub struct Drawing<'a> {
    /// The policy.
    pub policy: Policy,
    /// The plan to draw.
    pub plan: &'a Plan,
    /// The edges that the policy adds, between nodes of the plan's graph.
    pub order: &'a [(NodeIndex, NodeIndex)],
}

impl fmt::Debug for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drawing({}, {} order edges)", self.policy, self.order.len())
    }
}

/// The kind of an edge in the drawing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum DrawnEdge {
    Parent,
    Source,
    Order,
}

impl DrawnEdge {
    fn name(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Source => "source",
            Self::Order => "order",
        }
    }
}

impl Drawing<'_> {
    /// Returns the steps that the target needs.
    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.plan.steps().filter(|step| step.live)
    }

    fn edges(&self) -> Vec<(usize, usize, DrawnEdge)> {
        let data = self.plan.graph.edge_references().map(|edge| {
            let kind = match edge.weight() {
                Dependency::Parent => DrawnEdge::Parent,
                Dependency::Source => DrawnEdge::Source,
                Dependency::After => DrawnEdge::Order,
            };
            (edge.source().index(), edge.target().index(), kind)
        });
        let order = self.order.iter().map(|(from, to)| (from.index(), to.index(), DrawnEdge::Order));
        let live = |index: usize| self.plan.graph[NodeIndex::new(index)].live;
        let edges: BTreeSet<_> = data.chain(order).filter(|(from, to, _)| live(*from) && live(*to)).collect();
        edges.into_iter().collect()
    }

    /// Returns the number of steps that do work, and the number of these on the longest chain of the graph with the
    /// order edges of the policy. The steps of a chain wait for each other even with unlimited slots.
    pub fn longest_chain(&self) -> (usize, usize) {
        let mut graph: DiGraph<usize, ()> = self.plan.graph.map(|_, step| usize::from(works(step)), |_, _| ());
        for (from, to) in self.order {
            graph.update_edge(*from, *to, ());
        }
        let order = petgraph::algo::toposort(&graph, None).unwrap_or_default();
        let mut length = vec![0; graph.node_count()];
        for node in order {
            let before = graph.neighbors_directed(node, petgraph::Direction::Incoming).map(|n| length[n.index()]).max();
            let own = if self.plan.graph[node].live { graph[node] } else { 0 };
            length[node.index()] = before.unwrap_or(0) + own;
        }
        (self.steps().filter(|step| works(step)).count(), length.into_iter().max().unwrap_or(0))
    }

    fn title(&self) -> String {
        let (steps, chain) = self.longest_chain();
        format!("{}: {steps} steps, {chain} in a row", self.policy)
    }

    /// Returns the drawing as text.
    pub fn render(&self, format: DrawingFormat) -> String {
        match format {
            DrawingFormat::Dot => self.dot(),
            DrawingFormat::Mermaid => self.mermaid(),
            // Writing a document of strings and numbers cannot fail.
            DrawingFormat::Json => format!("{:#}\n", self.json()),
        }
    }

    /// Returns the drawing as a JSON document.
    pub fn json(&self) -> Value {
        let (steps, chain) = self.longest_chain();
        let described = self.steps().map(|step| {
            json!({
                "id": step.id,
                "stage": step.stage,
                "instruction": step.keyword.name(),
                "text": step.text,
                "lines": [step.lines.0, step.lines.1],
                "works": works(step),
                "onbuild": step.onbuild,
            })
        });
        let stages = self
            .plan
            .stages
            .iter()
            .map(|stage| json!({ "id": stage.id, "name": stage.name, "base": stage.base, "live": stage.live }));
        let edges =
            self.edges().into_iter().map(|(from, to, kind)| json!({ "from": from, "to": to, "kind": kind.name() }));
        json!({
            "policy": self.policy.name(),
            "target": self.plan.target,
            "working_steps": steps,
            "longest_chain": chain,
            "stages": stages.collect::<Vec<_>>(),
            "steps": described.collect::<Vec<_>>(),
            "edges": edges.collect::<Vec<_>>(),
        })
    }

    fn dot(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "digraph {:?} {{", self.policy.name());
        let _ = writeln!(out, "  label={};\n  labelloc=t;\n  rankdir=TB;", dot_quote(&self.title()));
        out += "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\", fontsize=10];\n";
        for (stage, steps) in self.by_stage() {
            let _ = writeln!(out, "  subgraph cluster_{stage} {{\n    label={};", dot_quote(&self.stage_name(stage)));
            for step in steps {
                let fill = if works(step) { "" } else { ", style=\"rounded,dashed\", fontcolor=gray40" };
                let _ = writeln!(out, "    s{} [label={}{fill}];", step.id.0, dot_quote(&label(step)));
            }
            out += "  }\n";
        }
        for (from, to, kind) in self.edges() {
            let style = match kind {
                DrawnEdge::Parent => "",
                DrawnEdge::Source => " [color=\"#1f6feb\", penwidth=1.5]",
                DrawnEdge::Order => " [style=dashed, color=\"#bf8700\", constraint=true]",
            };
            let _ = writeln!(out, "  s{from} -> s{to}{style};");
        }
        out + "}\n"
    }

    fn mermaid(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "---\ntitle: {:?}\n---\nflowchart TB", self.title());
        for (stage, steps) in self.by_stage() {
            let _ = writeln!(out, "  subgraph stage{stage}[{}]", mermaid_quote(&self.stage_name(stage)));
            for step in steps {
                let (open, close) = if works(step) { ("[", "]") } else { ("([", "])") };
                let _ = writeln!(out, "    s{}{open}{}{close}", step.id.0, mermaid_quote(&label(step)));
            }
            out += "  end\n";
        }
        for (from, to, kind) in self.edges() {
            let arrow = match kind {
                DrawnEdge::Parent => "-->",
                DrawnEdge::Source => "==>",
                DrawnEdge::Order => "-.->",
            };
            let _ = writeln!(out, "  s{from} {arrow} s{to}");
        }
        out
    }

    fn by_stage(&self) -> Vec<(u32, Vec<&Step>)> {
        let mut stages: Vec<(u32, Vec<&Step>)> = Vec::new();
        for step in self.steps() {
            match stages.last_mut() {
                Some((stage, steps)) if *stage == step.stage.0 => steps.push(step),
                _ => stages.push((step.stage.0, vec![step])),
            }
        }
        stages
    }

    fn stage_name(&self, stage: u32) -> String {
        self.plan.stages[stage as usize].name.clone().unwrap_or_else(|| format!("stage {stage}"))
    }
}

/// Returns whether the step does work when it runs, and does not only change the configuration.
fn works(step: &Step) -> bool {
    match step.op {
        Op::Run(_) | Op::Copy(_) | Op::Workdir { .. } => true,
        Op::From(_) | Op::Config | Op::Pruned => false,
    }
}

/// Returns the instruction, shortened to fit into a box.
fn label(step: &Step) -> String {
    const LONGEST: usize = 48;
    let text: String = step.text.chars().take(LONGEST).collect();
    if step.text.chars().count() > LONGEST { format!("{text}…") } else { text }
}

fn dot_quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}

fn mermaid_quote(text: &str) -> String {
    // In quoted text, Mermaid only interprets HTML entities.
    let safe = text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
    format!("\"{}\"", safe.replace('\n', " "))
}
