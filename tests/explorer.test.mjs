// What explorer.js computes, by node's own runner: node --test tests/explorer.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./dom.mjs";

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

// ---- the window, on a page that is none

const { App } = await load(["common", "explorer"], ["App"]);

function unbuilt(more) {
  const e = () => ({ setAttribute() {}, textContent: "", value: "" });
  const parts = ["which", "one", "value", "bars", "lost", "playing", "walk"].map((k) => [k, e()]);
  const own = { chosen: 0, queue: [], open: 0, sentAt: 0, asked: true, ...Object.fromEntries(parts), ...more };
  return Object.assign(Object.create(App.prototype), own);
}

test("a move is as fine as the noise asks for, and told so", () => {
  const asked = [];
  const x = unbuilt({ fixed: { pad: [0, 1e-5], coordinate: [0, 1e-5], dim: 2 }, now: { z: [0, 0] } });
  x.ask = (what, how) => asked.push(how);
  x.at([1.23456789e-6, 2e-6]);
  x.put(0, 3.3333333e-6);
  assert.deepEqual(asked, [{ at: [0.00000123457, 0.000002] }, { i: 0, value: 0.00000333333 }]);
  assert.equal(x.value.textContent, "z1 = 0.0000033");
  Object.assign(x, { fixed: { coordinate: [-3.5, 3.5], dim: 2 }, now: { z: [-0.004, 0] } });
  x.coordinate();
  assert.equal(x.value.textContent, "z1 = 0");
});

test("wishes that nobody answers wait without a clock; an answer goes on with them", () => {
  const sent = [];
  const x = unbuilt({ queue: [{ do: "pad" }], open: 3, model: { send: (o) => sent.push(o) } });
  x.flush();
  assert.ok(!x.later);
  x.open = 0;
  x.flush();
  clearTimeout(x.silence);
  assert.deepEqual(sent, [{ do: "pad" }]);
});

test("a walk that has left the page stands still, and its button says so", () => {
  const x = unbuilt({ root: { isConnected: false }, start: null });
  x.play(true);
  assert.deepEqual([x.start, x.playing.textContent], [null, "▶ Walk"]);
});

test("a drag is of one finger, and of the first button", () => {
  const [places, heard] = [[], {}];
  const x = unbuilt({ held: null });
  const more = { setPointerCapture() {}, getBoundingClientRect: () => ({ left: 0, top: 0, width: 9, height: 9 }) };
  x.drag({ addEventListener: (k, f) => (heard[k] = f), ...more }, (px) => places.push(px));
  const touch = (what, pointerId, clientX, button = 0) => heard[what]({ pointerId, clientX, clientY: 0, button });
  touch("pointerdown", 0, 7, 2);
  touch("pointerdown", 0, 1);
  for (const what of ["pointerdown", "pointermove", "pointerup"]) touch(what, 5, 8);
  touch("pointermove", 0, 2);
  touch("pointerup", 0, 2);
  touch("pointermove", 0, 3);
  assert.deepEqual([places, x.held], [[1, 2], null]);
});
