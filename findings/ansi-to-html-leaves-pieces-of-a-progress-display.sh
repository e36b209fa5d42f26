#!/usr/bin/env bash
# Tool: ansi-to-html 0.7.2 and strip-ansi 7.2.0 (npm).
# Expected: control sequences other than colours produce no text.
# Seen: "cursor up" and "hide cursor", which every progress display sends, leave
#   "A" and "?25l" in the page; a hyperlink leaves its address. Two 256-colour
#   codes in one sequence become bold and blinking text, since only a code that
#   stands alone is known. "default colour" becomes white, also on a white page.
#   strip-ansi removes all of them.
# Matters: a build log in a terminal format turns into a page with stray letters
#   that look like output.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts ansi-to-html@0.7.2 entities@2.2.0 strip-ansi@7.2.0
cat >a.mjs <<'JS'
import Convert from 'ansi-to-html';
import strip from 'strip-ansi';
for (const text of ['\x1b[1A#5 done', '\x1b[?25l#5 done', '\x1b]8;;http://a\x07#5\x1b]8;;\x07 done', '\x1b[48;5;1;38;5;2mfail\x1b[0m', '\x1b[31m#5\x1b[39m done'])
  console.log(strip(text), '|', new Convert().toHtml(text).replaceAll('\x07', ''));
JS
got=$(node a.mjs)
want='#5 done | A#5 done
#5 done | ?25l#5 done
#5 done | ]8;;http://a#5]8;; done
fail | <blink><b><blink>fail</blink></b></blink>
#5 done | <span style="color:#A00">#5<span style="color:#FFF"> done</span></span>'
echo "$got"; [ "$got" = "$want" ]
