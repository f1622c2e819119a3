//! Values that are kept for a while and taken once, through any node.

use std::time::Duration;

use super::{Coordinator, store_error, types::CoordinatorError};

impl Coordinator {
    /// Keeps a value under a name: the digest of a secret, never the secret.
    pub async fn keep_once(&self, name: &str, value: &str, life: Duration) -> Result<(), CoordinatorError> {
        self.0.store.keep_once(name, value, life).await.map_err(store_error)
    }

    /// Takes a kept value away; only one of many takers gets it.
    pub async fn take_once(&self, name: &str) -> Result<Option<String>, CoordinatorError> {
        self.0.store.take_once(name).await.map_err(store_error)
    }
}
