#!/usr/bin/env bash
# Tool: csvkit 2.2.0 (PyPI), csvsort and csvjoin.
# Expected: csvsort writes the rows in another order. Columns that it does not sort by come out as they went in, as they do with
#   csvgrep, csvcut and csvstack of the same package.
# Seen: csvsort and csvjoin guess a type for each column and print the values again. If each commit of a file can be a number, as
#   12e5 and 34e2 can, the commits become numbers. A duration of minutes and seconds gets hours, a decimal comma vanishes, zeros in
#   front are removed, "yes" is True, and "N/A" is empty, the last one also with the option that turns the guess off. Output,
#   the row of the build after each command:
#     csvgrep: build,12e5,1:30,"10,5",yes,00123,N/A
#     csvsort: build,1.2E+6,0:01:30,105,True,123,
#     csvsort of the file with another commit: build,12e5,0:01:30,105,True,123,
#     csvsort --no-inference: build,12e5,1:30,"10,5",yes,00123,
# Matters: a table of builds is sorted or joined and then read by commit or run number: the keys are gone. It depends on all
#   rows, so one more build changes what the rows of the others look like.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q csvkit==2.2.0
cat >builds.csv <<'CSV'
step,commit,time,size,ok,run,note
test,34e2,2:05,7,no,00007,none
build,12e5,1:30,"10,5",yes,00123,N/A
CSV
sed 's/34e2/3f2a/' builds.csv >other.csv
row() { "v/bin/$1" "${@:2}" | grep ^build; }
got="csvgrep: $(row csvgrep -c step -m build builds.csv)
csvsort: $(row csvsort -c step builds.csv)
csvsort of the file with another commit: $(row csvsort -c step other.csv)
csvsort --no-inference: $(row csvsort --no-inference -c step builds.csv)"
want='csvgrep: build,12e5,1:30,"10,5",yes,00123,N/A
csvsort: build,1.2E+6,0:01:30,105,True,123,
csvsort of the file with another commit: build,12e5,0:01:30,105,True,123,
csvsort --no-inference: build,12e5,1:30,"10,5",yes,00123,'
echo "$got"; [ "$got" = "$want" ]
