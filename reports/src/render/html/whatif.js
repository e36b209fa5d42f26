// The replay in the page: the same simulation as `buildscope whatif` (slots, locks, processors shared max-min fairly, a kernel that makes one sandbox at a time).

/** Runs the model under a scenario; gives the wall time in nanoseconds. */
function replay({ slots, cpus, policy, speed }) {
  const model = data.model;
  const faster = (phase, length) => { const factor = speed[groupOf(phase)]; return factor === undefined ? length : length * factor; };
  const sum = (parts) => parts.reduce((total, [phase, length]) => total + faster(phase, length), 0);
  const needs = model.tasks.map((task) => [...needsUnder(task, policy)]);
  if (policy && policy !== "as it was") addOrder(model, needs, policy);
  if (policy === "serial") slots = 1;
  const count = needs.map((list) => list.length), dependents = needs.map(() => []);
  needs.forEach((list, task) => list.forEach((need) => dependents[need].push(task)));
  let now = sum(model.head), used = 0;
  const heights = model.chains ? heightsOf(dependents, [...count]) : null;
  const ready = [], held = new Set();
  let active = [], waiting = [];
  const settle = (met) => {
    while (met.length) {
      const task = met.pop();
      if (model.tasks[task].runs) ready.push({ at: now, task }); else meet(task, met);
    }
  };
  const meet = (task, met) => dependents[task].forEach((next) => { if (--count[next] === 0) met.push(next); });
  const take = (item) => { item.holds = true; model.tasks[item.task].locks.forEach((lock) => held.add(lock)); };
  const release = (item) => {
    if (item.holds) model.tasks[item.task].locks.forEach((lock) => held.delete(lock));
    item.holds = false;
  };
  const proceed = (item) => {
    const task = model.tasks[item.task], next = item.stretch + 1;
    if (item.stretch >= 0 && task.stretches[item.stretch][5]) release(item);
    if (next >= task.stretches.length) {
      if (task.slot) used--;
      release(item);
      const met = []; meet(item.task, met); return settle(met);
    }
    const [length, demand, phase, locks, kernel, , hops] = task.stretches[next];
    Object.assign(item, { stretch: next, left: faster(phase, hopping(model, cpus, length, hops)), demand, kernel });
    if (locks && task.locks.some((lock) => held.has(lock))) return void waiting.push(item);
    if (locks) take(item);
    active.push(item);
  };
  settle(count.map((left, task) => (left === 0 ? task : -1)).filter((task) => task >= 0));
  for (;;) {
    if (heights) ready.sort((a, b) => heights[b.task] - heights[a.task] || a.task - b.task);
    else ready.sort((a, b) => a.at - b.at || model.tasks[a.task].began - model.tasks[b.task].began || a.task - b.task);
    for (let place = 0; place < ready.length;) {
      const { task } = ready[place], slot = model.tasks[task].slot;
      if (slot && slots && used >= slots) { place++; continue; }
      if (slot) used++;
      ready.splice(place, 1);
      active.push({ task, stretch: -1, left: model.tasks[task].lag, demand: 0 });
    }
    if (!active.length) break;
    const total = active.reduce((all, item) => all + item.demand, 0);
    const share = cpus && total > cpus ? fairShare(active, cpus) : Infinity;
    const inKernel = active.filter((item) => item.kernel).length;
    const pace = (item) => (item.kernel ? 1 / inKernel : item.demand > share ? share / item.demand : 1);
    const step = active.reduce((least, item) => Math.min(least, item.left / pace(item)), Infinity);
    now += step;
    const ended = [], going = [];
    for (const item of active) { item.left -= step * pace(item); (item.left <= 0.01 ? ended : going).push(item); }
    active = going;
    ended.forEach(proceed);
    if (model.chains) waiting.sort((a, b) => a.task - b.task);
    for (let place = 0; place < waiting.length;) {
      const locks = model.tasks[waiting[place].task].locks;
      if (locks.some((lock) => held.has(lock))) { place++; continue; }
      take(waiting[place]);
      active.push(...waiting.splice(place, 1));
    }
  }
  return Math.max(now + sum(model.tail), leastOf(model, cpus, faster, sum));
}

/** On a single processor no process lands on another one than its parent's. */
function hopping(model, cpus, length, hops) {
  return cpus && cpus <= 1 && model.cpus > 1 ? length * (1 - hops) : length;
}

/** The build cannot be shorter than its CPU time on its processors. */
function leastOf(model, cpus, faster, sum) {
  if (!cpus || !(model.unplaced || model.own_demand)) return 0;
  const own = [...model.head, ...model.tail];
  let placed = sum(own.filter(([phase]) => model.busy.includes(phase))) * model.own_demand, lengths = sum(own);
  for (const task of model.tasks) for (const [measured, demand, phase, , , , hops] of task.stretches) {
    const length = hopping(model, cpus, measured, hops);
    lengths += faster(phase, length);
    placed += faster(phase, length) * demand;
  }
  return (placed + model.unplaced * Math.min(1, lengths / model.extent)) / cpus;
}

