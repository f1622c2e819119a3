//! What one connection follows.

use futures_util::{FutureExt, future::select_all};

use super::{census::Place, query::Target};
use crate::{
    domain::Position,
    events::{Delivery, Subscription},
};

/// One subscription of a connection.
pub struct View {
    /// As its client calls it; none for what the URL asked for.
    pub name: Option<String>,
    /// What it follows.
    pub target: Target,
    /// Where it comes from.
    pub subscription: Subscription,
    /// Counted while it stands.
    pub _place: Place,
}

/// All subscriptions of a connection.
#[derive(Default)]
pub struct Views {
    list: Vec<View>,
    turn: usize,
}

impl Views {
    /// Adds one.
    pub fn push(&mut self, view: View) {
        self.list.push(view);
    }

    /// Removes one; false when there is none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.list.len();
        self.list.retain(|view| view.name.as_deref() != Some(name));
        self.list.len() < before
    }

    /// Is there one of that name?
    pub fn has(&self, name: &str) -> bool {
        self.list.iter().any(|view| view.name.as_deref() == Some(name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &View> {
        self.list.iter()
    }

    /// One by its place.
    pub fn get(&self, at: usize) -> Option<&View> {
        self.list.get(at)
    }

    /// Where each stands.
    pub fn cursors(&self) -> Vec<(Option<&str>, Position)> {
        self.list.iter().map(|view| (view.name.as_deref(), view.subscription.cursor())).collect()
    }

    /// The next delivery, and to which place; each view in turn may be first. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> (usize, Delivery) {
        if self.list.is_empty() {
            return std::future::pending().await;
        }
        self.turn = (self.turn + 1) % self.list.len();
        let turn = self.turn;
        let (head, tail) = self.list.split_at_mut(turn);
        let tail = tail.iter_mut().enumerate().map(|(at, view)| (at + turn, view));
        let all = tail.chain(head.iter_mut().enumerate());
        select_all(all.map(|(at, view)| async move { (at, view.subscription.next().await) }.boxed())).await.0
    }
}
