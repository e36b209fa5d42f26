//! The store: one directory with blobs, indexes and the cache, this process's view of it, and the driver in use.

use super::driver::{self, Driver};
use super::layer::LayerBuilder;
use super::layer_store::LayerStore;
use super::once_map::OnceMap;
use super::options::StoreOptions;
use super::{EntryList, Spool, StorageError};
use buildscope_record::{DiffId, DriverChoice, DriverName};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// The driver, which is chosen when the first step needs a file system: trying drivers takes some milliseconds.
struct ChosenDriver {
    options: StoreOptions,
    chosen: Mutex<Option<Arc<dyn Driver>>>,
}

/// The store. It is cheap to clone and shared between threads. Other processes may use the same directory.
#[derive(Clone)]
pub struct Store {
    layers: LayerStore,
    driver: Arc<ChosenDriver>,
    /// The exclusive cache mounts in use by this process, by id.
    exclusive_mounts: OnceMap<String, Infallible>,
}

impl Store {
    /// Opens the store at `root` and creates it if it is missing. This costs a few system calls; the cache index is opened on first
    /// use, and the best driver is chosen on first use.
    ///
    /// # Errors
    /// Errors of the file system, and [`StorageError::Driver`] if the driver in `options` does not work here.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self, StorageError> {
        let layers = LayerStore::open(root, options.sync)?;
        let is_named = options.driver != DriverChoice::Auto;
        let driver = ChosenDriver { options, chosen: Mutex::default() };
        let store = Self { layers, driver: Arc::new(driver), exclusive_mounts: OnceMap::default() };
        if is_named {
            store.choose_driver()?;
        }
        Ok(store)
    }

    /// Chooses the driver, unless it has been chosen.
    ///
    /// # Errors
    /// [`StorageError::Driver`] if the driver does not work here.
    pub fn choose_driver(&self) -> Result<(), StorageError> {
        self.driver().map(drop)
    }

    /// The driver in use, if one has been chosen.
    pub fn driver_name(&self) -> Option<DriverName> {
        self.driver.chosen.lock().as_ref().map(|driver| driver.name())
    }

    /// Starts a new layer.
    pub fn layer_builder(&self) -> LayerBuilder {
        self.layer_of(EntryList::default(), HashSet::new())
    }

    /// Starts a layer with the entries of a list, but for those with the numbers `left_out`.
    pub fn layer_of(&self, entries: EntryList, left_out: HashSet<u32>) -> LayerBuilder {
        LayerBuilder::new(self.layers.clone(), entries, left_out)
    }

    /// A temporary file for bytes that are read once and needed again soon.
    pub fn spool(&self) -> Spool {
        Spool::new(self.root().join("tmp"))
    }

    pub(crate) fn driver(&self) -> Result<Arc<dyn Driver>, StorageError> {
        let ChosenDriver { options, chosen } = &*self.driver;
        // The lock is held while drivers are tried: another thread that needs one waits for the same.
        let mut chosen = chosen.lock();
        if let Some(driver) = &*chosen {
            return Ok(Arc::clone(driver));
        }
        let driver = driver::choose(self.layers.root(), options, self.layers.scratch())?.into();
        Ok(Arc::clone(chosen.insert(driver)))
    }

    /// The mounts through which steps of this process read a stack of layers; `None` if no step has used it, or if the driver's mounts
    /// do not tell what steps read.
    pub fn mounted(&self, layers: &[DiffId]) -> Option<Vec<Arc<OwnedFd>>> {
        let driver = self.driver.chosen.lock().clone()?;
        driver.mounted(self, &*self.tree(layers).ok()?)
    }

    pub(crate) fn exclusive_mounts(&self) -> &OnceMap<String, Infallible> {
        &self.exclusive_mounts
    }
}

impl Deref for Store {
    type Target = LayerStore;

    fn deref(&self) -> &LayerStore {
        &self.layers
    }
}
