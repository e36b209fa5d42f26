//! Runs a graph. Each running node has a slot, and the first failure stops the rest.

use super::Dag;
use petgraph::graph::NodeIndex;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// The number of nodes that may run at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit(Option<usize>);

impl Limit {
    /// Allows `slots` nodes at a time. 0 means unlimited.
    pub fn of(slots: usize) -> Self {
        Self((slots > 0).then_some(slots))
    }

    fn allows_one_more(self, running: usize) -> bool {
        self.0.is_none_or(|slots| running < slots)
    }
}

/// The argument with which the function of a node is called.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The node to run.
    pub node: NodeIndex,
    /// The slot of the node: the smallest number, from 0, that no running node has. It is below the limit, if there is
    /// one.
    pub slot: u32,
    /// The number of nodes on the longest chain that starts at the node, itself included.
    pub chain: u32,
    /// This token is cancelled when another node has failed, or when the future of [`run`] is dropped. The
    /// function should then end soon, because [`run`] waits for it.
    pub cancel: CancellationToken,
}

/// Receives the events of a run as they happen. Every method has an empty default, and `()` ignores all events.
pub trait Observer {
    /// Called when all predecessors of the node have finished. `last` is the one that finished last, or `None` for a node without
    /// predecessors.
    fn ready(&self, _node: NodeIndex, _last: Option<NodeIndex>) {}
    /// The node has a slot and starts. If the node had to wait for a slot, `freed_by` is the node whose end freed it.
    fn started(&self, _node: NodeIndex, _slot: u32, _freed_by: Option<NodeIndex>) {}
    /// The function of the node has returned.
    fn finished(&self, _node: NodeIndex) {}
}

impl Observer for () {}

/// The error that ended a run early.
#[derive(Debug, thiserror::Error)]
#[error("node {} failed", node.index())]
pub struct NodeFailure<E> {
    /// The first node that failed.
    pub node: NodeIndex,
    /// The error that the function of the node returned.
    #[source]
    pub error: E,
}

struct Slots {
    free: BTreeSet<u32>,
    made: u32,
}

impl Slots {
    fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.made += 1;
            self.made - 1
        })
    }
}

/// The tasks that run, with the node and the slot of each.
struct Running<R> {
    tasks: JoinSet<R>,
    turns: HashMap<Id, (NodeIndex, u32)>,
}

impl<R: 'static> Running<R> {
    /// Waits for the next task to end. Returns its node, slot and result, or `None` if no task runs.
    ///
    /// # Panics
    /// Panics if the task has panicked, with the same panic.
    async fn next(&mut self) -> Option<(NodeIndex, u32, R)> {
        match self.tasks.join_next_with_id().await? {
            Ok((id, result)) => {
                let (node, slot) = self.turns.remove(&id).expect("every task is registered when it is spawned");
                Some((node, slot, result))
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => unreachable!("no task of the set is aborted while it is polled"),
            },
        }
    }
}

