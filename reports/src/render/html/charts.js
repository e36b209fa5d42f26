// Bars, numbers of steps over time, the treemap of layers.

function drawShares() {
  const bar = byId("wall-bar");
  bar.replaceChildren();
  const shares = build.accounts.groups.filter((row) => row.wall > 0);
  bar.setAttribute("aria-label", "Wall time: " + shares.map((row) => `${row.name} ${percent(row.wall, wall)}`).join(", "));
  for (const row of shares) {
    const part = make("span", { style: `flex: ${row.wall} 1 0; background: var(--${row.name})` });
    part.addEventListener("pointermove", (event) => showTip(event, `${row.name}: ${time(row.wall)} (${percent(row.wall, wall)})`));
    part.addEventListener("pointerleave", hideTip);
    bar.append(part);
  }
  const body = make("tbody");
  for (const row of build.accounts.groups) {
    const phases = build.accounts.phases.filter((phase) => phase.wall > 0 && phase.name !== "unattributed" && groupOfName(phase.name) === row.name);
    const mostly = phases.slice(0, 4).map((phase) => `${phase.name} ${time(phase.wall)}`).join(", ");
    body.append(make("tr", {},
      make("td", {}, make("span", { class: "swatch", style: `background: var(--${row.name})` }), row.name),
      make("td", { class: "n" }, time(row.wall)), make("td", { class: "n" }, percent(row.wall, wall)),
      make("td", { class: "n" }, row.name === "unattributed" ? "" : time(row.work)), make("td", { class: "soft" }, mostly)));
  }
  body.append(make("tr", {}, make("td", {}, make("b", {}, "total")), make("td", { class: "n" }, make("b", {}, time(build.wall))), make("td"), make("td"), make("td")));
  const head = make("tr", {}, make("th"), make("th", { class: "n" }, "wall"), make("th"), make("th", { class: "n" }, "work"), make("th", {}, "mostly"));
  byId("groups").replaceChildren(make("table", {}, make("thead", {}, head), body));
  const legend = byId("legend");
  legend.replaceChildren(...GROUPS.map((name) => make("span", {}, make("span", { class: "swatch", style: `background: var(--${name})` }), name)),
    make("span", {}, make("span", { class: "swatch", style: "background: var(--path); height: .25em; vertical-align: middle" }), "critical path"));
}

/** Active, ready, held and blocked steps as stacked areas. */
function drawLevels() {
  const { over_time: levels, mean } = build.parallelism;
  const box = byId("levels");
  if (!levels.length) return box.replaceChildren();
  const kinds = [["active", "execution"], ["ready", "ready"], ["held", "held"]];
  // Blocked steps are counted, but not drawn: in a large build they would hide the others.
  const most = Math.max(1, ...levels.map((level) => level.active + level.ready + level.held));
  const svg = make("svg", { id: "levels-chart", viewBox: "0 0 1000 100", preserveAspectRatio: "none" });
  const below = levels.map(() => 0);
  for (const [kind, colour] of kinds) {
    // The last interval may be shorter than the others.
    const x = (index) => (Math.min(wall, index * build.parallelism.interval) * 1000) / wall;
    let up = "", down = "";
    levels.forEach((level, index) => {
      const base = 100 - (below[index] / most) * 100;
      below[index] += level[kind];
      const top = 100 - (below[index] / most) * 100;
      up += `${index ? "L" : "M"}${x(index).toFixed(1)},${top.toFixed(2)}L${x(index + 1).toFixed(1)},${top.toFixed(2)}`;
      down = `L${x(index + 1).toFixed(1)},${base.toFixed(2)}L${x(index).toFixed(1)},${base.toFixed(2)}` + down;
    });
    svg.append(make("path", { d: `${up}${down}Z`, fill: `var(--${colour})` }));
  }
  const words = { active: "active", ready: build.bounds.slots ? "ready, no slot" : "ready, not started", held: "held by the policy only", blocked: "blocked by needs" };
  const key = [...kinds, ["blocked", "blocked"]].map(([kind, colour]) => make("span", {}, make("span", { class: "swatch", style: `background: var(--${colour})` }), `${words[kind]}: ${mean[kind].toFixed(2)} on average`));
  box.replaceChildren(svg, make("div", { class: "levels-key" }, ...key));
  placeLevels();
}

