//! Starts what running steps need, in the background: the zygote, the storage driver, and the cache index.
//!
//! A build that finds everything in the cache needs none of them.

use super::Engine;
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::JoinHandle;

/// An engine that is made ready for steps once.
pub(super) struct WarmUp {
    pub(super) engine: Engine,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl WarmUp {
    /// For an empty store, steps will certainly run, so it starts at once.
    pub(super) fn new(engine: &Engine) -> Self {
        let this = Self { engine: engine.clone(), threads: Mutex::default() };
        if engine.store.is_empty() {
            this.start();
        }
        this
    }

    /// Starts, unless it has started. Errors are dropped: the first step tries again and reports them.
    pub(super) fn start(&self) {
        let mut threads = self.threads.lock();
        if threads.is_empty() {
            let (zygote, store) = (Arc::clone(&self.engine.zygote), self.engine.store.clone());
            let index = store.cache().clone();
            threads.push(std::thread::spawn(move || index.prepare()));
            threads.push(std::thread::spawn(move || drop(zygote.ensure_started())));
            threads.push(std::thread::spawn(move || drop(store.choose_driver())));
        }
    }

    /// Whether it has started.
    pub(super) fn has_started(&self) -> bool {
        !self.threads.lock().is_empty()
    }
}

impl Drop for WarmUp {
    /// Waits, so that the store and the zygote are not used after the build.
    fn drop(&mut self) {
        for thread in std::mem::take(self.threads.get_mut()) {
            // A thread that panicked has printed its message.
            let _ = thread.join();
        }
    }
}
