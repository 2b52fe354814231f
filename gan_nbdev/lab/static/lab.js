// The Lab's window: draws what `gan_nbdev.lab` sends, and sends back what is asked for.
// It comes after common.js in one module. What computes is exported for the tests.

// ---- what computes

/** An arrow's length in pixels: in proportion while short, never more than `most`. */
export function reach(length, scale, most = 26) {
  const s = length * scale;
  return (most * s) / (1 + s);
}

/** The opacity of a mesh that holds 1 / `meshes` of the fakes, by its area in pixels. */
export function density(area, meshes, whole) {
  return Math.min(0.75, Math.max(0.04, (0.05 * whole) / (meshes * Math.max(area, 1e-6))));
}

/** The ends of an axis: those of `limits`; else bounds of all finite numbers, with a little room, but not across 0. */
export function bounds(series, [least, most] = []) {
  let lo = Infinity,
    hi = -Infinity;
  for (const s of series) for (const y of s) if (Number.isFinite(y)) ((lo = Math.min(lo, y)), (hi = Math.max(hi, y)));
  if (lo > hi) return [0, 1];
  const room = (hi - lo || Math.abs(hi) || 1) * 0.08;
  const above = Number.isFinite(least) ? hi || 1 : lo < 0 && hi <= 0 ? Math.min(0, hi + room) : hi + room;
  return [least ?? (lo >= 0 ? Math.max(0, lo - room) : lo - room), most ?? above];
}

/** The index of the number in `sorted` that is nearest to `v`. */
export function nearest(sorted, v) {
  let best = 0;
  sorted.forEach((o, i) => {
    if (Math.abs(o - v) < Math.abs(sorted[best] - v)) best = i;
  });
  return best;
}

/** A number that changes: always as wide. */
export function steady(v) {
  return v.toFixed(Math.abs(v) < 0.1 ? 3 : 2).replace(/^-(0\.0+)$/, "$1");
}

/** What D's answer means, in words. */
export function verdict(p) {
  if (p > 0.55) return "D bets on data here.";
  return p < 0.45 ? "D bets on fakes here." : "D cannot tell data from fakes here.";
}

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Histograms of data and fakes, and D, as lines across `w` × `hgt` pixels. */
function figure1(g, c, f, on, w, hgt, small) {
  const top = Math.max(...f.p) * 1.6,
    Y = (o, most) => hgt - (Math.min(o, most) / most) * hgt * 0.9;
  const line = (y, colour, width, path) => {
    g.beginPath();
    path(y);
    g.strokeStyle = g.fillStyle = colour;
    g.lineWidth = width;
    g.stroke();
  };
  const steps = (y) => y.forEach((o, i) => [i, i + 1].forEach((x) => g.lineTo((x / y.length) * w, Y(o, top))));
  if (on.fakes) {
    line(f.q, c.generator, 1.6, steps);
    g.lineTo(w, hgt);
    g.lineTo(0, hgt);
    g.globalAlpha = 0.3;
    g.fill();
    g.globalAlpha = 1;
  }
  if (on.real) line(f.p, c.data, 1.6, steps);
  for (const [name, most, dash] of [
    ["heat", 255, small ? [] : [6, 4]],
    ["star", 254, [2, 3]],
  ]) {
    if (!on[name] || !f[name]) continue;
    g.setLineDash(dash);
    line(f[name], c.discriminator, 1.8, (y) =>
      y.forEach((o, i) => o <= most && g.lineTo(((i + 0.5) / y.length) * w, Y(o, most))),
    );
    g.setLineDash([]);
  }
}

// ---- the stage: one canvas, one run

class Stage {
  constructor(app, who) {
    Object.assign(this, { app, who, scene: null, frame: null, minibatch: null, at: null });
    this.canvas = h("canvas", { class: "gl-canvas", tabindex: 0, role: "img" });
    this.caption = h("figcaption", { class: "gl-caption" });
    this.about = h("div", { class: "gl-about", hidden: true });
    this.ends = [h("span"), h("span", {}, "½"), h("span")];
    this.scale = h("div", {
      class: "gl-scale",
      "data-tip": "What D says of each place: ½ where it cannot tell data from fakes.",
    });
    this.scale.append(this.ends[0], h("i", {}, this.ends[1]), this.ends[2]);
    this.readout = h("div", { class: "gl-readout" });
    this.el = h("figure", { class: "gl-stage" }, this.caption, this.canvas, this.scale, this.about, this.readout);
    put(this.readout, this.hint());
    this.pointer();
  }

  pointer() {
    const c = this.canvas,
      place = (e) => {
        const b = c.getBoundingClientRect();
        const at = this.view().back(e.clientX - b.left, e.clientY - b.top);
        if (!this.app.drawing) return at;
        return at.map((v, i) => Math.min(Math.max(v, this.box()[i][0]), this.box()[i][1]));
      };
    c.addEventListener("pointerdown", (e) => {
      if (!this.app.drawing) return this.probe(place(e));
      if (e.button || this.stroke) return;
      c.setPointerCapture(e.pointerId);
      this.stroke = [place(e)];
      e.preventDefault();
    });
    c.addEventListener("pointermove", (e) => {
      if (this.stroke) {
        this.stroke.push(place(e));
        this.app.repaint();
      } else this.probe(place(e));
    });
    c.addEventListener("pointerup", () => {
      if (!this.stroke) return;
      this.app.send("stroke", { points: this.stroke });
      this.stroke = null;
    });
    c.addEventListener("pointercancel", () => {
      this.stroke = null;
      this.app.repaint();
    });
    c.addEventListener("pointerleave", (e) => {
      if (!this.stroke && e.pointerType !== "touch") this.probe(null); // what a finger has asked for stays
    });
    // with the keyboard, what is read off is spoken
    c.addEventListener("focus", () => this.readout.setAttribute("aria-live", "polite"));
    c.addEventListener("blur", () => this.readout.setAttribute("aria-live", "off"));
    c.addEventListener("keydown", (e) => {
      const step = arrows[e.key];
      if (!step || !this.scene) return;
      e.preventDefault();
      const at = this.spot || this.box().map(([a, b]) => (a + b) / 2);
      this.probe(this.box().map(([a, b], i) => at[i] + (step[i] * (b - a)) / 40));
    });
  }

