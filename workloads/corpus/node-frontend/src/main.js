import { sorted } from "./sort.js";
import { table } from "./table.js";

export function render(rows) {
  return table(sorted(rows, "score"));
}

if (typeof document === "undefined") {
  console.log(render([{ name: "b", score: 1 }, { name: "a", score: 2 }]));
} else {
  document.body.innerHTML = render(JSON.parse(document.getElementById("rows").textContent));
}
