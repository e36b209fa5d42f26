// The rest of the page: head, table of steps, drawer, theme; and its start.

function drawHead() {
  byId("answer").replaceChildren(...prose(build.answer));
  const { options, host, source } = build;
  const facts = [source.tool, source.version, options.policy, options.jobs ? `${options.jobs} slots` : null, options.driver, options.cache,
    host.cpus ? `${host.cpus} processors` : null, host.filesystem, build.succeeded ? null : "failed"];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
}

const columns = [
  ["stage", (step) => step.stage ?? "", (step) => step.stage ?? "", ""],
  ["step", (step) => step.text, null, "text"],
  ["line", (step) => (step.source ? step.source.line : ""), (step) => (step.source ? step.source.line : ""), "n"],
  // The pull of a base image may come after the end of its FROM.
  ["time", (step) => (step.start === undefined ? -1 : Math.max(step.duration, step.own)), (step) => (step.start === undefined ? "" : time(Math.max(step.duration, step.own))), "n"],
  ["on path", (step) => step.wall, (step) => (step.wall ? time(step.wall) : ""), "n"],
  ["drag", (step) => step.drag, (step) => (step.drag ? time(step.drag) : ""), "n"],
  ["slack", (step) => step.slack, (step) => (step.slack ? time(step.slack) : ""), "n"],
  ["layer", (step) => (step.layer ? step.layer.bytes : -1), (step) => (step.layer ? size(step.layer.bytes) : ""), "n"],
  ["result", (step) => step.outcome, (step) => step.outcome, ""],
];
const order = { column: 4, down: true, shown: 100 };

function drawSteps() {
  const value = columns[order.column][1];
  const steps = [...build.steps].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const compared = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return (order.down ? -compared : compared) || a.id - b.id;
  });
  const head = make("tr", {}, ...columns.map(([name, , , kind], index) => {
    const sorted = order.column === index ? (order.down ? "descending" : "ascending") : null;
    const button = make("button", { type: "button" }, name + (sorted ? (order.down ? " ↓" : " ↑") : ""));
    button.addEventListener("click", () => { order.down = order.column === index ? !order.down : true; order.column = index; drawSteps(); });
    return make("th", { class: kind === "n" ? "n" : "", scope: "col", "aria-sort": sorted }, button);
  }));
  const body = make("tbody", {}, ...steps.slice(0, order.shown).map((step) => make("tr", { class: step.on_path ? "path" : "" },
    ...columns.map(([, , show, kind]) => (show ? make("td", { class: kind }, String(show(step)))
      : make("td", { class: "text" }, make("button", { type: "button", onclick: () => select(step.id) }, step.text)))))));
  const more = steps.length > order.shown
    ? make("p", {}, make("button", { type: "button", onclick: () => { order.shown += 500; drawSteps(); } }, `show more (${steps.length - order.shown} hidden)`)) : null;
  byId("steps").replaceChildren(make("table", {}, make("caption", { class: "skip" }, "Steps of the build"), make("thead", {}, head), body), ...(more ? [more] : []));
}

let returnTo = null;
function select(id) {
  hideTip();
  mark(id);
  const step = build.steps[id], extra = data.extras[id], drawer = byId("drawer");
  if (drawer.hidden) returnTo = document.activeElement;
  // Drawings in it ask for its width.
  drawer.hidden = false;
  const facts = make("dl");
  const fact = (name, value) => { if (value !== undefined && value !== null && value !== "") facts.append(make("dt", {}, name), make("dd", {}, String(value))); };
  fact("stage", step.stage); fact("line", step.source && (step.source.end_line > step.source.line ? `${step.source.line} to ${step.source.end_line}` : step.source.line));
  fact("result", step.outcome + (extra.exit ? `, exit code ${extra.exit}` : ""));
  if (step.start !== undefined) { fact("from", time(step.start)); fact("time", time(step.duration) + (step.own < step.duration ? `, ${time(step.own)} without waits` : "")); }
  fact("slot", extra.slot); fact("on the critical path", step.on_path ? time(step.wall) : "no");
  fact("drag", step.drag ? `${time(step.drag)}: so much sooner without it` : ""); fact("slack", step.slack ? time(step.slack) : "");
  fact("held by the policy", step.held ? time(step.held) : "");
  if (step.layer) fact("layer", `${size(step.layer.bytes)}, ${step.layer.files} entries${step.layer.digest ? `, ${step.layer.digest.slice(0, 19)}` : ""}`);
  const used = step.resources;
  if (used) {
    fact("CPU", `${time(used.cpu_user)} user, ${time(used.cpu_system)} system`); fact("waited for CPU", time(used.cpu_pressure)); fact("waited for I/O", time(used.io_pressure));
    fact("disk", `${size(used.read)} read, ${size(used.written)} written`); fact("peak memory", size(used.peak_memory)); fact("page faults", `${used.minor_faults} minor, ${used.major_faults} major`);
  }
  fact("locks", extra.locks.join(", ")); fact("cache", step.miss); fact("error", extra.error);
  for (const [who, kind, on, start, end, name] of data.waits) if (who === id) fact(`waited, ${kind}`, `${time(end - start)}${name ? ` for ${name}` : ""}${on === null ? "" : `, had by ${build.steps[on].text}`}`);
  const phases = make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "phase"), make("th", { class: "n" }, "wall"), make("th", { class: "n" }, "work"))),
    make("tbody", {}, ...step.phases.map((row) => make("tr", {}, make("td", {}, make("span", { class: "swatch", style: `background: var(--${groupOfName(row.name)})` }), row.name),
      make("td", { class: "n" }, row.wall ? time(row.wall) : ""), make("td", { class: "n" }, row.work ? time(row.work) : "")))));
  const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: closeDrawer }, "×");
  drawer.replaceChildren(close, make("h3", {}, step.text), facts, ...insideOf(id), step.phases.length ? phases : "", ...(extra.log.length ? [make("h4", {}, "Last output"), make("pre", {}, extra.log.join("\n"))] : []));
  history.replaceState(null, "", `#step-${id}`);
  close.focus();
}
function closeDrawer() { byId("drawer").hidden = true; if (returnTo) returnTo.focus(); }