/// Calls `work` for each node of the graph once its predecessors have returned, at most `limit` at a time. Returns the
/// results in the order of node indices.
///
/// Among ready nodes, the one that starts the longest chain goes first (the first rule of list scheduling, Hu 1961),
/// then the one with the smaller index. So the order of starts depends only on the order of ends. The functions run as
/// tasks of the current tokio runtime. A node that cannot overlap with any other runs on the caller's task, so a chain
/// of nodes wakes no other thread.
///
/// # Errors
/// Returns the first [`NodeFailure`]. After it, no further node is started; the running ones are cancelled and waited for.
///
/// # Panics
/// Panics if the function of a node panics, with the same panic.
pub async fn run<T, E, F>(
    dag: &Dag,
    limit: Limit,
    observer: &impl Observer,
    mut work: impl FnMut(Turn) -> F,
) -> Result<Vec<T>, NodeFailure<E>>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let cancel = CancellationToken::new();
    let _cancel_on_drop = cancel.clone().drop_guard();
    let mut waiting = dag.predecessors.clone();
    let mut ready = BinaryHeap::new();
    let mut results: Vec<Option<T>> = std::iter::repeat_with(|| None).take(dag.len()).collect();
    let mut running = Running { tasks: JoinSet::new(), turns: HashMap::new() };
    let mut slots = Slots { free: BTreeSet::new(), made: 0 };
    let mut failure = None;
    let mut alone = None;

    for &node in dag.order() {
        if waiting[node.index()] == 0 {
            observer.ready(node, None);
            ready.push((dag.height[node.index()], Reverse(node), 0));
        }
    }
    // A round ends when a node ends. A node that starts in a later round than it became ready in has waited for a slot.
    let mut freed_by = None;
    for round in 0_u64.. {
        while failure.is_none() && limit.allows_one_more(running.tasks.len()) {
            let Some((_, Reverse(node), since)) = ready.pop() else { break };
            let slot = slots.take();
            observer.started(node, slot, freed_by.filter(|_| since < round));
            let turn = work(Turn { node, slot, chain: dag.height[node.index()], cancel: cancel.child_token() });
            if running.tasks.is_empty() && (ready.is_empty() || !limit.allows_one_more(1)) {
                alone = Some((node, slot, turn.await));
                break;
            }
            running.turns.insert(running.tasks.spawn(turn).id(), (node, slot));
        }
        let ended = match alone.take() {
            Some(ended) => Some(ended),
            None => running.next().await,
        };
        let Some((node, slot, result)) = ended else { break };
        observer.finished(node);
        slots.free.insert(slot);
        freed_by = Some(node);
        match result {
            Ok(value) => {
                results[node.index()] = Some(value);
                for &next in &dag.successors[node.index()] {
                    waiting[next.index()] -= 1;
                    if waiting[next.index()] == 0 && failure.is_none() {
                        observer.ready(next, Some(node));
                        ready.push((dag.height[next.index()], Reverse(next), round + 1));
                    }
                }
            }
            Err(error) if failure.is_none() => {
                failure = Some(NodeFailure { node, error });
                cancel.cancel();
            }
            // The node was cancelled, or failed during the cancellation. The first failure is the cause.
            Err(_) => {}
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(results.into_iter().map(|result| result.expect("without a failure every node has run")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petgraph::graph::DiGraph;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    fn dag(nodes: u32, edges: &[(u32, u32)]) -> Dag {
        let mut graph = DiGraph::<(), ()>::new();
        (0..nodes).for_each(|_| {
            graph.add_node(());
        });
        graph.extend_with_edges(edges);
        Dag::new(&graph).unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(future)
    }

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Observer for Log {
        fn ready(&self, node: NodeIndex, last: Option<NodeIndex>) {
            self.0.lock().unwrap().push(format!("ready {} after {:?}", node.index(), last.map(NodeIndex::index)));
        }
        fn started(&self, node: NodeIndex, slot: u32, freed_by: Option<NodeIndex>) {
            self.0.lock().unwrap().push(format!(
                "start {} on {slot} from {:?}",
                node.index(),
                freed_by.map(NodeIndex::index)
            ));
        }
        fn finished(&self, node: NodeIndex) {
            self.0.lock().unwrap().push(format!("end {}", node.index()));
        }
    }

    #[test]
    fn the_longest_chain_takes_the_only_slot_first() {
        let log = Log::default();
        // Node 0 is alone. The chain 1 -> 2 is longer and starts first.
        let dag = dag(3, &[(1, 2)]);
        let run = run(&dag, Limit::of(1), &log, |turn| async move { Ok::<_, ()>(turn.node.index() * 10) });
        assert_eq!(block_on(run).unwrap(), [0, 10, 20]);
        assert_eq!(
            log.0.into_inner().unwrap(),
            [
                "ready 0 after None",
                "ready 1 after None",
                "start 1 on 0 from None",
                "end 1",
                "ready 2 after Some(1)",
                "start 0 on 0 from Some(1)",
                "end 0",
                "start 2 on 0 from Some(0)",
                "end 2"
            ]
        );
    }

    #[test]
    fn a_node_without_overlap_wakes_no_thread() {
        let threads = |limit, edges: &[(u32, u32)]| {
            let dag = dag(3, edges);
            block_on(async {
                let here = std::thread::current().id();
                let work = |_| async { Ok::<_, ()>(std::thread::current().id()) };
                run(&dag, Limit::of(limit), &(), work)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|id| id == here)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(threads(0, &[(0, 1), (1, 2)]), [true; 3], "a chain");
        assert_eq!(threads(1, &[]), [true; 3], "one slot");
        assert_eq!(threads(0, &[(0, 2), (1, 2)]), [false, false, true], "two at a time, and the last");
    }

    #[test]
    fn without_limit_all_ready_nodes_run_at_once() {
        let barrier = Arc::new(tokio::sync::Barrier::new(20));
        let dag = dag(20, &[]);
        let run = run(&dag, Limit::of(0), &(), |turn| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                Ok::<_, ()>(turn.slot)
            }
        });
        let mut slots = block_on(run).unwrap();
        slots.sort_unstable();
        assert_eq!(slots, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_failure_cancels_and_awaits_the_rest() {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let started = Arc::new(AtomicUsize::new(0));
        // Node 0 fails while 1 and 2 run. Node 3 waits for node 1, and node 4 for a slot.
        let dag = dag(5, &[(1, 3)]);
        let run = run(&dag, Limit::of(3), &(), |turn| {
            let (cleaned, started) = (Arc::clone(&cleaned), Arc::clone(&started));
            async move {
                started.fetch_add(1, SeqCst);
                if turn.node.index() == 0 {
                    while started.load(SeqCst) < 3 {
                        tokio::task::yield_now().await;
                    }
                    return Err("zero".to_owned());
                }
                turn.cancel.cancelled().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                cleaned.fetch_add(1, SeqCst);
                Err(format!("cancelled {}", turn.node.index()))
            }
        });
        let failure = block_on(async { run.await.map(|results: Vec<()>| results.len()) }).unwrap_err();
        assert_eq!((failure.node.index(), failure.error.as_str()), (0, "zero"));
        assert_eq!((started.load(SeqCst), cleaned.load(SeqCst)), (3, 2));
    }

    #[test]
    #[should_panic(expected = "boom")]
    fn a_panic_reaches_the_caller() {
        let dag = dag(1, &[]);
        let run = run(&dag, Limit::of(1), &(), |_| async { if true { panic!("boom") } else { Ok::<(), ()>(()) } });
        let _ = block_on(run);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn edges_and_limit_hold_for_every_graph(
            edges in prop::collection::vec((0u32..15, 0u32..15), 0..40), limit in 0usize..5,
        ) {
            let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from < to).collect();
            let (active, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let ended: Arc<Vec<AtomicUsize>> = Arc::new((0..15).map(|_| AtomicUsize::new(0)).collect());
            let dag = dag(15, &edges);
        let run = run(&dag, Limit::of(limit), &(), |turn| {
                let (active, most, ended) = (Arc::clone(&active), Arc::clone(&most), Arc::clone(&ended));
                let before: Vec<_> = edges.iter().filter(|edge| edge.1 as usize == turn.node.index()).map(|edge| edge.0).collect();
                async move {
                    most.fetch_max(active.fetch_add(1, SeqCst) + 1, SeqCst);
                    let kept = before.iter().all(|&node| ended[node as usize].load(SeqCst) == 1);
                    tokio::task::yield_now().await;
                    active.fetch_sub(1, SeqCst);
                    ended[turn.node.index()].fetch_add(1, SeqCst);
                    if kept { Ok(turn.node.index()) } else { Err(before) }
                }
            });
            prop_assert_eq!(block_on(run).unwrap(), (0..15).collect::<Vec<_>>());
            prop_assert!(limit == 0 || most.load(SeqCst) <= limit);
        }
    }
}
