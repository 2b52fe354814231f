// The Lab's window: draws what `gan_nbdev.lab` sends, and sends back what is asked for.
// It comes after common.js in one module. What computes is exported for the tests.

// ---- what computes

/** An arrow's length in pixels: in proportion while short, never more than `most`. */
export const reach = (length, scale, most = 26) => (most * length * scale) / (1 + length * scale);

/** The opacity of a mesh that holds 1 / `meshes` of the fakes, by its area in pixels. */
export const density = (area, meshes, all) => clamp((0.05 * all) / (meshes * Math.max(area, 1e-6)), 0.04, 0.75);

/** The ends of an axis: those of `limits`; else bounds of all finite numbers, with a little room, but not across 0. */
export function bounds(series, [least, most] = []) {
  let [lo, hi] = [Infinity, -Infinity];
  for (const s of series) for (const y of s) if (Number.isFinite(y)) [lo, hi] = [Math.min(lo, y), Math.max(hi, y)];
  if (lo > hi) return [0, 1];
  const room = (hi - lo || Math.abs(hi) || 1) * 0.08;
  const above = Number.isFinite(least) ? hi || 1 : lo < 0 && hi <= 0 ? Math.min(0, hi + room) : hi + room;
  return [least ?? (lo >= 0 ? Math.max(0, lo - room) : lo - room), most ?? above];
}

/** The share of the places `xy`, in pairs, that are not in the box. */
export function outside(xy, box) {
  const [[a, b], [c, d]] = box;
  let n = 0;
  for (let i = 0; i < xy.length; i += 2) n += !(xy[i] >= a && xy[i] <= b && xy[i + 1] >= c && xy[i + 1] <= d);
  return xy.length ? (2 * n) / xy.length : 0;
}

/** Mean and standard deviation of column `k` of an array; 1 where it is constant. */
export function spread(v, k) {
  const [n, d] = v.shape;
  const column = Array.from({ length: n }, (_, i) => v[i * d + k]);
  const mean = column.reduce((a, b) => a + b, 0) / n;
  return [mean, Math.sqrt(column.reduce((a, b) => a + (b - mean) ** 2, 0) / n) || 1];
}

/** Where fakes lie in a picture, which they share with the items nearest to them: the left edge and the side, pixels. */
export const square = (w, hgt, near, side = Math.min(near ? w / 2 - 4 : w, hgt)) => [near ? 0 : (w - side) / 2, side];

/** The index of the number in `sorted` that is nearest to `v`. */
export const nearest = (sorted, v) =>
  sorted.reduce((best, o, i) => (Math.abs(o - v) < Math.abs(sorted[best] - v) ? i : best), 0);

/** A number that changes: always as wide, as long as it is of a usual size. */
export function steady(v) {
  const a = Math.abs(v);
  return a && (a < 0.001 || a >= 1e4) ? short(v) : v.toFixed(a < 0.1 ? 3 : 2);
}

/** What D's answer means, in words. */
export const verdict = (p) =>
  p < 0.45 ? "D bets on fakes here." : `D ${p > 0.55 ? "bets on data" : "cannot tell data from fakes"} here.`;

/** Histograms of data and fakes, and D, as lines. */
function figure1(p, f, on, small) {
  const top = Math.max(...f.p) * 1.6;
  const high = p.h * 0.9;
  if (on.fakes) p.stairs(f.q, p.c.generator, top, high, p.h, 0.3);
  if (on.real) p.stairs(f.p, p.c.data, top, high, p.h);
  const answer = (y, most, dash) => {
    const draw = (g) =>
      y.forEach((o, i) => o <= most && g.lineTo(((i + 0.5) / y.length) * p.w, p.h - (o / most) * high));
    p.line(p.c.discriminator, 1.8, draw, { dash });
  };
  if (on.heat && f.heat) answer(f.heat, 255, small ? [] : [6, 4]);
  if (on.star && f.star) answer(f.star, 254, [2, 3]);
}

// ---- the stage: one canvas, one run

class Stage {
  constructor(app, who) {
    Object.assign(this, { app, who, scene: null, frame: null, minibatch: null, at: null });
    this.canvas = h("canvas.gl-canvas", { tabindex: 0, role: "img" });
    this.caption = h("figcaption.gl-caption");
    this.about = h("div.gl-about", { hidden: true });
    this.ends = [h("span"), h("span", "½"), h("span")];
    this.bar = h("i", this.ends[1]);
    const tips = {
      "data-tip": "What D says of each place: ½ where it cannot tell data from fakes.",
      "data-critic": "What D says of each place, from its least value in the picture to its most.",
    };
    this.scale = h("div.gl-scale", tips, this.ends[0], this.bar, this.ends[2]);
    this.readout = h("div.gl-readout");
    this.el = h("figure.gl-stage", this.caption, this.canvas, this.scale, this.about, this.readout);
    put(this.readout, this.hint());
    this.pointer();
  }

  pointer() {
    const c = this.canvas;
    const place = (e) => {
      const b = c.getBoundingClientRect();
      const at = this.view().back(e.clientX - b.left, e.clientY - b.top);
      return this.app.drawing ? at.map((v, i) => clamp(v, ...this.box()[i])) : at;
    };
    const on = {
      pointerdown: (e) => {
        if (!this.app.drawing) return this.probe(place(e));
        if (e.button || this.stroke) return;
        c.setPointerCapture(e.pointerId);
        Object.assign(this, { stroke: [place(e)], finger: e.pointerId });
        e.preventDefault();
      },
      pointermove: (e) => {
        if (!this.stroke) return this.probe(place(e));
        this.stroke.push(place(e));
        this.app.repaint();
      },
      pointerup: () => {
        if (this.stroke) this.app.send("stroke", { points: this.stroke });
        this.stroke = null;
      },
      pointercancel: () => this.app.repaint((this.stroke = null)),
      pointerleave: (e) => {
        if (!this.stroke && e.pointerType !== "touch") this.probe(null); // what a finger has asked for stays
      },
      keydown: (e) => {
        const step = steps[e.key];
        if (!step || !this.scene) return;
        e.preventDefault();
        const at = this.spot || this.box().map(([a, b]) => (a + b) / 2);
        this.probe(this.box().map(([a, b], i) => clamp(at[i] + (step[i] * (b - a)) / 40, a, b)));
      },
    };
    const other = (e) => this.stroke && (e.pointerId ?? this.finger) !== this.finger;
    for (const [what, act] of Object.entries(on)) c.addEventListener(what, (e) => other(e) || act(e));
    this.spoken(c);
  }

  /** What is read off on `canvas` with the keyboard is spoken. */
  spoken(canvas) {
    for (const [what, live] of Object.entries({ focus: "polite", blur: "off" }))
      canvas.addEventListener(what, () => this.readout.setAttribute("aria-live", live));
  }

