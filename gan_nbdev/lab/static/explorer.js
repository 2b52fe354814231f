// The explorer's window: draws what `gan_nbdev.explorer` tells of a place, and asks for others.
// It comes after common.js in one module. What computes is exported for the tests.

// ---- what computes

export function clamp(v, lo, hi) {
  return Math.min(Math.max(v, lo), hi);
}

/** The bar under (px, py) in a graph of `n` bars, `w` × `hgt` pixels, and the value there. */
export function bar(px, py, w, hgt, n, [lo, hi]) {
  return [clamp(Math.floor((px / w) * n), 0, n - 1), clamp(hi - (py / hgt) * (hi - lo), lo, hi)];
}

/** Where a walk is after `ms`: to B and back, slower at both ends. */
export function sway(ms, whole = 4000) {
  return (1 - Math.cos((Math.PI * ms) / whole)) / 2;
}

/** When such a walk is at `t` on its way to B. */
export function since(t, whole = 4000) {
  return (Math.acos(1 - 2 * clamp(t, 0, 1)) * whole) / Math.PI;
}

/** `queue` and one more wish, which takes the place of the last if that is out of date now. */
export function wish(queue, one) {
  const last = queue[queue.length - 1];
  const old = last && last.do === one.do && last.i === one.i && ["pad", "walk", "set", "around"].includes(one.do);
  return [...(old ? queue.slice(0, -1) : queue), one];
}

/** Two numbers moved by an arrow key, or to the middle by Home; null for another key. */
export function moved([x, y], key, [lo, hi]) {
  if (key === "Home") return [(lo + hi) / 2, (lo + hi) / 2];
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
  return step ? [x, y].map((v, i) => clamp(v + (step[i] * (hi - lo)) / 40, lo, hi)) : null;
}

// ---- painting

function dots(g, v, xy, r, fill, line, alpha) {
  g.globalAlpha = alpha;
  circles(g, v, xy, r);
  g.lineWidth = r > 5 ? 2 : 1;
  if (line) {
    g.strokeStyle = line;
    g.stroke();
  }
  if (fill) {
    g.fillStyle = fill;
    g.fill();
  }
  g.globalAlpha = 1;
}

function trail(g, v, xy, c) {
  for (const [width, colour] of [
    [5, c.halo],
    [2.5, c.value],
  ]) {
    g.beginPath();
    for (let i = 0; i + 1 < xy.length; i += 2) g.lineTo(v.x(xy[i]), v.y(xy[i + 1]));
    g.lineWidth = width;
    g.strokeStyle = colour;
    g.stroke();
  }
  const last = xy.length - 2;
  for (const [name, i] of [
    ["A", 0],
    ["B", last],
  ])
    letter(g, c, name, v.x(xy[i]), v.y(xy[i + 1]));
}

function letter(g, c, name, x, y) {
  g.font = "bold 14px sans-serif";
  g.textAlign = "center";
  g.lineWidth = 4;
  g.strokeStyle = c.halo;
  g.fillStyle = c.text;
  g.strokeText(name, x, y - 7);
  g.fillText(name, x, y - 7);
  g.textAlign = "left";
}

/** A place: a dot that is seen on any ground. */
function mark(g, c, x, y, colour, r = 7) {
  for (const [size, fill] of [
    [r + 3, c.text],
    [r + 1.5, c.halo],
    [r, colour],
  ]) {
    g.beginPath();
    g.arc(x, y, size, 0, 7);
    g.fillStyle = fill;
    g.fill();
  }
}

function heat(g, bytes, n, c, w, hgt, half) {
  g.imageSmoothingEnabled = true;
  g.drawImage(bitmap(shade(bytes, n, c.low, c.high), n), 0, 0, w, hgt);
  if (!half) return;
  g.setLineDash([5, 4]);
  outline(g, contour(bytes, n, 127.5), n, w, hgt, c.text);
  g.setLineDash([]);
}

