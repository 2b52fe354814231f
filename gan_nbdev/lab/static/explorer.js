// The explorer's window: draws what `gan_nbdev.explorer` tells of a place, and asks for others.
// It comes after common.js in one module. What computes is exported for the tests.

// ---- what computes

/** The bar under (px, py) in a graph of `n` bars, `w` × `hgt` pixels, and the value there. */
export const bar = (px, py, w, hgt, n, [lo, hi]) => [
  clamp(Math.floor((px / w) * n), 0, n - 1),
  clamp(hi - (py / hgt) * (hi - lo), lo, hi),
];

/** Where a walk is after `ms`: to B and back, slower at both ends. */
export const sway = (ms, whole = 4000) => (1 - Math.cos((Math.PI * ms) / whole)) / 2;

/** When such a walk is at `t` on its way to B. */
export const since = (t, whole = 4000) => (Math.acos(1 - 2 * clamp(t, 0, 1)) * whole) / Math.PI;

/** `queue` and one more wish, which takes the place of the last if that is out of date now. */
export function wish(queue, one) {
  const last = queue[queue.length - 1];
  const old = last && last.do === one.do && last.i === one.i && ["pad", "walk", "set", "around"].includes(one.do);
  return [...(old ? queue.slice(0, -1) : queue), one];
}

/** Two numbers moved by an arrow key, or to the middle by Home; null for another key. */
export function moved([x, y], key, [lo, hi]) {
  if (key === "Home") return [(lo + hi) / 2, (lo + hi) / 2];
  const step = steps[key];
  return step ? [x, y].map((v, i) => clamp(v + (step[i] * (hi - lo)) / 40, lo, hi)) : null;
}

// ---- painting

/** A walk, with its ends. */
function trail(p, v, xy) {
  const draw = (g) => {
    for (let i = 0; i + 1 < xy.length; i += 2) g.lineTo(v.x(xy[i]), v.y(xy[i + 1]));
  };
  p.rimmed(p.c.value, 2.5, draw);
  for (const [name, i] of Object.entries({ A: 0, B: xy.length - 2 }))
    p.text(name, v.x(xy[i]), v.y(xy[i + 1]) - 7, { size: 14, bold: "bold", align: "center", rim: p.c.halo });
}

/** A place: a dot that is seen on any ground. */
function mark(p, x, y, colour) {
  const disc = (r) => (g) => g.arc(x, y, r, 0, 7);
  p.line(p.c.text, 6, disc(7));
  p.line(p.c.halo, 3, disc(7));
  p.line(colour, 0.1, disc(7), { fill: 1 });
}

// ---- the window

class App extends Frame {
  constructor(model, el) {
    super(model, `.gan-explorer.ge-${model.get("fixed").kind}`, "GAN explorer");
    Object.assign(this, { queue: [], open: 0, sentAt: 0, chosen: 0 });
    const f = this.fixed;
    this.all = unpack(f.parts, f.buffers);
    this.images = f.kind === "images";
    this.flat = f.dim <= 2;
    this.build();
    this.listen("change:now", () => this.sync());
    this.listen("change:around", () => this.surround());
    this.last.push(() => [this.later, this.settled, this.silence].forEach(clearTimeout));
    this.enter(el);
    this.surround();
    this.sync();
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
    if (this.closed || !this.queue.length || this.open > 2) return; // an answer goes on with it
    const wait = this.sentAt + 40 - performance.now();
    if (wait > 0) return (this.later = setTimeout(() => this.flush(), wait));
    const mute = () => (this.lost.hidden = false);
    try {
      this.model.send(this.queue.shift());
    } catch {
      mute();
    }
    this.sentAt = performance.now();
    if (!this.open++) this.silence = setTimeout(mute, 4000);
    this.flush();
  }

  // -- building