  probe(spot) {
    this.spot = spot;
    this.app.repaint();
    clearTimeout(this.later);
    if (!spot) return put(this.readout, this.hint(), (this.at = null));
    const ask = () => {
      this.asked = performance.now();
      this.app.send("at", { who: this.who, x: this.spot || spot });
    };
    if (performance.now() - (this.asked || 0) > 60) ask();
    else this.later = setTimeout(ask, 60);
  }

  hint() {
    if (!this.scene) return "";
    if (this.noisy()) return "Move over the picture to walk through the noise.";
    if (this.scene.layers.includes("heat")) return "Point at the picture to read off D and the losses there.";
    return "Point at the picture to read off a place.";
  }

  /** Is a place in the picture one in the noise? */
  noisy = () => this.scene && ["images", "series"].includes(this.scene.kind);

  /** Is what D says no probability, but a number without a scale? */
  critic = () => !!this.frame?.critic;

  /** Another scene: what was read off was of the last one. */
  begin(scene) {
    this.scene = scene;
    this.frame = this.minibatch = null;
    this.about.hidden = !scene.about;
    put(this.about, scene.about || "");
    this.probe(null);
  }

  told(at) {
    this.at = at;
    if (!this.spot) return;
    this.app.repaint();
    if (at && (this.who || !this.app.tipped)) put(this.readout, this.noisy() ? this.walked(at) : this.answers(at));
  }

  walked = ({ D }) =>
    `D of ${{ images: "the picture", series: "the series" }[this.scene.kind]} at this place in the noise: ${short(D)}`;

  answers(at) {
    const { names = [] } = this.scene;
    const words = { D: "D", star: "best D", p: "p", log_D: "log D", log_not_D: "log(1−D)", g_loss: "G's loss" };
    const read = Object.entries(words).filter(([k]) => at[k] !== undefined && at[k] !== null);
    const place = axisNames(names, this.scene.box).map((o, i) => `${o} = ${apart(this.spot[i], this.scene.box[i], 2)}`);
    const said = at.log_D === undefined ? [] : [verdict(at.D)];
    return [...place, ...read.map(([k, n]) => `${n} ${short(at[k])}`), ...said].join("   ");
  }

  box() {
    if (this.app.drawing) return this.app.fixed.pad;
    const b = this.scene ? this.scene.box : [[0, 1]];
    return b.length > 1 ? b : [b[0], [0, 1]];
  }

  view = () => view(this.box(), this.canvas.clientWidth, this.canvas.clientHeight);

  paint() {
    const { drawing, layers: on } = this.app;
    const s = this.scene;
    this.canvas.style.aspectRatio = s && s.kind === "images" && on.near && !drawing ? "2 / 1.1" : "";
    const p = new Pen(this.canvas, this.app.ink);
    if (!p.w) return;
    p.box(p.c.ground, 0, 0, p.w, p.h);
    const f = this.frame || {};
    this.scale.hidden = drawing || s?.kind !== "plane" || !((on.heat && f.heat) || (on.star && f.star));
    if (drawing) return this.paintPad(p);
    if (!s) return;
    this[`paint${kinds[s.kind] || "Plane"}`](p, s, f, on, this.view());
    if (s.kind !== "images") p.axes(s.kind === "series" ? ["moment", "value"] : s.names || [], s.box);
    if (this.spot && !this.noisy()) this.cross(p);
    if (this.frame) this.describe();
  }

  paintPlane(p, s, f, on, v) {
    const { c } = p;
    if (on.star && f.star) p.ground(f.star, s.cells / 2, { top: 254 });
    else if (on.heat && f.heat) p.ground(f.heat, s.cells);
    if (on.heat && f.heat && !this.critic()) p.half(f.heat, s.cells);
    if (on.manifold && f.manifold && this.app.morph() === 1) this.mesh(p, f.manifold, v);
    const told = this.minibatch || {};
    if (on.real) p.stillDots(v, s.real, c.data, told.x ? 0.25 : 0.6, 2.2);
    if (on.fakes && f.fakes) p.dots(v, this.moved(f.fakes), c.generator, told.fakes ? 0.25 : 0.9);
    if (on.arrows && f.arrows) this.arrows(p, v);
    if (told.x) p.dots(v, told.x, c.data, 1, 3.5);
    if (told.fakes) p.dots(v, told.fakes, c.generator, 1, 3);
    if (told.z) p.dots(v, this.placed(told.z), c.value, 1, 2.5);
    const away = on.fakes && f.fakes ? outside(f.fakes, this.box()) : 0;
    const share = away === 1 ? "All" : `${Math.round(100 * away)}% of the`;
    if (away > 0.1) p.text(`${share} fakes are outside`, 20, 14, { rim: c.ground });
    this.bar.style.background = `linear-gradient(90deg, ${[c.fake, c.low, c.high].map((o) => `rgb(${o})`)})`;
    ["least", "", "most"].forEach((o, i) => put(this.ends[i], this.critic() ? o : ["D = 0, fake", "½", "1, real"][i]));
  }

  /** Noise in the picture: ±3 standard deviations of the prior fill the box. */
  placed(z) {
    const [n, d] = z.shape;
    const make = () => {
      const out = new Float64Array(2 * n);
      this.box().forEach(([a, b], k) => {
        const [mean, sd] = k < d ? spread(this.scene.z, k) : [0, Infinity];
        const far = (v) => (((v - mean) / sd) * (b - a)) / 6.5;
        for (let i = 0; i < n; i++) out[2 * i + k] = (a + b) / 2 + far(z[i * d + (k % d)]);
      });
      return out;
    };
    return kept(z, `placed ${this.box()}`, make);
  }

  /** Fakes on their way from z to G(z), while the morph plays. */
  moved(fakes) {
    const t = this.app.morph();
    if (t === 1 || !this.scene.z) return fakes;
    const from = this.placed(this.scene.z);
    return fakes.map((o, i) => from[i] + t * (o - from[i]));
  }

  mesh(p, m, v) {
    const [rows, cols] = this.scene.lattice;
    const at = (r, k) => [v.x(m[2 * (r * cols + k)]), v.y(m[2 * (r * cols + k) + 1])];
    const [g, colour] = [p.g, p.c.generator];
    Object.assign(g, { fillStyle: colour, strokeStyle: colour, lineWidth: 0.6 });
    for (let r = 0; r + 1 < rows; r++) {
      for (let k = 0; k < Math.max(cols - 1, 1); k++) {
        const corners = cols > 1 ? [at(r, k), at(r, k + 1), at(r + 1, k + 1), at(r + 1, k)] : [at(r, k), at(r + 1, k)];
        const next = (i) => corners[(i + 1) % corners.length];
        const area = corners.reduce((sum, [x, y], i) => sum + x * next(i)[1] - next(i)[0] * y, 0);
        g.beginPath();
        corners.forEach((o) => g.lineTo(...o));
        g.closePath();
        g.globalAlpha = density(Math.abs(area) / 2, rows * cols, p.w * p.h);
        g.fill();
        g.globalAlpha = 0.5;
        g.stroke();
      }
    }
    g.globalAlpha = 1;
  }