/** Shares per bin as a step curve that ends at the axis, `base` pixels down. */
function steps(g, y, top, w, base, colour, fill) {
  g.beginPath();
  g.moveTo(0, base);
  y.forEach((o, i) => [i, i + 1].forEach((x) => g.lineTo((x / y.length) * w, base * (1 - o / top))));
  g.lineTo(w, base);
  g.lineWidth = 1.6;
  g.strokeStyle = g.fillStyle = colour;
  g.stroke();
  g.globalAlpha = 0.3;
  if (fill) g.fill();
  g.globalAlpha = 1;
}

// ---- the window

let count = 0;

class App {
  constructor(model, el) {
    Object.assign(this, { model, id: ++count, queue: [], open: 0, sentAt: 0, chosen: 0, painted: {} });
    this.fixed = model.get("fixed");
    this.ground = unpack(this.fixed.parts, this.fixed.buffers);
    this.images = this.fixed.kind === "images";
    this.flat = this.fixed.dim <= 2;
    this.root = h("div", {
      class: `gan-lab gan-explorer ge-${this.fixed.kind}`,
      role: "region",
      "aria-label": "GAN explorer",
    });
    this.ink = new Ink(this.root, this.fixed.palette);
    this.build();
    el.append(this.root);
    this.onNow = () => this.sync();
    this.onAround = () => {
      const { parts = [], buffers = [] } = model.get("around");
      this.around = unpack(parts, buffers);
      this.stale = false;
      this.repaint();
    };
    model.on("change:now", this.onNow);
    model.on("change:around", this.onAround);
    this.watch = new ResizeObserver(() => this.repaint());
    this.watch.observe(this.root);
    this.theme = new MutationObserver(() => {
      this.ink.at = -1e9;
      this.repaint();
    });
    this.theme.observe(document.body, { attributes: true });
    this.onAround();
    this.sync();
  }

  close() {
    this.closed = true;
    this.watch.disconnect();
    this.theme.disconnect();
    this.model.off("change:now", this.onNow);
    this.model.off("change:around", this.onAround);
    [this.later, this.settled, this.silence].forEach(clearTimeout);
  }

  // -- asking

  ask(what, args = {}) {
    this.queue = wish(this.queue, { do: what, ...args });
    this.flush();
    if (what === "around") return;
    if (!this.flat && what !== "pad" && what !== "anchor") this.stale = true;
    if (what !== "walk") this.play(false);
    clearTimeout(this.settled); // the map and the walk follow once the hand rests
    this.settled = setTimeout(() => {
      this.told.textContent = this.now.said;
      this.ask("around");
    }, 250);
  }

  /** At most 25 wishes a second, and never more than three without an answer. */
  flush() {
    clearTimeout(this.later);
    if (this.closed || !this.queue.length) return;
    const wait = this.sentAt + 40 - performance.now();
    if (wait > 0 || this.open > 2) {
      this.later = setTimeout(() => this.flush(), Math.max(wait, 40));
      return;
    }
    try {
      this.model.send(this.queue.shift());
    } catch {
      this.lost.hidden = false;
    }
    this.sentAt = performance.now();
    if (!this.open++)
      this.silence = setTimeout(() => {
        this.lost.hidden = false;
      }, 4000);
    this.flush();
  }

  // -- building