  probe(spot) {
    this.spot = spot;
    this.app.repaint();
    clearTimeout(this.later);
    if (!spot) {
      this.at = null;
      put(this.readout, this.hint());
      return;
    }
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
  noisy() {
    return this.scene && ["images", "series"].includes(this.scene.kind);
  }

  /** What the axes are called. */
  names() {
    const { kind, names = [], box } = this.scene;
    if (kind === "images") return [];
    if (kind === "series") return ["moment", "value"];
    return names.length ? names : ["x₁", "x₂"].slice(0, box.length);
  }

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
    if (this.noisy()) {
      const what = this.scene.kind === "images" ? "picture" : "series";
      return put(this.readout, `D of the ${what} at this place in the noise: ${short(at.D)}`);
    }
    const words = { D: "D", star: "best D", p: "p", log_D: "log D", log_not_D: "log(1−D)", g_loss: "G's loss" };
    const read = Object.entries(words).filter(([k]) => at[k] !== undefined && at[k] !== null);
    const place = this.names().map((o, i) => `${o} = ${short(this.spot[i])}`);
    const said = at.log_D === undefined ? [] : [verdict(at.D)];
    put(this.readout, [...place, ...read.map(([k, n]) => `${n} ${short(at[k])}`), ...said].join("   "));
  }

  box() {
    if (this.app.drawing) return this.app.fixed.pad;
    const b = this.scene ? this.scene.box : [[0, 1]];
    return b.length > 1 ? b : [b[0], [0, 1]];
  }
  view() {
    return view(this.box(), this.canvas.clientWidth, this.canvas.clientHeight);
  }

  paint() {
    const s = this.scene,
      f = this.frame,
      on = this.app.layers;
    this.canvas.style.aspectRatio = s && s.kind === "images" && on.near && !this.app.drawing ? "2 / 1.1" : "";
    const [g, w, hgt] = sharp(this.canvas);
    if (!w) return;
    const c = this.app.ink.now();
    g.fillStyle = c.ground;
    g.fillRect(0, 0, w, hgt);
    this.scale.hidden =
      this.app.drawing || !(s && s.kind === "plane" && s.layers.includes("heat") && (on.heat || on.star));
    if (this.app.drawing) return this.paintPad(g, c, w, hgt);
    if (!s) return;
    const v = this.view();
    if (s.kind === "images") return this.paintImages(g, c, w, hgt);
    if (s.kind === "series") this.paintSeries(g, c, v);
    else if (s.kind === "line") this.paintLine(g, c, v, w, hgt);
    else this.paintPlane(g, c, v, w, hgt);
    named(g, c, this.names(), this.box(), w, hgt);
    if (this.spot && s.kind !== "series") this.cross(g, c, v, w, hgt);
    if (f) this.describe();
  }

  /** The ground: orange where D bets on fakes, blue where it bets on data. */
  ground(g, name, n, c, w, hgt, top) {
    const made = () => bitmap(shade(this.frame[name], n, c.fake, c.high, top, c.low), n);
    g.imageSmoothingEnabled = top > 254;
    g.drawImage(this.kept(name, this.frame[name], c, made), 0, 0, w, hgt);
  }

  paintPlane(g, c, v, w, hgt) {
    const on = this.app.layers,
      s = this.scene,
      f = this.frame || {},
      n = s.cells;
    if (on.star && f.star) this.ground(g, "star", n / 2, c, w, hgt, 254);
    else if (on.heat && f.heat) this.ground(g, "heat", n, c, w, hgt, 255);
    if (on.heat && f.heat) this.half(g, c, w, hgt, n);
    if (on.manifold && f.manifold) this.mesh(g, c, v, w * hgt);
    const told = this.minibatch || {};
    if (on.real) this.dots(g, v, s.real, c.data, "ring", told.x ? 0.25 : 0.6);
    if (on.fakes && f.fakes) this.dots(g, v, this.moved(f.fakes), c.generator, "dot", told.fakes ? 0.25 : 0.9);
    if (on.arrows && f.arrows) this.arrows(g, c, v);
    if (told.x) this.dots(g, v, told.x, c.data, "ring", 1, 3.5);
    if (told.fakes) this.dots(g, v, told.fakes, c.generator, "dot", 1, 3);
    if (told.z) this.dots(g, v, this.placed(told.z), c.value, "dot", 1, 2.5);
    const critic = f.numbers && f.numbers.d_real === undefined;
    const colours = [c.fake, c.low, c.high].map((o) => `rgb(${o})`);
    this.scale.children[1].style.background = `linear-gradient(90deg, ${colours})`;
    ["least", "", "most"].forEach((o, i) => put(this.ends[i], critic ? o : ["D = 0, fake", "½", "1, real"][i]));
  }

  /** What was made of `array` and the colours `c`, as long as both are the same. */
  kept(name, array, c, make) {
    const key = String([c.low, c.high]),
      old = (this.cache ||= {})[name];
    if (!old || old.array !== array || old.key !== key) this.cache[name] = { array, key, made: make() };
    return this.cache[name].made;
  }

  half(g, c, w, hgt, n) {
    const heat = this.frame.heat,
      cuts = this.kept("half", heat, c, () => contour(heat, n, 127.5));
    outline(g, cuts, n, w, hgt, c.text);
  }

  dots(g, v, xy, colour, kind, alpha, r = kind === "ring" ? 2.2 : 2) {
    const ring = kind === "ring";
    g.globalAlpha = alpha;
    circles(g, v, xy, r);
    g.strokeStyle = ring ? colour : this.app.ink.now().halo;
    g.lineWidth = ring ? 1 : 0.8;
    g.stroke();
    g.fillStyle = colour;
    if (!ring) g.fill();
    g.globalAlpha = 1;
  }

  /** Noise in the picture: ±3 of the prior fills the box. */
  placed(z) {
    const d = z.shape[1],
      box = this.box(),
      out = new Float32Array(2 * z.shape[0]);
    for (let i = 0; i < z.shape[0]; i++)
      box.forEach(([a, b], k) => {
        out[2 * i + k] = (a + b) / 2 + ((k < d ? z[i * d + k] : 0) * (b - a)) / 6.5;
      });
    return out;
  }

  /** Fakes on their way from z to G(z), while the morph plays. */
  moved(fakes) {
    const t = this.app.morph();
    if (t === 1 || !this.scene.z) return fakes;
    const from = this.placed(this.scene.z);
    return fakes.map((o, i) => from[i] + t * (o - from[i]));
  }

  mesh(g, c, v, whole) {
    const m = this.frame.manifold,
      [rows, cols] = this.scene.lattice;
    if (this.app.morph() < 1) return;
    g.fillStyle = g.strokeStyle = c.generator;
    const at = (r, k) => [v.x(m[2 * (r * cols + k)]), v.y(m[2 * (r * cols + k) + 1])];
    for (let r = 0; r + 1 < rows; r++) {
      for (let k = 0; k < Math.max(cols - 1, 1); k++) {
        const p = cols > 1 ? [at(r, k), at(r, k + 1), at(r + 1, k + 1), at(r + 1, k)] : [at(r, k), at(r + 1, k)];
        let area = 0;
        p.forEach(([x, y], i) => {
          const [X, Y] = p[(i + 1) % p.length];
          area += x * Y - X * y;
        });
        g.beginPath();
        p.forEach((o) => g.lineTo(...o));
        g.closePath();
        g.globalAlpha = density(Math.abs(area) / 2, rows * cols, whole);
        g.fill();
        g.globalAlpha = 0.5;
        g.lineWidth = 0.6;
        g.stroke();
      }
    }
    g.globalAlpha = 1;
  }