  arrows(p, v) {
    const { fakes, arrows } = this.frame;
    const { pull } = this.scene;
    const [wide, high] = this.box().map(([a, b]) => b - a);
    const draw = (g) => {
      for (let i = 0; i < arrows.length; i += 2) {
        const [dx, dy] = [arrows[i] / wide, -arrows[i + 1] / high]; // as they lie in the picture
        const size = Math.hypot(dx, dy);
        if (!(size > 0)) continue;
        const l = reach(Math.hypot(arrows[i] * pull[0], arrows[i + 1] * pull[1]), 1);
        const [ux, uy, b] = [dx / size, dy / size, Math.min(4, l / 2)];
        const [x, y] = [v.x(fakes[i]), v.y(fakes[i + 1])];
        const [X, Y] = [x + l * ux, y + l * uy];
        segment(g, x, y, X, Y);
        for (const s of [-0.6, 0.6]) segment(g, X, Y, X - b * (ux + s * uy), Y - b * (uy - s * ux));
      }
    };
    p.rimmed(p.c.value, 1.5, draw);
  }

  /** The paper's Figure 1: densities of data and fakes, D and the best D. */
  paintLine(p, s, f, on, v) {
    if (!f.p) return;
    const half = p.h * 0.55;
    const answers = { "D dashed": on.heat && f.heat, "best D dotted": on.star && f.star };
    const said = Object.keys(answers).filter((k) => answers[k]);
    const sure = said.length && !this.critic();
    if (sure) p.line(p.c.guide, 0.6, (g) => segment(g, 0, half, p.w, half));
    figure1(p, f, on);
    if (sure) p.text("D = ½", 4, half - 4, { rim: p.c.ground });
    p.text(said.join(", "), 4, 14, { rim: p.c.ground });
    if (!on.arrows || !f.arrows) return;
    const draw = (g) =>
      f.arrows.forEach((o, i) => {
        const [x, y] = [v.x(f.fakes[i]), p.h - 14 - (i % 5) * 7];
        const l = Math.sign(o) * reach(Math.abs(o) * s.pull[0], 1);
        const b = Math.min(2.5, Math.abs(l) / 3);
        segment(g, x, y, x + l, y);
        for (const side of [-b, b]) segment(g, x + l, y, x + 0.7 * l, y + side);
      });
    p.rimmed(p.c.value, 1.5, draw);
  }

  /** Fakes over the data, and the one that the pointer has asked for. */
  paintSeries(p, s, f, on, v) {
    const draw = (all, ...how) => p.series(v, all, s.shape, s.box, ...how);
    if (on.real && s.real) draw(s.real, p.c.data, 0.35, 1);
    if (on.fakes && f.lines) draw(f.lines, p.c.generator, 0.8, 1.2);
    if (!this.spot || !this.at || !this.at.line) return;
    draw(this.at.line, p.c.halo, 1, 5);
    draw(this.at.line, p.c.value, 1, 2.5);
  }

  paintImages(p, { shape }, f, on) {
    const near = on.near && f.near;
    if (!f.pictures) return;
    const [left, side] = square(p.w, p.h, near);
    p.grid(pictures(f.pictures, 64, shape), 8, left, side);
    if (near) {
      p.grid(pictures(f.near, 64, shape), 8, p.w - side, side);
      p.text("fakes", 2, side + 14, { size: 12 });
      p.text("nearest real items", p.w - side + 2, side + 14, { size: 12 });
    }
    if (!this.spot || !this.at || !this.at.picture) return;
    const d = Math.min(p.w, p.h) / 3.4;
    const x = clamp(this.spot[0] * p.w - d / 2, 0, p.w - d);
    const y = clamp(p.h - this.spot[1] * p.h - d / 2, 0, p.h - d);
    const [dx, dy, wide, high] = fitted(shape, d, d);
    p.box(p.c.generator, x + dx - 3, y + dy - 3, wide + 6, high + 6);
    p.fit(pixels(this.at.picture, shape), x, y, d, d);
  }

  /** A small picture for the diagram: of the noise, of the fakes, of the data, of what D says. */
  tile(name, canvas) {
    const p = new Pen(canvas, this.app.ink);
    const { scene: s, frame: f } = this;
    if (!p.w || !s || !f) return;
    const { c } = p;
    const v = view(this.box(), p.w, p.h);
    const few = (xy) => kept(xy, "few", () => xy.subarray(0, 240));
    if (name === "z") return p.stillDots(v, few(this.placed(s.z)), c.value, 1, 1.2);
    if (name === "D") {
      if (s.kind === "line" && f.p) figure1(p, f, { heat: true }, true);
      if (s.kind !== "plane" || !f.heat || !this.app.layers.heat) return;
      p.ground(f.heat, s.cells);
      return this.critic() || p.half(f.heat, s.cells);
    }
    const fake = name === "fakes";
    const colour = fake ? c.generator : c.data;
    const images = fake ? f.pictures : s.examples;
    const lines = fake ? f.lines : s.real;
    if (s.kind === "images") return images && p.grid(pictures(images, 9, s.shape), 3, 0, p.w);
    if (s.kind === "line") return f.p && figure1(p, f, { fakes: fake, real: !fake }, true);
    if (s.kind !== "series" && fake) return p.dots(v, few(f.fakes), colour, 1, 1.3);
    if (s.kind !== "series") return p.stillDots(v, few(s.real), colour, 0.8, 1.3);
    if (lines) p.series(v, lines.subarray(0, 8 * s.shape[0] * s.shape[1]), s.shape, s.box, colour, 0.7, 0.8);
  }

  paintPad(p) {
    const v = this.view();
    const all = [...(this.app.state.strokes || []), ...(this.stroke ? [this.stroke] : [])];
    p.g.lineCap = "round";
    for (const s of all)
      p.line(p.c.data, 8, (g) => {
        g.moveTo(v.x(s[0][0]) - 0.1, v.y(s[0][1])); // or a single dot would not be seen
        s.forEach(([x, y]) => g.lineTo(v.x(x), v.y(y)));
      });
    const said = all.length ? "Draw on, or press “Done drawing”" : "Draw the data here, with mouse or finger";
    p.text(said, p.w / 2, 22, { size: 14, align: "center" });
  }

  cross(p) {
    const [x, y] = [this.view().x(this.spot[0]), this.view().y(this.spot[1])];
    p.line(p.c.text, 0.7, (g) => {
      segment(g, x, 0, x, p.h);
      if (this.scene.kind !== "line") segment(g, 0, y, p.w, y);
    });
  }

