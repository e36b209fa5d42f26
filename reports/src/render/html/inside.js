// Inside a step: its commands, its processes as lanes coloured by what they did, and their flame graph.
const STATES = {
  c: ["on a processor", "execution"], r: ["waiting for a processor", "ready"], d: ["disk", "storage"], n: ["network", "transfer"],
  w: ["waiting for a child", "child"], l: ["lock or pipe", "lock"], s: ["sleep", "sleep"], u: ["unknown wait", "unattributed"],
};

/** What a command's time went on: pairs of letter and time, largest first. */
function spentOf(row) {
  const blocked = row.spent.blocked || {};
  const parts = [["c", row.spent.processor], ["r", row.spent.runnable], ["d", blocked.disk], ["n", blocked.network], ["l", blocked.lock], ["s", blocked.sleep], ["u", blocked.unknown]];
  return parts.filter(([, part]) => part).sort((a, b) => b[1] - a[1]);
}

function heat(row) {
  const bar = make("span", { class: "heat", role: "img", "aria-label": spentOf(row).map(([state, part]) => `${STATES[state][0]} ${percent(part, row.wall)}`).join(", ") });
  for (const [state, part] of spentOf(row)) {
    bar.append(make("span", { style: `flex: ${part}; background: var(--${STATES[state][1]})`, onpointermove: (event) => showTip(event, `${STATES[state][0]}: ${time(part)}`), onpointerleave: hideTip }));
  }
  return bar;
}

/** What known tools did for a command, the longest first. */
function phasesOf(row) {
  const done = (row.activities || []).filter((phase) => phase.activity !== "plan" && phase.wall).sort((a, b) => b.wall - a.wall);
  const name = (phase) => phase.activity === "scripts" ? "package scripts" : phase.activity;
  const waits = (phase) => phase.network ? `, waiting for the network ${time(phase.network)}` : "";
  return done.map((phase) => `${name(phase)} ${time(phase.wall)}${phase.count > 1 ? ` ×${phase.count}` : ""}${waits(phase)}`).join("; ");
}

/** The processors that a command used. The processes of a background job run while other commands have the wall time: then it is not known. */
function processorsOf(row) {
  const used = row.cpu / row.wall;
  return used > (build.host.cpus || Infinity) ? "" : used.toFixed(2);
}

/** A command as a row of the table, and what is within it as rows below it. */
function commandRows(row, inside, depth) {
  if (!row.wall) return [];
  const place = row.source ? `line ${row.source.line}, column ${row.source.column}` : "";
  const exit = row.exit ? `, exit code ${row.exit}` : "";
  const cells = make("tr", {},
    make("td", { class: "text", title: place + exit, style: `padding-left: ${depth * 1.2}em` }, row.text, heat(row), ...(depth < 2 && phasesOf(row) ? [make("small", {}, phasesOf(row))] : [])),
    make("td", { class: "n" }, time(row.wall)), make("td", { class: "n" }, percent(row.wall, inside.wall)),
    make("td", { class: "n" }, processorsOf(row)));
  return [cells, ...(row.inner || []).flatMap((inner) => commandRows(inner, inside, depth + 1))];
}

/** The commands of a step as a table, and its processes below it; an empty list where none were observed. */
function insideOf(id) {
  const { inside } = build.steps[id];
  if (!inside) return [];
  const rows = inside.rows.flatMap((row) => commandRows(row, inside, 0));
  const head = make("thead", {}, make("tr", {}, make("th", {}, "command"), make("th", { class: "n" }, "wall"), make("th", { class: "n" }, ""), make("th", { class: "n" }, "processors")));
  const counted = { 0: "no process was seen", 1: "1 process" }[inside.processes] ?? `${inside.processes} processes`;
  const within = inside.resolution ? ` (times within ${time(inside.resolution)})` : "";
  const about = `Inside: ${({ events: counted, sampled: `${counted}, sampled${within}`, inferred: "inferred from its output" })[inside.observed]}`;
  const unseen = (inside.unseen || []).map((text) => make("p", { class: "unseen" }, `not seen: ${text}`));
  return [make("h4", {}, about), legendOfStates(), make("table", { class: "inside" }, head, make("tbody", {}, ...rows)), ...lanesOf(id), ...flameOf(id), ...unseen];
}

function lanesOf(id) {
  const seen = data.processes[id];
  if (!seen || !seen.list.length) return [];
  const { start, end, of, list } = seen, top = 18, height = 14, width = drawingWidth(), span = Math.max(1, end - start);
  const x = (at) => ((Math.min(Math.max(at, start), end) - start) / span) * width;
  const lanes = Math.max(...list.map((process) => process[0])) + 1;
  const bottom = top + lanes * height;
  const drawing = make("svg", { class: "lanes", viewBox: `0 0 ${width} ${bottom}`, role: "application", "aria-label": `${list.length} processes over time. Arrow keys choose one.` });
  // The axis: time since the start of the step's processes.
  for (const at of instants(0, span, width / 90)) {
    const place = x(start + at), before = place + 55 > width;
    drawing.append(make("line", { x1: place, x2: place, y1: 0, y2: bottom }),
      make("text", { x: before ? place - 3 : place + 3, y: 11, class: "axis", "text-anchor": before ? "end" : "start" }, at ? time(at) : "0"));
  }
  const boxes = [];
  for (const [lane, from, to, program, words, every, states] of list) {
    const text = `${words || program}\n${time(to - from)}, from ${time(from - start)}`;
    const box = make("g", { onpointermove: (event) => showTip(event, text), onpointerleave: hideTip });
    boxes.push({ item: boxes.length, row: lane, from, to, text, box });
    const runs = states.match(/(.)\1*/g) || ["c"];
    let at = from;
    for (const run of runs) {
      const until = every ? Math.min(to, at + run.length * every) : to;
      box.append(make("rect", { x: x(at), y: top + lane * height + 1, width: Math.max(0.5, x(until) - x(at)), height: height - 2, style: `fill: var(--${STATES[run[0]][1]})` }));
      at = until;
    }
    if (x(to) - x(from) > 40) {
      const label = make("text", { x: x(from) + 3, y: top + lane * height + height - 4 });
      label.append(program.slice(0, Math.floor((x(to) - x(from)) / 5.5)));
      box.append(label);
    }
    drawing.append(box);
  }
  const rest = of > list.length ? [make("p", { class: "unseen" }, `drawn: the ${list.length} longest of ${of} programs that ran`)] : [];
  return [make("h4", {}, `Its processes over ${time(span)}`), drawing, choiceOf(drawing, () => boxes), ...rest];
}

