import assert from "node:assert";
import test from "node:test";
import { sorted } from "../src/sort.js";

test("largest first", () => {
  assert.deepStrictEqual(sorted([{ n: 1 }, { n: 3 }, { n: 2 }], "n"), [{ n: 3 }, { n: 2 }, { n: 1 }]);
});
