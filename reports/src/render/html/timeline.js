// The timeline: bars by stage or slot on a canvas. Only visible bars are drawn, so that thousands of steps stay smooth.
const timeline = {
  canvas: byId("timeline"), from: 0, to: wall, rows: [], selected: null, hover: null, rowHeight: 20, top: 24, left: 130,
  bars: [], pending: false,
};

/** Rows of the chosen kind: each step on the first row of its stage (or its slot) that is free when it starts. */
function layOut() {
  const bySlot = byId("rows").value === "slot";
  const steps = build.steps.filter((step) => step.start !== undefined).sort((a, b) => a.start - b.start || a.id - b.id);
  const groups = new Map();
  if (!bySlot) for (const step of build.steps) if (step.start !== undefined) groups.set(step.stage ?? "", []);
  for (const step of steps) {
    const slot = data.extras[step.id].slot;
    const key = bySlot ? (slot === null || slot === undefined ? "" : `slot ${slot}`) : step.stage ?? "";
    if (!groups.has(key)) groups.set(key, []);
    const lanes = groups.get(key);
    const end = step.start + step.duration;
    let lane = lanes.find((lane) => lane.end <= step.start);
    if (!lane) { lane = { end: 0, bars: [] }; lanes.push(lane); }
    lane.end = Math.max(end, step.start + 1);
    lane.bars.push({ step, start: step.start, end, spans: [] });
  }
  timeline.rows = [];
  const own = data.spans.filter((span) => span[0] === null).sort((a, b) => a[2] - b[2]);
  if (own.length) timeline.rows.push({ name: "build", first: true, bars: [{ step: null, start: 0, end: wall, spans: own }] });
  const names = [...groups.keys()];
  if (bySlot) names.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  for (const name of names) groups.get(name).forEach((lane, number) => timeline.rows.push({ name: name || "builder", first: number === 0, bars: lane.bars }));
  timeline.bars = [];
  const barOf = new Map();
  timeline.rows.forEach((row, index) => row.bars.forEach((bar) => { bar.row = index; timeline.bars.push(bar); if (bar.step) barOf.set(bar.step.id, bar); }));
  timeline.barOf = barOf;
  for (const span of data.spans) if (span[0] !== null && barOf.has(span[0])) barOf.get(span[0]).spans.push(span);
  for (const bar of barOf.values()) bar.spans.sort((a, b) => a[2] - b[2] || b[3] - a[3]);
  resize();
}

function resize() {
  const { canvas } = timeline;
  const ratio = devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth;
  const height = timeline.top + timeline.rows.length * timeline.rowHeight + 6;
  // A canvas has a maximum size (16,384 pixels in every browser). Beyond it, rows become flatter.
  if (height * ratio > 16000) { timeline.rowHeight = Math.max(1, (16000 / ratio - 30) / timeline.rows.length); return resize(); }
  timeline.left = width < 700 ? 70 : 130;
  canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = `${height}px`;
  timeline.width = width; timeline.height = height; timeline.ratio = ratio;
  placeLevels();
  draw();
}

const xOf = (at) => timeline.left + ((at - timeline.from) / (timeline.to - timeline.from)) * (timeline.width - timeline.left);
const timeOf = (x) => timeline.from + ((x - timeline.left) / (timeline.width - timeline.left)) * (timeline.to - timeline.from);
const yOf = (row) => timeline.top + row * timeline.rowHeight;

function draw() {
  if (timeline.pending) return;
  timeline.pending = true;
  requestAnimationFrame(() => { timeline.pending = false; paint(); });
}

/** The first of a row's bars (sorted, not overlapping) that may be visible. */
function firstVisible(bars) {
  let low = 0, high = bars.length;
  while (low < high) { const middle = (low + high) >> 1; if (bars[middle].end < timeline.from) low = middle + 1; else high = middle; }
  return low;
}

function paint(print = matchMedia("print").matches) {
  const { canvas, rowHeight, ratio } = timeline;
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, timeline.width, timeline.height);
  const box = canvas.parentElement;
  const [above, below] = print ? [0, timeline.height] : [box.scrollTop - 40, box.scrollTop + box.clientHeight + 40];
  g.font = "12px system-ui, sans-serif"; g.textBaseline = "middle";
  ticks(g);
  timeline.rows.forEach((row, index) => {
    const y = yOf(index);
    if (y + rowHeight < above || y > below) return;
    if (row.first && rowHeight > 8) {
      g.fillStyle = palette.line; g.fillRect(0, y, timeline.width, 0.5);
      g.fillStyle = palette.soft; g.save(); g.beginPath(); g.rect(0, y, timeline.left - 8, rowHeight); g.clip(); g.fillText(row.name, 6, y + rowHeight / 2); g.restore();
    }
    for (let at = firstVisible(row.bars); at < row.bars.length && row.bars[at].start <= timeline.to; at++) bar(g, row.bars[at], y);
  });
  if (byId("show-path").checked) drawPath(g);
  if (byId("show-edges").checked && timeline.selected !== null) drawEdges(g, timeline.selected);
  alignLevels();
}

