"""What the studies share: the binary, the seed, intervals over samples, tables in Markdown."""
import os, random, statistics
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
TARGET = HERE / os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = os.environ.get("BUILDSCOPE", str(TARGET / "release/buildscope"))
SEED = 20261125
DRAWS = 2000


def interval(values, of=statistics.median):
    """`of` the values, and its 95 % interval by the percentile bootstrap. The seed is fixed."""
    dice = random.Random(1)
    drawn = sorted(of([values[dice.randrange(len(values))] for _ in values]) for _ in range(DRAWS))
    return of(values), drawn[DRAWS // 40], drawn[DRAWS - DRAWS // 40 - 1]


def table(head, lines):
    """Prints a Markdown table, or nothing if there are no lines."""
    if not lines:
        return
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()