  arrows(g, c, v) {
    const f = this.frame,
      { pull } = this.scene,
      [bx, by] = this.box();
    g.beginPath();
    for (let i = 0; i < f.arrows.length; i += 2) {
      const dx = f.arrows[i] / (bx[1] - bx[0]), // as they lie in the picture
        dy = f.arrows[i + 1] / (by[1] - by[0]),
        size = Math.hypot(dx, dy);
      if (!(size > 0)) continue;
      const l = reach(Math.hypot(f.arrows[i] * pull[0], f.arrows[i + 1] * pull[1]), 1),
        x = v.x(f.fakes[i]),
        y = v.y(f.fakes[i + 1]);
      const ux = dx / size,
        uy = -dy / size,
        X = x + l * ux,
        Y = y + l * uy,
        b = Math.min(4, l / 2);
      g.moveTo(x, y);
      g.lineTo(X, Y);
      g.lineTo(X - b * (ux - 0.6 * uy), Y - b * (uy + 0.6 * ux));
      g.moveTo(X, Y);
      g.lineTo(X - b * (ux + 0.6 * uy), Y - b * (uy - 0.6 * ux));
    }
    this.outlined(g, c);
  }

  /** The path in the colour of V, with a rim: it lies on light and on dark. */
  outlined(g, c) {
    for (const [colour, width] of [
      [c.halo, 3],
      [c.value, 1.5],
    ]) {
      g.strokeStyle = colour;
      g.lineWidth = width;
      g.stroke();
    }
  }

  /** The paper's Figure 1: densities of data and fakes, D and the best D. */
  paintLine(g, c, v, w, hgt) {
    const on = this.app.layers,
      f = this.frame || {};
    if (!f.p) return;
    if (this.scene.layers.includes("heat")) {
      g.strokeStyle = c.guide;
      g.lineWidth = 0.6;
      g.beginPath();
      g.moveTo(0, hgt * 0.55);
      g.lineTo(w, hgt * 0.55);
      g.stroke();
      g.fillStyle = c.text;
      g.font = "11px sans-serif";
      g.fillText("D = ½", 4, hgt * 0.55 - 4);
      g.fillText(`D dashed${on.star && f.star ? ", best D dotted" : ""}`, 4, 14);
    }
    figure1(g, c, f, on, w, hgt);
    if (!on.arrows || !f.arrows) return;
    const [pull] = this.scene.pull;
    g.beginPath();
    for (let i = 0; i < f.arrows.length; i++) {
      const x = v.x(f.fakes[i]),
        y = hgt - 14 - (i % 5) * 7,
        l = Math.sign(f.arrows[i]) * reach(Math.abs(f.arrows[i]) * pull, 1);
      g.moveTo(x, y);
      g.lineTo(x + l, y);
      for (const side of [-1, 1]) {
        g.moveTo(x + l, y);
        g.lineTo(x + 0.7 * l, y + side * Math.min(2.5, Math.abs(l) / 3));
      }
    }
    this.outlined(g, c);
  }

  /** Fakes over the data, and the one that the pointer has asked for. */
  paintSeries(g, c, v) {
    const { layers } = this.app,
      s = this.scene,
      f = this.frame || {};
    const draw = (all, ...how) => series(g, v, all, s.shape, s.box, ...how);
    if (layers.real && s.real) draw(s.real, c.data, 0.35, 1);
    if (layers.fakes && f.lines) draw(f.lines, c.generator, 0.8, 1.2);
    if (!this.spot || !this.at || !this.at.line) return;
    draw(this.at.line, c.halo, 1, 5);
    draw(this.at.line, c.value, 1, 2.5);
  }

  paintImages(g, c, w, hgt) {
    const f = this.frame,
      near = this.app.layers.near && f && f.near;
    if (!f || !f.pictures) return;
    const side = near ? Math.min(w / 2 - 4, hgt) : Math.min(w, hgt);
    this.grid(g, c, "pictures", f.pictures, 8, near ? 0 : (w - side) / 2, side);
    if (near) {
      this.grid(g, c, "near", f.near, 8, w - side, side);
      g.fillStyle = c.text;
      g.font = "12px sans-serif";
      g.fillText("fakes", 2, side + 14);
      g.fillText("nearest real items", w - side + 2, side + 14);
    }
    if (this.spot && this.at && this.at.picture) {
      const [px, py] = [this.spot[0] * w, hgt - this.spot[1] * hgt],
        d = Math.min(w, hgt) / 3.4;
      const x = Math.min(Math.max(px - d / 2, 0), w - d),
        y = Math.min(Math.max(py - d / 2, 0), hgt - d);
      const [dx, dy, wide, high] = fitted(this.scene.shape, d, d);
      g.fillStyle = c.generator;
      g.fillRect(x + dx - 3, y + dy - 3, wide + 6, high + 6);
      g.drawImage(pixels(Uint8Array.from(this.at.picture), this.scene.shape), x + dx, y + dy, wide, high);
    }
    this.describe();
  }

  /** The first n × n pictures of an array, from `x0` on. */
  grid(g, c, name, v, n, x0, side) {
    const { dim, shape } = this.scene,
      size = side / n;
    const all = () => Array.from({ length: n * n }, (_, i) => pixels(v.subarray(i * dim, (i + 1) * dim), shape));
    g.imageSmoothingEnabled = false;
    this.kept(name, v, c, all).forEach((o, i) =>
      fit(g, o, x0 + (i % n) * size + 1, Math.floor(i / n) * size + 1, size - 2, size - 2),
    );
  }

