//! What a build says of itself.

use crate::world::World;
use buildscope_record::{Nanos, WaitKind};
use buildscope_reports::attribute::Row;
use buildscope_reports::explain;

#[test]
fn the_wall_account_of_a_real_build_sums_to_its_wall_time() {
    let world = World::new(
        "FROM busybox AS a\nRUN sleep 0.2\nFROM busybox AS b\nRUN sleep 0.1\nFROM busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n",
    );
    for policy in ["serial", "stages", "instructions"] {
        let record = world.build(&["--no-cache", "--policy", policy]).record();
        let explanation = explain(&record);
        let sum = |rows: &[Row]| rows.iter().map(|row| row.wall).sum::<Nanos>();
        assert_eq!(sum(&explanation.accounts.groups), record.wall, "{policy}");
        assert_eq!(sum(&explanation.accounts.phases), record.wall, "{policy}");
        let mut at = Nanos::ZERO;
        for segment in &explanation.segments {
            assert_eq!(segment.start, at, "{policy}: the path has no gap and no overlap");
            at = segment.end;
        }
        assert_eq!(at, record.wall, "{policy}");
    }
}

#[test]
fn one_slot_makes_waits_for_it() {
    let world = World::new(
        "FROM busybox AS a\nRUN sleep 0.2\nFROM busybox AS b\nRUN sleep 0.2\nFROM busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n",
    );
    let record = world.build(&["--jobs", "1"]).record();
    let longest = |kind| {
        let waits = record.waits.iter().filter(|wait| wait.kind == kind);
        waits.map(|wait| wait.end.saturating_sub(wait.start)).max().unwrap_or_default()
    };
    assert!(longest(WaitKind::Slot) >= Nanos(150_000_000), "{:?}", record.waits);
    assert!(record.steps.iter().all(|step| step.slot.is_none_or(|slot| slot == 0)));
}