  describe() {
    const now = performance.now();
    if (this.app.state.playing && now - (this.described || 0) < 1500) return;
    this.described = now;
    const seen = ([k]) => this.app.layers[k] && this.scene.layers.includes(k);
    const on = this.app.fixed.layer_names.filter(seen).map(([, label]) => label);
    const what = `${this.caption.textContent || "The game"} at iteration ${this.frame.iteration}`;
    this.canvas.setAttribute("aria-label", `${what}. Layers: ${on.join(", ") || "none"}. Arrow keys move a probe.`);
  }
}

// ---- curves

// These are measured now and then; all else in the record is told for each iteration.
const measured = ["accuracy", "jsd", "floor", "missed", "stray", "modes", "modes_total", "high_quality"];
const usual = [...measured, "step", "at", "d_loss", "g_loss", "value", "d_real", "d_fake"];
const others = ["value", "discriminator", "generator", "guide"];

/** What a run records besides, such as a game's penalty: [name, label, colour]. */
const termsOf = (run) =>
  Object.keys(run || {})
    .filter((k) => !usual.includes(k))
    .map((k, i) => [k, k, others[i % others.length]]);

class Curve {
  constructor(app, [key, title, names, guide, hint, limits]) {
    Object.assign(this, { app, key, title, names, guide, limits: limits || [], hint, drawn: [], left: 40 });
    this.canvas = h("canvas.gl-curve", { role: "img", tabindex: 0 });
    this.head = h("figcaption", { title: hint });
    this.el = h("figure.gl-plot", { "data-curve": key, "data-tip": hint }, this.head, this.canvas);
    for (const what of ["pointermove", "click"]) this.canvas.addEventListener(what, (e) => this.read(e.offsetX));
    this.canvas.addEventListener("keydown", (e) => {
      const [step] = steps[e.key] || [];
      if (!step) return;
      e.preventDefault();
      this.read((this.px ?? this.canvas.clientWidth) + 4 * step);
    });
    app.stages[0].spoken(this.canvas);
  }

  /** The index of the point that the title tells. */
  until(x) {
    return x.length - 1;
  }

  /** One line of one run: where it is told, what it is there, and from least to most where it stands for many. */
  one(run, who, [name, label, colour]) {
    const at = (measured.includes(name) ? run?.at : run?.step) || [];
    const v = run?.[name] || [];
    const last = v.length - at.length; // where the row of what it is begins
    const told = [...at.keys()].filter((i) => Number.isFinite(v[last + i]));
    if (!told.length) return [];
    const row = (of, from) => told.map((i) => of[from + i]);
    const band = last ? [row(v, 0), row(v, at.length)] : null;
    const gap = (k) => at === run.step && name[0] !== " " && told[k] > told[k - 1] + 1; // of what each iteration tells
    const cuts = [0, ...[...told.keys()].filter(gap)];
    const how = { colour: this.app.ink.now()[colour], dash: who ? [4, 3] : [], cuts };
    return [{ x: row(at, 0), y: row(v, last), end: at.at(-1), band, label, ...how }];
  }

  paint(runs) {
    const names = (r) => (this.key === "terms" ? termsOf(r) : this.names);
    this.drawn = runs.flatMap((r, who) => names(r).flatMap((o) => this.one(r, who, o)));
    const before = !runs.some((r) => r && r.step && r.step.length);
    this.el.hidden = !this.drawn.length && !(this.key === "losses" || (before && this.key === "value"));
    const p = new Pen(this.canvas, this.app.ink); // only now, since what is hidden has no size
    this.entitle(this.key === "losses" && runs.some((r) => Number.isFinite(r?.value?.at(-1))));
    if (p.w) this[this.drawn.length ? "lines" : "frame"](p);
  }

  /** The title, with the figures of now. */
  entitle(nats) {
    const told = {};
    const number = (y) => short(this.key === "modes" ? Math.round(y) : y);
    for (const { x, y, label, colour } of this.drawn) (told[label] ||= [colour]).push(number(y[this.until(x)]));
    const one = ([label, [colour, ...all]]) =>
      h("span", h("i.gl-swatch", { style: `background:${colour}` }), ` ${label} ${all.join(" | ")}`);
    const title = `${this.title}${nats ? ", nats" : ""} `;
    this.head.replaceChildren(title, ...Object.entries(told).flatMap((o) => [" ", one(o)]));
    this.canvas.setAttribute("aria-label", this.head.textContent);
  }

  frame = (p) => p.line(p.c.guide, 0.5, (g) => g.rect(this.left, 4, p.w - 4 - this.left, p.h - 16));

  lines(p) {
    const all = this.drawn.flatMap((s) => s.band || [s.y]);
    const ends = bounds(this.guide === null ? all : [...all, [this.guide]], this.limits);
    const end = Math.max(1, ...this.drawn.map((s) => s.end));
    const said = brief(ends);
    const left = (this.left = Math.max(40, 4 + Math.ceil(p.width(said, 10))));
    const v = view([[0, end], ends], p.w - 4 - left, p.h - 18);
    const [X, Y] = [(this.X = (x) => left + v.x(x)), (y) => 6 + v.y(y)];
    this.end = (px) => v.back(px - left, 0)[0];
    p.g.globalAlpha = 0.75;
    said.forEach((o, i) => p.text(o, left - 4, i ? 11 : p.h - 12, { size: 10, align: "right" }));
    p.text(`iteration ${short(end)}`, p.w - 2, p.h - 1, { size: 10, align: "right" });
    p.text("0", left, p.h - 1, { size: 10 });
    this.frame(p);
    const path = (x, y, colour, width, more) =>
      p.line(colour, width, (g) => y.forEach((o, i) => g.lineTo(X(x[i]), Y(o))), more);
    if (this.guide !== null) path([0, end], [this.guide, this.guide], p.c.guide, 1.2, { dash: [2, 3] });
    for (const { colour, dash, cuts, ...s } of this.drawn) {
      const [wide, fill] = [s.band && s.band[0].some((o, i) => o < s.band[1][i]), dash.length ? 0.2 : 0.4];
      cuts.forEach((from, i) => {
        const [x, y, least, most] = [s.x, s.y, ...(s.band || [])].map((o) => o.slice(from, cuts[i + 1]));
        if (x.length < 2) p.line(colour, 3, (g) => g.arc(X(x[0]), Y(y[0]), 1.5, 0, 7));
        if (!wide) path(x, y, colour, 1.5, { dash });
        else path([...x, ...x.reverse()], [...least, ...most.reverse()], colour, 0.8, { dash, fill });
      });
    }
  }

  /** What the curves were under the pointer. */
  read(px) {
    if (!this.end || !this.drawn.length) return;
    const at = this.end((this.px = clamp(px, this.left, this.canvas.clientWidth - 4)));
    const one = ({ x, y, band, label }) => {
      const i = nearest(x, at);
      const wide = band && band[0][i] < band[1][i];
      return `${label} ${wide ? `${short(band[0][i])} to ${short(band[1][i])}` : short(y[i])}`.trim();
    };
    this.app.tip(`${this.hint}. At iteration ${short(Math.round(at))}: ${this.drawn.map(one).join(", ")}`);
  }
}