/** Puts the chart below the timeline's canvas. */
function placeLevels() {
  const chart = byId("levels-chart");
  if (!chart) return;
  const drawn = timeline.canvas.getBoundingClientRect(), box = byId("levels").getBoundingClientRect();
  chart.style.marginLeft = `${drawn.left - box.left + timeline.left}px`;
  chart.style.width = `${timeline.width - timeline.left}px`;
  alignLevels();
}

/** Shows the same time at the same place as the timeline above. */
function alignLevels() {
  const chart = byId("levels-chart");
  if (chart) chart.setAttribute("viewBox", `${(timeline.from * 1000) / wall} 0 ${((timeline.to - timeline.from) * 1000) / wall} 100`);
}

/** Squarified treemap (Bruls, Huizing, van Wijk 2000) of the layers' bytes. */
function drawTreemap() {
  const layers = build.steps.filter((step) => step.layer && step.layer.bytes > 0).sort((a, b) => b.layer.bytes - a.layer.bytes).slice(0, 200);
  const box = byId("treemap");
  if (!layers.length) return box.replaceChildren(make("p", { class: "soft" }, "The record says nothing of layers."));
  const width = Math.max(300, box.clientWidth), height = 220;
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "list", "aria-label": "Layers by size" });
  const total = layers.reduce((sum, step) => sum + step.layer.bytes, 0);
  const stages = [...new Set(build.steps.map((step) => step.stage ?? ""))];
  let rest = { x: 0, y: 0, w: width, h: height };
  const items = layers.map((step) => ({ step, area: (step.layer.bytes / total) * width * height }));
  while (items.length) {
    const side = Math.min(rest.w, rest.h);
    const worst = (row, sum) => Math.max(...row.map((item) => Math.max((side * side * item.area) / (sum * sum), (sum * sum) / (side * side * item.area))));
    const row = [items.shift()];
    let sum = row[0].area;
    while (items.length && worst([...row, items[0]], sum + items[0].area) <= worst(row, sum)) { sum += items[0].area; row.push(items.shift()); }
    const thick = Math.min(sum / side, rest.w > rest.h ? rest.w : rest.h);
    let at = 0;
    for (const { step, area } of row) {
      const long = area / (sum / side);
      const [x, y, w, h] = rest.w > rest.h ? [rest.x, rest.y + at, thick, long] : [rest.x + at, rest.y, long, thick];
      at += long;
      const hue = (stages.indexOf(step.stage ?? "") * 47 + 210) % 360;
      const label = `${step.text}: ${size(step.layer.bytes)}, ${step.layer.files} entries`;
      const cell = make("g", { role: "listitem", tabindex: 0, "aria-label": label, onclick: () => select(step.id), onpointermove: (event) => showTip(event, label), onpointerleave: hideTip, onkeydown: (event) => event.key === "Enter" && select(step.id) });
      cell.append(make("rect", { x: x + 0.5, y: y + 0.5, width: Math.max(0, w - 1), height: Math.max(0, h - 1), rx: 2, fill: `hsl(${hue} 45% 42%)` }));
      if (w > 60 && h > 18) {
        const room = Math.floor((w - 10) / 6.6);
        const text = `${size(step.layer.bytes)} ${step.text}`;
        cell.append(make("text", { x: x + 6, y: y + 15 }, text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text));
      }
      svg.append(cell);
    }
    rest = rest.w > rest.h ? { x: rest.x + thick, y: rest.y, w: Math.max(0, rest.w - thick), h: rest.h } : { x: rest.x, y: rest.y + thick, w: rest.w, h: Math.max(0, rest.h - thick) };
    if (rest.w < 0.5 || rest.h < 0.5) break;
  }
  box.replaceChildren(svg);
}
