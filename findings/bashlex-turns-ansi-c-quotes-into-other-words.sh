#!/usr/bin/env bash
# Tool: bashlex 0.18 (PyPI); bash for comparison.
# Expected: in the word $'a\tb', the parser gives the value a, tab, b, or keeps
#   the source text.
# Seen: the word is "$atb": the quotes and backslash are removed, the dollar sign
#   stays. It looks like the variable $atb. $'\n' becomes "$n". $"text" keeps its
#   dollar sign too.
# Matters: IFS=$'\n' and printf $'...' are usual in build scripts. A reader that
#   collects variable names finds ones that do not exist.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps bashlex==0.18
got=$(v/bin/python - <<'PY'
import bashlex, subprocess
for text in [r"echo $'a\tb'", r"echo $'\n'", r'echo $"text"', r"echo 'a\tb'"]:
    real = subprocess.run(["bash", "-c", 'set -- ' + text[5:] + '; printf %s "$1"'], capture_output=True, text=True).stdout
    print(text, "bashlex", repr(bashlex.parse(text)[0].parts[1].word), "bash", repr(real))
PY
)
want=$(cat <<'TXT'
echo $'a\tb' bashlex '$atb' bash 'a\tb'
echo $'\n' bashlex '$n' bash '\n'
echo $"text" bashlex '$text' bash 'text'
echo 'a\tb' bashlex 'a\\tb' bash 'a\\tb'
TXT
)
echo "$got"; [ "$got" = "$want" ]