  /** A small picture for the diagram: of the noise, of the fakes, of the data, of what D says. */
  tile(name, canvas) {
    const [g, w, hgt] = sharp(canvas),
      c = this.app.ink.now(),
      s = this.scene,
      f = this.frame;
    if (!w || !s || !f) return;
    const v = view(this.box(), w, hgt),
      fake = name === "fakes",
      few = (xy) => xy.subarray(0, 240);
    if (name === "z") return this.dots(g, v, few(this.placed(s.z)), c.value, "dot", 1, 1.2);
    if (name === "D") {
      if (s.kind === "line") return f.p && figure1(g, c, f, { heat: true }, w, hgt, true);
      if (s.kind !== "plane" || !f.heat || !this.app.layers.heat) return;
      this.ground(g, "heat", s.cells, c, w, hgt, 255);
      return this.half(g, c, w, hgt, s.cells);
    }
    if (s.kind === "images") {
      const v = fake ? f.pictures : s.examples;
      if (v) this.grid(g, c, `${name}-tile`, v, 3, 0, w);
    } else if (s.kind === "series") {
      const v2 = view(s.box, w, hgt),
        lines = fake ? f.lines : s.real;
      if (lines)
        series(
          g,
          v2,
          lines.subarray(0, 8 * s.shape[0] * s.shape[1]),
          s.shape,
          s.box,
          fake ? c.generator : c.data,
          0.7,
          0.8,
        );
    } else if (s.kind === "line") {
      if (f.p) figure1(g, c, f, { fakes: fake, real: !fake }, w, hgt, true);
    } else if (fake) this.dots(g, v, few(f.fakes), c.generator, "dot", 1, 1.4);
    else this.dots(g, v, few(s.real), c.data, "ring", 0.8, 1.2);
  }

  paintPad(g, c, w, hgt) {
    const v = this.view(),
      all = [...(this.app.state.strokes || []), ...(this.stroke ? [this.stroke] : [])];
    g.strokeStyle = c.data;
    g.lineWidth = 8;
    g.lineCap = g.lineJoin = "round";
    for (const s of all) {
      g.beginPath();
      g.moveTo(v.x(s[0][0]) - 0.1, v.y(s[0][1])); // or a single dot would not be seen
      s.forEach(([x, y]) => g.lineTo(v.x(x), v.y(y)));
      g.stroke();
    }
    g.fillStyle = c.text;
    g.font = "14px sans-serif";
    g.textAlign = "center";
    g.fillText(all.length ? "Draw on, or press “Done drawing”" : "Draw the data here, with mouse or finger", w / 2, 22);
    g.textAlign = "left";
  }

  cross(g, c, v, w, hgt) {
    const [x, y] = [v.x(this.spot[0]), v.y(this.spot[1])];
    g.strokeStyle = c.text;
    g.lineWidth = 0.7;
    g.beginPath();
    g.moveTo(x, 0);
    g.lineTo(x, hgt);
    if (this.scene.kind !== "line") {
      g.moveTo(0, y);
      g.lineTo(w, y);
    }
    g.stroke();
  }

  describe() {
    const now = performance.now();
    if (this.app.state.playing && now - (this.described || 0) < 1500) return;
    this.described = now;
    const on = Object.keys(this.app.layers).filter((k) => this.app.layers[k]);
    const what = `${this.caption.textContent || "The game"} at iteration ${this.frame.iteration}`;
    this.canvas.setAttribute("aria-label", `${what}. Layers: ${on.join(", ")}. Arrow keys move a probe.`);
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
    Object.assign(this, { app, key, title, names, guide, limits: limits || [], hint, drawn: [] });
    this.canvas = h("canvas", { class: "gl-curve", role: "img" });
    this.head = h("figcaption", { title: hint });
    this.el = h("figure", { class: "gl-plot", "data-curve": key, "data-tip": hint }, this.head, this.canvas);
    this.canvas.addEventListener("pointermove", (e) => this.read(e.offsetX));
  }

  /** The index of the point that the title tells. */
  until(x) {
    return x.length - 1;
  }

  paint(runs) {
    const c = this.app.ink.now(),
      series = [],
      told = {};
    runs.forEach((r, who) =>
      (this.key === "terms" ? termsOf(r) : this.names).forEach(([name, label, colour]) => {
        if (!r || !r[name] || !r[name].length) return;
        const x = measured.includes(name) ? r.at : r.step,
          n = x.length,
          parts = r[name].length === 3 * n && n ? [0, 1, 2].map((k) => r[name].subarray(k * n, (k + 1) * n)) : null;
        const y = parts ? parts[2] : r[name];
        series.push({ x, y, band: parts, label, colour: c[colour], dash: who ? [4, 3] : [] });
        (told[label] ||= [c[colour]]).push(y[this.until(x)]);
      }),
    );
    this.drawn = series;
    const before = !runs.some((r) => r && r.step && r.step.length);
    this.el.hidden = !series.length && !(this.key === "losses" || (before && this.key === "value"));
    const [g, w, hgt] = sharp(this.canvas); // only now, since what is hidden has no size
    const nats = runs.some((r) => r && r.value),
      number = (y) => short(this.key === "modes" ? Math.round(y) : y);
    const one = ([label, [colour, ...all]]) =>
      h(
        "span",
        {},
        h("i", { class: "gl-swatch", style: `background:${colour}` }),
        ` ${label} ${all.map(number).join(" | ")}`,
      );
    this.head.replaceChildren(
      `${this.title}${this.key === "losses" && nats ? ", nats" : ""} `,
      ...Object.entries(told).flatMap((o) => [" ", one(o)]),
    );
    this.canvas.setAttribute("aria-label", this.head.textContent);
    if (!w) return;
    if (series.length) return this.lines(g, w, hgt, c, series);
    g.strokeStyle = c.guide;
    g.lineWidth = 0.5;
    g.strokeRect(40, 4, w - 44, hgt - 16);
  }

  lines(g, w, hgt, c, series) {
    const all = series.flatMap((s) => s.band || [s.y]);
    const [lo, hi] = bounds(this.guide === null ? all : [...all, [this.guide]], this.limits);
    const end = Math.max(1, ...series.map((s) => s.x[s.x.length - 1] || 0)),
      left = 40;
    const X = (x) => left + (x / end) * (w - left - 4),
      Y = (y) => hgt - 12 - ((y - lo) / (hi - lo)) * (hgt - 18);
    this.end = (px) => ((px - left) / (w - left - 4)) * end;
    g.font = "10px sans-serif";
    g.fillStyle = c.text;
    g.globalAlpha = 0.75;
    g.textAlign = "right";
    const [low, high] = ticks(lo, hi);
    g.fillText(high, left - 4, 11);
    g.fillText(low, left - 4, hgt - 12);
    g.fillText(`iteration ${short(end)}`, w - 2, hgt - 1);
    g.textAlign = "left";
    g.fillText("0", left, hgt - 1);
    g.globalAlpha = 1;
    g.strokeStyle = c.guide;
    g.lineWidth = 0.5;
    g.strokeRect(left, 4, w - left - 4, hgt - 16);
    const path = (x, y, colour, width, dash) => {
      g.strokeStyle = colour;
      g.lineWidth = width;
      g.setLineDash(dash);
      g.beginPath();
      y.forEach((o, i) => Number.isFinite(o) && g.lineTo(X(x[i]), Y(o)));
      g.stroke();
      g.setLineDash([]);
    };
    if (this.guide !== null) path([0, end], [this.guide, this.guide], c.guide, 1.2, [2, 3]);
    for (const { x, y, band, colour, dash } of series) {
      if (band && band[0].some((o, i) => o < band[1][i])) {
        path([...x, ...[...x].reverse()], [...band[0], ...[...band[1]].reverse()], colour, 0.8, dash);
        g.globalAlpha = dash.length ? 0.2 : 0.4;
        g.fillStyle = colour;
        g.fill();
        g.globalAlpha = 1;
      } else path(x, y, colour, 1.5, dash);
    }
    return X;
  }