  build() {
    const f = this.fixed;
    const b = (label, what, hint, args, more) => button(label, what, hint, () => this.ask(what, args), more);
    const field = (label, what, max, oninput, more) =>
      h("input", { type: "number", max, step: 1, "aria-label": label, "data-do": what, oninput, ...more });
    const canvas = (name, label, more) => h(`canvas.ge-${name}`, { role: "img", "aria-label": label, ...more });
    const keys = (what, label, [lo, hi]) =>
      canvas(what, label, { "data-do": what, tabindex: 0, role: "slider", "aria-valuemin": lo, "aria-valuemax": hi });
    const part = (...inside) => h("section", ...inside);
    const head = (title, ...inside) => h("div.ge-head", title ? h("h4", title) : null, ...inside);
    const ratio = (n = 1) => ({ style: this.images ? `aspect-ratio:${n * f.shape[1]}/${f.shape[0]}` : "" });
    const sow = () => {
      // on Enter, on an arrow, or when the field is left; once
      if (this.editing && this.seed.value.trim()) this.ask("new", { seed: Number(this.seed.value) });
      else this.seed.value = this.now.seed;
      this.editing = false;
    };
    const enter = (e) => e.key === "Enter" && sow();
    const edit = () => (this.editing = true);
    this.seed = field("Seed", "seed", 2 ** 31 - 1, edit, { min: 0, onchange: sow, onkeydown: enter });
    this.told = h("span.ge-said", { role: "status" });
    this.fake = canvas("fake.gl-canvas", null, ratio());
    this.near = canvas("near.gl-canvas", "The nearest real item", ratio());
    this.nearText = h("figcaption");
    const near = h("figure.ge-near-box", { hidden: !this.images || !f.items }, this.near, this.nearText);
    this.meter = h("i");
    this.verdict = h("span.ge-verdict");
    this.numbers = h("div.ge-numbers");
    this.pad = keys("pad", "Plane of noise: arrow keys move z, Home goes back to the middle", f.pad);
    const turn = this.flat ? null : b("↻ Turn", "turn", "Two other directions of noise, through this z");
    const walk = (t) => {
      this.play(false);
      this.ask("walk", { t });
    };
    this.walk = slider("Walk from A to B", "walk", walk, { min: 0, max: 1, value: 0 });
    this.playing = button("▶ Walk", "play", "From A to B and back", () => this.play(!this.start));
    const end = (name, verb) =>
      button(`${name.toUpperCase()} = z`, name, `The walk shall ${verb} here`, () => this.ask("anchor", { end: name }));
    const pick = (e) => this.ask("walk", { t: clamp(((9 * e.offsetX) / this.strip.clientWidth - 0.5) / 8, 0, 1) });
    this.strip = canvas("strip", "The walk from A to B in nine pictures", { onclick: pick, ...ratio(9) });
    this.bars = keys("bars", "Numbers of z: left and right choose one, up and down change it", f.coordinate);
    const choose = () => this.choose(Number(this.which.value) - 1);
    const onchange = () => (this.which.value = this.chosen + 1);
    this.which = field("Number of z to change", "which", f.dim, choose, { min: 1, value: 1, onchange });
    const [min, max] = f.coordinate;
    this.one = slider("Its value", "one", (v) => this.put(this.chosen, v), { min, max });
    this.value = h("span.ge-value");
    const [code, copy] = copied("Code of this place");
    this.code = code;
    this.codeBox = h("details.gl-fold", { ontoggle: () => this.sync() }, h("summary", "Show me the code"), copy, code);
    const many = f.dim > 1;
    const fresh = b("New z", "new", "Noise from the next seed", {}, { main: "gl-main-button" });
    this.root.append(
      h("div.gl-bar", fresh, h("label", "seed ", this.seed), this.told),
      this.lost,
      this.error,
      h(
        "div.ge-main",
        part(
          head(this.images ? "G(z)" : `G(z) among ${f.items ? "data and " : ""}fakes`),
          h("div.ge-pictures", this.fake, near),
          this.images ? null : this.keys(),
          f.about ? h("p.ge-hint", `${f.about}.`) : null,
          h("div.ge-answer", this.verdict, h("div.ge-meter", { "aria-hidden": "true" }, this.meter)),
          this.numbers,
        ),
        part(head(this.padTitle(), turn), this.pad, h("p.ge-hint", this.padHint())),
      ),
      part(
        head(null, this.playing, "A", this.walk, "B", end("a", "begin"), end("b", "end")),
        this.images ? this.strip : null,
      ),
      part(
        head(
          many ? `z, ${f.dim} numbers` : "z, one number",
          many ? h("label", "number ", this.which) : null,
          this.one,
          this.value,
        ),
        this.bars,
      ),
      this.codeBox,
    );
    this.drag(this.pad, (px, py, w, hgt) => this.at(view([f.pad, f.pad], w, hgt).back(px, py)));
    this.drag(this.bars, (px, py, w, hgt) => this.put(...bar(px, py, w, hgt, f.dim, f.coordinate)));
    this.pad.addEventListener("keydown", (e) => this.key(e, moved(this.here(), e.key, f.pad), (at) => this.at(at)));
    this.bars.addEventListener("keydown", (e) => this.barKey(e));
  }