/** The colours of what a process did, for the bars of the commands and the processes. */
function legendOfStates() {
  const legend = make("p", { class: "legend" });
  for (const [name, colour] of Object.values(STATES)) legend.append(make("span", {}, make("span", { class: "swatch", style: `background: var(--${colour})` }), name));
  return legend;
}

/** The letter of the state that a frame of the flame graph is. */
const FRAMES = { "[on a processor]": "c", "[waiting for a processor]": "r", "[disk]": "d", "[network]": "n", "[lock or pipe]": "l", "[sleep]": "s", "[unknown wait]": "u" };

/** Programs below those that started them, functions below programs, as wide as their time. A click on a frame makes it as wide as all. */
function flameOf(id) {
  const frames = data.flames[id];
  if (!frames || !frames.length) return [];
  const height = 14, width = drawingWidth(), whole = Math.max(...frames.map(([, at, length]) => at + length));
  const depth = Math.max(...frames.map((frame) => frame[0])) + 1;
  const drawing = make("svg", { class: "flame", viewBox: `0 0 ${width} ${depth * height}`, role: "application", "aria-label": `Flame graph of ${frames.length} frames. Arrow keys choose one, Enter makes it as wide as all.` });
  let boxes = [], shown = null;
  const draw = (from, until) => {
    shown = [from, until];
    const x = (at) => ((Math.min(Math.max(at, from), until) - from) / (until - from)) * width;
    boxes = frames.filter(([, at, length]) => at < until && at + length > from).map((frame) => {
      const [level, at, length, name] = frame;
      const left = x(at), wide = x(at + length) - left, state = FRAMES[name];
      const text = `${name}\n${time(length * 1000)}, ${percent(length, whole)}`;
      const box = make("g", { onpointermove: (event) => showTip(event, text), onpointerleave: hideTip });
      box.append(make("rect", { x: left, y: level * height + 0.5, width: Math.max(0.5, wide - 0.5), height: height - 1, style: `fill: var(--${state ? STATES[state][1] : "line"})` }));
      if (wide > 40) {
        const label = make("text", { x: left + 3, y: level * height + height - 4 });
        label.append(name.slice(0, Math.floor(wide / 5.5)));
        box.append(label);
      }
      return { item: frame, row: level, from: at, to: at + length, text, box };
    });
    drawing.replaceChildren(...boxes.map(({ box }) => box));
  };
  draw(0, whole);
  const zoom = ({ from, to }) => (from === shown[0] && to === shown[1] ? draw(0, whole) : draw(from, to));
  return [make("h4", {}, "Where the time of its processes went"), drawing, choiceOf(drawing, () => boxes, zoom)];
}

/** The width of a drawing in the opened panel. Its letters are then as large as they say. */
function drawingWidth() {
  const drawer = byId("drawer"), style = getComputedStyle(drawer);
  return Math.max(200, drawer.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
}

/** Lets clicks and keys choose a box of a drawing: arrows go along its row and to other rows, Enter and a click act on it. Returns the line that says
 *  which one is chosen. */
function choiceOf(drawing, boxes, act = () => {}) {
  const line = make("p", { class: "chosen", "aria-live": "polite" });
  let item = null;
  const show = () => {
    const chosen = boxes().find((box) => box.item === item);
    for (const { box } of boxes()) box.classList.toggle("chosen", box === chosen?.box);
    line.textContent = chosen ? chosen.text.replaceAll("\n", ": ") : "";
    chosen?.box.scrollIntoView({ block: "nearest" });
  };
  const use = (box) => { item = box.item; act(box); show(); };
  const apart = (one, other) => Math.max(0, one.from - other.to, other.from - one.to);
  const next = (key) => {
    const here = boxes().find((box) => box.item === item);
    if (!here) return boxes()[0];
    const along = boxes().filter((box) => box.row === here.row);
    const across = (by) => boxes().filter((box) => box.row === here.row + by).sort((a, b) => apart(a, here) - apart(b, here) || a.from - b.from)[0];
    if (key === "ArrowRight") return along.filter((box) => box.from >= here.to && box !== here).sort((a, b) => a.from - b.from)[0];
    if (key === "ArrowLeft") return along.filter((box) => box.to <= here.from && box !== here).sort((a, b) => b.from - a.from)[0];
    return across(key === "ArrowDown" ? 1 : -1);
  };
  drawing.setAttribute("tabindex", 0);
  drawing.addEventListener("click", (event) => {
    const clicked = boxes().find(({ box }) => box.contains(event.target));
    if (clicked) use(clicked);
  });
  drawing.addEventListener("keydown", (event) => {
    const here = boxes().find((box) => box.item === item);
    if (event.key.startsWith("Arrow")) item = (next(event.key) ?? here)?.item ?? null;
    else if (event.key === "Enter" && here) act(here);
    else return;
    event.preventDefault();
    show();
  });
  return line;
}
