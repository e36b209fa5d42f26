//! Admission by a shared resource: work starts while the sum of what it is expected to need fits, and one piece always runs.
//!
//! *Takes* the amount that there is, and what each piece of work is expected to need. *Gives* the right to start. *Must never know*
//! what the resource is.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The number of times that other work may start before work that arrived earlier and does not fit. After that, nothing else starts until
/// it does. A larger number uses the resource better, and lets large work wait longer.
pub const PATIENCE: u32 = 8;

/// The interval at which the brake is checked again while it holds work back.
const RECHECK: Duration = Duration::from_millis(100);

/// Returns whether less of the resource is available than expected, so that nothing more should start.
type Brake = Box<dyn Fn() -> bool + Send + Sync>;

/// A resource that running work shares, such as memory.
pub struct Budget {
    capacity: u64,
    brake: Brake,
    state: Mutex<BudgetState>,
}

#[derive(Default)]
struct BudgetState {
    used: u64,
    running: usize,
    arrived: u64,
    waiting: Vec<Waiter>,
}

struct Waiter {
    ticket: u64,
    need: u64,
    priority: u64,
    /// The number of times that later work was admitted first.
    passed: u32,
    admit: oneshot::Sender<Admitted>,
}

/// The right to run. Dropping it gives back what was taken.
pub struct Admitted {
    budget: Arc<Budget>,
    need: u64,
}