/** The number of tasks on the longest chain from each one on: who has it goes first. */
function heightsOf(dependents, count) {
  const order = count.map((left, task) => (left === 0 ? task : -1)).filter((task) => task >= 0);
  for (let place = 0; place < order.length; place++) for (const next of dependents[order[place]]) if (--count[next] === 0) order.push(next);
  const heights = dependents.map(() => 1);
  for (const task of order.reverse()) heights[task] = 1 + dependents[task].reduce((most, next) => Math.max(most, heights[next]), 0);
  return heights;
}

function fairShare(active, cpus) {
  const demands = active.map((item) => item.demand).filter((demand) => demand > 0).sort((a, b) => a - b);
  let left = cpus, count = demands.length;
  for (const demand of demands) { if (demand >= left / count) return left / count; left -= demand; count--; }
  return Infinity;
}

/** The needs that stay under a policy: what the record's own policy added goes. */
function* needsUnder(task, policy) {
  for (const [need, order] of task.needs) if (!order || !policy || policy === "as it was" || task.stage === null) yield need;
}

function addOrder(model, needs, policy) {
  const staged = model.tasks.map((task, place) => ({ task, place })).filter(({ task }) => task.stage !== null && task.runs);
  const add = (from, to) => { if (from < to && !needs[to].includes(from)) needs[to].push(from); };
  if (policy === "serial") for (let place = 1; place < staged.length; place++) add(staged[place - 1].place, staged[place].place);
  if (policy === "stages") {
    const first = new Map(), last = new Map();
    for (const { task, place } of staged) { if (!first.has(task.stage)) first.set(task.stage, place); last.set(task.stage, place); }
    for (const { task, place } of staged) for (const need of [...needs[place]]) {
      const stage = model.tasks[need].stage;
      if (stage !== null && stage !== task.stage && last.has(stage)) add(last.get(stage), first.get(task.stage));
    }
  }
}

function drawWhatIf() {
  const box = byId("whatif"), model = data.model;
  if (!model.tasks.some((task) => task.runs)) return box.replaceChildren(make("p", { class: "soft" }, "The record has no steps with times."));
  const base = replay({ slots: model.slots, cpus: model.cpus, policy: "as it was", speed: {} });
  const drift = Math.abs(base - build.wall) / wall;
  const widest = Math.max(4, Math.min(32, model.tasks.filter((task) => task.slot).length), model.slots || 0);
  const state = { slots: model.slots || 0, cpus: model.cpus, policy: "as it was", speed: {} };
  const rows = make("div");
  const number = (name, low, high, value, show, change) => {
    const output = make("output", {}, show(value));
    const input = make("input", { type: "range", min: low, max: high, step: 1, value, "aria-label": name });
    input.addEventListener("input", () => { change(Number(input.value)); output.textContent = show(Number(input.value)); update(); });
    rows.append(make("label", { class: "row" }, make("span", {}, name), input, output));
  };
  const policy = make("select", { "aria-label": "Policy" }, ...["as it was", "serial", "stages", "instructions"].map((name) => make("option", {}, name)));
  policy.addEventListener("change", () => { state.policy = policy.value; update(); });
  rows.append(make("label", { class: "row" }, make("span", {}, "policy"), policy, make("output", {}, build.options.policy ?? "")));
  number("slots", 0, widest, model.slots || 0, (value) => (value ? String(value) : "no limit"), (value) => { state.slots = value || null; });
  if (model.cpus && model.tasks.some((task) => task.stretches.some((stretch) => stretch[1] > 0))) {
    number("processors", 1, Math.max(8, model.cpus * 4), model.cpus, String, (value) => { state.cpus = value; });
  }
  for (const group of ["storage", "execution", "transfer", "scheduling"]) {
    number(group, 0, 200, 100, (value) => `${value} %`, (value) => { state.speed[group] = value / 100; });
  }
  const strong = make("strong"), note = make("div", { class: "soft" });
  const verdict = make("div", { class: "verdict", "aria-live": "polite" }, strong, note);
  const update = () => {
    const begin = performance.now();
    // The model's own difference: its drift is not counted as a gain.
    const predicted = Math.max(0, build.wall + replay(state) - base);
    const ratio = predicted ? build.wall / predicted : Infinity;
    strong.textContent = time(predicted);
    const change = Math.abs(ratio - 1) < 0.005 ? "As" : ratio > 1 ? `${ratio.toFixed(2)}x faster than` : `${(1 / ratio).toFixed(2)}x slower than`;
    note.textContent = `${change} measured (${time(build.wall)}). ` +
      `The replay of the build as it was is ${(drift * 100).toFixed(1)} % off${drift > 0.05 ? ": do not believe this" : ""}. Steps share disks and memory too, which is not modelled.`;
    verdict.dataset.milliseconds = (performance.now() - begin).toFixed(1);
    verdict.dataset.predicted = Math.round(predicted);
  };
  box.replaceChildren(rows, verdict);
  update();
}
