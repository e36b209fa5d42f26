// The what-if: controls over the predictions that the explanation has computed for each of their positions.

/** The prediction for positions of the controls, in nanoseconds. */
function predicted({ speeds, policy, slots, processors }) {
  const { table } = data.whatif;
  const speed = speeds.reduce((at, position) => at * table.percents.length + position, 0);
  const at = ((speed * table.policies.length + policy) * table.slots.length + slots) * table.processors.length + processors;
  return table.walls[at];
}

function drawWhatIf() {
  const box = byId("whatif"), { table, refused } = data.whatif;
  if (!table) return box.replaceChildren(make("p", { class: "soft" }, refused));
  const unchanged = table.percents.indexOf(100);
  const state = { speeds: table.groups.map(() => unchanged), policy: 0, slots: table.recorded_slots, processors: table.recorded_processors };
  const rows = make("div");
  /** A slider over a list of values. */
  const slider = (name, values, start, show, change) => {
    const output = make("output", {}, show(values[start]));
    const input = make("input", { type: "range", min: 0, max: values.length - 1, step: 1, value: start, "aria-label": name, "aria-valuetext": show(values[start]) });
    const say = (position) => { output.textContent = show(values[position]); input.setAttribute("aria-valuetext", show(values[position])); };
    input.addEventListener("input", () => { say(Number(input.value)); change(Number(input.value)); update(); });
    rows.append(make("label", { class: "row" }, make("span", {}, name), input, output));
  };
  const policy = make("select", { "aria-label": "Policy" }, ...table.policies.map((name) => make("option", {}, name ?? "as recorded")));
  policy.addEventListener("change", () => { state.policy = policy.selectedIndex; update(); });
  rows.append(make("label", { class: "row" }, make("span", {}, "policy"), policy, make("output", {}, build.options.policy ?? "")));
  slider("slots", table.slots, table.recorded_slots, (value) => (value ? String(value) : "no limit"), (position) => { state.slots = position; });
  if (table.processors.length > 1) {
    slider("processors", table.processors, table.recorded_processors, String, (position) => { state.processors = position; });
  }
  table.groups.forEach((group, index) => {
    slider(group, table.percents, unchanged, (percent) => `${percent} %`, (position) => { state.speeds[index] = position; });
  });
  const strong = make("strong"), note = make("div", { class: "soft" });
  const verdict = make("div", { class: "verdict", "aria-live": "polite" }, strong, note);
  const update = () => {
    const prediction = predicted(state);
    const ratio = prediction ? build.wall / prediction : Infinity;
    strong.textContent = time(prediction);
    const change = Math.abs(ratio - 1) < 0.005 ? "As" : ratio > 1 ? `${ratio.toFixed(2)}x faster than` : `${(1 / ratio).toFixed(2)}x slower than`;
    note.textContent = `${change} measured (${time(build.wall)}). ` +
      `${table.drift > 0.05 ? `The replay cannot reproduce the recorded build: it is ${(table.drift * 100).toFixed(1)} % off. Do not believe this. ` : ""}Steps share disks and memory too, which is not modelled.`;
    verdict.dataset.predicted = Math.round(prediction);
  };
  box.replaceChildren(rows, verdict);
  update();
}
