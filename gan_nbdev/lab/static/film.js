// A film: what a run showed, played again by the Lab's own window, without a kernel.
// It comes after common.js and lab.js in one script, so that a page needs no other file.

// ---- what computes

/** The numbers of each frame, by name; `parts` say how each was packed, as `_packed` in film.py does. */
export function unfold(parts, bytes) {
  const out = {};
  let at = 0;
  for (const [name, size, frames, shape, grid, low, unit] of parts) {
    const each = shape.reduce((a, b) => a * b, 1),
      n = frames * each;
    const whole = new Uint8Array(n * size);
    for (let k = 0; k < size; k++) for (let i = 0; i < n; i++) whole[i * size + k] = bytes[at + k * n + i];
    at += n * size;
    const q = size === 4 ? new Float32Array(whole.buffer) : size === 2 ? new Uint16Array(whole.buffer) : whole;
    if (size === 2) q.forEach((v, i) => (q[i] = (v >>> 1) ^ -(v & 1)));
    let stride = n; // the differences add up, modulo 2 to the bits
    for (const long of size < 4 ? [frames, ...(grid ? shape.slice(0, 2) : [])] : []) {
      stride /= long;
      for (let i = 0; i < n; i++) if (Math.floor(i / stride) % long) q[i] += q[i - stride];
    }
    const told = unit ? Float64Array.from(q, (v, i) => low[i % low.length] + v * unit[i % low.length]) : q;
    out[name] = Array.from({ length: frames }, (_, f) => told.subarray(f * each, (f + 1) * each));
    out[name].shape = shape;
  }
  return out;
}

/** The cell of `cells` along an axis from `low` to `high` that holds `x`, or -1. */
export const cell = (x, [low, high], cells) =>
  x >= low && x < high ? Math.min(Math.floor(((x - low) / (high - low)) * cells), cells - 1) : -1;

// ---- in the kernel's place

/** Answers the window as a kernel would, from what was recorded. */
export class Reel {
  constructor(info, arrays) {
    this.info = info;
    this.arrays = arrays;
    this.fixed = info.fixed;
    this.heard = {};
    this.i = this.last = info.iterations.length - 1;
    this.tell({});
  }

  get = (name) => this[name];
  on = (what, f) => (this.heard[what] = f);
  off = (what) => delete this.heard[what];

  tell(news) {
    const { iterations, said } = this.info;
    const now = { iteration: iterations[this.i], said: said[this.i] };
    this.state = { playing: false, speed: 8, moments: iterations, ...this.state, ...news, ...now };
    if (this.heard["change:state"]) this.heard["change:state"]();
  }

  /** A message with the arrays `names`, those of frame `i`. */
  emit(m, names, i) {
    const f = this.heard["msg:custom"],
      there = names.filter((k) => this.arrays[k]);
    const now = there.map((k) => this.arrays[k][Math.min(i, this.arrays[k].length - 1)]);
    const type = (o) => o.constructor.name.replace("Array", "").toLowerCase();
    if (f) f({ who: 0, ...m, parts: there.map((k, j) => [k, type(now[j]), this.arrays[k].shape]) }, now);
  }

  show(i) {
    this.i = i;
    this.emit({ do: "frame", iteration: this.info.iterations[i], critic: this.info.critic?.[i] }, this.info.frame, i);
    this.tell({});
  }

  send(m) {
    if (m.do === "hello") {
      this.emit({ do: "scene", ...this.info.scene }, ["real", "z"], 0);
      this.show(this.last);
      this.emit({ do: "curves" }, this.info.curves, 0);
    } else if (m.do === "play") {
      if (this.i === this.last) this.show(0);
      this.tell({ playing: true });
      this.roll();
    } else if (m.do === "speed") {
      this.tell({ speed: Number(m.speed) });
      if (this.state.playing) this.roll();
    } else if (m.do === "pause" || m.do === "rewind") {
      clearInterval(this.clock);
      this.tell({ playing: false });
      if (m.do === "rewind") this.show(this.info.iterations.indexOf(m.iteration));
    } else if (m.do === "at") this.emit({ do: "at", ...this.at(m) }, [], 0);
  }

  /** Is anything known of what D says? */
  answers = () => !this.info.critic?.[this.i] && !!(this.arrays.heat || this.arrays.answers);

  roll() {
    clearInterval(this.clock);
    this.clock = setInterval(() => {
      this.show(Math.min(this.i + 1, this.last));
      if (this.i === this.last) this.send({ do: "pause" });
    }, 1000 / this.state.speed);
  }

  /** D at a place; on images, of the fake there: a place in their square, downwards. */
  at({ x }) {
    const { kind, box, cells } = this.info.scene,
      { heat, answers } = this.arrays;
    const [v, n] = kind === "images" ? [answers, 8] : [heat, cells];
    const [c, r] = [cell(x[0], box[0], n), kind === "line" ? 0 : cell(x[1], box[1], n)];
    if (!this.answers() || !v || c < 0 || r < 0) return {};
    const D = Math.round((v[this.i][r * n + c] / 255) * 100) / 100;
    const half = (o) => Math.floor(o / 2), // the best D is known in cells twice as wide
      best = this.arrays.star && this.arrays.star[this.i][(half(r) * n) / 2 + half(c)];
    return best === undefined || best === 255 ? { D } : { D, star: best / 254 };
  }
}