function ticks(g) {
  g.textAlign = "left";
  for (const at of instants(timeline.from, timeline.to, (timeline.width - timeline.left) / 110)) {
    const x = xOf(at);
    g.fillStyle = palette.line; g.fillRect(x, timeline.top - 6, 1, timeline.height);
    g.fillStyle = palette.soft;
    // The last label is on the other side of its line where it would be cut.
    const label = time(at), cut = x + 3 + g.measureText(label).width > timeline.width;
    g.textAlign = cut ? "right" : "left"; g.fillText(label, cut ? x - 3 : x + 3, 10);
  }
  g.textAlign = "left";
}

function bar(g, item, y) {
  const { rowHeight } = timeline;
  const left = Math.max(timeline.left, xOf(item.start)), right = Math.min(timeline.width, Math.max(xOf(item.end), xOf(item.start) + 1));
  if (right <= left) return;
  const height = Math.max(1, rowHeight - 4), top = y + (rowHeight > 6 ? 2 : 0);
  const step = item.step;
  if (step) {
    g.fillStyle = step.outcome === "cached" || step.outcome === "joined" ? palette.cached : palette.blocked;
    g.fillRect(left, top, right - left, height);
  }
  if (right - left > 2 || !step) {
    for (const span of item.spans) {
      const a = Math.max(timeline.left, xOf(span[2])), b = Math.min(timeline.width, xOf(span[3]));
      if (b - a < 0.3 || b <= timeline.left) continue;
      g.fillStyle = palette[groupOf(span[1])];
      g.fillRect(a, top, Math.max(b - a, 0.6), height);
    }
  } else { g.fillStyle = palette[item.spans.length ? groupOf(item.spans[0][1]) : "unattributed"]; g.fillRect(left, top, right - left, height); }
  if (!step) return;
  if (step.outcome === "failed") { g.strokeStyle = palette.unattributed; g.lineWidth = 2; g.strokeRect(left + 1, top + 1, Math.max(1, right - left - 2), height - 2); }
  if (timeline.selected === step.id || timeline.hover === step.id) { g.strokeStyle = palette.face; g.lineWidth = 2; g.strokeRect(left, top, right - left, height); }
  if (right - left > 46 && rowHeight > 12) {
    g.save(); g.beginPath(); g.rect(left, top, right - left, height); g.clip();
    g.fillStyle = step.outcome === "cached" ? palette.face : palette.back; g.fillText(step.text, left + 5, y + rowHeight / 2); g.restore();
  }
}

function drawPath(g) {
  g.strokeStyle = palette.path; g.lineWidth = 2; g.lineJoin = "round"; g.beginPath();
  let before = null;
  g.save(); g.beginPath(); g.rect(timeline.left, 0, timeline.width, timeline.height); g.clip(); g.beginPath();
  for (const leg of build.path) {
    const item = timeline.barOf.get(leg.step);
    if (!item) continue;
    const y = yOf(item.row) + timeline.rowHeight - 2;
    if (before === null) g.moveTo(xOf(leg.start), y); else { g.lineTo(xOf(leg.start), before); g.lineTo(xOf(leg.start), y); }
    g.lineTo(xOf(leg.end), y);
    before = y;
  }
  g.stroke(); g.restore();
}

function drawEdges(g, id) {
  g.save(); g.beginPath(); g.rect(timeline.left, 0, timeline.width, timeline.height); g.clip();
  for (const [from, to, order] of data.edges) {
    if (from !== id && to !== id) continue;
    const a = timeline.barOf.get(from), b = timeline.barOf.get(to);
    if (!a || !b) continue;
    g.setLineDash(order ? [4, 3] : []); g.strokeStyle = palette.face; g.lineWidth = 1; g.beginPath();
    const x1 = xOf(a.end), y1 = yOf(a.row) + timeline.rowHeight / 2, x2 = xOf(b.start), y2 = yOf(b.row) + timeline.rowHeight / 2;
    g.moveTo(x1, y1); g.bezierCurveTo(x1 + 30, y1, x2 - 30, y2, x2, y2); g.stroke();
  }
  g.restore();
}

function zoom(factor, around = (timeline.from + timeline.to) / 2) {
  const span = Math.min(wall, Math.max(1000, (timeline.to - timeline.from) * factor));
  const share = (around - timeline.from) / (timeline.to - timeline.from);
  move(around - span * share, span);
}
function move(from, span = timeline.to - timeline.from) {
  timeline.from = Math.max(0, Math.min(from, wall - span));
  timeline.to = timeline.from + span;
  draw();
}