impl Budget {
    /// A budget of `capacity`. While `brake` returns true, work starts only if nothing runs.
    pub fn new(capacity: u64, brake: impl Fn() -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { capacity, brake: Box::new(brake), state: Mutex::default() })
    }

    /// Waits until work that is expected to need that much may start. A need above the capacity counts as the capacity. Of waiting work,
    /// the one with the highest priority starts first, then the one that arrived first; work that was passed over [`PATIENCE`] times
    /// comes before all. The future may be dropped at any time. It needs a tokio runtime with a timer.
    pub async fn admit(self: &Arc<Self>, need: u64, priority: u64) -> Admitted {
        let need = need.min(self.capacity);
        let (admit, mut admitted) = oneshot::channel();
        {
            let mut state = self.state();
            let ticket = state.arrived;
            state.arrived += 1;
            state.waiting.push(Waiter { ticket, need, priority, passed: 0, admit });
        }
        self.advance();
        loop {
            tokio::select! {
                biased;
                admitted = &mut admitted => return admitted.expect("a waiter is removed only to be admitted, or when this future is dropped"),
                () = tokio::time::sleep(RECHECK) => self.advance(),
            }
        }
    }

    /// Lets work start now, without waiting, if it may.
    pub fn try_admit(self: &Arc<Self>, need: u64) -> Option<Admitted> {
        let need = need.min(self.capacity);
        let mut state = self.state();
        let fits = state.running == 0 || state.used + need <= self.capacity && !(self.brake)();
        (state.waiting.is_empty() && fits).then(|| {
            state.used += need;
            state.running += 1;
            Admitted { budget: Arc::clone(self), need }
        })
    }

    /// Admits all waiting work that may start now.
    fn advance(self: &Arc<Self>) {
        // A right whose receiver is gone is given back when it is dropped, which must not happen under the lock.
        let admitted = self.take();
        for (admit, need) in admitted {
            let _ = admit.send(Admitted { budget: Arc::clone(self), need });
        }
    }

    /// Removes the work that may start now from the queue, and counts it as running.
    fn take(&self) -> Vec<(oneshot::Sender<Admitted>, u64)> {
        let mut state = self.state();
        state.waiting.retain(|waiter| !waiter.admit.is_closed());
        let mut taken = Vec::new();
        // The brake is asked once, and only if it matters.
        let mut braked = None;
        while let Some(index) = state.next(self.capacity) {
            if state.running > 0 && *braked.get_or_insert_with(|| (self.brake)()) {
                break;
            }
            let waiter = state.waiting.swap_remove(index);
            for other in state.waiting.iter_mut().filter(|other| other.ticket < waiter.ticket) {
                other.passed += 1;
            }
            state.used += waiter.need;
            state.running += 1;
            taken.push((waiter.admit, waiter.need));
        }
        taken
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        // Numbers are changed one by one, and no call in between panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    /// The index of the waiting work that starts next; `None` if none fits.
    fn next(&self, capacity: u64) -> Option<usize> {
        let mut order: Vec<usize> = (0..self.waiting.len()).collect();
        order.sort_by_key(|&index| {
            let waiter = &self.waiting[index];
            let late = waiter.passed >= PATIENCE;
            (!late, if late { Reverse(0) } else { Reverse(waiter.priority) }, waiter.ticket)
        });
        for index in order {
            let waiter = &self.waiting[index];
            if self.running == 0 || self.used + waiter.need <= capacity {
                return Some(index);
            }
            if waiter.passed >= PATIENCE {
                return None;
            }
        }
        None
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        {
            let mut state = self.budget.state();
            state.used -= self.need;
            state.running -= 1;
        }
        self.budget.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(future)
    }

    fn free(capacity: u64) -> Arc<Budget> {
        Budget::new(capacity, || false)
    }

    /// Whether work is admitted without waiting.
    async fn at_once(budget: &Arc<Budget>, need: u64) -> Option<Admitted> {
        tokio::select! {
            biased;
            admitted = budget.admit(need, 0) => Some(admitted),
            () = std::future::ready(()) => None,
        }
    }

    #[test]
    fn steps_that_do_not_fit_wait_for_an_end() {
        block_on(async {
            let budget = free(10);
            let first = at_once(&budget, 6).await.unwrap();
            assert!(at_once(&budget, 5).await.is_none());
            let small = at_once(&budget, 4).await.unwrap();
            drop(first);
            assert!(at_once(&budget, 6).await.is_some());
            drop(small);
        });
    }

    #[test]
    fn work_above_the_capacity_runs_alone() {
        block_on(async {
            let budget = free(10);
            let large = at_once(&budget, 1_000).await.unwrap();
            assert!(at_once(&budget, 1).await.is_none());
            drop(large);
            assert!(at_once(&budget, 1).await.is_some());
        });
    }

    #[test]
    fn the_brake_holds_all_but_one() {
        block_on(async {
            let pressed = Arc::new(AtomicBool::new(true));
            let brake = Arc::clone(&pressed);
            let budget = Budget::new(10, move || brake.load(SeqCst));
            let first = at_once(&budget, 1).await.unwrap();
            assert!(at_once(&budget, 1).await.is_none());
            let waiting = budget.admit(1, 0);
            let release = async { pressed.store(false, SeqCst) };
            let (second, ()) = tokio::join!(waiting, release);
            drop((first, second));
        });
    }

    #[test]
    fn the_highest_priority_goes_first() {
        block_on(async {
            let budget = free(1);
            let order = Mutex::new(Vec::new());
            let held = budget.admit(1, 0).await;
            let run = async |priority: u64| {
                let _admitted = budget.admit(1, priority).await;
                order.lock().unwrap().push(priority);
            };
            tokio::join!(run(1), run(3), run(2), async { drop(held) });
            assert_eq!(order.into_inner().unwrap(), [3, 2, 1]);
        });
    }

    #[test]
    fn large_work_is_passed_over_a_limited_number_of_times() {
        block_on(async {
            let budget = free(10);
            let mut running = vec![budget.admit(5, 0).await];
            let mut large = Box::pin(budget.admit(10, 0));
            assert!(futures_poll(&mut large).await.is_none());
            for _ in 0..PATIENCE {
                running.push(at_once(&budget, 1).await.unwrap());
                // Room for the next one: the large work still does not fit.
                running.truncate(3);
            }
            assert!(at_once(&budget, 1).await.is_none(), "the large work is next");
            running.clear();
            assert!(futures_poll(&mut large).await.is_some());
        });
    }

    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = std::future::ready(()) => None,
        }
    }

    #[test]
    fn a_waiter_that_gives_up_takes_nothing() {
        block_on(async {
            let budget = free(4);
            let held = budget.admit(4, 0).await;
            assert!(at_once(&budget, 4).await.is_none());
            drop(held);
            assert!(budget.state().waiting.is_empty() || budget.state().running == 0);
            assert!(at_once(&budget, 4).await.is_some());
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_work_runs_within_the_budget(
            work in prop::collection::vec((0u64..20, 0u64..4, 0u32..6, any::<bool>()), 1..60), capacity in 0u64..24,
        ) {
            let calls = Arc::new(AtomicU64::new(0));
            // A brake that is pressed at every third question.
            let brake = { let calls = Arc::clone(&calls); move || calls.fetch_add(1, SeqCst) % 3 == 2 };
            let budget = Budget::new(capacity, brake);
            let (used, running, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let exceeded = Arc::new(AtomicBool::new(false));
            let count = work.len();
            let cancelled = work.iter().filter(|work| work.3).count();
            block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for (need, priority, yields, cancel) in work {
                    let (budget, used, running) = (Arc::clone(&budget), Arc::clone(&used), Arc::clone(&running));
                    let (done, exceeded) = (Arc::clone(&done), Arc::clone(&exceeded));
                    tasks.spawn(async move {
                        let work = async {
                            let admitted = budget.admit(need, priority).await;
                            let now = used.fetch_add(admitted.need, SeqCst) + admitted.need;
                            let at_once = running.fetch_add(1, SeqCst) + 1;
                            if now > capacity && at_once > 1 {
                                exceeded.store(true, SeqCst);
                            }
                            for _ in 0..yields { tokio::task::yield_now().await; }
                            running.fetch_sub(1, SeqCst);
                            used.fetch_sub(admitted.need, SeqCst);
                            done.fetch_add(1, SeqCst);
                        };
                        // Some give up while they wait. They must not keep what others need.
                        if cancel {
                            let _ = tokio::time::timeout(Duration::ZERO, budget.admit(need, priority)).await;
                        } else {
                            work.await;
                        }
                    });
                }
                while let Some(ended) = tasks.join_next().await { ended.unwrap(); }
            });
            prop_assert!(!exceeded.load(SeqCst));
            prop_assert_eq!(done.load(SeqCst), count - cancelled);
            let state = budget.state();
            prop_assert_eq!((state.used, state.running), (0, 0));
        }

        /// Work that waits is passed over at most [`PATIENCE`] times, whatever comes and ends meanwhile, and something always runs.
        #[test]
        fn no_work_waits_for_ever(
            work in prop::collection::vec((0u64..20, 0u64..4, any::<bool>(), 0usize..8), 1..80), capacity in 0u64..24,
        ) {
            block_on(async {
                let budget = free(capacity);
                let (mut waiting, mut running) = (Vec::new(), Vec::new());
                for (need, priority, ends, which) in work {
                    let own = Arc::clone(&budget);
                    waiting.push(Box::pin(async move { own.admit(need, priority).await }));
                    if ends && !running.is_empty() {
                        drop(running.swap_remove(which % running.len()));
                    }
                    for mut admit in std::mem::take(&mut waiting) {
                        match futures_poll(&mut admit).await {
                            Some(admitted) => running.push(admitted),
                            None => waiting.push(admit),
                        }
                    }
                    let passed = budget.state().waiting.iter().map(|waiter| waiter.passed).max();
                    prop_assert!(passed.unwrap_or_default() <= PATIENCE);
                    prop_assert!(!running.is_empty());
                }
                Ok(())
            })?;
        }
    }
}