  keys() {
    const { items, kind } = this.fixed;
    const all = { fakes: "fakes" };
    const near = `nearest real item${kind === "series" ? " (dark)" : ""}`;
    if (items) Object.assign(all, { real: "data", near });
    all.arrows = "walk";
    if (this.all.heat && kind === "plane") all.heat = "D: 0, ½, 1";
    const one = ([k, text]) => h("span", h(`i.gl-key.gl-key-${k}`), " ", text);
    return h("div.ge-keys", ...Object.entries(all).map(one));
  }

  padTitle = () => (this.fixed.dim === 1 ? "All of the noise" : this.flat ? "The plane of noise" : "A plane through z");

  /** Does the plane tell what D says? Then its middle is ½. */
  padAnswers = () => this.fixed.judged && this.fixed.kind !== "line";

  padHint() {
    const { kind, dim } = this.fixed;
    const what = this.images
      ? "Each small picture is what G makes of the noise there."
      : this.padAnswers()
        ? "Blue where D takes G(z) for real, orange where for a fake."
        : `The bluer, the ${kind === "series" ? "higher G(z) begins" : "further to the right is G(z)"}.`;
    return `${what} ${dim === 1 ? "Drag to the left or right." : "Drag, or use the arrow keys."}`;
  }

  drag(canvas, act) {
    const go = (e) => {
      const r = canvas.getBoundingClientRect();
      act(e.clientX - r.left, e.clientY - r.top, r.width, r.height);
    };
    canvas.addEventListener("pointerdown", (e) => {
      if (e.button || this.held) return;
      canvas.setPointerCapture(e.pointerId);
      this.held = String(e.pointerId); // which may be 0
      go(e);
    });
    const held = (act) => (e) => this.held === String(e.pointerId) && act(e);
    canvas.addEventListener("pointermove", held(go));
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(
        end,
        held(() => (this.held = null)),
      );
  }

  key = (e, to, act) => to && (e.preventDefault(), act(to));

  barKey(e) {
    const [lo, hi] = this.fixed.coordinate;
    const to = moved([this.chosen, this.now.z[this.chosen]], e.key, [lo, hi]);
    const [step] = steps[e.key] || [0];
    this.key(e, to, () => {
      if (step) this.choose(this.chosen + step);
      else this.put(this.chosen, e.key === "Home" ? clamp(0, lo, hi) : to[1]);
    });
  }

  // -- what the user does

  here = () => this.hand || (this.flat ? [this.now.z[0], this.now.z[1] || 0] : this.now.at);

  at(at) {
    const [lo, hi] = this.fixed.pad;
    this.hand = at.map((v) => Number(clamp(v, lo, hi).toPrecision(6)));
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
    this.now.z[i] = Number(value.toPrecision(6));
    this.ask("set", { i, value: this.now.z[i] });
    this.choose(i);
  }

