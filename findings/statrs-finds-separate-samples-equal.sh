#!/usr/bin/env bash
# Tool: statrs 0.19.1 (crate, 2026), stats_tests::mannwhitneyu; scipy 1.17.1 (PyPI) for comparison.
# Expected: if each value of one sample is below each of the other, the p value of the two-sided test is the smallest
#   possible one: two of the C(6,3) = 20 orders are as extreme, so 0.1; for 8 against 8, two of 12870, so 0.000155.
# Seen: the exact method, which is the automatic choice for small samples, has p = 1. The p values of its one-sided
#   tests are one minus the right ones. The approximation for large samples is right. Output:
#     3 against 3, two-sided, less, greater: statrs 1.000000 0.950000 0.000000, scipy 0.100000 0.050000 1.000000
#     8 against 8, two-sided, less, greater: statrs 1.000000 0.999922 0.000000, scipy 0.000155 0.000078 1.000000
# Matters: a benchmark gate calls eight builds of 20 s each no change from eight of 10 s.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q statrs@=0.19.1 --no-default-features --features std
cat >src/main.rs <<'RS'
use statrs::stats_tests::{Alternative, mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu}};

fn main() {
    for count in [3, 8] {
        let sample = |from: f64| (0..count).map(|i| from + 0.01 * f64::from(i)).collect::<Vec<_>>();
        for alternative in [Alternative::TwoSided, Alternative::Less, Alternative::Greater] {
            let method = MannWhitneyUMethod::Automatic;
            print!("{:.6} ", mannwhitneyu(&sample(10.0), &sample(20.0), method, alternative).unwrap().1);
        }
        println!();
    }
}
RS
CARGO_BUILD_JOBS=1 nice -n 15 cargo build -q
target/debug/a >statrs
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scipy==1.17.1
cat >scipy.txt <<'PY'
from scipy.stats import mannwhitneyu

for count, line in zip((3, 8), open("statrs")):
    samples = [[start + 0.01 * i for i in range(count)] for start in (10, 20)]
    values = [mannwhitneyu(*samples, alternative=side).pvalue for side in ("two-sided", "less", "greater")]
    right = " ".join(f"{value:.6f}" for value in values)
    print(f"{count} against {count}, two-sided, less, greater: statrs {line.strip()}, scipy {right}")
PY
got=$(venv/bin/python scipy.txt)
want='3 against 3, two-sided, less, greater: statrs 1.000000 0.950000 0.000000, scipy 0.100000 0.050000 1.000000
8 against 8, two-sided, less, greater: statrs 1.000000 0.999922 0.000000, scipy 0.000155 0.000078 1.000000'
echo "$got"; [ "$got" = "$want" ]
