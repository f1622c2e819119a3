//! The model and the Lua in lockstep: random operations, costs, clock steps, lease ends and calendar
//! borders, from nodes with two configurations. After each call both must say the same, to the unit.

mod aimed;
mod compare;
mod draw;
mod run;

use proptest::prelude::*;

use self::{
    draw::{Drawn, Step, drawn, step},
    run::Run,
};

fn lockstep(limits: &[Drawn], steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut run = Run::start(limits).await;
        run.take(steps).await;
        run.read_all().await;
        run.compare_logs().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2000, failure_persistence: Some(Box::new(
        proptest::test_runner::FileFailurePersistence::Direct("tests/regressions/lockstep.txt"))), ..ProptestConfig::default() })]

    #[test]
    fn the_lua_does_what_the_model_says(limits in prop::collection::vec(drawn(), 1..6), steps in prop::collection::vec(step(), 1..80)) {
        lockstep(&limits, &steps);
    }
}
