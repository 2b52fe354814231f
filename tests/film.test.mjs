// What film.js computes, by node's own runner: node --test tests/film.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bare, load } from "./dom.mjs";

const read = (name) => readFileSync(new URL(`../gan_nbdev/lab/static/${name}.js`, import.meta.url), "utf-8");
const source = read("common") + read("lab").split("\nexport default")[0] + read("film");
const film = await import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);

test("bytes are summed over the frames, modulo 256", () => {
  const { a } = film.unfold([["a", 1, 3, [2], false, [], null]], Uint8Array.of(10, 20, 1, 255, 250, 0));
  assert.deepEqual(
    a.map((o) => [...o]),
    [
      [10, 20],
      [11, 19],
      [5, 19],
    ],
  );
  assert.deepEqual(a.shape, [2]);
});

test("a grid is summed along frames, rows and columns", () => {
  const { a } = film.unfold([["a", 1, 2, [2, 2], true, [], null]], Uint8Array.of(1, 0, 0, 0, 0, 1, 0, 0));
  assert.deepEqual(
    a.map((o) => [...o]),
    [
      [1, 1, 1, 1],
      [1, 2, 1, 2],
    ],
  );
});

test("positions: low bytes, then high ones; signs take turns; low + step each", () => {
  const zig = [600, 1, 2, 3],
    bytes = Uint8Array.from([...zig.map((o) => o & 255), ...zig.map((o) => o >> 8)]);
  const { xy } = film.unfold([["xy", 2, 2, [1, 2], false, [-1, 10], [0.5, 1]]], bytes);
  assert.deepEqual([...xy[0]], [149, 10 + 65535]); // 300, and −1, which is 65,535
  assert.deepEqual([...xy[1]], [149.5, 10 + 65533]);
  const far = film.unfold([["xy", 2, 1, [2, 1], false, [1_700_000_000], [0.5]]], Uint8Array.of(2, 4, 0, 0));
  assert.deepEqual([...far.xy[0]], [1_700_000_000.5, 1_700_000_001]); // which float32 cannot tell apart
});

test("curves come out as they went in, also in the middle of the bytes", () => {
  const f = new Float32Array([1.5, -1.386]),
    b = new Uint8Array(f.buffer);
  const planes = [0, 1, 2, 3].flatMap((k) => [b[k], b[4 + k]]);
  const { value } = film.unfold(
    [
      ["x", 1, 1, [1], false, [], null],
      ["value", 4, 1, [2], false, [], null],
    ],
    Uint8Array.of(9, ...planes),
  );
  assert.deepEqual([...value[0]], [...f]);
});

test("a page holds JSON, a zero, the numbers", () => {
  const info = { parts: [["a", 1, 1, [2], false, [], null]], said: "½" };
  const bytes = Buffer.concat([Buffer.from(JSON.stringify(info)), Buffer.of(0, 0, 7)]);
  const [back, { a }] = film.open(bytes);
  assert.equal(back.said, "½");
  assert.deepEqual([...a[0]], [0, 7]);
});

test("the cell of a place, and none outside", () => {
  assert.deepEqual(
    [-1, -0.99, 0, 0.99, 1, 5].map((x) => film.cell(x, [-1, 1], 4)),
    [0, 0, 2, 3, -1, -1],
  );
  assert.equal(film.cell(0.3 - 2 ** -54, [-1e9, 0.3], 7), 6); // where the share is rounded to 1
});

function reel(kind = "plane", critic = false) {
  const heat = Object.assign([Uint8Array.of(0, 51, 102, 255), Uint8Array.of(255, 0, 0, 0)], { shape: [2, 2] });
  const answers = Object.assign(
    [51, 51].map((v) => new Uint8Array(64).fill(v)),
    { shape: [64] },
  );
  const scene = { kind, cells: 2, box: [[0, 2], [0, 2]] }; // prettier-ignore
  const more = { iterations: [0, 7], said: [["a"], ["b"]], critic: [critic, false] };
  const info = { fixed: {}, scene, frame: ["heat"], curves: ["value"], ...more };
  const model = new film.Reel(info, { heat, answers, value: Object.assign([new Float32Array(3)], { shape: [3] }) });
  const told = [];
  model.on("msg:custom", (m) => told.push(m));
  return [model, told];
}

