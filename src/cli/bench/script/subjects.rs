//! The things whose cost is compared.

use std::sync::Arc;

use super::{
    baselines::{GCRA, GCRA_EACH},
    calls::{Limits, Pool, commit, new_record, reserve, shape},
};
use crate::{
    cli::bench::resp::pack,
    store::{
        call::{GroupSpec, Op, RecordId, Shape},
        scripts::{Composed, Publish, Scripts},
    },
};

/// Commands on the way at once, on each connection, where a subject does not say otherwise.
pub const DEPTH: usize = 16;

type Make = Box<dyn FnMut(&mut Vec<u8>)>;

/// One thing whose cost is compared.
pub struct Subject {
    /// How the ratios call it.
    pub name: &'static str,
    /// Admissions in a command.
    pub admissions: usize,
    /// Commands on the way at once.
    pub depth: usize,
    /// Appends the next command.
    pub make: Make,
}

fn subject(name: &'static str, admissions: usize, make: impl FnMut(&mut Vec<u8>) + 'static) -> Subject {
    Subject { name, admissions, depth: DEPTH, make: Box::new(make) }
}

/// Everything, and the scripts that must be loaded first.
pub struct Subjects {
    /// In the order in which they take turns.
    pub list: Vec<Subject>,
    /// Texts for `SCRIPT LOAD`.
    pub scripts: Vec<String>,
}

fn words(list: &[&str]) -> Vec<u8> {
    let mut packed = Vec::new();
    pack(&mut packed, list);
    packed
}

fn fixed(name: &'static str, words: Vec<u8>) -> Subject {
    subject(name, 1, move |to| to.extend_from_slice(&words))
}

fn hash(text: &str) -> String {
    redis::Script::new(text).get_hash().to_owned()
}

/// Reserves over a shape, so many in a call.
fn reserves(name: &'static str, script: &Arc<Composed>, groups: &[Arc<GroupSpec>], count: usize) -> Subject {
    let (pool, script, shape) = (Pool::default(), script.clone(), shape(groups));
    subject(name, count, move |to| {
        pool.pack(to, &script, (0..count).map(|_| reserve(&shape, new_record())).collect());
    })
}

/// Reserves over shapes of many scopes, so many in a call.
fn mixed(name: &'static str, script: &Arc<Composed>, count: usize) -> Subject {
    let (pool, script) = (Pool::default(), script.clone());
    let own = Limits::plenty(4).group("", "");
    let many = |key, n: u32| -> Vec<_> { (0..n).map(|at| Limits::plenty(2).group(key, &at.to_string())).collect() };
    let (workspaces, users) = (many("workspace", 8), many("user", 200));
    let pairs = workspaces.iter().flat_map(|w| users.iter().map(move |u| (w, u)));
    let shapes: Vec<Arc<Shape>> = pairs.map(|(w, u)| shape(&[own.clone(), w.clone(), u.clone()])).collect();
    subject(name, count, move |to| {
        let any = || shapes[rand::random_range(0..shapes.len())].clone();
        pool.pack(to, &script, (0..count).map(|_| reserve(&any(), new_record())).collect());
    })
}

/// Calls of reserves and calls of their commits in turn: the mean of both counts.
fn lifecycle(name: &'static str, scripts: &Arc<Scripts>, groups: &[Arc<GroupSpec>], count: usize) -> Subject {
    let (pool, scripts, shape) = (Pool::default(), scripts.clone(), shape(groups));
    let mut open: Vec<RecordId> = Vec::new();
    subject(name, count, move |to| {
        let ops: Vec<Op> = if open.is_empty() {
            open = (0..count).map(|_| new_record()).collect();
            open.iter().map(|record| reserve(&shape, *record)).collect()
        } else {
            open.drain(..).map(|record| commit(&shape, record)).collect()
        };
        let script = if matches!(ops.first(), Some(Op::Settle { .. })) { &scripts.apply_freeing } else { &scripts.apply };
        pool.pack(to, script, ops);
    })
}

/// Decisions that leave nothing behind.
fn checks(name: &'static str, script: &Arc<Composed>, groups: &[Arc<GroupSpec>], count: usize) -> Subject {
    let (pool, script, shape) = (Pool::default(), script.clone(), shape(groups));
    let costs = vec![1; shape.items.len()];
    subject(name, count, move |to| {
        let check = || Op::Check { shape: shape.clone(), costs: costs.clone() };
        pool.pack(to, &script, (0..count).map(|_| check()).collect());
    })
}

/// All subjects.
pub fn all(full: &[Arc<GroupSpec>]) -> Subjects {
    let scripts = Arc::new(Scripts::new(Publish::Plain, None));
    let apply = Arc::new(Scripts::new(Publish::Plain, None).apply);
    let without_status = Arc::new(apply.with("local changed = change_statuses(group, events)", "local changed = false"));
    let one = |count| [Limits::plenty(count).group("workspace", "w1")];
    let (four, eight) = (one(4), one(8));
    let three: Vec<_> = ["a", "b", "c"].map(|value| Limits::plenty(4).group("workspace", value)).into();
    let gcra = words(&["EVALSHA", &hash(GCRA), "1", "gcra", "1000000000", "1", "1"]);
    let each = ["EVALSHA", &hash(GCRA_EACH), "4", "g1", "g2", "g3", "g4"];
    let each: Vec<&str> = each.into_iter().chain(["1000000000", "1", "1"].repeat(4)).collect();
    let list = vec![
        fixed("INCR", words(&["INCR", "n"])),
        Subject { depth: 1, ..fixed("INCR unpipelined", words(&["INCR", "n"])) },
        fixed("GCRA", gcra),
        fixed("GCRA each", words(&each)),
        reserves("4 limits", &apply, &four, 1),
        reserves("8 limits", &apply, &eight, 1),
        reserves("4 limits, 16", &apply, &four, 16),
        reserves("4 limits, 64", &apply, &four, 64),
        reserves("3 × 4 limits, 64", &apply, &three, 64),
        lifecycle("reserve and commit, 16", &scripts, &four, 16),
        mixed("mixed, 16", &apply, 16),
        reserves("denial", &apply, full, 1),
        reserves("denial, 16", &apply, full, 16),
        checks("check", &apply, &four, 1),
        checks("check, 16", &apply, &four, 16),
        checks("check, 64", &apply, &four, 64),
        reserves("without status, 16", &without_status, &four, 16),
    ];
    let texts = [&apply, &without_status].map(|script| script.text.clone());
    let texts = texts.into_iter().chain([scripts.apply_freeing.text.clone(), GCRA.to_owned(), GCRA_EACH.to_owned()]);
    Subjects { list, scripts: texts.collect() }
}