  /** What the curves were under the pointer. */
  read(px) {
    const at = this.end && this.drawn.length ? this.end(px) : -1;
    if (at < 0) return;
    const one = ({ x, y, band, label }) => {
      const i = nearest(x, at),
        wide = band && band[0][i] < band[1][i];
      return `${label} ${wide ? `${short(band[0][i])} to ${short(band[1][i])}` : short(y[i])}`.trim();
    };
    this.app.tip(`${this.hint}. At iteration ${short(Math.round(at))}: ${this.drawn.map(one).join(", ")}`);
  }
}

// ---- the living diagram

const part = (name, x, y, side, label, tip, on, more = "") => `
  <g class="gl-node" data-part="${name}" data-on="${on}" data-tip="${tip}" ${more}>
    <rect x="${x}" y="${y}" width="${side}" height="${side}" rx="6"/><text x="${x + side / 2}" y="${y - 6}">${label}</text></g>`;
const way = (d, on, tip, name = "") =>
  `<path class="${name}" d="${d}" data-on="${on}"/><path class="gl-hit" d="${d}" data-tip="${tip}"/>`; // wide enough to be hit
const loss = (name, y, label, on, tip) => `
  <g class="gl-node gl-loss-${name}" data-on="${on}" data-tip="${tip}"><rect x="458" y="${y}" width="98" height="44" rx="6"/>
    <text x="507" y="${y + 18}">${label}</text><text x="507" y="${y + 36}" data-number="${name}_loss">–</text></g>`;
const tiles = [
  ["z", 4, 38, 56],
  ["fakes", 194, 32, 64],
  ["data", 194, 126, 64],
  ["D", 322, 66, 84],
];
const flow = `
<svg viewBox="0 0 560 196" class="gl-flow" role="img" aria-label="Noise z goes through G to fakes; D judges fakes and data x. D's loss sends its gradient to D; G's loss sends its own through D and the fakes to G">
  <defs><marker id="gl-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="10" markerHeight="10" markerUnits="userSpaceOnUse" orient="auto-start-reverse">
    <path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>
  ${part("z", 4, 38, 56, "noise z", "z: random numbers, drawn anew for each minibatch. G has nothing else to go by.", "2 6")}
  <g class="gl-node gl-g" data-on="4 7 8" data-tip="G, the generator: a network that turns noise into fakes. Click to watch it carry z to G(z)."
    tabindex="0" data-lm-suppress-shortcuts="true" role="button" aria-label="G: play the way from z to G(z)">
    <rect x="98" y="44" width="54" height="44" rx="8"/><text x="125" y="72">G</text></g>
  ${part("fakes", 194, 32, 64, "fakes G(z)", "G(z): the fakes that G makes of the noise. It wants D to take them for data.", "4 7 8")}
  ${part("data", 194, 126, 64, "data x", "x: examples of the data. Only D sees them; G learns of them through D alone.", "3 4")}
  ${part("D", 322, 66, 84, "D", "D, the discriminator: a network that says how likely an item is to be real. Blue: real; orange: fake.", "4 5 7 8")}
  <g class="gl-way">
    ${way("M62 58H95", "4 7", "Noise goes into G.")}${way("M154 58H191", "4 7", "G makes a fake of each noise vector.")}
    ${way("M260 58 319 88", "4 7", "D judges the fakes: it should say 0, and G wants it to say 1.")}
    ${way("M260 160 319 132", "3 4", "D judges the data: it should say 1.")}
    ${way("M408 90 455 66", "4 5", "D's loss: small where D is right about data and fakes.")}
    ${way("M408 126 455 150", "7 8", "G's loss: small where D takes fakes for data.")}
  </g>
  <g class="gl-back">
    ${way("M480 42C464 18 424 26 403 66", "5", "D's gradient: from D's loss straight back to D, which moves. G stands still.", "gl-of-d")}
    ${way("M480 174C462 196 426 184 404 154L324 106 256 78 192 76 155 76", "8", "G's gradient: from G's loss back through D, which stands still, and through the fakes to G, which moves.", "gl-of-g")}
  </g>
  ${loss("d", 22, "D's loss", "5", "D's loss now, on 240 data and fakes of the picture: D descends it.")}
  ${loss("g", 130, "G's loss", "8", "G's loss now, on 240 fakes of the picture: G descends it.")}
  <g class="gl-says"><text x="304" y="46" data-number="d_fake" data-tip="What D says of the fakes, on average: ½ where it cannot tell."></text>
    <text x="296" y="180" data-number="d_real" data-tip="What D says of the data, on average: ½ where it cannot tell."></text>
    <text x="150" y="112" data-number="pull" data-tip="The mean length of the gradient that reaches a fake through D: near 0, G learns nothing."></text></g>
</svg>`;

class Flow {
  constructor(app) {
    this.app = app;
    this.el = h("div", { class: "gl-diagram" });
    this.el.innerHTML = flow;
    this.tiles = tiles.map(([name, x, y, side]) => {
      const place = { left: x / 5.6, top: y / 1.96, width: side / 5.6, height: side / 1.96 };
      const style = Object.entries(place).map(([k, v]) => `${k}:${v}%`);
      const canvas = h("canvas", {
        class: "gl-tile",
        "data-tile": name,
        "aria-hidden": "true",
        style: style.join(";"),
      });
      this.el.prepend(canvas);
      return [name, canvas];
    });
    const g = this.el.querySelector(".gl-g");
    for (const on of ["focus", "click"]) g.addEventListener(on, () => app.playMorph());
    g.addEventListener("keydown", (e) => {
      if (e.key === "Enter" || e.key === " ") (e.preventDefault(), app.playMorph());
    });
  }

  light(line) {
    for (const e of this.el.querySelectorAll("[data-on]"))
      e.classList.toggle("gl-lit", e.dataset.on.split(" ").includes(String(line)));
  }