// ---- the living diagram

class Flow {
  constructor(app) {
    this.app = app;
    const diagram = h("div.gl-diagram", { style: `--gl-tip: url(#gl-tip-${app.id})` });
    diagram.innerHTML = app.fixed.diagram.replace("gl-tip", `gl-tip-${app.id}`);
    for (const way of diagram.querySelectorAll(":is(.gl-way, .gl-back) path")) {
      const wide = way.cloneNode(); // to be hit
      wide.setAttribute("class", "gl-hit");
      wide.removeAttribute("data-on");
      way.after(wide);
    }
    const below = ["d_real", "d_fake", "pull"].map((k) => h("span", { "data-number": k })); // where there is no room in it
    this.el = h("div.gl-living", diagram, h("div.gl-below", ...below));
    this.tiles = [...diagram.querySelectorAll("[data-part]")].map((e) => {
      const [x, y, side] = ["x", "y", "width"].map((k) => e.querySelector("rect").getAttribute(k));
      const style = `left:${x / 5.6}%;top:${y / 1.96}%;width:${side / 5.6}%;height:${side / 1.96}%`;
      const canvas = h("canvas.gl-tile", { "data-tile": e.dataset.part, "aria-hidden": "true", style });
      diagram.prepend(canvas);
      return [e.dataset.part, canvas];
    });
    Object.assign(this, { ways: this.el.querySelectorAll(".gl-way, .gl-back"), offset: 0 });
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    const g = this.el.querySelector(".gl-g");
    for (const on of ["focus", "click"]) g.addEventListener(on, () => app.playMorph());
    g.addEventListener("keydown", (e) => {
      if (e.key === "Enter" || e.key === " ") (e.preventDefault(), app.playMorph());
    });
  }

  light(line) {
    const on = (e) => e.classList.toggle("gl-lit", e.dataset.on.split(" ").includes(String(line)));
    this.el.querySelectorAll("[data-on]").forEach(on);
  }

  /** The dashes move with the frames: an animation would have the page laid out twice as often. */
  run() {
    this.offset = (this.offset - 0.75) % 12;
    if (this.offset % 1.5) return;
    for (const e of this.ways) e.setAttribute("stroke-dashoffset", this.offset);
  }

  paint() {
    const [stage] = this.app.stages;
    const now = stage.frame && stage.frame.numbers;
    for (const [name, canvas] of this.tiles) stage.tile(name, canvas);
    if (this.app.state.playing && this.app.fresh && !this.calm.matches) this.run();
    if (!now || now === this.now) return;
    this.now = now;
    const words = { d_real: "D(x) ", d_fake: "D(G(z)) ", pull: "gradient " };
    for (const e of this.el.querySelectorAll("[data-number]")) {
      const k = e.dataset.number;
      put(e, now[k] === undefined ? (words[k] ? "" : "–") : `${words[k] || ""}${steady(now[k])}`);
    }
    this.el.querySelector(".gl-of-g").style.strokeWidth = 1.2 + reach(now.pull ?? 0.3, 4, 3);
  }
}

// ---- Algorithm 1, line by line

class Slow {
  constructor(app) {
    this.app = app;
    this.clear();
    this.lines = app.fixed.lines.map((l) => {
      const [text, formula, told] = ["line", "formula", "number"].map((k) => h(`span.gl-${k}`));
      const e = h("li", { style: `padding-left:${2 * (l.length - l.trimStart().length)}ch` }, text, formula, told);
      return { e, text, formula, told, said: l.trim() };
    });
    this.told = h("p.gl-told", { "aria-live": "polite" });
    this.back = button("◀ Back", "line-back", "The line before, as it was", () => this.go(-1));
    const next = button("Next line ▶", "line", "One line of Algorithm 1", () => this.go(1));
    const list = h("ol.gl-lines", { "aria-label": "Algorithm 1" }, ...this.lines.map((l) => l.e));
    this.el = h("div.gl-slow", list, h("div.gl-buttons", this.back, next), this.told);
    this.show();
  }

  clear = () => Object.assign(this, { log: [], at: -1, on: false, newest: null });

  go(way) {
    const to = this.at + way;
    if (to < 0) return;
    if (to >= this.log.length || !this.on) return this.app.send("line");
    this.at = to;
    this.show();
  }

  /** A line is carried out, or (null) the iteration is complete. */
  hear(m, arrays) {
    const before = this.log[this.log.length - 1];
    if (m.line === null) {
      this.on = false;
      if (before) before.last = true;
    } else {
      if (!this.on && !before) this.app.open("lines");
      this.on = true;
      const turn = before ? before.turn + (before.last || before.line === 8 ? 1 : 0) : 0;
      this.log = [...this.log.slice(-60), { ...m, arrays, turn }];
    }
    this.at = this.log.length - 1;
    this.show(m.line === null ? m.said : undefined);
  }

  /** The picture of the line that is being carried out. */
  frame(frame) {
    if (this.on && this.log.length) this.log[this.log.length - 1].frame = frame;
  }

  show(said) {
    const now = this.on ? this.log[this.at] : null;
    const { game = "", k } = this.app.state.settings || {};
    const there = now ? this.log.slice(0, this.at + 1).filter((o) => o.turn === now.turn) : [];
    this.lines.forEach((l, i) => {
      const f = this.app.fixed.formulas[i] || "";
      const told = there.filter((o) => o.line === i).pop();
      const lit = !!now && now.line === i;
      put(l.text, k ? l.said.replace("k steps", `k = ${k} steps`) : l.said);
      put(l.formula, told && !lit ? told.told.split(";")[0] : typeof f === "string" ? f : (f[game] ?? f[""]));
      put(l.told, lit ? told.told : "");
      l.e.classList.toggle("gl-lit", lit);
      l.e.ariaCurrent = lit ? "step" : null;
    });
    this.app.flow.light(now ? now.line : null);
    const of = this.app.state.compare ? "Of the first run. " : "";
    put(this.told, of + (now ? now.said : said || "Press “Next line”, or choose the speed “line by line”."));
    this.back.disabled = !now || this.at < 1;
    const [stage] = this.app.stages;
    const last = this.at === this.log.length - 1;
    stage.minibatch = now ? now.arrays : null;
    if (now && now.frame && !last) stage.frame = now.frame;
    else if (this.newest) stage.frame = this.newest;
    this.app.repaint();
  }
}

// ---- controls

/** What stands in a field or choice; null where nothing does. */
function typed(e) {
  const text = e.value.trim();
  return text && e.type === "number" ? Number(text) : text || null;
}