  play(on) {
    if (!on === !this.start) return;
    this.playing.textContent = on ? "❚❚ Stop" : "▶ Walk";
    this.start = on ? performance.now() - since(Number(this.walk.value)) : null;
    const go = () => {
      if (!this.root.isConnected) this.play(false); // and its window may come back
      if (!this.start || this.closed) return;
      this.walk.value = sway(performance.now() - this.start);
      if (!this.queue.length) this.ask("walk", { t: Number(Number(this.walk.value).toFixed(3)) });
      requestAnimationFrame(go);
    };
    if (on) go();
  }

  // -- what the kernel says

  surround() {
    const { parts = [], buffers = [] } = this.model.get("around");
    this.around = unpack(parts, buffers);
    this.stale = false;
    this.repaint();
  }

  sync() {
    const f = this.fixed;
    const told = this.model.get("now");
    const n = (this.now = { ...told, z: [...told.z] });
    this.item = unpack(n.parts, n.buffers);
    this.open = 0;
    clearTimeout(this.silence);
    this.lost.hidden = true;
    this.flush();
    if (!this.held && !this.queue.length) this.hand = null;
    this.error.textContent = n.error;
    if (!this.editing) this.seed.value = n.seed;
    if (!this.told.textContent) this.told.textContent = n.said;
    if (n.t !== null && !this.start && document.activeElement !== this.walk) this.walk.value = n.t;
    this.verdict.textContent = f.judged ? `D(G(z)) = ${n.p === null ? "–" : n.p.toFixed(2)}` : "";
    this.meter.style.width = `${100 * (n.p || 0)}%`;
    this.nearText.textContent = `nearest of ${short(f.items)} real items`;
    this.numbers.textContent = this.words(n);
    this.fake.setAttribute("aria-label", `G(z), ${n.said}. ${this.verdict.textContent}. ${this.numbers.textContent}`);
    this.pad.setAttribute("aria-valuenow", this.here()[0]);
    this.pad.setAttribute("aria-valuetext", this.here().map(short).join(", "));
    if (this.codeBox.open) this.code.textContent = n.code;
    this.coordinate();
    this.repaint();
    this.root.dataset.count = n.count;
  }

  /** The item in words: its columns, or its first numbers. */
  words({ words = [], near_words: near, values }) {
    const row = (all) => all.map(([k, v]) => `${k} ${v}`).join(", ");
    if (words.length) return `x: ${row(words)}${near.length ? `\nnearest real item: ${row(near)}` : ""}`;
    const more = this.fixed.shape[0] > values.length ? ", …" : "";
    return values.length ? `x = (${values.join(", ")}${more})` : "";
  }

  coordinate() {
    const v = this.now.z[this.chosen];
    const text = `z${this.chosen + 1} = ${apart(v, this.fixed.coordinate, 1)}`;
    if (document.activeElement !== this.which) this.which.value = this.chosen + 1;
    if (document.activeElement !== this.one) this.one.value = v;
    this.value.textContent = text;
    this.bars.setAttribute("aria-valuenow", v);
    this.bars.setAttribute("aria-valuetext", text);
  }

  paint() {
    const p = new Pen(this.fake, this.ink);
    if (this.images || this.fixed.box) this[`paint${kinds[this.fixed.kind] || "Plane"}`](p, this.item);
    this.paintPad();
    this.paintBars();
    if (this.images) this.paintStrip();
  }

  paintImages(p, { fake, near }) {
    const { shape } = this.fixed;
    const show = (pen, v) => v && pen.fit(pixels(v, shape), 0, 0, pen.w, pen.h);
    show(p, fake);
    show(new Pen(this.near, this.ink), near);
  }

  /** This series among data and fakes, and the walk as lines that become thicker towards B. */
  paintSeries(p, { fake, near }) {
    const { shape, box } = this.fixed;
    const { real, fakes } = this.all;
    const { walk } = this.around;
    const v = view(box, p.w, p.h);
    const draw = (all, ...how) => all && p.series(v, all, shape, box, ...how);
    draw(real, p.c.data, 0.3, 1);
    draw(fakes, p.c.generator, 0.4, 1);
    const each = shape[0] * shape[1];
    for (let i = 0; walk && i < 9; i++) draw(walk.subarray(i * each, (i + 1) * each), p.c.value, 0.5, 0.5 + i / 5);
    draw(near, p.c.text, 1, 1.6);
    draw(fake, p.c.halo, 1, 6);
    draw(fake, p.c.generator, 1, 3);
    p.axes(["moment", "value"], box);
  }

