//! A pipeline for the pieces of a stream: made on all cores, taken in order, stored by any free thread.
//!
//! Hashing a stream is sequential and mostly the bottleneck. So threads have no fixed role: each takes the next job, and the
//! sequential one first.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::panic::resume_unwind;

/// The maximum number of threads. More would only wait for the sequential part.
const MOST_THREADS: usize = 16;
/// The number of pieces that may be made and not yet taken, in addition to the number of threads. This bounds the memory.
const AHEAD: usize = 6;

/// Makes, takes and stores all pieces, on at most `threads` threads.
///
/// `maker` returns a function for each thread, which fills a new or reused piece and returns its number: 0, 1, 2 and so on, without
/// gaps, or `None` at the end. `take` is called in the order of these numbers. Its result is passed to `store`.
///
/// # Errors
/// The first error of any function. It ends all threads.
pub fn run<P, A, E, M, T>(
    threads: usize,
    maker: impl Fn() -> M + Sync,
    take: T,
    store: impl Fn(&P, A) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    P: Default + Send,
    A: Send,
    E: Send,
    M: FnMut(&mut P) -> Result<Option<usize>, E>,
    T: FnMut(&P) -> A + Send,
{
    let threads = threads.clamp(1, MOST_THREADS);
    let pipeline = Pipeline::new(take, threads + AHEAD);
    let work = || {
        let _end = Leave(&pipeline);
        let done = pipeline.work(maker(), &store);
        if done.is_err() {
            pipeline.lock().closed = true;
        }
        done
    };
    on_threads(threads, work)
}

/// Runs `work` on `threads` threads, including the caller's.
///
/// # Errors
/// The first error, after all threads have ended.
pub(crate) fn on_threads<E: Send>(threads: usize, work: impl Fn() -> Result<(), E> + Sync) -> Result<(), E> {
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.fold(own, Result::and)
    })
}

/// The number of processors available to this process.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

struct Pipeline<P, A, T> {
    /// The number of pieces that may be made and not yet taken.
    ahead: usize,
    state: Mutex<PipelineState<P, A, T>>,
    changed: Condvar,
}

struct PipelineState<P, A, T> {
    /// The number of pieces that are being made.
    making: usize,
    /// Whether all pieces are made.
    ended: bool,
    made: HashMap<usize, P>,
    /// The number of the piece to take next.
    turn: usize,
    /// `None` while a thread is using it.
    take: Option<T>,
    taken: VecDeque<(P, A)>,
    used: Vec<P>,
    /// A thread has failed, and the others must end.
    closed: bool,
}

enum Job<P, A, T> {
    Take(T, P),
    Store(P, A),
    Make(P),
}

