// What explorer.js computes, by node's own runner: node --test tests/explorer.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const file = (name) => readFileSync(new URL(`../gan_nbdev/lab/static/${name}.js`, import.meta.url));
const source = Buffer.concat([file("common"), file("explorer")]);
const explorer = await import(`data:text/javascript;base64,${source.toString("base64")}`);

test("the pointer finds its bar and value, also outside", () => {
  assert.deepEqual(explorer.bar(55, 25, 100, 100, 10, [-2, 2]), [5, 1]);
  assert.deepEqual(explorer.bar(-5, -5, 100, 100, 10, [-2, 2]), [0, 2]);
  assert.deepEqual(explorer.bar(100, 500, 100, 100, 10, [-2, 2]), [9, -2]);
});

test("a walk goes to B and back, and can begin anywhere", () => {
  assert.equal(explorer.sway(0), 0);
  assert.equal(explorer.sway(4000), 1);
  assert.ok(Math.abs(explorer.sway(8000)) < 1e-12);
  for (const t of [0, 0.2, 0.5, 1]) assert.ok(Math.abs(explorer.sway(explorer.since(t)) - t) < 1e-9);
});

test("a newer wish replaces one that is out of date, but no click is lost", () => {
  const q = [{ do: "new" }, { do: "pad", at: [0, 0] }];
  assert.deepEqual(explorer.wish(q, { do: "pad", at: [1, 1] }), [{ do: "new" }, { do: "pad", at: [1, 1] }]);
  assert.equal(explorer.wish(q, { do: "new" }).length, 3);
  assert.equal(explorer.wish([{ do: "new" }], { do: "new" }).length, 2);
  assert.equal(explorer.wish([{ do: "set", i: 1 }], { do: "set", i: 2 }).length, 2);
  assert.equal(q.length, 2);
});

test("arrow keys move, up to the edge; Home is the middle", () => {
  const [x, y] = explorer.moved([0, 0], "ArrowRight", [-2, 2]);
  assert.deepEqual([x, y], [0.1, 0]);
  assert.deepEqual(explorer.moved([0, 2], "ArrowUp", [-2, 2]), [0, 2]);
  assert.deepEqual(explorer.moved([1, 1], "Home", [0, 1]), [0.5, 0.5]);
  assert.equal(explorer.moved([1, 1], "d", [0, 1]), null);
});