function control(app, c) {
  const id = `gl-${app.id}-${c.name}`;
  const send = (value) => app.change(c, value);
  const field = () => {
    const text = { type: "text", placeholder: c.text };
    const commit = () => {
      // on Enter, or when the field is left: what a script has set is no change to the browser
      if (input.dataset.editing && typed(input) !== null) send(typed(input));
      delete input.dataset.editing;
      app.sync(); // a field that was emptied says again how things stand
    };
    const oninput = () => (input.dataset.editing = "yes");
    const onkeydown = (e) => {
      if (e.key === "Enter") commit();
      const [, up] = steps[e.key] || [];
      if (!up || c.text || c.whole) return;
      e.preventDefault(); // the browser's step would be 1
      const v = Number(input.value);
      const next = c.name.endsWith(".lr") ? v * 1.25 ** up : v + 0.05 * up;
      input.value = Number(clamp(next, c.low, c.high).toPrecision(3));
      oninput();
    };
    const kind = c.text ? text : { type: "number", min: c.low, max: c.high, step: c.whole ? 1 : "any" };
    return h("input", { id, ...kind, onchange: commit, onblur: commit, oninput, onkeydown });
  };
  const input = c.options ? select(null, null, c.options, send, { id }) : field();
  input.dataset.name = c.name;
  input.title = c.hint + (c.live ? "" : " A change starts the run again.");
  const mark = c.live ? null : h("span.gl-again", { "aria-hidden": "true" }, " ↺");
  return h("div.gl-knob", { "data-tip": input.title }, h("label", { for: id }, c.label, mark), input);
}

// ---- the whole window

class App extends Frame {
  constructor(model, el, name = "", label = "GAN Lab") {
    super(model, name, label);
    this.state = model.get("state");
    this.layers = { ...this.fixed.layers };
    Object.assign(this, { sent: 0, morphStart: -1e9, curves: [], painted: [] });
    this.alive();
    this.stages = [new Stage(this, 0)];
    this.build();
    this.listen("msg:custom", (m, buffers) => this.message(m, buffers));
    this.listen("change:state", () => this.sync());
    for (const what of ["pointerover", "focusin"]) this.root.addEventListener(what, (e) => this.explain(e.target));
    this.enter(el);
    this.sync();
    this.send("hello");
  }

  close() {
    super.close();
    this.lost.hidden = false;
  }

  /** Ask for something. What a user does is numbered: a report that is older must not undo it on the screen. */
  send(what, args = {}) {
    if (["at", "hello", "ping"].includes(what)) return this.model.send({ do: what, ...args });
    this.warned = null;
    if (!["line", "layers"].includes(what)) put(this.error, ""); // what is refused again is read again
    this.model.send({ do: what, window: this.id, count: ++this.sent, ...args });
  }

  /** Is the kernel's last report older than what was asked for last? */
  late() {
    return this.sent > ((this.state.heard || {})[this.id] || 0);
  }

  /** The kernel has said something. */
  alive() {
    Object.assign(this, { heard: performance.now(), unanswered: null });
    this.lost.hidden = true;
  }

  /** Ask for a sign of life, and say so when none comes: what slept has not asked, so nobody was silent. */
  pulse() {
    const now = performance.now();
    this.lost.hidden = !this.unanswered || now - this.unanswered < 7000;
    if (now - this.heard < 1500) return;
    this.unanswered ||= now;
    try {
      this.send("ping");
    } catch {
      this.lost.hidden = false; // the connection is gone
    }
  }

  // -- building

  build() {
    const b = (label, what, hint, name, args) => button(label, name || what, hint, () => this.forking(what, args));
    const toggle = () => (this.state.playing ? this.send("pause") : this.forking("play"));
    this.play = button("", "play", "", toggle, { main: "gl-main-button" });
    this.speed = select("Speed", "speed", this.fixed.speeds, (speed) => this.send("speed", { speed }));
    const onkeydown = (e) => {
      const way = steps[e.key];
      if (!way) return;
      e.preventDefault(); // the browser's step would be one iteration
      this.slide(Number(this.time.value), way[0] + way[1]);
    };
    const rest = { min: 0, step: 1, onkeydown };
    this.time = slider("Time: rewind to a recorded moment", "rewind", (v) => this.slide(v), rest);
    this.when = h("span.gl-when");
    this.note = h("p.gl-note", { role: "status", "aria-live": "polite" });
    this.past = button("", "back", "What was there before it was started over", () => this.send("back"));
    this.places = h("div.gl-stages", this.stages[0].el);
    this.plots = this.fixed.curves.map((c) => new Curve(this, c));
    const [losses, value, ...more] = this.plots.map((p) => p.el);
    this.said = h("div.gl-said", { "aria-label": "Diagnosis" });
    this.flow = new Flow(this);
    this.slow = new Slow(this);
    const lessons = ["Lessons", this.lessonBox()];
    const tabs = this.tabs({
      now: ["Diagnosis", this.said],
      curves: ["Curves", h("div.gl-plots", ...more)],
      lines: ["Line by line", this.slow.el],
      ...(this.state.given ? {} : { lessons }),
      knobs: ["Settings", this.knobBox()],
      compare: ["Compare", this.compareBox()],
      code: ["Share", this.codeBox()],
    });
    this.root.append(
      h(
        "div.gl-bar",
        { role: "toolbar", "aria-label": "Time" },
        this.play,
        b("1 iteration", "step", "One turn of both players"),
        b("only D", "alone", "One step of D against a G that stands still", "alone-d", { player: "d" }),
        b("only G", "alone", "One step of G against a D that stands still", "alone-g", { player: "g" }),
        b("↺ Reset", "reset", "Back to the start, same seed"),
        this.speed,
        h("label.gl-time", h("span", "Rewind"), this.time, this.when),
      ),
      this.lost,
      this.error,
      h(
        "div.gl-main",
        h("div.gl-left", this.places, h("div.gl-under", this.layerBox(), this.penBox())),
        h("div.gl-side", this.flow.el, h("div.gl-plots", losses, value), tabs),
      ),
    );
  }

  /** Everything that is not seen at once: one click away, and there again next time. */
  tabs(all) {
    const id = (name) => `gl-${this.id}-tab-${name}`;
    this.names = Object.keys(all);
    this.heads = this.names.map((o) =>
      button(all[o][0], `tab-${o}`, null, () => this.open(o, true), { role: "tab", id: id(o) }),
    );
    this.panels = this.names.map((o) =>
      h(`div.gl-panel.gl-panel-${o}`, { role: "tabpanel", "aria-labelledby": id(o) }, all[o][1]),
    );
    const onkeydown = (e) => {
      const [step] = steps[e.key] || [];
      const i = this.heads.indexOf(e.target);
      if (!step || i < 0) return;
      e.preventDefault();
      const to = this.heads[(i + step + this.heads.length) % this.heads.length];
      to.click();
      to.focus();
    };
    let last = null;
    try {
      last = localStorage.getItem("gan-lab-tab");
    } catch {} // where pages may keep nothing
    this.open(this.names.includes(last) ? last : "now");
    const list = h("div.gl-tabs", { role: "tablist", "aria-label": "More", onkeydown }, ...this.heads);
    return h("div.gl-more", list, h("div.gl-notes", this.note, this.past), ...this.panels);
  }

