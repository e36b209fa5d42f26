#!/usr/bin/env bash
# Tool: ddsketch 3.0.1 with protobuf 7.36.2 (PyPI) and @datadog/sketches-js 2.1.1 with protobufjs 8.8.1 (npm),
#   the two libraries of DDSketch, which keeps quantiles of a stream of times.
# Expected: a sketch that was written with to_proto() and read with from_proto() gives the answers of the
#   original. A sample that is not a number is refused, or has no effect.
# Seen: quantiles and count come back. The sum is 0, the average too, and the extremes are infinite: the
#   message has no field for them, as a comment in the Python source says, and the sketch that is read does
#   not know that they are missing. NaN counts as a
#   sample of 0, so it lowers quantiles, and makes the sum NaN. Output, the samples 1 to 100, then NaN and 1:
#     Python: count 100, sum 5050, max 100, median 49.9
#     Python, after protobuf: count 100, sum 0, max -inf, median 49.9
#     Python, NaN and 1: count 2, median 0.0
#     npm: count 100, sum 5050, max 100, median 49.9
#     npm, after protobuf: count 100, sum 0, max -Infinity, median 49.9
#     npm, NaN and 1: count 2, median 0.0
# Matters: workers send sketches of their step times to be merged. In the merged one the mean step takes 0 s,
#   or, if it goes on to take samples, the sum of the later ones divided by the number of all.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ddsketch==3.0.1 protobuf==7.36.2
npm install --silent --no-audit --no-fund @datadog/sketches-js@2.1.1 protobufjs@8.8.1 >npm.log
cat >sketch.py <<'EOF'
from ddsketch import DDSketch
from ddsketch.pb.ddsketch_pb2 import DDSketch as Message
from ddsketch.pb.proto import DDSketchProto


def show(name, sketch):
    print(f"{name}: count {sketch.count:.0f}, sum {sketch.sum:.0f}, max {sketch._max}, median {sketch.get_quantile_value(0.5):.1f}")


sketch = DDSketch(relative_accuracy=0.01)
for sample in range(1, 101):
    sketch.add(sample)
show("Python", sketch)
message = Message.FromString(DDSketchProto.to_proto(sketch).SerializeToString())
show("Python, after protobuf", DDSketchProto.from_proto(message))
sketch = DDSketch(relative_accuracy=0.01)
sketch.add(float("nan"))
sketch.add(1)
print(f"Python, NaN and 1: count {sketch.count:.0f}, median {sketch.get_quantile_value(0.5):.1f}")
EOF
cat >sketch.js <<'EOF'
const { DDSketch } = require("@datadog/sketches-js");

const median = sketch => sketch.getValueAtQuantile(0.5).toFixed(1);
function show(name, sketch) {
    console.log(`${name}: count ${sketch.count}, sum ${sketch.sum}, max ${sketch.max}, median ${median(sketch)}`);
}

const sketch = new DDSketch({ relativeAccuracy: 0.01 });
for (let sample = 1; sample <= 100; sample++) sketch.accept(sample);
show("npm", sketch);
show("npm, after protobuf", DDSketch.fromProto(sketch.toProto()));
const other = new DDSketch({ relativeAccuracy: 0.01 });
other.accept(NaN);
other.accept(1);
console.log(`npm, NaN and 1: count ${other.count}, median ${median(other)}`);
EOF
got=$(venv/bin/python sketch.py; node sketch.js)
want='Python: count 100, sum 5050, max 100, median 49.9
Python, after protobuf: count 100, sum 0, max -inf, median 49.9
Python, NaN and 1: count 2, median 0.0
npm: count 100, sum 5050, max 100, median 49.9
npm, after protobuf: count 100, sum 0, max -Infinity, median 49.9
npm, NaN and 1: count 2, median 0.0'
echo "$got"; [ "$got" = "$want" ]