impl<P: Default, A, T: FnMut(&P) -> A> Pipeline<P, A, T> {
    fn new(take: T, ahead: usize) -> Self {
        let state = PipelineState {
            making: 0,
            ended: false,
            made: HashMap::new(),
            turn: 0,
            take: Some(take),
            taken: VecDeque::new(),
            used: Vec::new(),
            closed: false,
        };
        Self { ahead, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, PipelineState<P, A, T>> {
        self.state.lock()
    }

    fn work<E>(
        &self,
        mut make: impl FnMut(&mut P) -> Result<Option<usize>, E>,
        store: &impl Fn(&P, A) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(job) = self.next() {
            match job {
                Job::Take(mut take, piece) => {
                    let told = take(&piece);
                    let mut state = self.lock();
                    state.take = Some(take);
                    state.turn += 1;
                    state.taken.push_back((piece, told));
                }
                Job::Store(piece, told) => {
                    store(&piece, told)?;
                    self.lock().used.push(piece);
                }
                Job::Make(mut piece) => {
                    let number = make(&mut piece)?;
                    let mut state = self.lock();
                    state.making -= 1;
                    match number {
                        Some(number) => drop(state.made.insert(number, piece)),
                        None => state.ended = true,
                    }
                }
            }
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Waits for the next job; `None` if there are no more.
    fn next(&self) -> Option<Job<P, A, T>> {
        let mut state = self.lock();
        loop {
            if state.closed || state.is_done() {
                return None;
            }
            if let Some(job) = state.next(self.ahead) {
                return Some(job);
            }
            self.changed.wait(&mut state);
        }
    }
}

impl<P: Default, A, T> PipelineState<P, A, T> {
    /// Whether no job is left. Other threads may still be storing pieces.
    fn is_done(&self) -> bool {
        self.ended && self.making == 0 && self.made.is_empty() && self.take.is_some() && self.taken.is_empty()
    }

    fn next(&mut self, ahead: usize) -> Option<Job<P, A, T>> {
        if let Some(take) = self.take.take() {
            match self.made.remove(&self.turn) {
                Some(piece) => return Some(Job::Take(take, piece)),
                None => self.take = Some(take),
            }
        }
        if let Some((piece, told)) = self.taken.pop_front() {
            return Some(Job::Store(piece, told));
        }
        if !self.ended && self.making + self.made.len() < ahead {
            self.making += 1;
            return Some(Job::Make(self.used.pop().unwrap_or_default()));
        }
        None
    }
}

/// Wakes the other threads when a thread ends, and tells them to end if it panicked.
struct Leave<'p, P, A, T>(&'p Pipeline<P, A, T>);

impl<P, A, T> Drop for Leave<'_, P, A, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state.lock().closed = true;
        }
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// Pieces 0 to 199, made out of order: every seventh takes longer.
    fn made(threads: usize, fails: Option<usize>) -> (Vec<usize>, Vec<usize>, Result<(), usize>) {
        let (next, mut taken, stored) = (AtomicUsize::new(0), Vec::new(), Mutex::new(Vec::new()));
        let make = || {
            |piece: &mut usize| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number % 7 == 0 {
                    std::thread::sleep(Duration::from_micros(200));
                }
                *piece = number * 10;
                if fails == Some(number) { Err(number) } else { Ok((number < 200).then_some(number)) }
            }
        };
        let take = |piece: &usize| {
            taken.push(*piece);
            piece + 1
        };
        let store = |piece: &usize, told| {
            assert_eq!(told, piece + 1);
            stored.lock().push(*piece);
            Ok(())
        };
        let ran = run(threads, make, take, store);
        let mut stored = stored.into_inner();
        stored.sort_unstable();
        (taken, stored, ran)
    }

    #[test]
    fn each_piece_is_taken_in_its_turn_and_stored_once() {
        let all: Vec<usize> = (0..200).map(|number| number * 10).collect();
        for threads in [1, 2, 3, 8] {
            assert_eq!(made(threads, None), (all.clone(), all.clone(), Ok(())), "{threads} threads");
        }
    }

    #[test]
    fn an_error_ends_it_and_nothing_after_it_is_taken() {
        for threads in [1, 2, 8] {
            let (taken, _, ran) = made(threads, Some(50));
            assert_eq!(ran, Err(50), "{threads} threads");
            assert!(taken.iter().all(|&piece| piece < 500), "{taken:?}");

            let (next, stored) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let make = || |_: &mut ()| Ok(Some(next.fetch_add(1, Ordering::Relaxed)));
            let store = |_: &(), ()| if stored.fetch_add(1, Ordering::Relaxed) == 20 { Err("full") } else { Ok(()) };
            assert_eq!(run(threads, make, |_| (), store), Err("full"), "{threads} threads");
        }
    }

    #[test]
    fn a_panic_ends_it() {
        for threads in [1, 4] {
            let next = AtomicUsize::new(0);
            let make = || |_: &mut ()| Ok::<_, ()>(Some(next.fetch_add(1, Ordering::Relaxed)));
            let mut count = 0;
            let take = |_: &()| {
                count += 1;
                assert!(count < 20, "enough");
            };
            let ran =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(threads, make, take, |_, ()| Ok(()))));
            assert!(ran.is_err(), "{threads} threads");
            let make = || |_: &mut ()| if true { panic!("while one is made") } else { Ok::<_, ()>(None) };
            let ran = std::panic::catch_unwind(|| run(threads, make, |_: &()| (), |_, ()| Ok(())));
            assert!(ran.is_err(), "{threads} threads");
        }
    }

    #[test]
    fn nothing_is_made_far_ahead() {
        let (next, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let most = AtomicUsize::new(0);
        let make = || {
            |_: &mut ()| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                most.fetch_max(number - taken.load(Ordering::Relaxed).min(number), Ordering::Relaxed);
                Ok::<_, ()>((number < 300).then_some(number))
            }
        };
        let take = |_: &()| {
            std::thread::sleep(Duration::from_micros(50));
            taken.fetch_add(1, Ordering::Relaxed);
        };
        run(4, make, take, |_, ()| Ok(())).unwrap();
        // One is being taken, in addition to those that wait.
        assert!(most.into_inner() <= 4 + AHEAD);
    }
}