  open(name, keep) {
    this.names.forEach((o, i) => {
      this.panels[i].hidden = o !== name;
      this.heads[i].setAttribute("aria-selected", o === name);
      this.heads[i].tabIndex = o === name ? 0 : -1;
    });
    this.root.dataset.tab = name;
    this.repaintAll();
    try {
      if (keep) localStorage.setItem("gan-lab-tab", name);
    } catch {} // as above
  }

  /** The sentence that explains what is under the pointer. */
  explain(e) {
    const told = e.closest && e.closest("[data-tip]");
    const { tip, critic } = told ? told.dataset : {};
    if (told) this.tip((this.stages[0].critic() && critic) || tip);
    else if (this.tipped) this.tip(null);
  }

  tip(text) {
    const [stage] = this.stages;
    this.tipped = !!text;
    if (text || !stage.spot) put(stage.readout, text || stage.hint());
    else stage.told(stage.at);
  }

  layerBox() {
    this.boxes = {};
    const one = ([name, label, , hint]) => {
      const onchange = (e) => {
        this.layers[name] = e.target.checked;
        this.send("layers", { layers: Object.keys(this.layers).filter((k) => this.layers[k]) });
        this.repaint();
      };
      const box = (this.boxes[name] = h("input", { type: "checkbox", "data-layer": name, onchange }));
      box.checked = this.layers[name];
      const critic = name === "heat" && "What D says: blue is high, orange is low.";
      return h("label", { "data-tip": `${hint}.`, "data-critic": critic }, box, h(`i.gl-key.gl-key-${name}`), label);
    };
    this.layerLabels = this.fixed.layer_names.map(one);
    const hint = "Watch the noise being carried to the fakes";
    this.morphButton = button("z → G(z)", "morph", hint, () => this.playMorph());
    return h("div.gl-layers", { role: "group", "aria-label": "Layers" }, ...this.layerLabels, this.morphButton);
  }

  penBox() {
    this.pen = button("✎ Draw data", "draw", "Draw data of your own", () => this.draw(!this.drawing));
    this.undo = button("Undo", "undo", null, () => this.send("undo"));
    this.clear = button("Clear", "clear", null, () => this.send("clear"));
    return h("div.gl-pen", this.pen, this.undo, this.clear);
  }

  lessonBox() {
    this.lesson = h("div.gl-lesson", { "aria-live": "polite" });
    const one = ([name, title]) =>
      button(title, null, null, () => this.send("lesson", { name }), { "data-lesson": name });
    const buttons = h("div.gl-buttons", ...this.fixed.lessons.map(one));
    this.list = h("details.gl-list", { open: true }, h("summary", "All lessons"), buttons);
    return h("div", this.list, this.lesson);
  }

  knobBox() {
    this.knobs = {};
    const { first, controls } = this.fixed;
    const every = controls.flatMap(([, items]) => items);
    const make = (c) => {
      const e = control(this, c);
      this.knobs[c.name] = e.querySelector("[data-name]");
      return e;
    };
    const other = (c) => !first.some(([name]) => name === c.name);
    const few = first.map(([name, label]) => make({ ...every.find((c) => c.name === name), label }));
    const rest = controls.map(([title, items]) => h("fieldset", h("legend", title), ...items.filter(other).map(make)));
    const note = h("p.gl-small", "↺: a change starts the run again.");
    const all = h("details.gl-all", h("summary", "All settings"), h("div.gl-knobs", ...rest));
    return h("div", h("div.gl-knobs.gl-first", ...few), note, all);
  }

  compareBox() {
    const all = this.fixed.controls.flatMap(([title, items]) => items.map((c) => ({ ...c, title })));
    const value = h("span");
    const fits = (c) => !["data.file", "data.name"].includes(c.name) && (c.live || !this.state.given);
    const names = all.filter(fits).map((c) => [c.name, `${c.title}: ${c.label}`]);
    const pick = (name) => {
      const c = all.find((o) => o.name === name);
      const app = { id: `${this.id}-compare`, change: () => {}, sync: () => {} };
      const e = control(app, { ...c, live: true }).querySelector("[data-name]");
      e.setAttribute("aria-label", "Its value in the second run");
      delete e.dataset.name;
      e.dataset.do = "compare-value";
      e.value = this.state.settings[name];
      value.replaceChildren(e);
    };
    const which = select("Setting that differs", "compare-which", names, pick);
    pick((which.value = "game"));
    const go = () => {
      const e = value.firstChild;
      if (typed(e) === null) return e.focus();
      this.forking("compare", { name: which.value, value: typed(e) });
    };
    this.alone = button("Back to one run", "uncompare", null, () => this.send("uncompare"));
    const start = button("Compare from the start", "compare", null, go);
    return h("div.gl-buttons", "The second run has ", which, " = ", value, start, this.alone);
  }

  codeBox() {
    const [code, copy] = copied("Code of this state");
    this.code = code;
    const b = (label, what, hint) => button(label, what, hint, () => this.send(what));
    const all = [
      b("Show me the code", "code", "Python that does this run again, to the bit"),
      b("A cell that opens this", "text", "A short text for others: it opens the Lab in this very state"),
      copy,
      b("Save the run", "save", "Write a run folder for gan-eval and gan-sample"),
    ];
    const more =
      "In a cell, with lab = Lab(…): record(lab).save('run.html'), .gif or .mp4 is a film of the recorded moments, " +
      "lab.picture() a picture, lab.text() the short text.";
    return h("div", h("div.gl-buttons", ...all), code, h("p.gl-small", more));
  }

  // -- what the user does

  change(c, value) {
    if (c.name === "data.name" && value === "drawn" && !(this.state.strokes || []).length) return this.draw(true);
    this.forking(c.live ? "set" : "again", { [c.name]: value });
  }

  /** What takes another way forgets moments of this run: it has to be asked for twice. */
  forking(what, args = {}) {
    const { iteration } = this.state;
    const key = JSON.stringify([what, args, iteration]);
    const lost = this.warned !== key && this.loses(what);
    if (!lost) return this.send(what === "again" ? "set" : what, args);
    this.warned = key;
    put(this.note, `This forgets what is recorded ${lost}. Once more, to go on.`);
    this.sync();
  }

  /** What a command takes with it, in words. */
  loses(what) {
    const { future, iteration, given, moments } = this.state;
    const begins = given && ["compare", "reset"].includes(what); // which is the trainer's own run, and no copy
    if (begins && iteration > moments[0]) return `after iteration ${short(moments[0])}`;
    const leads = ["step", "play"].includes(what) ? future === "other" : future && ["alone", "set"].includes(what);
    return leads && `after iteration ${short(iteration)}`;
  }

  draw(on) {
    this.drawing = on;
    if (on && this.state.playing) this.send("pause");
    if (!on && !(this.state.strokes || []).length) this.sync();
    this.pen.textContent = on ? "Done drawing" : "✎ Draw data";
    this.root.classList.toggle("gl-drawing", on);
    this.repaint();
  }

