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

/** Bounds of all finite numbers in `series`, with a little room, but not across 0; [0, 1] when there are none. */
export function bounds(series) {
  let lo = Infinity,
    hi = -Infinity;
  for (const s of series) for (const y of s) if (Number.isFinite(y)) ((lo = Math.min(lo, y)), (hi = Math.max(hi, y)));
  if (lo > hi) return [0, 1];
  const room = (hi - lo || Math.abs(hi) || 1) * 0.08;
  return [lo >= 0 ? Math.max(0, lo - room) : lo - room, lo < 0 && hi <= 0 ? Math.min(0, hi + room) : hi + room];
}

/** The index of the number in `sorted` that is nearest to `v`. */
export function nearest(sorted, v) {
  let best = 0;
  sorted.forEach((o, i) => {
    if (Math.abs(o - v) < Math.abs(sorted[best] - v)) best = i;
  });
  return best;
}

// ---- the stage: one canvas, one run

class Stage {
  constructor(app, who) {
    this.app = app;
    this.who = who;
    this.scene = this.frame = this.minibatch = this.at = null;
    this.canvas = h("canvas", { class: "gl-canvas", tabindex: 0, role: "img" });
    this.caption = h("figcaption", { class: "gl-caption" });
    this.about = h("div", { class: "gl-about", hidden: true });
    this.readout = h("div", { class: "gl-readout" });
    this.el = h("figure", { class: "gl-stage" }, this.caption, this.canvas, this.about, this.readout);
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
      this.app.drawn(this.stroke);
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
    c.addEventListener("keydown", (e) => this.key(e));
  }