  build() {
    const f = this.fixed,
      range = (hint, attrs) => h("input", { type: "range", "aria-label": hint, step: "any", ...attrs });
    const b = (label, what, hint, act = () => this.ask(what), more = {}) => button(label, what, hint, act, more);
    const sow = () => {
      // on Enter, on an arrow, or when the field is left; once
      if (this.editing) this.ask("new", { seed: Number(this.seed.value) });
      this.editing = false;
    };
    this.seed = h("input", {
      type: "number",
      min: 0,
      max: 2 ** 31 - 1,
      step: 1,
      "aria-label": "Seed",
      "data-do": "seed",
      oninput: () => {
        this.editing = true;
      },
      onchange: sow,
      onkeydown: (e) => {
        if (e.key === "Enter") sow();
      },
    });
    this.told = h("span", { class: "ge-said", role: "status" });
    this.error = h("p", { class: "gl-error", role: "alert", hidden: true });
    this.lost = h(
      "p",
      { class: "gl-error", role: "alert", hidden: true },
      "The kernel does not answer. It is busy with a cell, or was restarted: then run this cell again.",
    );
    const ratio = this.images ? `aspect-ratio:${f.shape[1]}/${f.shape[0]}` : "";
    this.fake = h("canvas", { class: "ge-fake gl-canvas", role: "img", style: ratio });
    this.near = h("canvas", {
      class: "ge-near gl-canvas",
      role: "img",
      style: ratio,
      "aria-label": "The nearest real item",
    });
    this.nearBox = h(
      "figure",
      { class: "ge-near-box", hidden: !this.images || !f.items },
      this.near,
      (this.nearText = h("figcaption")),
    );
    this.meter = h("i");
    this.verdict = h("span", { class: "ge-verdict" });
    this.numbers = h("div", { class: "ge-numbers" });
    const slider = (name, label, [lo, hi]) =>
      h("canvas", {
        class: `ge-${name}`,
        "data-do": name,
        tabindex: 0,
        role: "slider",
        "aria-label": label,
        "aria-valuemin": lo,
        "aria-valuemax": hi,
      });
    this.pad = slider("pad", "Plane of noise: arrow keys move z, Home goes back to the middle", f.pad);
    this.turn = b("↻ Turn", "turn", "Two other directions of noise, through this z");
    this.walk = range("Walk from A to B", {
      min: 0,
      max: 1,
      value: 0,
      "data-do": "walk",
      oninput: () => {
        this.play(false);
        this.ask("walk", { t: Number(this.walk.value) });
      },
    });
    this.playing = b("▶ Walk", "play", "From A to B and back", () => this.play(!this.start));
    this.ends = ["a", "b"].map((end) =>
      b(`${end.toUpperCase()} = z`, end, `The walk shall ${end === "a" ? "begin" : "end"} here`, () =>
        this.ask("anchor", { end }),
      ),
    );
    this.strip = h("canvas", {
      class: "ge-strip",
      role: "img",
      "aria-label": "The walk from A to B in nine pictures",
      style: this.images ? `aspect-ratio:${9 * f.shape[1]}/${f.shape[0]}` : "",
      onclick: (e) => this.ask("walk", { t: clamp(((9 * e.offsetX) / this.strip.clientWidth - 0.5) / 8, 0, 1) }),
    });
    this.bars = slider("bars", "Numbers of z: left and right choose one, up and down change it", f.coordinate);
    this.which = h("input", {
      type: "number",
      min: 1,
      max: f.dim,
      value: 1,
      "aria-label": "Number of z to change",
      "data-do": "which",
      oninput: () => this.choose(Number(this.which.value) - 1),
    });
    this.one = range("Its value", {
      min: f.coordinate[0],
      max: f.coordinate[1],
      "data-do": "one",
      oninput: () => this.put(this.chosen, Number(this.one.value)),
    });
    this.value = h("output", { class: "ge-value" });
    this.code = h("pre", { class: "gl-code", tabindex: 0, "aria-label": "Code of this place" });
    const copy = () => navigator.clipboard && navigator.clipboard.writeText(this.code.textContent);
    this.codeBox = h(
      "details",
      { class: "gl-fold", ontoggle: () => this.sync() },
      h("summary", {}, "Show me the code"),
      b("Copy", "copy", "Copy the cell", copy),
      this.code,
    );
    const head = (...inside) => h("div", { class: "ge-head" }, ...inside),
      part = (...inside) => h("section", {}, ...inside);
    const title = (text) => h("h4", {}, text),
      many = f.dim > 1;
    this.root.append(
      h(
        "div",
        { class: "gl-bar" },
        b("New z", "new", "Noise from the next seed", undefined, { class: "gl-main-button" }),
        h("label", {}, "seed ", this.seed),
        this.told,
      ),
      this.lost,
      this.error,
      h(
        "div",
        { class: "ge-main" },
        part(
          head(title(this.title())),
          h("div", { class: "ge-pictures" }, this.fake, this.nearBox),
          this.images ? null : this.keys(),
          f.about ? h("p", { class: "ge-hint" }, `${f.about}.`) : null,
          h(
            "div",
            { class: "ge-answer" },
            this.verdict,
            h("div", { class: "ge-meter", "aria-hidden": "true" }, this.meter),
          ),
          this.numbers,
        ),
        part(
          head(title(this.padTitle()), this.flat ? null : this.turn),
          this.pad,
          h("p", { class: "ge-hint" }, this.padHint()),
        ),
      ),
      part(head(this.playing, "A", this.walk, "B", ...this.ends), this.images ? this.strip : null),
      part(
        head(
          title(many ? `z, ${f.dim} numbers` : "z, one number"),
          many ? h("label", {}, "number ", this.which) : null,
          this.one,
          this.value,
        ),
        this.bars,
      ),
      this.codeBox,
    );
    this.drag(this.pad, (px, py, w, hgt) => this.at(this.padView(w, hgt).back(px, py)));
    this.drag(this.bars, (px, py, w, hgt) => this.put(...bar(px, py, w, hgt, f.dim, f.coordinate)));
    this.pad.addEventListener("keydown", (e) => this.key(e, moved(this.here(), e.key, f.pad), (at) => this.at(at)));
    this.bars.addEventListener("keydown", (e) => this.barKey(e));
  }

