// What lab.js computes, by node's own runner: node --test tests/lab.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const file = (name) => readFileSync(new URL(`../gan_nbdev/lab/static/${name}.js`, import.meta.url));
const source = Buffer.concat([file("common"), file("lab")]);
const lab = await import(`data:text/javascript;base64,${source.toString("base64")}`);

test("contour of a slope is one straight line", () => {
  const n = 5,
    v = Array.from({ length: n * n }, (_, i) => (i % n) * 10);
  const cuts = lab.contour(v, n, 15);
  assert.equal(cuts.length, n - 1);
  for (const [x0, , x1] of cuts) assert.deepEqual([x0, x1], [1.5, 1.5]);
});

test("contour of a flat map is empty, of one hot cell a closed loop", () => {
  assert.deepEqual(lab.contour(new Array(9).fill(3), 3, 15), []);
  const hot = new Array(9).fill(0);
  hot[4] = 100;
  assert.equal(lab.contour(hot, 3, 50).length, 4);
});

test("shade puts row 0 at the bottom and leaves out what is above the top", () => {
  const out = lab.shade([0, 254, 255, 127], 2, [0, 0, 0], [254, 254, 254], 254);
  assert.deepEqual([...out.slice(8, 12)], [0, 0, 0, 255]);
  assert.deepEqual([...out.slice(12, 16)], [254, 254, 254, 255]);
  assert.equal(out[3], 0);
  assert.equal(out[4], 127);
});

test("view goes to pixels and back", () => {
  const v = lab.view(
    [
      [-1, 1],
      [0, 4],
    ],
    200,
    100,
  );
  assert.equal(v.x(0), 100);
  assert.equal(v.y(4), 0);
  assert.deepEqual(v.back(v.x(0.5), v.y(1)), [0.5, 1]);
});

test("an arrow grows with its size, up to a limit", () => {
  assert.equal(lab.reach(0, 1), 0);
  assert.ok(lab.reach(0.01, 1) < lab.reach(1, 1) && lab.reach(1e9, 1) <= 26);
});

test("a small mesh is darker than a large one", () => {
  assert.ok(lab.density(1, 400, 1e5) > lab.density(1000, 400, 1e5));
  assert.ok(lab.density(0, 400, 1e5) <= 0.75);
});

test("bounds skip what is not finite, with room around a constant", () => {
  assert.deepEqual(lab.bounds([[NaN]]), [0, 1]);
  const [lo, hi] = lab.bounds([[1, Infinity, 1]]);
  assert.ok(lo < 1 && hi > 1);
  assert.deepEqual([lab.bounds([[0, 8]])[0], lab.bounds([[-3, 0]])[1]], [0, 0]);
  const [zero, above] = lab.bounds([[0, 0]]);
  assert.ok(zero === 0 && above > 0);
});

test("an axis that has limits keeps to them", () => {
  assert.deepEqual(lab.bounds([[0.2, 0.97]], [0, 1]), [0, 1]); // no accuracy of 1.04
  assert.deepEqual(lab.bounds([[3, 8]], [0, null]), [0, 8]); // no 8.6 modes
  assert.deepEqual(lab.bounds([[0, 0]], [0, null]), [0, 1]);
});

test("the middle of the ground is of neither colour", () => {
  const out = lab.shade([0, 2, 4, 3], 2, [200, 100, 0], [0, 100, 200], 4, [255, 255, 255]);
  assert.deepEqual([...out.slice(8, 11)], [200, 100, 0]);
  assert.deepEqual([...out.slice(12, 15)], [255, 255, 255]);
  assert.deepEqual([...out.slice(0, 3)], [0, 100, 200]);
});

test("what D says, in words and in steady numbers", () => {
  assert.match(lab.verdict(0.9), /data/);
  assert.match(lab.verdict(0.1), /fakes/);
  assert.match(lab.verdict(0.5), /cannot tell/);
  assert.deepEqual([1.234, 0.0456, -0.0001, -1.5].map(lab.steady), ["1.23", "0.046", "0.000", "-1.50"]);
});

test("the ends of an axis can be told apart", () => {
  assert.deepEqual(lab.ticks(-1.386, -1.372), ["-1.386", "-1.372"]);
  assert.deepEqual(lab.ticks(0, 8.64), ["0", "8.6"]);
  assert.deepEqual(lab.ticks(0, 12345), ["0", "12,345"]);
});

test("numbers are short", () => {
  assert.deepEqual([0, 0.12345, -1.386, 12345, 1e-5, NaN, null].map(lab.short), [
    "0",
    "0.123",
    "-1.39",
    "12,345",
    "1.0e-5",
    "–",
    "–",
  ]);
});

test("arrays come out of the middle of a buffer, aligned or not", () => {
  const bytes = new Uint8Array(9);
  bytes.set(new Uint8Array(new Float32Array([1, -2]).buffer), 1);
  const { a } = lab.unpack([["a", "float32", [1, 2]]], [new DataView(bytes.buffer, 1, 8)]);
  assert.deepEqual([...a], [1, -2]);
  assert.deepEqual(a.shape, [1, 2]);
});

test("a curve falls apart where it is not told", () => {
  assert.deepEqual(lab.stretches([NaN, 1, 2, Infinity, 3, NaN]), [
    [1, 3],
    [4, 5],
  ]);
  assert.deepEqual([lab.stretches([]), lab.stretches([1, 2])], [[], [[0, 2]]]);
});

test("the nearest moment", () => {
  assert.equal(lab.nearest([0, 10, 40], 22), 1);
  assert.equal(lab.nearest([0, 10, 40], 99), 2);
});

test("a picture keeps its proportions", () => {
  assert.deepEqual(lab.fitted([8, 8], 40, 40), [0, 0, 40, 40]);
  assert.deepEqual(lab.fitted([4, 8], 40, 40), [0, 10, 40, 20]);
  assert.deepEqual(lab.fitted([8, 4], 40, 20), [15, 0, 10, 20]);
});

test("colours", () => {
  assert.deepEqual(lab.rgb("#0072B2"), [0, 114, 178]);
  assert.deepEqual(lab.rgb("rgb(1, 2, 3)"), [1, 2, 3]);
});