  paintLine(p, item) {
    const { box, names } = this.fixed;
    const { real, fakes } = this.all;
    const base = p.h - 40;
    const top = 1.1 * Math.max(...fakes, ...(real || []));
    p.stairs(fakes, p.c.generator, top, base, base, 0.3);
    if (real) p.stairs(real, p.c.data, top, base, base);
    p.axes(names, box);
    this.places(p, { ...view([box[0], [0, 1]], p.w, p.h), y: () => base }, item);
  }

  paintPlane(p, item) {
    const { box, names } = this.fixed;
    const { heat, real, fakes } = this.all;
    const v = view(box, p.w, p.h);
    if (heat) p.ground(heat, 100);
    if (heat) p.half(heat, 100, [5, 4]);
    if (real) p.stillDots(v, real, p.c.data, 0.45, 2.2);
    p.dots(v, fakes, p.c.generator, 0.55);
    this.places(p, v, item);
    p.axes(names, box);
  }

  /** The walk, this item, and the real one that is nearest to it. */
  places(p, v, { fake, near }) {
    if (this.around.walk) trail(p, v, this.around.walk);
    if (fake) mark(p, v.x(fake[0]), v.y(fake[1]), p.c.generator);
    if (near) p.rimmed(p.c.text, 2, (g) => g.rect(v.x(near[0]) - 14, v.y(near[1]) - 14, 28, 28));
  }

  paintPad() {
    const { pad, dim, small } = this.fixed;
    const { map, path } = this.around;
    const p = new Pen(this.pad, this.ink);
    const v = view([pad, pad], p.w, p.h);
    p.g.globalAlpha = this.stale ? 0.35 : 1;
    if (map && this.images) p.grid(pictures(map, 81, small), 9, 0, p.w, true);
    else if (map) p.ground(map, 40, { plain: !this.padAnswers() });
    p.g.globalAlpha = 1;
    if (path) trail(p, v, path);
    const [x, y] = this.here().map((o) => clamp(o, ...pad));
    mark(p, v.x(x), dim === 1 ? p.h / 2 : v.y(y), p.c.value);
  }

  paintStrip() {
    const p = new Pen(this.strip, this.ink);
    const one = p.w / 9;
    const { walk } = this.around;
    if (!walk) return;
    pictures(walk, 9, this.fixed.small).forEach((o, i) => p.fit(o, i * one + 1, 1, one - 2, p.h - 2));
    if (this.now.t !== null) p.box(p.c.value, (this.now.t * 8 + 0.5) * one - 2, 0, 4, p.h);
  }

  paintBars() {
    const p = new Pen(this.bars, this.ink);
    const { z } = this.now;
    const [lo, hi] = this.fixed.coordinate;
    const y = (v) => ((hi - clamp(v, lo, hi)) / (hi - lo)) * p.h;
    const one = p.w / z.length;
    const thick = Math.min(one > 4 ? one - 2 : one, 36);
    const x = (i) => (i + 0.5) * one - thick / 2;
    z.forEach((v, i) => {
      const high = Math.max(1, Math.abs(y(v) - y(0)));
      p.box(i === this.chosen ? p.c.text : p.c.value, x(i), Math.min(y(0), y(v)), thick, high);
    });
    p.text(short(hi), 2, 10, { size: 10, rim: p.c.ground });
    p.text(short(lo), 2, p.h - 3, { size: 10, rim: p.c.ground });
    p.box(p.c.guide, 0, y(0) - 0.5, p.w, 1);
    const dot = (g) => g.arc((this.chosen + 0.5) * one, y(z[this.chosen]), 4.5, 0, 7);
    p.line(p.c.text, 0.1, dot, { fill: 1 });
  }
}

export default {
  render({ model, el }) {
    const app = new App(model, el);
    return () => app.close();
  },
};