// ---- the window

/** A curve whose future is pale, and whose title tells the moment that is shown. */
class Passing extends Curve {
  until = (x) => x.filter((o) => o <= this.app.moment).length - 1;

  lines(p) {
    super.lines(p);
    const [x, foot] = [this.X(this.app.moment), p.h - 12];
    p.g.globalAlpha = 0.7;
    p.box(p.c.ground, x, 5, p.w - 4 - x, foot - 6);
    p.line(p.c.text, 1, (g) => segment(g, x, 4, x, foot));
  }
}

/** The Lab's window, with those of its parts that need no kernel. */
class Player extends App {
  constructor(model, el) {
    super(model, el, ".gl-film", "Recorded run");
  }

  build() {
    const [stage] = this.stages;
    const speeds = Object.entries({ 4: "half speed", 8: "normal speed", 16: "double speed" });
    const toggle = () => this.send(this.state.playing ? "pause" : "play");
    this.play = button("", "play", "", toggle, { main: "gl-main-button" });
    const begin = () => (toggle(), this.play.focus());
    this.big = button("▶", null, null, begin, { main: "gl-big", "aria-label": "Play the run" });
    this.speed = select("Speed", "speed", speeds, (speed) => this.send("speed", { speed }));
    const range = { max: this.state.moments.length - 1, step: 1 };
    this.time = slider("Time", "rewind", (i) => this.send("rewind", { iteration: this.state.moments[i] }), range);
    this.when = h("span.gl-when");
    this.said = h("ul.gl-said", { "aria-label": "Diagnosis" });
    this.plots = this.fixed.curves.map((c) => new Passing(this, c));
    this.places = h("div.gl-stages", stage.el);
    stage.canvas.after(this.big);
    stage.hint = () => (this.model.answers() ? "Point at the picture to read off D." : "");
    stage.walked = ({ D }) => (D === undefined ? stage.hint() : `D of this fake  ${short(D)}`);
    put(stage.readout, stage.hint());
    this.root.append(
      h("div.gl-bar", { role: "toolbar", "aria-label": "Film" }, this.play, this.time, this.when, this.speed),
      h(
        "div.gl-main",
        h("div", this.places, h("div.gl-under", this.layerBox())),
        h("div.gl-side", h("div.gl-plots", ...this.plots.map((p) => p.el)), this.said),
      ),
    );
  }

  send(what, args = {}) {
    const [{ canvas, frame, scene }] = this.stages;
    if (what === "at" && scene.kind === "images") {
      const { clientWidth: w, clientHeight: hgt } = canvas;
      const [left, side] = square(w, hgt, this.layers.near && frame.near);
      args = { x: [(args.x[0] * w - left) / side, ((1 - args.x[1]) * hgt) / side] };
    }
    super.send(what, args);
  }

  message(m, buffers) {
    super.message(m, buffers);
    const [stage] = this.stages;
    if (m.do === "frame") {
      if (!this.root.isConnected) this.send("pause"); // or the clock would run on after the film has left
      this.moment = m.iteration;
      this.repaintCurves();
      if (stage.spot) stage.probe(stage.spot);
    }
  }

  sync() {
    const s = (this.state = this.model.get("state"));
    this.toggled(s.playing);
    this.speed.value = s.speed;
    this.time.value = s.moments.indexOf(s.iteration);
    this.when.textContent = `iteration ${short(s.iteration)}`;
    this.time.setAttribute("aria-valuetext", this.when.textContent);
    if (this.said.textContent !== s.said.join("")) this.said.replaceChildren(...s.said.map((o) => h("li", o)));
    this.said.hidden = !s.said.length;
    this.big.hidden = s.playing || s.iteration !== s.moments[s.moments.length - 1];
  }

  /** A page may change its theme without telling. */
  pulse() {
    const before = String(this.ink.c && this.ink.c.low);
    this.ink.at = -1e9;
    if (String(this.ink.now().low) !== before) this.repaintAll();
  }
}

// ---- on the page

/** Hide the picture of `size` in the output before this one, which stands there for pages without scripts. */
function hidePicture(place, size) {
  const output = place.closest(".jp-OutputArea-child, .output_area, .cell-output");
  const before = output?.previousElementSibling;
  const img = before?.querySelector("img");
  if (!img) return;
  const hide = () => {
    if (img.naturalWidth === size[0] && img.naturalHeight === size[1]) before.style.display = "none";
  };
  if (img.complete) hide();
  img.addEventListener("load", hide);
}

/** What the page holds: JSON, a zero, and the numbers. */
export function open(bytes) {
  const zero = bytes.indexOf(0);
  const info = JSON.parse(new TextDecoder().decode(bytes.subarray(0, zero)));
  return [info, unfold(info.parts, bytes.subarray(zero + 1))];
}

/** Put a player into `place`. */
export function film(place, bytes, style) {
  const [info, arrays] = open(bytes);
  place.replaceChildren(h("style", style));
  new Player(new Reel(info, arrays), place);
  hidePicture(place, info.size);
}