  paint() {
    const [stage] = this.app.stages,
      now = stage.frame && stage.frame.numbers;
    for (const [name, canvas] of this.tiles) stage.tile(name, canvas);
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
      const [text, formula, told] = ["gl-line", "gl-formula", "gl-number"].map((k) => h("span", { class: k }));
      const e = h("li", { style: `padding-left:${2 * (l.length - l.trimStart().length)}ch` }, text, formula, told);
      return { e, text, formula, told, said: l.trim() };
    });
    this.told = h("p", { class: "gl-told", "aria-live": "polite" });
    this.back = button("◀ Back", "line-back", "The line before, as it was", () => this.go(-1));
    this.el = h(
      "div",
      { class: "gl-slow" },
      h("ol", { class: "gl-lines", "aria-label": "Algorithm 1" }, ...this.lines.map((l) => l.e)),
      h(
        "div",
        { class: "gl-buttons" },
        this.back,
        button("Next line ▶", "line", "One line of Algorithm 1", () => this.go(1)),
      ),
      this.told,
    );
    this.show();
  }

  clear() {
    Object.assign(this, { log: [], at: -1, on: false, newest: null });
  }

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
    const now = this.on ? this.log[this.at] : null,
      game = this.app.state.settings ? this.app.state.settings.game : "";
    const there = now ? this.log.slice(0, this.at + 1).filter((o) => o.turn === now.turn) : [];
    this.lines.forEach((l, i) => {
      const f = this.app.fixed.formulas[i] || "";
      put(
        l.text,
        l.said.replace("k steps", this.app.state.settings ? `k = ${this.app.state.settings.k} steps` : "k steps"),
      );
      const told = there.filter((o) => o.line === i).pop(),
        lit = !!now && now.line === i;
      put(l.formula, told && !lit ? told.told.split(";")[0] : typeof f === "string" ? f : (f[game] ?? f[""]));
      put(l.told, lit ? told.told : "");
      l.e.classList.toggle("gl-lit", lit);
      if (lit) l.e.setAttribute("aria-current", "step");
      else l.e.removeAttribute("aria-current");
    });
    this.app.flow.light(now ? now.line : null);
    put(this.told, now ? now.said : said || "Press “Next line”, or choose the speed “line by line”.");
    this.back.disabled = !now || this.at < 1;
    const [stage] = this.app.stages,
      last = this.at === this.log.length - 1;
    stage.minibatch = now ? now.arrays : null;
    if (now && now.frame && !last) stage.frame = now.frame;
    else if (this.newest) stage.frame = this.newest;
    this.app.repaint();
  }
}

// ---- controls

function control(app, c) {
  const id = `gl-${app.id}-${c.name}`,
    send = (value) => app.change(c, value);
  let input;
  if (c.options) input = select(null, null, c.options, send, { id });
  else {
    const kind = c.text
      ? { type: "text", placeholder: c.text }
      : { type: "number", min: c.low, max: c.high, step: c.whole ? 1 : "any" };
    const commit = () => {
      // on Enter, or when the field is left
      if (input.dataset.editing) send(c.text ? input.value : Number(input.value));
      delete input.dataset.editing;
    };
    const oninput = () => (input.dataset.editing = "yes");
    const onkeydown = (e) => {
      if (e.key === "Enter") commit();
      const up = { ArrowUp: 1, ArrowDown: -1 }[e.key];
      if (!up || c.text || c.whole) return;
      e.preventDefault(); // the browser's step would be 1
      const v = Number(input.value),
        next = c.name.endsWith(".lr") ? v * 1.25 ** up : v + 0.05 * up;
      input.value = Number(Math.min(Math.max(next, c.low), c.high).toPrecision(3));
      oninput();
    };
    input = h("input", { id, ...kind, onchange: commit, oninput, onkeydown });
  }
  input.dataset.name = c.name;
  const mark = c.live ? [] : [h("span", { class: "gl-again", "aria-hidden": "true" }, " ↺")];
  input.title = c.hint + (c.live ? "" : " A change starts the run again.");
  return h("div", { class: "gl-knob", "data-tip": input.title }, h("label", { for: id }, c.label, ...mark), input);
}

// ---- the whole window

let count = 0;

class App {
  constructor(model, el) {
    this.model = model;
    this.id = ++count;
    this.window = `${Date.now()}-${Math.random()}`;
    this.sent = 0;
    this.fixed = model.get("fixed");
    this.state = model.get("state");
    this.layers = { ...this.fixed.layers };
    this.morphStart = -1e9;
    this.curves = [];
    this.painted = [];
    this.heard = performance.now();
    this.root = h("div", { class: "gan-lab", role: "region", "aria-label": "GAN Lab" });
    this.ink = new Ink(this.root, this.fixed.palette);
    this.stages = [new Stage(this, 0)];
    this.build();
    el.append(this.root);
    this.onMessage = (m, buffers) => this.message(m, buffers);
    this.onState = () => this.sync();
    model.on("msg:custom", this.onMessage);
    model.on("change:state", this.onState);
    this.watch = new ResizeObserver(() => this.repaintAll());
    this.watch.observe(this.root);
    this.theme = new MutationObserver(() => {
      this.ink.at = -1e9;
      this.repaintAll();
    });
    this.theme.observe(document.body, { attributes: true });
    this.timer = setInterval(() => this.pulse(), 2000);
    this.root.addEventListener("pointerover", (e) => this.explain(e.target));
    this.root.addEventListener("focusin", (e) => this.explain(e.target));
    this.sync();
    this.send("hello");
  }

  close() {
    clearInterval(this.timer);
    this.watch.disconnect();
    this.theme.disconnect();
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:state", this.onState);
    this.closed = true;
    this.lost.hidden = false;
  }

  /** Ask for something. What a user does is numbered: a report that is older must not undo it on the screen. */
  send(what, args = {}) {
    if (["at", "hello", "ping"].includes(what)) return this.model.send({ do: what, ...args });
    this.warned = null;
    this.model.send({ do: what, window: this.window, count: ++this.sent, ...args });
  }

  /** Is the kernel's last report older than what was asked for last? */
  late() {
    return this.sent > ((this.state.heard || {})[this.window] || 0);
  }

  /** Ask for a sign of life, and say so when none comes. */
  pulse() {
    const silent = performance.now() - this.heard;
    this.lost.hidden = silent < 7000;
    if (silent > 1500) {
      try {
        this.send("ping");
      } catch {
        this.lost.hidden = false;
      } // the connection is gone
    }
  }

  // -- building