test("a film begins with its last frame, still", () => {
  const [model, told] = reel();
  model.send({ do: "hello" });
  assert.deepEqual(
    told.map((m) => m.do),
    ["scene", "frame", "curves"],
  );
  assert.equal(told[1].iteration, 7);
  assert.deepEqual(told[1].parts, [["heat", "uint8", [2, 2]]]);
  assert.deepEqual([model.state.playing, model.state.iteration, model.state.said], [false, 7, ["b"]]);
});

test("Play goes from the start to the end and stops there", async () => {
  const [model, told] = reel();
  model.send({ do: "speed", speed: "500" });
  model.send({ do: "play" });
  assert.deepEqual([model.state.playing, told.at(-1).iteration], [true, 0]);
  await new Promise((done) => setTimeout(done, 60));
  assert.deepEqual([model.state.playing, told.at(-1).iteration], [false, 7]);
});

test("the slider stops it, at exactly that iteration", () => {
  const [model, told] = reel();
  model.send({ do: "play" });
  model.send({ do: "rewind", iteration: 0 });
  assert.deepEqual([model.state.playing, told.at(-1).iteration], [false, 0]);
});

test("D at a place is the byte of its cell; outside there is none", () => {
  const [model] = reel();
  model.send({ do: "rewind", iteration: 0 });
  assert.deepEqual(
    [
      [0.5, 0.5],
      [1.5, 0.5],
      [1.5, 1.5],
      [3, 1],
    ].map((x) => model.at({ x }).D),
    [0, 0.2, 1, undefined],
  );
  assert.equal(reel("images")[0].at({ x: [0.5, 0.5] }).D, 0.2);
  const [once, told] = reel("plane", true); // a critic's number is no probability, in its own frames
  assert.equal(once.at({ x: [0.5, 0.5] }).D, 1);
  once.send({ do: "rewind", iteration: 0 });
  assert.deepEqual([once.at({ x: [0.5, 0.5] }).D, told.at(-1).critic], [undefined, true]);
});

test("a film of one moment stays at it", async () => {
  const heat = Object.assign([new Uint8Array(4)], { shape: [4] });
  const info = { fixed: {}, scene: { kind: "plane" }, iterations: [3], said: [["x"]], frame: ["heat"], curves: [] };
  const model = new film.Reel(info, { heat });
  model.send({ do: "speed", speed: 500 });
  model.send({ do: "play" });
  await new Promise((done) => setTimeout(done, 30));
  clearInterval(model.clock);
  assert.deepEqual([model.i, model.state.playing, model.state.iteration, model.state.said], [0, false, 3, ["x"]]);
});

test("of images, D is that of the picture under the pointer, with the nearest beside and without", async () => {
  const { Player, Reel, Stage } = await load(["common", "lab", "film"], ["Player", "Stage"]);
  const answers = [Uint8Array.from({ length: 64 }, (_, i) => 4 * i)];
  const box = [[0, 1], [0, 1]]; // prettier-ignore
  const model = new Reel({ iterations: [0], said: [[]], scene: { kind: "images", box, cells: 100 } }, { answers });
  const D = (near, w, h, px, py) => {
    const player = bare(Player, Stage, { layers: { near } });
    const [stage] = player.stages;
    Object.assign(stage, { scene: model.info.scene, frame: { near } });
    Object.assign(stage.canvas, { clientWidth: w, clientHeight: h });
    player.send("at", { who: 0, x: stage.view().back(px, py) });
    return model.at(player.asked[0]).D;
  };
  for (let i = 0; i < 64; i++) {
    const told = Math.round((4 * i) / 2.55) / 100;
    const [column, row] = [(i % 8) + 0.5, Math.floor(i / 8) + 0.5];
    assert.equal(D(true, 500, 275, (column * 246) / 8, (row * 246) / 8), told);
    assert.equal(D(false, 300, 300, (column * 300) / 8, (row * 300) / 8), told);
    assert.equal(D(false, 400, 200, 100 + (column * 200) / 8, (row * 200) / 8), told); // in the middle
  }
  assert.equal(D(true, 500, 275, 400, 100), undefined); // a real item
  assert.equal(D(true, 500, 275, 100, 260), undefined); // under the pictures
});