  keys() {
    const all = [
      ["fakes", "fakes"],
      ...(this.fixed.items
        ? [
            ["real", "data"],
            ["near", `nearest real item${this.fixed.kind === "series" ? " (dark)" : ""}`],
          ]
        : []),
      ["arrows", "walk"],
      ...(this.ground.heat && this.fixed.kind === "plane" ? [["heat", "D"]] : []),
    ];
    return h(
      "div",
      { class: "ge-keys" },
      ...all.map(([k, text]) => h("span", {}, h("i", { class: `gl-key gl-key-${k}` }), " ", text)),
    );
  }

  title() {
    const { kind, items } = this.fixed;
    if (kind === "images") return "G(z)";
    return `G(z) among ${items ? "data and " : ""}fakes`;
  }

  padTitle() {
    if (this.fixed.dim === 1) return "All of the noise";
    return this.flat ? "The plane of noise" : "A plane through z";
  }
  padHint() {
    const what = this.images
      ? "Each small picture is what G makes of the noise there."
      : this.fixed.kind === "series" && !this.fixed.judged
        ? "The bluer, the higher G(z) begins."
        : this.fixed.kind === "line" || !this.fixed.judged
          ? "The bluer, the further to the right is G(z)."
          : "The bluer, the more D takes G(z) for real.";
    return `${what} ${this.fixed.dim === 1 ? "Drag to the left or right." : "Drag, or use the arrow keys."}`;
  }