  build() {
    const b = (label, what, hint, name, args) => button(label, name || what, hint, () => this.forking(what, args));
    this.play = button("", "play", "", () => (this.state.playing ? this.send("pause") : this.forking("play")), {
      class: "gl-main-button",
    });
    this.speed = select("Speed", "speed", this.fixed.speeds, (speed) => this.send("speed", { speed }));
    const slide = (e) => this.slide(Number(e.target.value));
    this.time = h("input", {
      type: "range",
      min: 0,
      step: 1,
      "aria-label": "Time: rewind to a recorded moment",
      "data-do": "rewind",
      oninput: slide,
    });
    this.when = h("span", { class: "gl-when" });
    this.note = h("p", { class: "gl-note", role: "status", "aria-live": "polite" });
    this.error = h("p", { class: "gl-error", role: "alert", hidden: true });
    const gone = "The kernel does not answer. It is busy with a cell, or was restarted: then run this cell again.";
    this.lost = h("p", { class: "gl-error gl-lost", role: "alert", hidden: true }, gone);
    this.places = h("div", { class: "gl-stages" }, this.stages[0].el);
    this.plots = this.fixed.curves.map((c) => new Curve(this, c));
    const [losses, value, ...more] = this.plots.map((p) => p.el);
    this.said = h("div", { class: "gl-said", "aria-label": "Diagnosis" });
    this.flow = new Flow(this);
    this.slow = new Slow(this);
    this.root.append(
      h(
        "div",
        { class: "gl-bar", role: "toolbar", "aria-label": "Time" },
        this.play,
        b("1 iteration", "step", "One turn of both players"),
        b("only D", "alone", "One step of D against a G that stands still", "alone-d", { player: "d" }),
        b("only G", "alone", "One step of G against a D that stands still", "alone-g", { player: "g" }),
        b("↺ Reset", "reset", "Back to iteration 0, same seed"),
        this.speed,
        h("label", { class: "gl-time" }, h("span", {}, "Rewind"), this.time, this.when),
      ),
      this.lost,
      this.error,
      h(
        "div",
        { class: "gl-main" },
        h("div", { class: "gl-left" }, this.places, h("div", { class: "gl-under" }, this.layerBox(), this.penBox())),
        h(
          "div",
          { class: "gl-side" },
          this.flow.el,
          h("div", { class: "gl-plots" }, losses, value),
          this.tabs({
            now: ["Diagnosis", this.said],
            curves: ["Curves", h("div", { class: "gl-plots" }, ...more)],
            lines: ["Line by line", this.slow.el],
            lessons: ["Lessons", this.lessonBox()],
            knobs: ["Settings", this.knobBox()],
            compare: ["Compare", this.compareBox()],
            code: ["Share", this.codeBox()],
          }),
        ),
      ),
    );
  }

  /** Everything that is not seen at once: one click away, and there again next time. */
  tabs(all) {
    const one = ([name, [title]]) =>
      button(title, `tab-${name}`, null, () => this.open(name, true), { role: "tab", id: `gl-${this.id}-tab-${name}` });
    this.heads = Object.entries(all).map(one);
    this.panels = Object.entries(all).map(([name, [, e]]) =>
      h(
        "div",
        { class: `gl-panel gl-panel-${name}`, role: "tabpanel", "aria-labelledby": `gl-${this.id}-tab-${name}` },
        e,
      ),
    );
    this.names = Object.keys(all);
    const list = h("div", { class: "gl-tabs", role: "tablist", "aria-label": "More" }, ...this.heads);
    list.addEventListener("keydown", (e) => {
      const step = (arrows[e.key] || [0])[0],
        i = this.heads.indexOf(e.target);
      if (!step || i < 0) return;
      e.preventDefault();
      const to = this.heads[(i + step + this.heads.length) % this.heads.length];
      to.click();
      to.focus();
    });
    let last = null;
    try {
      last = localStorage.getItem("gan-lab-tab");
    } catch {} // where pages may keep nothing
    this.open(this.names.includes(last) ? last : "now");
    return h("div", { class: "gl-more" }, list, this.note, ...this.panels);
  }

  open(name, keep) {
    this.names.forEach((o, i) => {
      this.panels[i].hidden = o !== name;
      this.heads[i].setAttribute("aria-selected", o === name);
      this.heads[i].tabIndex = o === name ? 0 : -1;
    });
    this.root.dataset.tab = name;
    this.repaintAll();
    if (!keep) return;
    try {
      localStorage.setItem("gan-lab-tab", name);
    } catch {} // as above
  }

  /** The sentence that explains what is under the pointer. */
  explain(e) {
    const told = e.closest && e.closest("[data-tip]");
    if (told) this.tip(told.dataset.tip);
    else if (this.tipped) this.tip(null);
  }

  tip(text) {
    const [stage] = this.stages;
    this.tipped = !!text;
    if (text || !stage.spot) put(stage.readout, text || stage.hint());
  }

  layerBox() {
    this.boxes = {};
    const one = ([name, label, , hint]) => {
      const onchange = (e) => {
        this.layers[name] = e.target.checked;
        this.send("layers", { layers: Object.keys(this.layers).filter((k) => this.layers[k]) });
        this.repaint();
      };
      this.boxes[name] = h("input", { type: "checkbox", "data-layer": name, onchange });
      this.boxes[name].checked = this.layers[name];
      return h(
        "label",
        { "data-tip": `${hint}.` },
        this.boxes[name],
        h("i", { class: `gl-key gl-key-${name}` }),
        label,
      );
    };
    this.layerLabels = this.fixed.layer_names.map(one);
    this.morphButton = button("z → G(z)", "morph", "Watch the noise being carried to the fakes", () =>
      this.playMorph(),
    );
    const group = { class: "gl-layers", role: "group", "aria-label": "Layers" };
    return h("div", group, ...this.layerLabels, this.morphButton);
  }

  penBox() {
    this.pen = button("✎ Draw data", "draw", "Draw data of your own", () => this.draw(!this.drawing));
    this.undo = button("Undo", "undo", null, () => this.send("undo"));
    this.clear = button("Clear", "clear", null, () => this.send("clear"));
    return h("div", { class: "gl-pen" }, this.pen, this.undo, this.clear);
  }

  lessonBox() {
    this.lesson = h("div", { class: "gl-lesson", "aria-live": "polite" });
    const one = ([name, title]) =>
      button(title, null, null, () => this.send("lesson", { name }), { "data-lesson": name });
    const buttons = h("div", { class: "gl-buttons" }, ...this.fixed.lessons.map(one));
    this.list = h("details", { class: "gl-list" }, h("summary", {}, "All lessons"), buttons);
    this.list.open = true;
    return h("div", {}, this.list, this.lesson);
  }

  knobBox() {
    this.knobs = {};
    const { first, controls } = this.fixed,
      every = controls.flatMap(([, items]) => items);
    const make = (c) => {
      const e = control(this, c);
      this.knobs[c.name] = e.querySelector("[data-name]");
      return e;
    };
    const group = (title, items) => h("fieldset", {}, h("legend", {}, title), ...items.map(make));
    const rest = controls.map(([title, items]) =>
      group(
        title,
        items.filter((c) => !first.some(([name]) => name === c.name)),
      ),
    );
    return h(
      "div",
      {},
      h(
        "div",
        { class: "gl-knobs gl-first" },
        ...first.map(([name, label]) => make({ ...every.find((c) => c.name === name), label })),
      ),
      h("p", { class: "gl-small" }, "↺: a change starts the run again."),
      h("details", { class: "gl-all" }, h("summary", {}, "All settings"), h("div", { class: "gl-knobs" }, ...rest)),
    );
  }

