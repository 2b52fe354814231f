// What lab.js computes, by node's own runner: node --test tests/lab.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bare, load } from "./dom.mjs";

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
  assert.deepEqual([1.234, 0.0456, -0, -1.5].map(lab.steady), ["1.23", "0.046", "0.000", "-1.50"]);
});

test("the ends of an axis can be told apart", () => {
  assert.deepEqual(lab.ticks(-1.386, -1.372), ["-1.386", "-1.372"]);
  assert.deepEqual(lab.ticks(0, 8.64), ["0", "8.6"]);
  assert.deepEqual(lab.ticks(0, 12345), ["0", "12,345"]);
  assert.deepEqual(lab.ticks(5000.1, 5000.4), ["5,000.1", "5,000.4"]);
  assert.deepEqual(lab.ticks(1e6, 1e6 + 1), ["1,000,000", "1,000,001"]);
  assert.deepEqual(lab.ticks(0, 1e-9), ["0", "1e-9"]);
  assert.deepEqual(lab.ticks(-1e-12, 3e-12), ["-1e-12", "3e-12"]);
  assert.deepEqual(lab.ticks(0.3, 0.3), ["0.3", "0.3"]);
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
  const far = new Float64Array([1_700_000_000, 1_700_000_001]); // which float32 cannot tell apart
  assert.deepEqual([...lab.unpack([["a", "float64", [2]]], [new DataView(far.buffer)]).a], [...far]);
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

// ---- the window, on a page that is none

const { App, Curve, Stage, control } = await load(["common", "lab"], ["App", "Curve", "Stage", "control"]);
const { NaN: not } = Number;

function curve(key, names, record) {
  const tips = [];
  const app = bare(App, Stage, { tip: (text) => tips.push(text) });
  const c = new Curve(app, [key, key, names, null, "hint", null]);
  c.paint([record]);
  c.read(200);
  const lines = c.canvas.pen.strokes.filter(([colour]) => colour === "V").map(([, points]) => points.length);
  return [lines, c.head.textContent, tips[0]];
}

test("what is told now and then is a line all the same; title and tip say the last of it", () => {
  const n = 100;
  const told = (...at) => Float32Array.from({ length: 3 * n }, (_, i) => (at.includes(i % n) ? (i % n) + 1 : not));
  const step = Float32Array.from({ length: n }, (_, i) => i + 1);
  const [lines, title, tip] = curve("terms", [], { step, at: [], " fid": told(9, 19, 89) });
  assert.deepEqual(lines, [3]);
  assert.match(title, /fid 90/);
  assert.match(tip, /fid (20|90)$/);
});

test("what each iteration tells has a gap where the game had none", () => {
  const step = Float32Array.of(1, 2, 3, 4, 5);
  const value = Float32Array.from({ length: 15 }, (_, i) => (i % 5 === 2 ? not : -1));
  assert.deepEqual(curve("value", [["value", "V", "value"]], { step, at: [], value })[0].slice(-2), [2, 2]);
  assert.deepEqual(curve("terms", [], { step, at: [], " mine": value })[0], [4]);
});

test("what is told once is a dot", () => {
  const step = Float32Array.of(1, 2, 3);
  const once = Float32Array.of(not, 0.2, not, not, 0.6, not, not, 0.5, not); // least, most, last
  const record = {
    step,
    at: Float32Array.of(0),
    jsd: Float32Array.of(0.5),
    " fid": once,
    " same": once.map((v) => v && 1),
  };
  const [lines, title] = curve("jsd", [["jsd", "", "value"]], record);
  assert.equal(lines[0], 2); // the two sides of an arc
  assert.match(title, /0.5/);
  const [dots, told] = curve("terms", [], record);
  assert.equal(dots[0], 2);
  assert.match(told, /fid 0.5/);
});

test("an axis goes on to the end of the run, where a curve ends before", () => {
  const step = Float32Array.of(10, 20, 30);
  const app = bare(App, Stage);
  const c = new Curve(app, ["terms", "", [], null, "", null]);
  c.paint([{ step, at: [], v: Float32Array.of(1, 2, not, 1, 2, not, 1, 2, not) }]);
  assert.ok(c.canvas.pen.words.includes("iteration 30"));
  c.paint([{ step, at: [], v: new Float32Array(9).fill(not) }]);
  assert.ok(c.el.hidden);
});

function shown(scene, frames, more) {
  const app = bare(App, Stage, more);
  const parts = (all) => Object.keys(all).map((k) => [k, "uint8", [1]]);
  const tell = (m, all) =>
    app.message(
      { who: 0, ...m, parts: parts(all) },
      Object.values(all).map((v) => Uint8Array.of(v)),
    );
  tell({ do: "scene", names: [], ...scene }, {});
  frames.forEach(([m, all]) => tell({ do: "frame", ...m }, all));
  return app.stages[0];
}

const box = [
  [0, 1],
  [0, 1],
];

test("a new frame keeps of the last one what the game is in numbers, and no array", () => {
  const first = [
    { iteration: 5, critic: false, numbers: { value: -1 } },
    { heat: 10, star: 200 },
  ];
  const { frame } = shown({ kind: "plane", layers: ["heat"], box }, [
    first,
    [{ iteration: 55, critic: true }, { heat: 20 }],
  ]);
  assert.deepEqual([frame.iteration, frame.heat[0], frame.star, frame.numbers], [55, 20, undefined, { value: -1 }]);
});

const layer_names = [
  ["fakes", "fakes"],
  ["star", "best D"],
  ["near", "nearest"],
];

test("a screen reader hears the layers of this scene, by their labels", () => {
  const more = { fixed: { layer_names }, layers: { fakes: true, star: true, near: true } };
  const label = (layers) => {
    const stage = shown({ kind: "plane", layers, box }, [[{ iteration: 5 }, {}]], more);
    stage.describe();
    return stage.canvas.attrs["aria-label"];
  };
  assert.match(label(["near"]), /Layers: nearest\. /);
  assert.match(label(["fakes", "star"]), /Layers: fakes, best D\. /);
  assert.match(label([]), /Layers: none\. /);
});

test("arrow keys carry the probe to the edge, and no further", () => {
  const stage = shown({ kind: "images", layers: [], box }, []);
  const press = (key) => stage.canvas.heard.keydown({ key, preventDefault() {} });
  for (let i = 0; i < 60; i++) press("ArrowRight");
  for (let i = 0; i < 60; i++) press("ArrowDown");
  assert.deepEqual(stage.spot, [1, 0]);
  clearTimeout(stage.later);
});

test("a place is read off as finely as the picture is wide", () => {
  const stage = shown({ kind: "table", layers: [], box: [[5000, 5001], [0, 1e-6]] }, []); // prettier-ignore
  stage.spot = [5000.123456, 1.23456e-7];
  stage.told({});
  assert.equal(stage.readout.textContent, "x₁ = 5,000.123   x₂ = 1.23e-7");
});

test("noise of any mean and spread lies in the picture", () => {
  const z = Object.assign(
    Float32Array.from({ length: 512 }, (_, i) => i / 2),
    { shape: [512, 1] },
  ); // 0 to 255
  const stage = shown({ kind: "plane", layers: [], box: [[-1, 1], [-1, 1]] }, []); // prettier-ignore
  stage.scene.z = z;
  const at = stage.placed(z);
  assert.ok(Math.abs(at[0] + at[1022]) < 1e-6 && at[1022] > 0.4 && at[1022] < 1);
  assert.ok(at.every((v, i) => i % 2 === 0 || v === 0));
  const one = Object.assign(Float32Array.of(255.5), { shape: [1, 1] });
  assert.equal(stage.placed(one)[0], at[1022]);
  assert.deepEqual(lab.spread(Object.assign([1, 5, 3, 5], { shape: [2, 2] }), 1), [5, 1]);
});

test("the same refusal twice is read twice, once what was asked for is answered", () => {
  const app = bare(App, Stage, { id: "w", toggled() {}, play: {} });
  const hear = (heard, error) => {
    app.state = { settings: {}, heard: { w: heard }, error, said: [], moments: [0] };
    try {
      app.sync();
    } catch {} // the rest of the window is not there
  };
  hear(0, "");
  app.send("set", { k: 1000 });
  hear(1, "k is too large");
  app.send("set", { k: 1000 });
  assert.equal(app.error.textContent, "");
  hear(1, "k is too large"); // of before
  assert.equal(app.error.textContent, "");
  hear(2, "k is too large");
  assert.deepEqual(app.error.changes, ["k is too large", "", "k is too large"]);
  app.send("layers", { layers: [] });
  hear(3, "k is too large");
  assert.equal(app.error.changes.length, 3);
});

test("windows of two modules on one page have ids of their own", async () => {
  const ids = [];
  for (const more of ["", "//"]) {
    const { Frame } = await load(["common", `lab`], ["Frame"], more);
    ids.push(new Frame({ get: () => ({}) }, "", "").id);
  }
  assert.notEqual(...ids);
});

test("a rate that arrow keys have changed is sent when the field is left, once", () => {
  const sent = [];
  const app = { id: 1, change: (c, v) => sent.push([c.name, v]), sync() {} };
  const knob = { name: "d.lr", hint: "", label: "", low: 0, high: 1, live: true };
  const input = control(app, knob).inside[1];
  Object.assign(input, { value: "0.01", type: "number" });
  const press = { key: "ArrowUp", preventDefault() {} };
  for (let i = 0; i < 3; i++) input.heard.keydown(press);
  input.heard.blur();
  input.heard.blur();
  assert.deepEqual(sent, [["d.lr", Number(input.value)]]);
  assert.ok(input.value > 0.019 && !input.dataset.editing);
});

test("the ends of a curve's axis are whole on the canvas, however long", () => {
  for (const [y, label] of [
    [824285, "8.9e5"],
    [-0.00001234, "-1.3e-5"],
    [1.7e9, "1.8e9"],
    [3e30, "3.2e30"],
  ]) {
    // prettier-ignore
    const c = new Curve(bare(App, Stage), ["d", "", [["d_loss", "", "value"]], null, "", null]);
    c.paint([{ step: Float32Array.of(1, 2), at: [], d_loss: Float32Array.of(0, 0, y, y, 0, y) }]);
    const at = c.canvas.pen.words.indexOf(label);
    assert.ok(at >= 0, `${label}: ${c.canvas.pen.words}`);
    assert.ok(5.6 * label.length <= c.canvas.pen.places[at]);
  }
  const near = [1_700_000_000.5, 1_700_000_001.5]; // which a short number would not tell apart
  const c = new Curve(bare(App, Stage), ["d", "", [["d_loss", "", "value"]], null, "", near]);
  c.paint([{ step: Float32Array.of(1), at: [], d_loss: Float32Array.of(near[0], near[0], near[0]) }]);
  const [text, x] = [c.canvas.pen.words[1], c.canvas.pen.places[1]];
  assert.ok(text.length > 12 && 5.6 * text.length <= x);
});

test("a kernel is silent since the first unanswered ping, and no more once it answers", () => {
  const app = bare(App, Stage);
  const { now } = performance;
  let t = 1e6;
  performance.now = () => t;
  try {
    app.alive();
    t += 60_000; // the page slept
    app.pulse();
    assert.deepEqual([app.lost.hidden, app.asked.length], [true, 1]);
    t += 8000;
    app.pulse();
    assert.ok(!app.lost.hidden);
    app.message({ do: "pong" }, []);
    assert.ok(app.lost.hidden);
    t += 8000;
    app.pulse();
    assert.ok(app.lost.hidden);
  } finally {
    performance.now = now;
  }
});

test("arrow keys go to the moment before or after, and say which", () => {
  const time = { value: "100050", setAttribute: (k, v) => (time[k] = v) };
  const more = { state: { moments: [0, 1000, 100_000, 100_100] }, when: { textContent: "" }, time };
  const app = bare(App, Stage, more);
  const go = (way) => (app.slide(Number(time.value), way), clearTimeout(app.slideLater), time.value);
  assert.deepEqual([go(-1), go(-1), go(-1), go(-1), go(1)], [100_000, 1000, 0, 0, 1000]);
  assert.equal(time["aria-valuetext"], "iteration 1,000");
});

test("a second finger draws nothing and ends no stroke", () => {
  const app = bare(App, Stage, { drawing: true, fixed: { pad: box } });
  const { canvas: c } = app.stages[0];
  Object.assign(c, { clientHeight: 300, setPointerCapture() {}, getBoundingClientRect: () => ({ left: 0, top: 0 }) });
  const touch = (what, pointerId, x) =>
    c.heard[what]({ pointerId, clientX: x, clientY: 150, button: 0, preventDefault() {} });
  touch("pointerdown", 1, 30);
  for (const what of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) touch(what, 2, 270);
  touch("pointermove", 1, 60);
  assert.deepEqual(app.asked, []);
  touch("pointerup", 1, 60);
  assert.deepEqual(app.asked[0].points.map(([x]) => x), [0.1, 0.2]); // prettier-ignore
});

test("an explanation stays while frames come, and what was read off is there after it", () => {
  const stage = shown({ kind: "plane", layers: [], box }, []);
  const said = () => stage.readout.textContent;
  stage.spot = [0.5, 0.5];
  stage.told({ D: 0.25 });
  stage.app.tip("What G makes.");
  stage.told({ D: 0.75 });
  assert.equal(said(), "What G makes.");
  stage.app.tip(null);
  assert.match(said(), /D 0.75/);
});

test("a curve is read by a tap and by arrow keys, never beyond its ends", () => {
  const tips = [];
  const c = new Curve(bare(App, Stage, { tip: (o) => tips.push(o.match(/iteration ([\d,]+)/)[1]) }), [
    ...["losses", "", [["d_loss", "D", "value"]], null, "hint", null],
  ]);
  c.paint([{ step: Float32Array.of(500, 1000), at: [], d_loss: new Float32Array(6).fill(0.5) }]);
  c.canvas.heard.click({ offsetX: 299 });
  c.canvas.heard.click({ offsetX: 2 });
  for (let i = 0; i < 5; i++) c.canvas.heard.keydown({ key: "ArrowRight", preventDefault() {} });
  assert.deepEqual(tips.slice(0, 3), ["1,000", "0", "16"]);
  c.canvas.heard.focus();
  assert.equal(c.app.stages[0].readout.attrs["aria-live"], "polite");
});

test("a layer that this game does not have is not offered, and comes back with the next game", () => {
  const labels = layer_names.map(() => ({}));
  const more = { fixed: { layer_names }, layerLabels: labels, morphButton: {}, kinds: App.prototype.kinds };
  const [first, second] = ["fakes", "star"].map((o) => [{ iteration: 1, layers: ["fakes", o] }, {}]);
  shown({ kind: "plane", layers: ["fakes", "star"], box }, [first], more);
  assert.deepEqual(labels.map((o) => o.hidden), [false, true, true]); // prettier-ignore
  shown({ kind: "plane", layers: ["fakes", "star"], box }, [first, second], more);
  assert.deepEqual(labels.map((o) => o.hidden), [false, false, true]); // prettier-ignore
});

test("what belongs to D is drawn with D alone", () => {
  const paint = (kind, on, frame) => {
    const stage = shown({ kind, layers: ["fakes", "heat"], box: box.slice(0, kind === "line" ? 1 : 2), cells: 2 }, [], {
      layers: on,
    });
    stage.frame = { p: [0.5, 0.5], q: [0.5, 0.5], ...frame };
    Object.assign(stage, { describe() {}, paintPlane() {} });
    stage.paint();
    return [stage.canvas.pen.words.filter((o) => /D/.test(o)).join(), stage.scale.hidden];
  };
  assert.deepEqual(paint("line", { heat: true }, {}), ["", true]);
  assert.deepEqual(paint("line", { heat: true }, { heat: [1, 2] }), ["D = ½,D dashed", true]);
  assert.deepEqual(paint("plane", { heat: true }, {}), ["", true]);
  assert.deepEqual(paint("plane", { heat: true }, { heat: [1, 2, 3, 4] }), ["", false]);
});

test("numbers of any size are seen in the diagram", () => {
  assert.deepEqual([0.0004, -2e-5, 12345678.9, 1e21].map(lab.steady), ["4.0e-4", "-2.0e-5", "12,345,679", "1.0e+21"]);
});

test("a long name is cut between the ends of its axis", () => {
  const stage = shown({ kind: "table", layers: [], box, names: ["a".repeat(80), "short"] }, [], { morph: () => 1 });
  Object.assign(stage, { frame: { iteration: 1 }, describe() {} });
  stage.paint();
  const { words } = stage.canvas.pen;
  const [name] = words.filter((o) => o.startsWith("aa"));
  assert.ok(/^a+…$/.test(name) && 5.6 * name.length < 270 && words.includes("short"));
});
