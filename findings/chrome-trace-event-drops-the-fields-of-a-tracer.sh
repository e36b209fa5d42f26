#!/usr/bin/env bash
# Tool: chrome-trace-event 1.0.4 (npm; webpack's profiles are written with it);
#   trace-event 1.3.2 (npm), the library that it was made from, for comparison.
# Expected: the fields given to a tracer or to its child, such as tid, cat and args,
#   are in each of its events. The source has defaults for cat and args, since the
#   viewer needs them.
# Seen: the fields are checked, stored and never written; nor are the defaults. A
#   child of a tracer that collects until flush() writes at once, so its events stand
#   before earlier ones of the parent. Output, thread, category and arguments:
#     chrome-trace-event: child own thread false, cat undefined, args undefined
#     chrome-trace-event: parent own thread false, cat undefined, args undefined
#     trace-event: parent own thread false, cat build, args {"stage":"web"}
#     trace-event: child own thread true, cat step, args {"step":7}
# Matters: one child per worker is the usual way to have lanes. All workers lie in one
#   lane, where overlapping steps nest or close each other.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund chrome-trace-event@1.0.4 trace-event@1.3.2 >npm.log
cat >a.js <<'JS'
const makers = {
  'chrome-trace-event': (options) => new (require('chrome-trace-event').Tracer)(options),
  'trace-event': (options) => require('trace-event').createTracer(options),
};
for (const [name, make] of Object.entries(makers)) {
  const parent = make({ noStream: true, fields: { cat: ['build'], args: { stage: 'web' } } });
  const child = parent.child({ tid: 42, cat: 'step', args: { step: 7 } });
  let text = '';
  parent.on('data', (part) => { text += part; });
  parent.begin({ name: 'parent' });
  child.begin({ name: 'child' });
  if (parent.flush) parent.flush();
  setImmediate(() => {
    for (const event of JSON.parse(text.replace(/,?\s*\]?\s*$/, ']'))) {
      const args = JSON.stringify(event.args);
      console.log(`${name}: ${event.name} own thread ${event.tid === 42}, cat ${event.cat}, args ${args}`);
    }
  });
}
JS
got=$(node a.js)
want='chrome-trace-event: child own thread false, cat undefined, args undefined
chrome-trace-event: parent own thread false, cat undefined, args undefined
trace-event: parent own thread false, cat build, args {"stage":"web"}
trace-event: child own thread true, cat step, args {"step":7}'
echo "$got"; [ "$got" = "$want" ]
