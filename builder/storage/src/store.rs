//! The store: one directory with blobs, indexes and the cache, this process's view of it, and the driver in use.

use super::StorageError;
use super::driver::{self, Driver};
use super::layer::LayerBuilder;
use super::layer_store::LayerStore;
use super::once_map::OnceMap;
use super::options::StoreOptions;
use buildscope_record::DriverName;
use std::convert::Infallible;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// The store. It is cheap to clone and shared between threads. Other processes may use the same directory.
#[derive(Clone)]
pub struct Store {
    layers: LayerStore,
    driver: Arc<dyn Driver>,
    /// The exclusive cache mounts in use by this process, by id.
    exclusive_mounts: OnceMap<String, Infallible>,
}

impl Store {
    /// Opens the store at `root` and creates it if it is missing. This costs a few system calls; the cache index is opened on first
    /// use.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self, StorageError> {
        let layers = LayerStore::open(root, options.sync)?;
        let driver = driver::choose(layers.root(), &options, layers.scratch())?.into();
        Ok(Self { layers, driver, exclusive_mounts: OnceMap::default() })
    }

    /// The driver in use.
    pub fn driver_name(&self) -> DriverName {
        self.driver.name()
    }

    /// Starts a new layer.
    pub fn layer_builder(&self) -> LayerBuilder {
        LayerBuilder::new(self.layers.clone())
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
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