  key(e) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
    if (!step || !this.scene) return;
    e.preventDefault();
    const [bx, by] = this.box(),
      at = this.spot || [(bx[0] + bx[1]) / 2, (by[0] + by[1]) / 2];
    this.probe([at[0] + (step[0] * (bx[1] - bx[0])) / 40, at[1] + (step[1] * (by[1] - by[0])) / 40]);
  }

  probe(spot) {
    this.spot = spot;
    this.app.repaint();
    if (!spot) {
      this.at = null;
      put(this.readout, this.hint());
      return;
    }
    const now = performance.now();
    clearTimeout(this.later);
    const ask = () => {
      this.asked = performance.now();
      this.app.send("at", { who: this.who, x: this.spot || spot });
    };
    if (now - (this.asked || 0) > 60) ask();
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

  /** Another scene: what was read off was of the last one. */
  begin(scene) {
    this.scene = scene;
    this.frame = null;
    this.about.hidden = !scene.about;
    put(this.about, scene.about || "");
    this.probe(null);
  }

  told(at) {
    this.at = at;
    if (!this.spot) return;
    if (this.noisy()) {
      const what = this.scene.kind === "images" ? "picture" : "series";
      this.app.repaint();
      return put(this.readout, `D of the ${what} at this place in the noise: ${short(at.D)}`);
    }
    const names = { D: "D", star: "best D", p: "p", log_D: "log D", log_not_D: "log(1−D)", g_loss: "G's loss" };
    const where = this.spot
      .slice(0, this.scene && this.scene.kind === "line" ? 1 : 2)
      .map(short)
      .join(", ");
    const read = Object.entries(names).filter(([k]) => at[k] !== undefined && at[k] !== null);
    const axes = this.scene.names || [];
    const place = axes.length ? axes.map((o, i) => `${o} = ${short(this.spot[i])}`).join("   ") : `x = (${where})`;
    put(this.readout, [place, ...read.map(([k, n]) => `${n} ${short(at[k])}`)].join("   "));
    this.app.repaint();
  }

  box() {
    if (this.app.drawing) return this.app.fixed.pad;
    const b = this.scene
      ? this.scene.box
      : [
          [0, 1],
          [0, 1],
        ];
    return b.length > 1 ? b : [b[0], [0, 1]];
  }
  view() {
    return view(this.box(), this.canvas.clientWidth, this.canvas.clientHeight);
  }

  paint() {
    const wide = this.scene && this.scene.kind === "images" && this.app.layers.near && !this.app.drawing;
    this.canvas.style.aspectRatio = wide ? "2 / 1.1" : "";
    const [g, w, hgt] = sharp(this.canvas);
    if (!w) return;
    const c = this.app.ink.now(),
      s = this.scene,
      f = this.frame;
    g.fillStyle = c.ground;
    g.fillRect(0, 0, w, hgt);
    if (this.app.drawing) return this.paintPad(g, c, w, hgt);
    if (!s) return;
    const v = this.view();
    if (s.kind === "images") return this.paintImages(g, c, w, hgt);
    if (s.kind === "series") this.paintSeries(g, c, v);
    else if (s.kind === "line") this.paintLine(g, c, v, w, hgt);
    else this.paintPlane(g, c, v, w, hgt);
    const names = s.kind === "series" ? ["moment", "value"] : s.names || [];
    if (names.length) named(g, c, names, this.box(), w, hgt);
    if (this.spot && s.kind !== "series") this.cross(g, c, v, w, hgt);
    if (f) this.describe();
  }

  paintPlane(g, c, v, w, hgt) {
    const on = this.app.layers,
      s = this.scene,
      f = this.frame || {},
      n = s.cells;
    g.imageSmoothingEnabled = true;
    if (on.star && f.star) {
      g.imageSmoothingEnabled = false;
      const star = this.kept("star", f.star, c, () => bitmap(shade(f.star, n / 2, c.low, c.high, 254), n / 2));
      g.drawImage(star, 0, 0, w, hgt);
    } else if (on.heat && f.heat) {
      g.drawImage(
        this.kept("heat", f.heat, c, () => bitmap(shade(f.heat, n, c.low, c.high), n)),
        0,
        0,
        w,
        hgt,
      );
    }
    if (on.heat && f.heat) this.half(g, c, w, hgt, n);
    if (on.manifold && f.manifold) this.mesh(g, c, v, w * hgt);
    const told = this.minibatch || {};
    if (on.real) this.dots(g, v, s.real, c.data, "ring", told.x ? 0.25 : 0.6);
    if (on.fakes && f.fakes) this.dots(g, v, this.moved(f.fakes), c.generator, "dot", told.fakes ? 0.25 : 0.9);
    if (on.arrows && f.arrows) this.arrows(g, c, v);
    if (told.x) this.dots(g, v, told.x, c.data, "ring", 1, 3.5);
    if (told.fakes) this.dots(g, v, told.fakes, c.generator, "dot", 1, 3);
    if (told.z) this.dots(g, v, this.placed(told.z), c.value, "dot", 1, 2.5);
  }

  /** What was made of `array` and the colours `c`, as long as both are the same. */
  kept(name, array, c, make) {
    const key = String([c.low, c.high]),
      old = (this.cache ||= {})[name];
    if (!old || old.array !== array || old.key !== key) this.cache[name] = { array, key, made: make() };
    return this.cache[name].made;
  }

  half(g, c, w, hgt, n) {
    const heat = this.frame.heat;
    outline(
      g,
      this.kept("half", heat, c, () => contour(heat, n, 127.5)),
      n,
      w,
      hgt,
      c.text,
    );
  }

  dots(g, v, xy, colour, kind, alpha, r = kind === "ring" ? 2.2 : 2) {
    g.globalAlpha = alpha;
    circles(g, v, xy, r);
    if (kind === "ring") {
      g.strokeStyle = colour;
      g.lineWidth = 1;
      g.stroke();
    } else {
      g.strokeStyle = this.app.ink.now().halo;
      g.lineWidth = 0.8;
      g.stroke();
      g.fillStyle = colour;
      g.fill();
    }
    g.globalAlpha = 1;
  }

  /** Noise in the picture: ±3 of the prior fills the box. */
  placed(z) {
    const [[x0, x1], [y0, y1]] = this.box(),
      d = z.shape[1],
      out = new Float32Array(2 * z.shape[0]);
    for (let i = 0; i < z.shape[0]; i++) {
      out[2 * i] = (x0 + x1) / 2 + (z[i * d] * (x1 - x0)) / 6.5;
      out[2 * i + 1] = (y0 + y1) / 2 + ((d > 1 ? z[i * d + 1] : 0) * (y1 - y0)) / 6.5;
    }
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
      [rows, cols] = this.scene.lattice,
      moved = this.app.morph() < 1;
    g.fillStyle = g.strokeStyle = c.generator;
    if (moved) return;
    const at = (r, k) => [v.x(m[2 * (r * cols + k)]), v.y(m[2 * (r * cols + k) + 1])];
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < cols; k++) {
        if (cols > 1 && (r + 1 === rows || k + 1 === cols)) continue;
        if (cols === 1 && r + 1 === rows) continue;
        const p = cols > 1 ? [at(r, k), at(r, k + 1), at(r + 1, k + 1), at(r + 1, k)] : [at(r, k), at(r + 1, k)];
        let area = 0;
        p.forEach(([x, y], i) => {
          const [X, Y] = p[(i + 1) % p.length];
          area += x * Y - X * y;
        });
        g.beginPath();
        p.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
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
    g.strokeStyle = c.halo;
    g.lineWidth = 3;
    g.stroke();
    g.strokeStyle = c.value;
    g.lineWidth = 1.5;
    g.stroke();
  }

  /** The paper's Figure 1: densities of data and fakes, D and the best D. */
  paintLine(g, c, v, w, hgt) {
    const on = this.app.layers,
      f = this.frame || {},
      s = this.scene;
    const steps = (y, top, colour, fill) => {
      g.beginPath();
      y.forEach((o, i) => {
        const Y = hgt - (o / top) * hgt * 0.9;
        g.lineTo((i / y.length) * w, Y);
        g.lineTo(((i + 1) / y.length) * w, Y);
      });
      g.strokeStyle = g.fillStyle = colour;
      g.lineWidth = 1.6;
      g.stroke();
      if (!fill) return;
      g.lineTo(w, hgt);
      g.lineTo(0, hgt);
      g.globalAlpha = 0.3;
      g.fill();
      g.globalAlpha = 1;
    };
    const curve = (y, top, colour, dash) => {
      g.beginPath();
      y.forEach((o, i) => {
        if (top > 254 || o !== 255) g.lineTo(((i + 0.5) / y.length) * w, hgt - (o / top) * hgt * 0.9);
      });
      g.strokeStyle = colour;
      g.lineWidth = 1.8;
      g.setLineDash(dash);
      g.stroke();
      g.setLineDash([]);
    };
    if (!f.p) return;
    const top = Math.max(...f.p) * 1.6;
    if (on.fakes)
      steps(
        f.q.map((o) => Math.min(o, top)),
        top,
        c.generator,
        true,
      );
    if (on.real) steps(f.p, top, c.data, false);
    if (s.layers.includes("heat")) {
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
    if (on.heat && f.heat) curve(f.heat, 255, c.discriminator, [6, 4]);
    if (on.star && f.star) curve(f.star, 254, c.discriminator, [2, 3]);
    if (on.arrows && f.arrows) {
      const [pull] = s.pull;
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
      s = this.scene,
      near = this.app.layers.near && f && f.near;
    if (!f || !f.pictures) return;
    const all = (v) => Array.from({ length: 64 }, (_, i) => this.picture(v.subarray(i * s.dim, (i + 1) * s.dim)));
    const grid = (name, x0, side) =>
      this.kept(name, f[name], c, () => all(f[name])).forEach((o, i) => {
        const size = side / 8;
        fit(g, o, x0 + (i % 8) * size + 1, Math.floor(i / 8) * size + 1, size - 2, size - 2);
      });
    g.imageSmoothingEnabled = false;
    const side = near ? Math.min(w / 2 - 4, hgt) : Math.min(w, hgt);
    grid("pictures", near ? 0 : (w - side) / 2, side);
    if (near) grid("near", w - side, side);
    g.fillStyle = c.text;
    g.font = "12px sans-serif";
    if (near)
      [
        ["fakes", 2],
        ["nearest real items", w - side + 2],
      ].forEach(([t, x]) => g.fillText(t, x, side + 14));
    if (this.spot && this.at && this.at.picture) {
      const [px, py] = [this.spot[0] * w, hgt - this.spot[1] * hgt],
        d = Math.min(w, hgt) / 3.4;
      const x = Math.min(Math.max(px - d / 2, 0), w - d),
        y = Math.min(Math.max(py - d / 2, 0), hgt - d);
      const [dx, dy, wide, high] = fitted(s.shape, d, d);
      g.fillStyle = c.generator;
      g.fillRect(x + dx - 3, y + dy - 3, wide + 6, high + 6);
      g.drawImage(this.picture(Uint8Array.from(this.at.picture)), x + dx, y + dy, wide, high);
    }
    this.describe();
  }

  picture(v) {
    return pixels(v, this.scene.shape);
  }

  paintPad(g, c, w, hgt) {
    const v = this.view(),
      all = [...(this.app.state.strokes || []), ...(this.stroke ? [this.stroke] : [])];
    g.strokeStyle = c.data;
    g.lineWidth = 8;
    g.lineCap = g.lineJoin = "round";
    for (const s of all) {
      g.beginPath();
      s.forEach(([x, y]) => g.lineTo(v.x(x), v.y(y)));
      g.lineTo(v.x(s[0][0]) + 0.1, v.y(s[0][1]));
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
    const on = Object.keys(this.app.layers)
      .filter((k) => this.app.layers[k])
      .join(", ");
    this.canvas.setAttribute(
      "aria-label",
      `${this.caption.textContent || "The game"} at iteration ${this.frame.iteration}. Layers: ${on}. Arrow keys move a probe.`,
    );
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
  constructor(app, [key, title, names, guide, hint]) {
    Object.assign(this, { app, key, title, names, guide });
    this.canvas = h("canvas", { class: "gl-curve", role: "img" });
    this.head = h("figcaption", { title: hint });
    this.el = h("figure", { class: "gl-plot", "data-curve": key }, this.head, this.canvas);
  }

  /** The index of the point that the title tells. */
  until(x) {
    return x.length - 1;
  }

  paint(runs) {
    const c = this.app.ink.now(),
      series = [],
      last = [];
    runs.forEach((r, who) =>
      (this.key === "terms" ? termsOf(r) : this.names).forEach(([name, label, colour]) => {
        if (!r || !r[name] || !r[name].length) return;
        const x = measured.includes(name) ? r.at : r.step;
        series.push({ x, y: r[name], colour: c[colour], dash: who ? [4, 3] : [] });
        if (!who) last.push([label, r[name][this.until(x)], c[colour]]);
      }),
    );
    const before = !runs.some((r) => r && r.step && r.step.length);
    this.el.hidden = !series.length && !(this.key === "losses" || (before && this.key === "value"));
    const [g, w, hgt] = sharp(this.canvas); // only now, since what is hidden has no size
    this.head.replaceChildren(
      `${this.title} `,
      ...last.flatMap(([l, y, colour]) => [
        " ",
        h(
          "span",
          {},
          h("i", { class: "gl-swatch", style: `background:${colour}` }),
          ` ${l} ${short(this.key === "modes" ? Math.round(y) : y)}`,
        ),
      ]),
    );
    this.canvas.setAttribute("aria-label", this.head.textContent);
    if (!w) return;
    if (series.length) return this.lines(g, w, hgt, c, series);
    g.strokeStyle = c.guide;
    g.lineWidth = 0.5;
    g.strokeRect(40, 4, w - 44, hgt - 16);
  }

  lines(g, w, hgt, c, series) {
    const guide = this.guide === null ? [] : [[this.guide]];
    const [lo, hi] = bounds([...series.map((s) => s.y), ...guide]);
    const end = Math.max(1, ...series.map((s) => s.x[s.x.length - 1] || 0)),
      left = 40;
    const X = (x) => left + (x / end) * (w - left - 4),
      Y = (y) => hgt - 12 - ((y - lo) / (hi - lo)) * (hgt - 18);
    g.font = "10px sans-serif";
    g.fillStyle = c.text;
    g.globalAlpha = 0.75;
    g.textAlign = "right";
    const [low, high] = ticks(lo, hi);
    g.fillText(high, left - 4, 11);
    g.fillText(low, left - 4, hgt - 12);
    g.fillText(short(end), w - 2, hgt - 1);
    g.textAlign = "left";
    g.fillText("0", left, hgt - 1);
    g.globalAlpha = 1;
    g.strokeStyle = c.guide;
    g.lineWidth = 0.5;
    g.strokeRect(left, 4, w - left - 4, hgt - 16);
    if (this.guide !== null) {
      g.setLineDash([2, 3]);
      g.lineWidth = 1.2;
      g.beginPath();
      g.moveTo(left, Y(this.guide));
      g.lineTo(w - 4, Y(this.guide));
      g.stroke();
    }
    for (const s of series) {
      g.strokeStyle = s.colour;
      g.lineWidth = 1.5;
      g.setLineDash(s.dash);
      g.beginPath();
      s.y.forEach((y, i) => {
        if (Number.isFinite(y)) g.lineTo(X(s.x[i]), Y(y));
      });
      g.stroke();
    }
    g.setLineDash([]);
    return X;
  }
}

// ---- Algorithm 1 and the flow of data

const flow = `
<svg viewBox="0 0 560 196" class="gl-flow" role="img" aria-label="Noise z goes through G to fakes; D judges fakes and data x; losses send gradients back">
  <defs><marker id="gl-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
    <path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>
  <g class="gl-way">
    <path data-on="2 6" d="M62 50H108"/><path data-on="4 7" d="M178 50H222"/><path data-on="4 7" d="M300 50 352 80"/>
    <path data-on="3 4" d="M300 138 352 104"/><path data-on="4 5" d="M420 80 466 52"/><path data-on="7 8" d="M420 104 466 136"/>
  </g>
  <g class="gl-back">
    <path data-on="5" d="M500 30C480 6 400 6 388 66"/><path data-on="8" d="M480 160C440 196 180 200 146 74"/>
  </g>
  <g class="gl-node" data-on="2 6"><circle cx="38" cy="50" r="24"/><text x="38" y="55">z</text></g>
  <g class="gl-node gl-g" data-on="2 6 8" tabindex="0" data-lm-suppress-shortcuts="true" role="button" aria-label="G: play the way from z to G(z)">
    <rect x="110" y="28" width="68" height="44" rx="8"/><text x="144" y="55">G</text></g>
  <g class="gl-node" data-on="4 7"><circle cx="262" cy="50" r="38"/><text x="262" y="47">fakes</text><text x="262" y="63">G(z)</text></g>
  <g class="gl-node" data-on="3 4"><circle cx="262" cy="142" r="38"/><text x="262" y="139">data</text><text x="262" y="155">x</text></g>
  <g class="gl-node" data-on="4 5 7"><rect x="352" y="68" width="68" height="48" rx="8"/><text x="386" y="97">D</text></g>
  <g class="gl-node" data-on="4 5"><rect x="468" y="28" width="88" height="42" rx="8"/><text x="512" y="46">D's loss</text>
    <text x="512" y="62" class="gl-dl">–</text></g>
  <g class="gl-node" data-on="7 8"><rect x="468" y="118" width="88" height="42" rx="8"/><text x="512" y="136">G's loss</text>
    <text x="512" y="152" class="gl-gl">–</text></g>
</svg>`;

class Slow {
  constructor(app) {
    this.lines = app.fixed.lines.map((l) =>
      h("li", { style: `padding-left:${l.length - l.trimStart().length}ch` }, l.trim()),
    );
    const diagram = h("div", { class: "gl-diagram" });
    diagram.innerHTML = flow;
    this.diagram = diagram;
    this.told = h("p", { class: "gl-told", "aria-live": "polite" }, "Choose “line by line”, or press Next line.");
    this.el = h(
      "div",
      { class: "gl-slow" },
      h("ol", { class: "gl-lines", "aria-label": "Algorithm 1" }, ...this.lines),
      h("div", {}, diagram, this.told),
    );
    const g = diagram.querySelector(".gl-g");
    for (const on of ["mouseenter", "focus", "click"]) g.addEventListener(on, () => app.playMorph());
    g.addEventListener("keydown", (e) => {
      if (e.key === "Enter" || e.key === " ") (e.preventDefault(), app.playMorph());
    });
  }

  show(m) {
    this.lines.forEach((l, i) => {
      l.classList.toggle("gl-lit", i === m.line);
      if (i === m.line) l.setAttribute("aria-current", "step");
      else l.removeAttribute("aria-current");
    });
    this.diagram
      .querySelectorAll("[data-on]")
      .forEach((e) => e.classList.toggle("gl-lit", e.dataset.on.split(" ").includes(String(m.line))));
    if (m.said !== undefined) this.told.textContent = m.said;
    if (m.d_loss !== undefined) this.diagram.querySelector(".gl-dl").textContent = short(m.d_loss);
    if (m.g_loss !== undefined) this.diagram.querySelector(".gl-gl").textContent = short(m.g_loss);
  }
}

// ---- controls

function control(app, c) {
  const id = `gl-${app.id}-${c.name}`,
    send = (value) => app.change(c, value);
  let input;
  const typed = (value) => {
    // on Enter, or when the field is left
    if (input.dataset.editing) send(value());
    delete input.dataset.editing;
  };
  if (c.options) {
    input = h(
      "select",
      { id, onchange: (e) => send(e.target.value) },
      ...c.options.map(([v, label]) => h("option", { value: v }, label)),
    );
  } else {
    const kind = c.text
      ? { type: "text", placeholder: c.text }
      : { type: "number", min: c.low, max: c.high, step: c.whole ? 1 : "any" };
    const commit = () => typed(() => (c.text ? input.value : Number(input.value)));
    input = h("input", {
      id,
      ...kind,
      onchange: commit,
      oninput: () => {
        input.dataset.editing = "yes";
      },
      onkeydown: (e) => {
        if (e.key === "Enter") commit();
        const way = { ArrowUp: 1, ArrowDown: -1 }[e.key];
        if (!way || c.text || c.whole) return;
        e.preventDefault(); // the browser's step would be 1
        const v = Number(input.value),
          next = c.name.endsWith(".lr") ? v * 1.25 ** way : v + 0.05 * way;
        input.value = Number(Math.min(Math.max(next, c.low), c.high).toPrecision(3));
        input.dataset.editing = "yes";
      },
    });
  }
  input.dataset.name = c.name;
  const mark = c.live ? [] : [h("span", { class: "gl-again", "aria-hidden": "true" }, " ↺")];
  input.title = c.hint + (c.live ? "" : " A change starts the run again.");
  return h("div", { class: "gl-knob", title: input.title }, h("label", { for: id }, c.label, ...mark), input);
}

// ---- the whole window

let count = 0;

class App {
  constructor(model, el) {
    this.model = model;
    this.id = ++count;
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
    this.watch = new ResizeObserver(() => this.repaint());
    this.watch.observe(this.root);
    this.theme = new MutationObserver(() => {
      this.ink.at = -1e9;
      this.repaint();
      this.repaintCurves();
    });
    this.theme.observe(document.body, { attributes: true });
    this.timer = setInterval(() => this.pulse(), 2000);
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

  send(what, args = {}) {
    this.model.send({ do: what, ...args });
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
    const b = (label, what, hint, args) =>
      h("button", { type: "button", title: hint, "data-do": what, onclick: () => this.send(what, args) }, label);
    this.play = h("button", {
      type: "button",
      class: "gl-main-button",
      onclick: () => this.send(this.state.playing ? "pause" : "play"),
    });
    this.steps = [
      b("↺ Reset", "reset", "Back to iteration 0, same seed"),
      b("1 iteration", "step", "One turn of both players"),
      b("D only", "alone", "One step of D against a G that stands still", { player: "d" }),
      b("G only", "alone", "One step of G against a D that stands still", { player: "g" }),
      b("Next line", "line", "One line of Algorithm 1"),
    ];
    this.steps[2].dataset.do = "alone-d";
    this.steps[3].dataset.do = "alone-g";
    this.speed = h(
      "select",
      { "aria-label": "Speed", "data-do": "speed", onchange: (e) => this.send("speed", { speed: e.target.value }) },
      ...this.fixed.speeds.map(([v, l]) => h("option", { value: v }, l)),
    );
    this.rate = h("span", { class: "gl-rate" });
    this.time = h("input", {
      type: "range",
      min: 0,
      max: 0,
      step: 1,
      "aria-label": "Time: rewind to a recorded moment",
      "data-do": "rewind",
      oninput: (e) => this.slide(Number(e.target.value)),
    });
    this.when = h("span", { class: "gl-when" });
    this.note = h("p", { class: "gl-note", role: "status", "aria-live": "polite" });
    this.error = h("p", { class: "gl-error", role: "alert", hidden: true });
    this.lost = h(
      "p",
      { class: "gl-error gl-lost", role: "alert", hidden: true },
      "The kernel does not answer. It is busy with a cell, or was restarted: then run this cell again.",
    );
    this.places = h("div", { class: "gl-stages" }, this.stages[0].el);
    this.plots = this.fixed.curves.map((c) => new Curve(this, c));
    this.said = h("ul", { class: "gl-said", "aria-label": "Diagnosis" });
    this.slow = new Slow(this);
    this.root.append(
      h(
        "div",
        { class: "gl-bar", role: "toolbar", "aria-label": "Time" },
        this.play,
        ...this.steps,
        this.speed,
        this.rate,
      ),
      h("label", { class: "gl-time" }, h("span", {}, "Rewind"), this.time, this.when),
      this.lost,
      this.error,
      h(
        "div",
        { class: "gl-main" },
        h("div", {}, this.places, this.note, this.layerBox(), this.penBox()),
        h("div", { class: "gl-side" }, h("div", { class: "gl-plots" }, ...this.plots.map((p) => p.el)), this.said),
      ),
      this.fold("slow", "Algorithm 1, line by line", this.slow.el),
      this.fold("lessons", "Lessons", this.lessonBox()),
      this.fold("knobs", "Settings  (↺: a change starts the run again)", this.knobBox()),
      this.fold("compare", "Compare two runs that differ in one setting", this.compareBox()),
      this.fold("code", "Code and saving", this.codeBox()),
    );
  }

  fold(name, title, ...inside) {
    const open = name === "lessons" || name === "knobs";
    return h("details", { class: `gl-fold gl-fold-${name}`, open }, h("summary", {}, title), ...inside);
  }

  layerBox() {
    this.boxes = {};
    const one = ([name, label, colour, hint]) => {
      this.boxes[name] = h("input", {
        type: "checkbox",
        "data-layer": name,
        onchange: (e) => {
          this.layers[name] = e.target.checked;
          this.send("layers", { layers: Object.keys(this.layers).filter((k) => this.layers[k]) });
          this.repaint();
        },
      });
      this.boxes[name].checked = this.layers[name];
      return h("label", { title: hint }, this.boxes[name], h("i", { class: `gl-key gl-key-${name}` }), label);
    };
    this.layerLabels = this.fixed.layer_names.map(one);
    this.morphButton = h(
      "button",
      {
        type: "button",
        "data-do": "morph",
        title: "Watch the noise being carried to the fakes",
        onclick: () => this.playMorph(),
      },
      "z → G(z)",
    );
    return h(
      "div",
      { class: "gl-layers", role: "group", "aria-label": "Layers" },
      ...this.layerLabels,
      this.morphButton,
    );
  }

  penBox() {
    this.pen = h(
      "button",
      { type: "button", "data-do": "draw", title: "Draw data of your own", onclick: () => this.draw(!this.drawing) },
      "✎ Draw data",
    );
    this.undo = h("button", { type: "button", "data-do": "undo", onclick: () => this.send("undo") }, "Undo");
    this.clear = h("button", { type: "button", "data-do": "clear", onclick: () => this.send("clear") }, "Clear");
    return h("div", { class: "gl-pen" }, this.pen, this.undo, this.clear);
  }

  lessonBox() {
    this.lesson = h("div", { class: "gl-lesson", "aria-live": "polite" });
    return h(
      "div",
      {},
      h(
        "div",
        { class: "gl-buttons" },
        ...this.fixed.lessons.map(([name, title]) =>
          h("button", { type: "button", "data-lesson": name, onclick: () => this.send("lesson", { name }) }, title),
        ),
      ),
      this.lesson,
    );
  }

  knobBox() {
    this.knobs = {};
    return h(
      "div",
      { class: "gl-knobs" },
      ...this.fixed.controls.map(([title, items]) =>
        h(
          "fieldset",
          {},
          h("legend", {}, title),
          ...items.map((c) => {
            const e = control(this, c);
            this.knobs[c.name] = e.querySelector("[data-name]");
            return e;
          }),
        ),
      ),
    );
  }

  compareBox() {
    const all = this.fixed.controls.flatMap(([title, items]) => items.map((c) => ({ ...c, title })));
    const value = h("span", {});
    const which = h(
      "select",
      { "aria-label": "Setting that differs", "data-do": "compare-which", onchange: () => pick() },
      ...all
        .filter((c) => !["data.file", "data.name"].includes(c.name) && (c.live || !this.state.given))
        .map((c) => h("option", { value: c.name }, `${c.title}: ${c.label}`)),
    );
    const pick = () => {
      const c = all.find((o) => o.name === which.value);
      const e = control(
        { id: `${this.id}-compare`, change: () => {}, state: this.state },
        { ...c, live: true },
      ).querySelector("[data-name]");
      e.setAttribute("aria-label", "Its value in the second run");
      delete e.dataset.name;
      e.dataset.do = "compare-value";
      e.value = this.state.settings[c.name];
      value.replaceChildren(e);
    };
    which.value = "game";
    const go = () => {
      const e = value.firstChild;
      this.send("compare", { name: which.value, value: e.type === "number" ? Number(e.value) : e.value });
    };
    this.alone = h(
      "button",
      { type: "button", "data-do": "uncompare", onclick: () => this.send("uncompare") },
      "Back to one run",
    );
    pick();
    return h(
      "div",
      { class: "gl-buttons" },
      "The second run has ",
      which,
      " = ",
      value,
      h("button", { type: "button", "data-do": "compare", onclick: go }, "Compare from iteration 0"),
      this.alone,
    );
  }

  codeBox() {
    this.code = h("pre", { class: "gl-code", tabindex: 0, "aria-label": "Code of this state" });
    const copy = h(
      "button",
      {
        type: "button",
        "data-do": "copy",
        onclick: () => {
          getSelection().selectAllChildren(this.code); // for Ctrl-C, where the clipboard is out of reach
          if (navigator.clipboard) navigator.clipboard.writeText(this.code.textContent).catch(() => {});
        },
      },
      "Copy",
    );
    return h(
      "div",
      {},
      h(
        "div",
        { class: "gl-buttons" },
        h("button", { type: "button", "data-do": "code", onclick: () => this.send("code") }, "Show me the code"),
        copy,
        h(
          "button",
          {
            type: "button",
            "data-do": "save",
            title: "Write a run folder for gan-eval and gan-sample",
            onclick: () => this.send("save"),
          },
          "Save the run",
        ),
      ),
      this.code,
    );
  }

  // -- what the user does

  change(c, value) {
    if (c.name === "data.name" && value === "drawn" && !(this.state.strokes || []).length) return this.draw(true);
    this.send("set", { [c.name]: value });
  }

  draw(on) {
    this.drawing = on;
    if (!on && !(this.state.strokes || []).length) this.sync();
    this.pen.textContent = on ? "Done drawing" : "✎ Draw data";
    this.root.classList.toggle("gl-drawing", on);
    this.repaint();
  }

  drawn(stroke) {
    this.send("stroke", { points: stroke });
  }

  slide(i) {
    const at = this.state.moments[i];
    this.when.textContent = `iteration ${short(at)}`;
    clearTimeout(this.slideLater);
    this.slideLater = setTimeout(() => this.send("rewind", { iteration: at }), 40);
  }

  playMorph() {
    if (performance.now() - this.morphStart < 1800) return;
    this.morphStart = performance.now();
    const tick = () => {
      if (this.morph() < 1) {
        this.repaint();
        requestAnimationFrame(tick);
      }
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
      this.kinds(m);
    } else if (m.do === "frame" && stage) {
      stage.frame = { ...stage.frame, ...m, ...arrays }; // the ground comes in every other one
      this.fresh = true;
      this.root.dataset.iteration = m.iteration;
      if (!m.who) put(this.when, `iteration ${short(m.iteration)}`);
      const old = !this.state.playing || performance.now() - (stage.asked || 0) > 250;
      if (stage.spot && old) stage.probe(stage.spot); // the pointer rests there
    } else if (m.do === "curves") {
      this.curves[m.who] = arrays;
      this.repaintCurves();
    } else if (m.do === "line") {
      this.slow.show(m);
      if (this.stages[0]) this.stages[0].minibatch = m.line === null ? null : arrays;
      if (m.line !== null && !this.unfolded) this.unfolded = this.root.querySelector(".gl-fold-slow").open = true;
    } else if (m.do === "at" && stage) stage.told(m);
    this.repaint();
  }

  kinds({ kind, layers }) {
    this.morphButton.hidden = kind !== "plane" && kind !== "table";
    this.fixed.layer_names.forEach(([name], i) => {
      this.layerLabels[i].hidden = !layers.includes(name);
    });
  }

  repaint() {
    if (this.asked || this.closed) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.root.isConnected) return;
      for (const s of this.stages) s.paint();
      if (this.fresh) this.painted.push(performance.now());
      this.fresh = false;
      this.painted = this.painted.filter((t) => t > performance.now() - 2000);
      this.root.dataset.fps = (this.painted.length / 2).toFixed(1);
    });
  }

  repaintCurves() {
    for (const p of this.plots) p.paint(this.curves);
  }

  sync() {
    const s = (this.state = this.model.get("state"));
    this.heard = performance.now();
    if (!s.settings) return;
    this.play.textContent = s.playing ? "❚❚ Pause" : "▶ Play";
    this.play.dataset.do = s.playing ? "pause" : "play";
    this.play.title = s.playing ? "Stop after this iteration" : "Train, until you press Pause";
    this.speed.value = s.speed;
    this.root.classList.toggle("gl-given", s.given);
    this.error.hidden = !s.error;
    put(this.error, s.error);
    put(this.note, s.note);
    if (this.drawing && s.playing) this.draw(false);
    for (const k of Object.keys(this.boxes)) this.boxes[k].checked = this.layers[k] = s.layers.includes(k);
    this.undo.disabled = this.clear.disabled = !(s.strokes || []).length;
    this.alone.disabled = !s.compare;
    const said = (s.said || []).map((o) => (s.compare ? `First run: ${o}` : o));
    if (this.said.textContent !== said.join("")) this.said.replaceChildren(...said.map((o) => h("li", {}, o)));
    this.code.hidden = !s.code;
    put(this.code, s.code || "");
    for (const [name, e] of Object.entries(this.knobs)) {
      if (!e.dataset.editing) e.value = s.settings[name];
      e.disabled = s.given && !this.fixed.live.includes(name);
    }
    this.time.max = s.moments.length - 1;
    if (document.activeElement !== this.time || s.playing) this.time.value = nearest(s.moments, s.iteration);
    put(this.when, `iteration ${short(s.iteration)}`);
    this.time.setAttribute("aria-valuetext", this.when.textContent);
    put(this.rate, s.rate ? `${short(s.rate)} iterations/s` : "");
    const [title, text, question] = s.lesson || [];
    if (this.lesson.textContent !== (s.lesson || []).join(""))
      this.lesson.replaceChildren(
        ...(title ? [h("strong", {}, title), h("p", {}, text), h("p", { class: "gl-question" }, question)] : []),
      );
    this.companions(s);
    this.repaint();
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
    (s.compare || [""]).forEach((t, i) => {
      this.stages[i].caption.textContent = t;
    });
    this.root.classList.toggle("gl-comparing", n > 1);
  }
}

export default {
  render({ model, el }) {
    const app = new App(model, el);
    return () => app.close();
  },
};