  /** To the moment nearest to `v`, or to the next one in one direction. */
  slide(v, way = 0) {
    const all = this.state.moments;
    const [past, future] = [all.filter((o) => o < v).at(-1), all.find((o) => o > v)];
    const at = way ? ((way < 0 ? past : future) ?? v) : all[nearest(all, v)];
    if (way) this.time.value = at;
    put(this.when, `iteration ${short(at)}`);
    this.time.setAttribute("aria-valuetext", this.when.textContent);
    clearTimeout(this.slideLater);
    this.slideLater = setTimeout(() => this.send("rewind", { iteration: at }), 40);
  }

  playMorph() {
    if (performance.now() - this.morphStart < 1800) return;
    this.morphStart = performance.now();
    const tick = () => {
      this.repaint();
      if (this.morph() < 1) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** Where the morph is: 0 at the noise, 1 at the fakes. */
  morph() {
    const t = Math.min(1, (performance.now() - this.morphStart) / 1800);
    return t * t * (3 - 2 * t);
  }

  // -- what the kernel says

  message(m, buffers) {
    this.alive();
    const arrays = m.parts ? unpack(m.parts, buffers) : {};
    const stage = this.stages[m.who || 0];
    if (m.do === "scene" && stage) {
      stage.begin({ ...m, ...arrays });
      if (!m.who && this.slow) this.slow.clear(); // its pictures were of another scene
      this.kinds();
    } else if (m.do === "frame" && stage) {
      stage.frame = { numbers: stage.frame?.numbers, ...m, ...arrays }; // which do not come in each one
      if (m.layers) stage.scene.layers = m.layers; // the best D depends on the game
      this.kinds();
      if (!m.who && this.slow) {
        this.slow.newest = stage.frame;
        this.slow.frame(stage.frame);
      }
      this.fresh = true;
      this.root.dataset.iteration = m.iteration;
      if (!m.who && m.numbers) this.clock(m.iteration);
      const old = !this.state.playing || performance.now() - (stage.asked || 0) > 250;
      if (stage.spot && old) stage.probe(stage.spot); // the pointer rests there
    } else if (m.do === "curves") {
      this.curves[m.who] = arrays;
      this.repaintCurves();
    } else if (m.do === "line") this.slow.hear(m, arrays);
    else if (m.do === "at" && stage) stage.told(m);
    this.repaint();
  }

  kinds() {
    const scenes = this.stages.flatMap((o) => o.scene || []);
    this.morphButton.hidden = !scenes.some(({ kind }) => kind === "plane" || kind === "table");
    const seen = new Set(scenes.flatMap((o) => o.layers));
    this.fixed.layer_names.forEach(([name], i) => (this.layerLabels[i].hidden = !seen.has(name)));
  }

  clock(i, { rate } = this.state) {
    put(this.when, `iteration ${short(i)}${rate ? `, ${short(rate)}/s` : ""}`);
  }

  paint() {
    for (const o of this.stages) o.paint();
    if (this.flow) this.flow.paint();
    if (this.fresh) this.painted.push(performance.now());
    this.fresh = false;
    this.painted = this.painted.filter((t) => t > performance.now() - 2000);
    this.root.dataset.fps = (this.painted.length / 2).toFixed(1);
  }

  repaintCurves() {
    for (const p of this.plots) p.paint(this.curves);
  }

  repaintAll() {
    this.repaint();
    this.repaintCurves();
  }

  toggled(playing) {
    this.play.textContent = playing ? "❚❚ Pause" : "▶ Play";
    this.play.dataset.do = playing ? "pause" : "play";
  }

  sync() {
    const s = (this.state = this.model.get("state"));
    this.alive();
    if (!s.settings) return;
    const late = this.late();
    this.toggled(s.playing);
    this.play.title = s.playing ? "Stop after this iteration" : "Train, until you press Pause";
    this.root.classList.toggle("gl-playing", s.playing);
    this.root.classList.toggle("gl-given", s.given);
    if (!late) put(this.error, s.error);
    if (!this.warned) put(this.note, s.note);
    this.past.hidden = !s.past;
    put(this.past, `↶ Run before, at ${short(s.past || 0)}`);
    if (this.drawing && s.playing && !late) this.draw(false);
    if (!late) {
      this.speed.value = s.speed;
      for (const k of Object.keys(this.boxes)) this.boxes[k].checked = this.layers[k] = s.layers.includes(k);
    }
    for (const [name, e] of Object.entries(this.knobs)) {
      if (!e.dataset.editing && !late) e.value = s.settings[name];
      e.disabled = s.given && !this.fixed.live.includes(name);
    }
    this.undo.hidden = this.clear.hidden = !(s.strokes || []).length;
    this.alone.disabled = !s.compare;
    const runs = (s.said || []).map((said, i) => [s.compare ? s.compare[i] : "", ...said]);
    if (this.said.textContent !== runs.flat().join(""))
      this.said.replaceChildren(
        ...runs.flatMap(([run, ...said]) => [h("strong", run), h("ul", ...said.map((o) => h("li", o)))]),
      );
    this.code.hidden = !s.code;
    put(this.code, s.code || "");
    this.time.max = s.moments[s.moments.length - 1] || 1;
    if ((document.activeElement !== this.time && !late) || s.playing) this.time.value = s.iteration;
    this.clock(s.iteration);
    this.time.setAttribute("aria-valuetext", this.when.textContent);
    this.teach(s.lesson || {});
    this.companions(s);
    this.slow.show();
    this.repaint();
  }

  /** The lesson: its text and question; the answer folded, with what to try next. The list makes room for it. */
  teach({ title, text, question, answer, ...more }) {
    const key = JSON.stringify([title, text, question, answer, more]);
    if (this.taught === key) return;
    this.taught = key;
    this.list.open = !title;
    const p = (words, name = "") => (words ? h(`p${name}`, words) : null);
    const rest = Object.values(more).map((o) => p(o, ".gl-next"));
    const folded = answer && h("details", h("summary", "Answer"), p(answer), ...rest);
    const all = [title && h("strong", title), p(text), p(question, ".gl-question"), folded];
    this.lesson.replaceChildren(...all.filter(Boolean));
  }

  companions(s) {
    const n = s.compare ? 2 : 1;
    while (this.stages.length > n) {
      this.stages.pop().el.remove();
      this.curves.length = n;
    }
    while (this.stages.length < n) {
      this.stages.push(new Stage(this, this.stages.length));
      this.places.append(this.stages[this.stages.length - 1].el);
      this.send("hello");
    }
    this.places.classList.toggle("gl-two", n > 1);
    (s.compare || [""]).forEach((t, i) => put(this.stages[i].caption, t));
    this.root.classList.toggle("gl-comparing", n > 1);
  }
}

export default {
  render({ model, el }) {
    const app = new App(model, el);
    return () => app.close();
  },
};