function hit(event) {
  const box = timeline.canvas.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  const row = timeline.rows[Math.floor((y - timeline.top) / timeline.rowHeight)];
  if (!row || x < timeline.left) return null;
  const at = timeOf(x), slack = (timeline.to - timeline.from) / (timeline.width - timeline.left) * 2;
  const bars = row.bars.filter((bar) => bar.start - slack <= at && at <= bar.end + slack);
  return bars.length ? { bar: bars[bars.length - 1], at } : null;
}

function watchTimeline() {
  const { canvas } = timeline;
  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    if (event.shiftKey) return;
    if (!event.ctrlKey && !event.metaKey && canvas.parentElement.scrollHeight > canvas.parentElement.clientHeight + 1 && Math.abs(event.deltaY) > Math.abs(event.deltaX) && !event.altKey && event.clientX - canvas.getBoundingClientRect().left < timeline.left) return;
    event.preventDefault();
    const around = timeOf(event.clientX - canvas.getBoundingClientRect().left);
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(timeline.from + (event.deltaX / timeline.width) * (timeline.to - timeline.from));
    else zoom(Math.exp(event.deltaY / 400), around);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => { drag = { x: event.clientX, from: timeline.from, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && event.buttons) {
      const by = event.clientX - drag.x;
      if (Math.abs(by) > 3) drag.moved = true;
      if (drag.moved) { move(drag.from - (by / (timeline.width - timeline.left)) * (timeline.to - timeline.from)); hideTip(); }
      return;
    }
    const found = hit(event);
    const id = found && found.bar.step ? found.bar.step.id : null;
    if (timeline.hover !== id) { timeline.hover = id; draw(); }
    if (!found) return hideTip();
    const inside = found.bar.spans.filter((span) => span[2] <= found.at && found.at <= span[3]).pop();
    const phase = inside ? `${data.phases[inside[1]][0]}${inside[4] ? ` (${inside[4]})` : ""}: ${time(inside[3] - inside[2])}` : "";
    const step = found.bar.step;
    showTip(event, step ? `${step.text}\n${time(step.duration)}${step.drag ? `, drag ${time(step.drag)}` : ""}\n${phase}` : `the build's own work\n${phase}`);
  });
  canvas.addEventListener("pointerup", (event) => { const found = drag && !drag.moved ? hit(event) : null; drag = null; if (found && found.bar.step) select(found.bar.step.id); });
  canvas.addEventListener("pointerleave", () => { timeline.hover = null; hideTip(); draw(); });
  canvas.addEventListener("keydown", (event) => {
    const span = timeline.to - timeline.from;
    const order = build.steps.filter((step) => step.start !== undefined).sort((a, b) => a.start - b.start || a.id - b.id);
    const here = order.findIndex((step) => step.id === timeline.selected);
    const keys = {
      ArrowLeft: () => move(timeline.from - span / 10), ArrowRight: () => move(timeline.from + span / 10),
      "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7), "0": () => move(0, wall),
      ArrowDown: () => order.length && mark(order[Math.min(here + 1, order.length - 1)].id),
      ArrowUp: () => order.length && mark(order[Math.max(here - 1, 0)].id),
      Enter: () => timeline.selected !== null && select(timeline.selected),
    };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  canvas.parentElement.addEventListener("scroll", draw);
  addEventListener("resize", resize);
  // Paper is always light. The canvas is drawn again in the colours of that style.
  const screenOnly = { dark: false };
  addEventListener("beforeprint", () => { const root = document.documentElement.classList; screenOnly.dark = root.contains("dark"); root.remove("dark"); readPalette(); paint(true); });
  addEventListener("afterprint", () => { document.documentElement.classList.toggle("dark", screenOnly.dark); readPalette(); paint(); });
  byId("rows").addEventListener("change", layOut);
  byId("show-path").addEventListener("change", draw);
  byId("show-edges").addEventListener("change", draw);
  byId("zoom-in").addEventListener("click", () => zoom(0.6));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 0.6));
  byId("zoom-all").addEventListener("click", () => move(0, wall));
}

/** Marks a step and scrolls it into view. */
function mark(id) {
  timeline.selected = id;
  const item = timeline.barOf.get(id);
  if (item) {
    const box = timeline.canvas.parentElement, y = yOf(item.row);
    if (y < box.scrollTop + timeline.top || y > box.scrollTop + box.clientHeight - timeline.rowHeight) box.scrollTop = y - box.clientHeight / 2;
    if (item.end < timeline.from || item.start > timeline.to) move((item.start + item.end) / 2 - (timeline.to - timeline.from) / 2);
  }
  draw();
}
