//! Identical reads that are under way at the same time are one read.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};

/// A read that others may have joined. It goes on for as long as somebody waits for it.
pub type Read<V> = Shared<BoxFuture<'static, V>>;

/// Reads that are under way, by what they read.
pub struct Reads<K, V: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>);

impl<K, V: Clone> Default for Reads<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Reads<K, V> {
    /// Joins the read of that key, or begins it.
    pub fn join(&self, key: K, begin: impl FnOnce() -> BoxFuture<'static, V>) -> Read<V> {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = reads.get(&key).and_then(WeakShared::upgrade).filter(|read| read.peek().is_none()) {
            return read;
        }
        reads.retain(|_, read| read.upgrade().is_some_and(|read| read.peek().is_none()));
        let read = begin().shared();
        if let Some(weak) = read.downgrade() {
            reads.insert(key, weak);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn reads_of_the_same_key_are_one_read_until_it_ends() {
        static BEGUN: AtomicU32 = AtomicU32::new(0);
        let reads = Reads::<u8, u32>::default();
        let begin = || async { BEGUN.fetch_add(1, Ordering::SeqCst) }.boxed();
        let (one, two, other) = (reads.join(1, begin), reads.join(1, begin), reads.join(2, begin));
        assert_eq!(two.await, 0);
        assert_eq!(one.await, 0);
        assert_eq!(other.await, 1);
        assert_eq!(reads.join(1, begin).await, 2, "an answered read is not joined");
    }
}