  compareBox() {
    const all = this.fixed.controls.flatMap(([title, items]) => items.map((c) => ({ ...c, title })));
    const value = h("span", {});
    const fits = (c) => !["data.file", "data.name"].includes(c.name) && (c.live || !this.state.given);
    const names = all.filter(fits).map((c) => [c.name, `${c.title}: ${c.label}`]);
    const pick = (name) => {
      const c = all.find((o) => o.name === name);
      const app = { id: `${this.id}-compare`, change: () => {} };
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
      this.send("compare", { name: which.value, value: e.type === "number" ? Number(e.value) : e.value });
    };
    this.alone = button("Back to one run", "uncompare", null, () => this.send("uncompare"));
    const start = button("Compare from iteration 0", "compare", null, go);
    return h("div", { class: "gl-buttons" }, "The second run has ", which, " = ", value, start, this.alone);
  }

  codeBox() {
    this.code = h("pre", { class: "gl-code", tabindex: 0, "aria-label": "Code of this state" });
    const copy = () => {
      getSelection().selectAllChildren(this.code); // for Ctrl-C, where the clipboard is out of reach
      if (navigator.clipboard) navigator.clipboard.writeText(this.code.textContent).catch(() => {});
    };
    const b = (label, what, hint) => button(label, what, hint, () => this.send(what));
    const all = [
      b("Show me the code", "code", "Python that does this run again, to the bit"),
      b("A cell that opens this", "text", "A short text for others: it opens the Lab in this very state"),
      button("Copy", "copy", null, copy),
      b("Save the run", "save", "Write a run folder for gan-eval and gan-sample"),
    ];
    return h("div", {}, h("div", { class: "gl-buttons" }, ...all), this.code);
  }

  // -- what the user does

  change(c, value) {
    if (c.name === "data.name" && value === "drawn" && !(this.state.strokes || []).length) return this.draw(true);
    this.forking(c.live ? "set" : "again", { [c.name]: value });
  }

  /** What takes another way forgets the moments after this one: it has to be asked for twice. */
  forking(what, args = {}) {
    const { future } = this.state,
      key = JSON.stringify([what, args, this.state.iteration]);
    const loses = ["step", "play"].includes(what) ? future === "other" : future && ["alone", "set"].includes(what);
    if (loses && this.warned !== key) {
      this.warned = key;
      put(
        this.note,
        `This forgets what is recorded after iteration ${short(this.state.iteration)}. Once more, to go on.`,
      );
      return this.sync();
    }
    this.send(what === "again" ? "set" : what, args);
  }

  draw(on) {
    this.drawing = on;
    if (!on && !(this.state.strokes || []).length) this.sync();
    this.pen.textContent = on ? "Done drawing" : "✎ Draw data";
    this.root.classList.toggle("gl-drawing", on);
    this.repaint();
  }

  slide(v) {
    const at = this.state.moments[nearest(this.state.moments, v)];
    put(this.when, `iteration ${short(at)}`);
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
    this.heard = performance.now();
    const arrays = m.parts ? unpack(m.parts, buffers) : {};
    const stage = this.stages[m.who || 0];
    if (m.do === "scene" && stage) {
      stage.begin({ ...m, ...arrays });
      if (!m.who && this.slow) this.slow.clear(); // its pictures were of another scene
      this.kinds(m);
    } else if (m.do === "frame" && stage) {
      stage.frame = { ...stage.frame, ...m, ...arrays }; // ground and numbers come in every other one
      if (!m.who && this.slow) {
        this.slow.newest = stage.frame;
        this.slow.frame(stage.frame);
      }
      this.fresh = true;
      this.root.dataset.iteration = m.iteration;
      if (!m.who) this.clock(m.iteration);
      const old = !this.state.playing || performance.now() - (stage.asked || 0) > 250;
      if (stage.spot && old) stage.probe(stage.spot); // the pointer rests there
    } else if (m.do === "curves") {
      this.curves[m.who] = arrays;
      this.repaintCurves();
    } else if (m.do === "line") this.slow.hear(m, arrays);
    else if (m.do === "at" && stage) stage.told(m);
    this.repaint();
  }

  kinds({ kind, layers }) {
    this.morphButton.hidden = kind !== "plane" && kind !== "table";
    this.fixed.layer_names.forEach(([name], i) => {
      this.layerLabels[i].hidden = !layers.includes(name);
    });
  }

  clock(i) {
    const { rate } = this.state;
    put(this.when, `iteration ${short(i)}${rate ? `, ${short(rate)}/s` : ""}`);
  }

  repaint() {
    if (this.asked || this.closed) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.root.isConnected) return;
      for (const s of this.stages) s.paint();
      if (this.flow) this.flow.paint();
      if (this.fresh) this.painted.push(performance.now());
      this.fresh = false;
      this.painted = this.painted.filter((t) => t > performance.now() - 2000);
      this.root.dataset.fps = (this.painted.length / 2).toFixed(1);
    });
  }

  repaintCurves() {
    for (const p of this.plots) p.paint(this.curves);
  }

  repaintAll() {
    this.repaint();
    this.repaintCurves();
  }

  sync() {
    const s = (this.state = this.model.get("state"));
    this.heard = performance.now();
    if (!s.settings) return;
    const late = this.late();
    this.play.textContent = s.playing ? "❚❚ Pause" : "▶ Play";
    this.play.dataset.do = s.playing ? "pause" : "play";
    this.play.title = s.playing ? "Stop after this iteration" : "Train, until you press Pause";
    this.root.classList.toggle("gl-playing", s.playing);
    this.root.classList.toggle("gl-given", s.given);
    this.error.hidden = !s.error;
    put(this.error, s.error);
    if (!this.warned) put(this.note, s.note);
    if (this.drawing && s.playing) this.draw(false);
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
        ...runs.flatMap(([run, ...said]) => [h("strong", {}, run), h("ul", {}, ...said.map((o) => h("li", {}, o)))]),
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
    const p = (words, name) => words && h("p", { class: name }, words);
    const rest = Object.values(more).map((o) => p(o, "gl-next"));
    const folded = answer && h("details", {}, h("summary", {}, "Answer"), ...[p(answer), ...rest].filter(Boolean));
    const all = [title && h("strong", {}, title), p(text), p(question, "gl-question"), folded];
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