  drag(canvas, act) {
    const go = (e) => {
      const r = canvas.getBoundingClientRect();
      act(e.clientX - r.left, e.clientY - r.top, r.width, r.height);
    };
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      this.held = canvas;
      go(e);
    });
    canvas.addEventListener("pointermove", (e) => {
      if (this.held === canvas) go(e);
    });
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, () => {
        this.held = null;
      });
  }

  key(e, to, act) {
    if (!to) return;
    e.preventDefault();
    act(to);
  }

  barKey(e) {
    const [lo, hi] = this.fixed.coordinate,
      v = this.now.z[this.chosen];
    const to = moved([this.chosen, v], e.key, [lo, hi]);
    if (e.key === "Home") this.key(e, [0], () => this.put(this.chosen, clamp(0, lo, hi)));
    else if (e.key === "ArrowLeft" || e.key === "ArrowRight")
      this.key(e, to, () => this.choose(this.chosen + (e.key === "ArrowLeft" ? -1 : 1)));
    else this.key(e, to, () => this.put(this.chosen, to[1]));
  }

  // -- what the user does

  here() {
    return this.hand || (this.flat ? [this.now.z[0], this.now.z[1] || 0] : this.now.at);
  }
  padView(w, hgt) {
    return view([this.fixed.pad, this.fixed.pad], w, hgt);
  }

  at(at) {
    const [lo, hi] = this.fixed.pad;
    this.hand = at.map((v) => Number(clamp(v, lo, hi).toFixed(4)));
    this.ask("pad", { at: this.hand });
    this.repaint();
  }

  choose(i) {
    if (!Number.isInteger(i)) return;
    this.chosen = clamp(i, 0, this.fixed.dim - 1);
    this.coordinate();
    this.repaint();
  }

  put(i, value) {
    this.chosen = i;
    this.now.z[i] = Number(value.toFixed(3));
    this.ask("set", { i, value: this.now.z[i] });
    this.coordinate();
    this.repaint();
  }

  play(on) {
    if (!on === !this.start) return;
    this.playing.textContent = on ? "❚❚ Stop" : "▶ Walk";
    this.start = on ? performance.now() - since(Number(this.walk.value)) : null;
    const go = () => {
      if (!this.start || this.closed || !this.root.isConnected) return;
      this.walk.value = sway(performance.now() - this.start);
      if (!this.queue.length) this.ask("walk", { t: Number(Number(this.walk.value).toFixed(3)) });
      requestAnimationFrame(go);
    };
    if (on) go();
  }

  // -- what the kernel says

  sync() {
    const n = (this.now = { ...this.model.get("now") }),
      f = this.fixed;
    n.z = [...n.z];
    this.item = unpack(n.parts, n.buffers);
    this.open = 0;
    clearTimeout(this.silence);
    this.lost.hidden = true;
    this.flush();
    if (!this.held && !this.queue.length) this.hand = null;
    this.error.hidden = !n.error;
    this.error.textContent = n.error;
    if (!this.editing) this.seed.value = n.seed;
    if (!this.told.textContent) this.told.textContent = n.said;
    if (n.t !== null && !this.start && document.activeElement !== this.walk) this.walk.value = n.t;
    this.verdict.textContent = `D(G(z)) = ${n.p === null ? "–" : n.p.toFixed(2)}`;
    this.meter.style.width = `${100 * (n.p || 0)}%`;
    this.nearText.textContent = `nearest of ${short(f.items)} real items`;
    const row = (words) => words.map(([k, v]) => `${k} ${v}`).join(", "),
      words = n.words || [];
    this.numbers.textContent = words.length
      ? `x: ${row(words)}${n.near_words.length ? `\nnearest real item: ${row(n.near_words)}` : ""}`
      : n.values.length
        ? `x = (${n.values.map(short).join(", ")}${f.shape[0] > n.values.length ? ", …" : ""})`
        : "";
    this.fake.setAttribute("aria-label", `G(z), ${n.said}. ${this.verdict.textContent}. ${this.numbers.textContent}`);
    this.pad.setAttribute("aria-valuenow", this.here()[0]);
    this.pad.setAttribute("aria-valuetext", this.here().map(short).join(", "));
    if (this.codeBox.open) this.code.textContent = n.code;
    this.coordinate();
    this.repaint();
    this.root.dataset.count = n.count;
  }

  coordinate() {
    const v = this.now.z[this.chosen],
      text = `z${this.chosen + 1} = ${v.toFixed(2)}`;
    if (document.activeElement !== this.which) this.which.value = this.chosen + 1;
    if (document.activeElement !== this.one) this.one.value = v;
    this.value.textContent = text;
    this.bars.setAttribute("aria-valuenow", v);
    this.bars.setAttribute("aria-valuetext", text);
  }

  repaint() {
    if (this.asked || this.closed) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (this.closed || !this.root.isConnected) return;
      const c = this.ink.now();
      this.paintFake(c);
      this.paintPad(c);
      this.paintBars(c);
      if (this.images) this.paintStrip(c);
    });
  }

  paintFake(c) {
    const [g, w, hgt] = sharp(this.fake),
      { fake, near } = this.item,
      f = this.fixed;
    g.imageSmoothingEnabled = false;
    if (f.kind === "series") return this.paintSeries(g, w, hgt, c, fake, near);
    if (!this.images) return this.paintPoints(g, w, hgt, c, fake, near);
    if (fake) g.drawImage(pixels(fake, f.shape), 0, 0, w, hgt);
    if (!near) return;
    const [g2, w2, h2] = sharp(this.near);
    g2.imageSmoothingEnabled = false;
    g2.drawImage(pixels(near, f.shape), 0, 0, w2, h2);
  }

  /** This series among data and fakes, and the walk as lines that become thicker towards B. */
  paintSeries(g, w, hgt, c, fake, near) {
    const { real, fakes } = this.ground,
      { shape, box } = this.fixed,
      { walk } = this.around;
    if (!box) return;
    const v = view(box, w, hgt),
      draw = (all, ...how) => series(g, v, all, shape, box, ...how);
    if (real) draw(real, c.data, 0.3, 1);
    draw(fakes, c.generator, 0.4, 1);
    const each = shape[0] * shape[1];
    for (let i = 0; walk && i < 9; i++) draw(walk.subarray(i * each, (i + 1) * each), c.value, 0.5, 0.5 + i / 5);
    if (near) draw(near, c.text, 1, 1.6);
    for (const [colour, width] of fake
      ? [
          [c.halo, 6],
          [c.generator, 3],
        ]
      : [])
      draw(fake, colour, 1, width);
    named(g, c, ["moment", "value"], box, w, hgt);
  }

  paintPoints(g, w, hgt, c, fake, near) {
    const { real, fakes } = this.ground,
      line = this.fixed.kind === "line",
      box = this.fixed.box;
    if (!box) return;
    const v = view(line ? [box[0], [0, 1]] : box, w, hgt),
      base = hgt - 40;
    if (line) {
      const top = 1.1 * Math.max(...fakes, ...(real || []));
      v.y = () => base;
      steps(g, fakes, top, w, base, c.generator, true);
      if (real) steps(g, real, top, w, base, c.data, false);
      this.ticks(g, c, v, hgt, box[0]);
      if (this.fixed.names.length) {
        g.textAlign = "right";
        g.fillText(this.fixed.names[0], w - 6, hgt - 22);
        g.textAlign = "left";
      }
    } else {
      if (this.ground.heat) heat(g, this.ground.heat, 100, c, w, hgt, true);
      if (real) dots(g, v, real, 2.2, null, c.data, 0.45);
      dots(g, v, fakes, 2, c.generator, null, 0.55);
    }
    if (this.around.walk) trail(g, v, this.around.walk, c);
    if (fake) mark(g, c, v.x(fake[0]), v.y(fake[1]), c.generator);
    for (const [width, colour] of near
      ? [
          [5, c.halo],
          [2, c.text],
        ]
      : []) {
      g.lineWidth = width;
      g.strokeStyle = colour;
      g.strokeRect(v.x(near[0]) - 14, v.y(near[1]) - 14, 28, 28);
    }
    if (!line && this.fixed.names.length) named(g, c, this.fixed.names, box, w, hgt);
  }

  ticks(g, c, v, hgt, [lo, hi]) {
    g.fillStyle = c.text;
    g.font = "11px sans-serif";
    g.textAlign = "center";
    for (const t of [0.02, 0.25, 0.5, 0.75, 0.98])
      g.fillText(short(Number((lo + t * (hi - lo)).toPrecision(2))), v.x(lo + t * (hi - lo)), hgt - 8);
    g.textAlign = "left";
  }

  paintPad(c) {
    const [g, w, hgt] = sharp(this.pad),
      { map, path } = this.around,
      n = this.images ? 9 : 40,
      f = this.fixed;
    const dim = map && map.length / (n * n),
      v = this.padView(w, hgt);
    g.imageSmoothingEnabled = false;
    g.globalAlpha = this.stale ? 0.35 : 1;
    if (map && !this.images) heat(g, map, n, c, w, hgt, false);
    else if (map) {
      for (let i = 0; i < n * n; i++) {
        const x = (i % n) * (w / n),
          y = hgt - (Math.floor(i / n) + 1) * (hgt / n);
        fit(g, this.thumb("map", map, i, dim), x + 1, y + 1, w / n - 2, hgt / n - 2);
      }
    }
    g.globalAlpha = 1;
    if (path) trail(g, v, path, c);
    const [x, y] = this.here(),
      [lo, hi] = f.pad;
    mark(g, c, v.x(clamp(x, lo, hi)), f.dim === 1 ? hgt / 2 : v.y(clamp(y, lo, hi)), c.value);
  }

  /** Picture `i` of an array, made once for each array. */
  thumb(name, all, i, dim) {
    const old = this.painted[name];
    const made = old && old.all === all ? old : (this.painted[name] = { all, list: [] });
    return (made.list[i] ||= pixels(all.subarray(i * dim, (i + 1) * dim), this.fixed.small));
  }

  paintStrip(c) {
    const [g, w, hgt] = sharp(this.strip),
      all = this.around.walk;
    g.imageSmoothingEnabled = false;
    if (!all) return;
    for (let i = 0; i < 9; i++)
      g.drawImage(this.thumb("walk", all, i, all.length / 9), (i * w) / 9 + 1, 1, w / 9 - 2, hgt - 2);
    if (this.now.t === null) return;
    const x = ((this.now.t * 8 + 0.5) * w) / 9;
    g.fillStyle = c.value;
    g.fillRect(x - 2, 0, 4, hgt);
  }

  paintBars(c) {
    const [g, w, hgt] = sharp(this.bars),
      z = this.now.z,
      [lo, hi] = this.fixed.coordinate;
    const y = (v) => ((hi - clamp(v, lo, hi)) / (hi - lo)) * hgt,
      zero = y(0),
      one = w / z.length,
      gap = one > 4 ? 1 : 0;
    const thick = Math.min(one - 2 * gap, 36);
    z.forEach((v, i) => {
      g.fillStyle = i === this.chosen ? c.text : c.value;
      g.fillRect((i + 0.5) * one - thick / 2, Math.min(zero, y(v)), thick, Math.max(1, Math.abs(y(v) - zero)));
    });
    g.fillStyle = c.text;
    g.font = "10px sans-serif";
    g.strokeStyle = c.ground;
    g.lineWidth = 3;
    for (const [v, y] of [
      [hi, 10],
      [lo, hgt - 3],
    ]) {
      g.strokeText(short(v), 2, y);
      g.fillText(short(v), 2, y);
    }
    g.fillStyle = c.guide;
    g.fillRect(0, zero - 0.5, w, 1);
    g.fillStyle = c.text;
    g.beginPath();
    g.arc((this.chosen + 0.5) * one, y(z[this.chosen]), 4.5, 0, 7);
    g.fill();
  }
}

export default {
  render({ model, el }) {
    const app = new App(model, el);
    return () => app.close();
  },
};
