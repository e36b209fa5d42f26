//! Verifies the layers that a step reads while the step runs, so that damage on the disk does not get into its result.

use super::BuildError;
use buildscope_record::DiffId;
use buildscope_storage::{StorageError, Store};
use tokio::task::JoinHandle;

/// The verification of layers on another thread.
pub(super) struct Verification(Option<JoinHandle<Result<(), StorageError>>>);

impl Verification {
    /// Starts to verify layers, except for those that this process has written or verified.
    pub(super) fn start<'a>(store: &Store, layers: impl IntoIterator<Item = &'a DiffId>) -> Self {
        let mut layers: Vec<DiffId> = layers.into_iter().copied().collect();
        layers.sort_unstable();
        layers.dedup();
        let blobs = store.unverified(&layers);
        let store = store.clone();
        Self((!blobs.is_empty()).then(|| tokio::task::spawn_blocking(move || store.verified(&blobs, || ()))))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Fails if a layer is damaged. It has been removed then, and the steps that need it have to run again.
    pub(super) async fn finish(self) -> Result<(), BuildError> {
        match self.0 {
            None => Ok(()),
            Some(verification) => match verification.await {
                Ok(verified) => Ok(verified?),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
}
