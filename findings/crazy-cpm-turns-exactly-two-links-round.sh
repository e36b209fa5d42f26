#!/usr/bin/env bash
# Tool: crazy_cpm 1.0.0 (PyPI, 2026) with numpy 1.26.4, pandas 3.0.6, scipy 1.17.1 and
#   graphviz 0.21.
# Expected: links=[[1, 2], [3, 4]] are the dependencies 1 -> 2 and 3 -> 4, as
#   [[1, 2]] is 1 -> 2 and three pairs are three dependencies.
# Seen: the library also takes a row of sources and a row of targets, and a list of
#   two pairs is read as that: 1 -> 3 and 2 -> 4. Tuples are no way out. With
#   [[1, 4], [2, 4]] it reports a loop. Output, for fetch (1) 1 s, make (2) 10 s,
#   docs (3) 2 s, pack (4) 20 s, the start of each and the end of all:
#     one link: fetch 0 make 1 docs 0 pack 0 end 20
#     two links: fetch 0 make 0 docs 1 pack 10 end 30
#     three links: fetch 0 make 1 docs 0 pack 2 end 22
#     4 after 1 and 2: Network generation failed due to loop detected
# Matters: the critical path of a small plan is silently that of another plan, and it
#   becomes right when a third dependency is added.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q crazy_cpm==1.0.0 numpy==1.26.4 pandas==3.0.6 scipy==1.17.1 graphviz==0.21
cat >a.py <<'PY'
import crazy_cpm

steps = {1: ("fetch", 1.0), 2: ("make", 10.0), 3: ("docs", 2.0), 4: ("pack", 20.0)}


def show(title, links):
    try:
        model = crazy_cpm.NetworkModel({key: {"letter": name, "expected": time} for key, (name, time) in steps.items()}, links=links)
    except ValueError as error:
        print(f"{title}:", error)
        return
    rows, _ = model.to_dataframe()
    starts = {row.letter: row.early_start for row in rows.itertuples() if not row.is_dummy}
    print(f"{title}:", *(f"{name} {starts[name]:.0f}" for name, _ in steps.values()), f"end {rows.early_end.max():.0f}")


show("one link", [[1, 2]])
show("two links", [[1, 2], [3, 4]])
show("three links", [[1, 2], [3, 4], [1, 4]])
show("4 after 1 and 2", [[1, 4], [2, 4]])
PY
got=$(v/bin/python a.py 2>messages)
want='one link: fetch 0 make 1 docs 0 pack 0 end 20
two links: fetch 0 make 0 docs 1 pack 10 end 30
three links: fetch 0 make 1 docs 0 pack 2 end 22
4 after 1 and 2: Network generation failed due to loop detected'
echo "$got"; [ "$got" = "$want" ]
