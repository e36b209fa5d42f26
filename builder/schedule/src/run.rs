//! Running a graph: a slot for each running node, the first failure stops the rest.

use super::Dag;
use petgraph::graph::NodeIndex;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// How many nodes may run at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit(Option<usize>);

impl Limit {
    /// That many; 0 is no limit.
    pub fn of(slots: usize) -> Self {
        Self((slots > 0).then_some(slots))
    }

    fn allows_one_more(self, running: usize) -> bool {
        self.0.is_none_or(|slots| running < slots)
    }
}

/// A node's turn: what its function is called with.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Which node.
    pub node: NodeIndex,
    /// Its slot: the smallest number that no running node has. Under a limit, below the limit.
    pub slot: u32,
    /// Cancelled when another node has failed, or when the future of [`run`] is dropped. The
    /// function should then end soon: [`run`] waits for it.
    pub cancel: CancellationToken,
}

/// Is told what happens, as it happens. Every method may be left out; `()` observes nothing.
pub trait Observer {
    /// All that the node waited for has ended; `last` ended last (none: it waited for nothing).
    fn ready(&self, _node: NodeIndex, _last: Option<NodeIndex>) {}
    /// The node has a slot and begins. `freed_by` had the slot before; only told where the node had
    /// to wait for it.
    fn started(&self, _node: NodeIndex, _slot: u32, _freed_by: Option<NodeIndex>) {}
    /// Its function has returned.
    fn finished(&self, _node: NodeIndex) {}
}

impl Observer for () {}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[error("node {} failed", node.index())]
pub struct Failure<E> {
    /// The first node that failed.
    pub node: NodeIndex,
    /// What it failed with.
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

/// Calls `work` for each node of the graph, after those it waits for have returned, at most `limit`
/// at a time, and gives the results in the order of node indices.
///
/// Among ready nodes, the one with the longest chain behind it goes first (the first rule of list
/// scheduling: Hu 1961), then the smaller index; so the order of starts depends on the order of
/// ends alone. The functions run as tasks of the current tokio runtime; one beside which none could run is run where
/// this is called, so that of a chain no step wakes a thread, and none is woken by its end.
///
/// # Errors
/// The first [`Failure`]. No further node is started after it, the others are cancelled and waited for.
///
/// # Panics
/// If a node's function panics, with its panic.
pub async fn run<T, E, F>(
    dag: &Dag,
    limit: Limit,
    observer: &impl Observer,
    mut work: impl FnMut(Turn) -> F,
) -> Result<Vec<T>, Failure<E>>
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
    let mut running: JoinSet<Result<T, E>> = JoinSet::new();
    let mut turns = std::collections::HashMap::<Id, (NodeIndex, u32)>::new();
    let mut slots = Slots { free: BTreeSet::new(), made: 0 };
    let mut failure = None;
    let mut alone = None;

    for &node in dag.order() {
        if waiting[node.index()] == 0 {
            observer.ready(node, None);
            ready.push((dag.height[node.index()], Reverse(node), 0));
        }
    }
    // A round ends with the end of a node. Who does not start in the round in which it became ready has waited for a slot.
    let mut freed_by = None;
    for round in 0_u64.. {
        while failure.is_none() && limit.allows_one_more(running.len()) {
            let Some((_, Reverse(node), since)) = ready.pop() else { break };
            let slot = slots.take();
            observer.started(node, slot, freed_by.filter(|_| since < round));
            let turn = work(Turn { node, slot, cancel: cancel.child_token() });
            if running.is_empty() && (ready.is_empty() || !limit.allows_one_more(1)) {
                alone = Some((node, slot, turn.await));
                break;
            }
            turns.insert(running.spawn(turn).id(), (node, slot));
        }
        let (node, slot, result) = match alone.take() {
            Some(ended) => ended,
            None => match running.join_next_with_id().await {
                None => break,
                Some(Ok((id, result))) => {
                    let (node, slot) = turns.remove(&id).expect("every task was entered when it was spawned");
                    (node, slot, result)
                }
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => unreachable!("no task of the set is aborted while it is polled"),
                },
            },
        };
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
                failure = Some(Failure { node, error });
                cancel.cancel();
            }
            // It was cancelled, or failed while it was being cancelled: the first failure is the cause.
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
    fn one_slot_takes_the_longest_chain_first_and_names_who_freed_the_slot() {
        let log = Log::default();
        // 0 alone; 1 -> 2: the chain goes first.
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
    fn what_is_alone_wakes_no_thread() {
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
    fn no_limit_runs_all_that_is_ready_at_once() {
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
    fn the_first_failure_stops_the_rest_and_waits_for_them() {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let started = Arc::new(AtomicUsize::new(0));
        // 0 fails while 1 and 2 run; 3 waits for 1, 4 for a slot.
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
    fn a_panic_comes_out() {
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