function drawRest() {
  const { changes, refused } = build.ranking;
  const box = byId("changes");
  box.replaceChildren();
  if (changes.length) box.append(make("table", {}, make("tbody", {}, ...changes.map((change) => make("tr", {}, make("td", { class: "n" }, `−${time(change.gain)}`), make("td", {}, ...prose(change.what)), make("td", { class: "n" }, `to ${time(change.wall)}`), make("td", { class: "soft" }, change.caveat))))));
  const note = refused ? `Not ranked: ${refused}.` : changes.length ? "" : "Nothing would gain 1 % or more.";
  if (note) box.append(make("p", { class: "soft" }, note));
  for (const [title, list] of [["Why steps missed the cache", build.misses ?? []], ["Advice", build.advice]]) {
    if (list.length) box.append(make("h2", {}, title), make("ul", {}, ...list.map((entry) => make("li", {},
      ...prose(entry.sentence ?? `${entry.gain ? `up to ${time(entry.gain)}: ` : ""}${entry.text} (${entry.caveat})`), entry.diff && entry.diff.length ? make("pre", {}, entry.diff.join("\n")) : null))));
  }
  const { bounds } = build;
  const rows = [["all steps in a row (T1)", time(bounds.work)], ["longest chain of needs (T∞)", time(bounds.span)], ["outside of steps", time(bounds.outside)],
    [`bound with ${bounds.slots ? `${bounds.slots} slots` : "unlimited slots"}`, time(bounds.least)], ["achieved", time(bounds.achieved)], ["steps at a time", bounds.parallelism.toFixed(2)]];
  if (bounds.cpu !== undefined) rows.push(["CPU time", `${time(bounds.cpu)}${bounds.cpu_use === undefined ? "" : ` (${(bounds.cpu_use * 100).toFixed(0)} % of the processors)`}`]);
  if (build.others) rows.push(["CPU time of other programs", `${time(build.others.cpu)} (${(build.others.share * 100).toFixed(0)} % of the processors)`]);
  byId("bounds").replaceChildren(make("table", {}, make("tbody", {}, ...rows.map(([name, value]) => make("tr", {}, make("td", {}, name), make("td", { class: "n" }, value))))));
  const missing = byId("missing");
  missing.replaceChildren();
  if (build.notes?.length) missing.append(make("h2", {}, "Notes"), make("ul", {}, ...build.notes.map((note) => make("li", {}, note))));
  if (build.bases?.length) missing.append(make("h2", {}, "What steps read of the base images"), make("ul", {}, ...build.bases.map((base) => make("li", {}, base.sentence))));
  if (build.missing.length) missing.append(make("h2", {}, `What ${build.source.tool} does not record`), make("ul", {}, ...build.missing.map((lack) => make("li", {}, lack))));
}

function setTheme(dark) {
  document.documentElement.classList.toggle("dark", dark);
  readPalette();
  draw();
}

(function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.documentElement.classList.toggle("dark", dark.matches);
  readPalette();
  dark.addEventListener("change", (event) => setTheme(event.matches));
  byId("theme").addEventListener("click", () => setTheme(!document.documentElement.classList.contains("dark")));
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !byId("drawer").hidden) closeDrawer(); });
  drawHead(); drawShares(); layOut(); watchTimeline(); drawLevels(); drawWhatIf(); drawTreemap(); drawSteps(); drawRest();
  const linked = /^#step-(\d+)$/.exec(location.hash);
  if (linked && build.steps[Number(linked[1])]) select(Number(linked[1]));
  document.documentElement.dataset.ready = "yes";
})();
