// What the windows share. Python puts this file before the others, as one module.
// Plain ESM without imports, so that it works offline. What computes is exported for the tests.

// ---- what computes

export const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);

/** Line segments [x0, y0, x1, y1] where `v` (n × n, row by row) crosses `level`, in cells. */
export function contour(v, n, level) {
  const out = [];
  for (let i = 0; i + n < n * n; i++) {
    const c = i % n;
    const below = (v[i] < level) + (v[i + 1] < level) + (v[i + n] < level) + (v[i + n + 1] < level);
    if (c === n - 1 || below % 4 === 0) continue;
    const r = (i - c) / n;
    const cut = [];
    const cross = (p, q, x, y, dx, dy) => {
      if (v[p] < level === v[q] < level) return;
      const t = (level - v[p]) / (v[q] - v[p]);
      cut.push(x + t * dx, y + t * dy);
    };
    cross(i, i + 1, c, r, 1, 0);
    cross(i + n, i + n + 1, c, r + 1, 1, 0);
    cross(i, i + n, c, r, 0, 1);
    cross(i + 1, i + n + 1, c + 1, r, 0, 1);
    for (let k = 0; k + 3 < cut.length; k += 4) out.push(cut.slice(k, k + 4));
  }
  return out;
}

/** RGBA bytes of an n × n map, top row first: 0 is `low`, half of `top` is `mid`, `top` is `high`, above it nothing. */
export function shade(v, n, low, high, top = 255, mid = low.map((o, i) => (o + high[i]) / 2)) {
  const out = new Uint8ClampedArray(4 * n * n);
  for (let k = 0; k < n * n; k++) {
    const t = v[k] / top;
    const o = 4 * ((n - 1 - Math.floor(k / n)) * n + (k % n));
    if (t > 1) continue;
    const [a, b, u] = t < 0.5 ? [low, mid, 2 * t] : [mid, high, 2 * t - 1];
    for (let i = 0; i < 3; i++) out[o + i] = a[i] + u * (b[i] - a[i]);
    out[o + 3] = 255;
  }
  return out;
}

/** Functions between data units in `box` and pixels in a `w` × `h` picture, y upwards. */
export function view([[x0, x1], [y0, y1]], w, h) {
  return {
    x: (x) => ((x - x0) / (x1 - x0)) * w,
    y: (y) => h - ((y - y0) / (y1 - y0)) * h,
    back: (px, py) => [x0 + (px / w) * (x1 - x0), y0 + ((h - py) / h) * (y1 - y0)],
  };
}

/** A number as people write it: three digits that matter. */
export function short(v) {
  if (!Number.isFinite(v)) return "–";
  const a = Math.abs(v);
  if (a !== 0 && (a < 0.001 || a >= 1e12)) return v.toExponential(1);
  if (a >= 1000) return Math.round(v).toLocaleString("en");
  return String(Number(v.toPrecision(3)));
}

/** A number with as many digits as it takes to tell it from others between `lo` and `hi`. */
export function apart(v, [lo, hi], more = 0) {
  const places = clamp(1 + more - Math.floor(Math.log10(hi - lo)), 0, 100);
  const o = Number(v.toFixed(places));
  return Math.abs(o) < 1000 ? String(o) : o.toLocaleString("en", { maximumFractionDigits: Math.min(places, 20) });
}

/** The ends of an axis, with as many digits as it takes to tell them apart. */
export const ticks = (lo, hi) => [lo, hi].map((v) => apart(v, [lo, hi]));

/** The same, of up to six characters where these tell them apart. */
export function brief(ends) {
  const [all, few] = [ticks(...ends), ends.map((v) => v && v.toExponential(1).replace("+", ""))].map((o) =>
    o.map(String),
  );
  return all.some((o) => o.length > 6) && few[0] !== few[1] ? few : all;
}

/** The arrays of a message: `parts` are [name, type, shape], the buffers in the same order. */
export function unpack(parts, buffers) {
  const types = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array };
  const one = ([name, type, shape], i) => {
    const b = buffers[i];
    const bytes = b.buffer ? b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) : b.slice(0);
    return [name, Object.assign(new types[type](bytes), { shape })];
  };
  return Object.fromEntries(parts.map(one));
}

/** "#rrggbb" or "rgb(r, g, b)" as three numbers. */
export function rgb(colour) {
  const hex = colour.match(/^#(..)(..)(..)$/);
  return hex ? hex.slice(1).map((o) => parseInt(o, 16)) : colour.split(/[(,)]/).slice(1, 4).map(Number);
}

/** A picture as large as fits into a place, in its middle, as wide as it is. */
export const fitted = ([hh, ww], w, hgt, f = Math.min(w / ww, hgt / hh)) =>
  [w - f * ww, hgt - f * hh, 2 * f * ww, 2 * f * hh].map((o) => o / 2);

const kinds = { images: "Images", series: "Series", line: "Line" };
const axisNames = (own, box) => (own.length ? own : ["x₁", "x₂"].slice(0, box.length));
const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// ---- elements

/** `what` is a tag and its classes, as in CSS; then attributes, if there are any, and what is inside. */
function h(what, ...inside) {
  const [tag, ...classes] = what.split(".");
  const e = document.createElement(tag);
  const attrs = inside[0] && inside[0].constructor === Object ? inside.shift() : {};
  if (classes.length) e.className = classes.join(" ");
  for (const [k, v] of Object.entries(attrs)) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && (v ?? null) !== null) e.setAttribute(k, v);
  }
  // JupyterLab looks at the focused element first: D D on a button would delete the cell.
  if (/^(button|select|input|canvas|summary|pre)$/.test(tag)) e.dataset.lmSuppressShortcuts = "true";
  e.append(...inside.filter((c) => c !== null && c !== undefined));
  return e;
}

function button(label, what, hint, act, more = {}) {
  const { main, ...rest } = more;
  const attrs = { type: "button", title: hint, "data-do": what, onclick: act, ...rest };
  return h(main ? `button.${main}` : "button", attrs, label);
}

function select(label, what, options, act, more) {
  const all = options.map(([value, text]) => h("option", { value }, text));
  return h("select", { "aria-label": label, "data-do": what, onchange: (e) => act(e.target.value), ...more }, ...all);
}

function slider(label, what, oninput, more) {
  const act = (e) => oninput(Number(e.target.value));
  return h("input", { type: "range", step: "any", "aria-label": label, "data-do": what, oninput: act, ...more });
}

const alarm = (text) => h("p.gl-error", { role: "alert", hidden: !!text }, text);

/** Code, and the button that copies it: for Ctrl-C too, where the clipboard is out of reach. */
function copied(label) {
  const code = h("pre.gl-code", { tabindex: 0, "aria-label": label });
  const copy = () => {
    getSelection().selectAllChildren(code);
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).catch(() => {});
  };
  return [code, button("Copy", "copy", "Copy the cell", copy)];
}

/** New words only where they are other words: a screen reader reads each change, and a selection is lost. */
const put = (e, text) => e.textContent === text || (e.textContent = text);

// ---- painting

/** Colours of the theme that is on; asked for again at most twice a second. */
class Ink {
  constructor(root, palette) {
    Object.assign(this, { root, palette, at: -1e9 });
  }

  now() {
    if (this.c && performance.now() - this.at < 500) return this.c;
    const s = getComputedStyle(this.root);
    const p = this.palette;
    const low = rgb(s.backgroundColor || "#ffffff");
    this.at = s.backgroundColor ? performance.now() : -1e9; // what is not on the page yet has no colours
    const dark = low[0] + low[1] + low[2] < 384;
    const [fake, high] = (dark ? ["fake_dark", "real_dark"] : ["fake", "real"]).map((o) => rgb(p[o]));
    const own = { text: s.color || "#000", ground: s.backgroundColor || "#fff", halo: dark ? "#000" : "#fff" };
    const bright = dark ? { generator: "#2fd3a3", discriminator: "#56a8e8" } : {};
    return (this.c = { ...p, ...bright, ...own, dark, data: own.text, low, fake, high });
  }
}

const made = new WeakMap();

/** What was made of an array under this name, as long as the array is there. */
function kept(array, name, make) {
  if (!made.has(array)) made.set(array, {});
  return (made.get(array)[name] ||= make());
}

const layers = new WeakMap();

/** A canvas for `owner`, painted by `paint` only when something in `of` is another. */
function renewed(owner, of, paint) {
  if (!layers.has(owner)) layers.set(owner, { canvas: h("canvas"), of: [] });
  const layer = layers.get(owner);
  if (of.some((o, i) => o !== layer.of[i])) paint(layer.canvas);
  layer.of = of;
  return layer.canvas;
}

function bitmap(bytes, w, hgt = w, c = h("canvas")) {
  Object.assign(c, { width: w, height: hgt });
  c.getContext("2d").putImageData(new ImageData(bytes, w, hgt), 0, 0);
  return c;
}

/** A picture of `shape` [h, w] or [h, w, 3] from its bytes. */
function pixels(v, [hh, ww, colours]) {
  const out = new Uint8ClampedArray(4 * hh * ww).fill(255);
  for (let i = 0; i < hh * ww; i++) for (let k = 0; k < 3; k++) out[4 * i + k] = colours ? v[3 * i + k] : v[i];
  return bitmap(out, ww, hh);
}

/** The first `n` pictures of an array, made once. */
function pictures(all, n, shape) {
  const dim = shape.reduce((a, b) => a * b);
  const one = (_, i) => pixels(all.subarray(i * dim, (i + 1) * dim), shape);
  return kept(all, `pictures ${n}`, () => Array.from({ length: n }, one));
}

const segment = (g, x0, y0, x1, y1) => (g.moveTo(x0, y0), g.lineTo(x1, y1));

/** Draws on a canvas, which is sharp on every screen and empty at first, in the colours of `ink`. */
class Pen {
  constructor(canvas, ink) {
    const r = window.devicePixelRatio || 1;
    Object.assign(this, { w: canvas.clientWidth, h: canvas.clientHeight, c: ink.now(), g: canvas.getContext("2d") });
    const [width, height] = [Math.round(this.w * r), Math.round(this.h * r)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.g.setTransform(r, 0, 0, r, 0, 0);
    this.g.clearRect(0, 0, this.w, this.h);
    this.g.lineJoin = "round";
  }

  /** The path that `draw` makes, as a line; `fill` is the opacity of what is inside. */
  line(colour, width, draw, { dash = [], alpha = 1, fill = 0 } = {}) {
    const { g } = this;
    g.beginPath();
    draw(g);
    Object.assign(g, { strokeStyle: colour, fillStyle: colour, lineWidth: width, globalAlpha: alpha });
    g.setLineDash(dash);
    g.stroke();
    g.setLineDash([]);
    g.globalAlpha = fill;
    if (fill) g.fill();
    g.globalAlpha = 1;
  }

  /** A line with a rim: it is seen on light and on dark. */
  rimmed(colour, width, draw) {
    this.line(this.c.halo, 2 * width, draw);
    this.line(colour, width, draw);
  }

  box(colour, x, y, w, hgt) {
    this.g.fillStyle = colour;
    this.g.fillRect(x, y, w, hgt);
  }

  /** How wide the widest of these words is. */
  width(all, size = 11) {
    this.g.font = `${size}px sans-serif`;
    return Math.max(...all.map((o) => this.g.measureText(o).width));
  }

  text(words, x, y, { size = 11, align = "left", bold = "", rim = null } = {}) {
    const { g, c } = this;
    Object.assign(g, { font: `${bold} ${size}px sans-serif`, textAlign: align, fillStyle: c.text });
    Object.assign(g, { strokeStyle: rim, lineWidth: 3 });
    if (rim) g.strokeText(words, x, y);
    g.fillText(words, x, y);
  }

  /** Points x, y, x, y, … seen by `v`: of the data as rings, others as dots with a rim. */
  dots(v, xy, colour, alpha = 1, r = 2) {
    const { g, c } = this;
    const ring = colour === c.data;
    g.beginPath();
    for (let i = 0; i + 1 < xy.length; i += 2) {
      const x = v.x(xy[i]);
      const y = v.y(xy[i + 1]);
      g.moveTo(x + r, y);
      g.arc(x, y, r, 0, 7);
    }
    Object.assign(g, { globalAlpha: alpha, strokeStyle: ring ? colour : c.halo, lineWidth: ring ? 1 : 0.8 });
    g.stroke();
    g.fillStyle = colour;
    if (!ring) g.fill();
    g.globalAlpha = 1;
  }

  /** `dots` of an array that stays, painted once for each size and theme. */
  stillDots(v, xy, ...how) {
    const { canvas } = this.g;
    const of = [xy, this.c, canvas.width, canvas.height, v.x(0), v.x(1), v.y(0), v.y(1), ...how];
    const layer = renewed(canvas, of, (c) => {
      const own = Object.assign(Object.create(this), { g: c.getContext("2d") });
      Object.assign(c, { width: canvas.width, height: canvas.height });
      own.g.setTransform(this.g.getTransform());
      own.dots(v, xy, ...how);
    });
    this.g.save();
    this.g.resetTransform();
    this.g.drawImage(layer, 0, 0);
    this.g.restore();
  }

  /** Series, `shape` [moments, channels] each, as lines across `box`; later channels are paler. */
  series(v, all, [moments, channels], [[x0, x1]], colour, alpha, width) {
    const step = (x1 - x0) / Math.max(moments - 1, 1);
    for (let k = 0; k < channels; k++) {
      const draw = (g) => {
        for (let at = 0; at < all.length; at += moments * channels)
          for (let i = 0; i < moments; i++)
            g[i ? "lineTo" : "moveTo"](v.x(x0 + i * step), v.y(all[at + i * channels + k]));
      };
      this.line(colour, width, draw, { alpha: alpha * (1 - (0.6 * k) / channels) });
    }
  }

  /** A histogram of shares `y`; `top` is `height` pixels above the axis, which is `base` pixels down. */
  stairs(y, colour, top, height, base, fill = 0) {
    const draw = (g) => {
      g.moveTo(0, base);
      const Y = (o) => base - (Math.min(o, top) / top) * height;
      y.forEach((o, i) => [i, i + 1].forEach((x) => g.lineTo((x / y.length) * this.w, Y(o))));
      g.lineTo(this.w, base);
    };
    this.line(colour, 1.6, draw, { fill });
  }

  /** What D says, 0 to `top`: orange where it bets on fakes, blue where on data; `plain`: blue grows with any number. */
  ground(map, n, { top = 255, plain = false } = {}) {
    const { g, c } = this;
    const [from, mid] = plain ? [c.low] : [c.fake, c.low];
    const paint = (canvas) => bitmap(shade(map, n, from, c.high, top, mid), n, n, canvas);
    g.imageSmoothingEnabled = top > 254;
    g.drawImage(renewed(Pen, [map, top, mid, c], paint), 0, 0, this.w, this.h); // one for all pens: picture and diagram show the same
  }

  /** Where D says ½. */
  half(heat, n, dash) {
    const px = (x) => ((x + 0.5) / n) * this.w;
    const py = (y) => this.h - ((y + 0.5) / n) * this.h;
    const cuts = kept(heat, "half", () => contour(heat, n, 127.5));
    const draw = (g) => cuts.forEach(([x0, y0, x1, y1]) => segment(g, px(x0), py(y0), px(x1), py(y1)));
    this.line(this.c.text, 1.2, draw, { dash });
  }

  /** As large as fits, with sharp pixels. */
  fit(image, x, y, w, hgt) {
    const [dx, dy, wide, high] = fitted([image.height, image.width], w, hgt);
    this.g.imageSmoothingEnabled = false;
    this.g.drawImage(image, x + dx, y + dy, wide, high);
  }

  /** n × n pictures in a square from `x` on, the first at the top, or with `up` at the foot. */
  grid(all, n, x, side, up = false) {
    const one = side / n;
    const row = (i) => (up ? n - 1 - Math.floor(i / n) : Math.floor(i / n));
    all.forEach((o, i) => this.fit(o, x + (i % n) * one + 1, row(i) * one + 1, one - 2, one - 2));
  }

  /** The names of both axes, between their ends. */
  axes(own, box) {
    const names = axisNames(own, box);
    const along = (name, [lo, hi], long, y) => {
      const [low, high] = ticks(lo, hi);
      this.text(low, names.length > 1 ? 18 : 4, y, { rim: this.c.ground }); // the corner is of neither
      const room = long - 2 * Math.max(18 + this.width([low]), 4 + this.width([high])) - 12;
      let whole = name.length;
      while (whole > 1 && this.width([name.slice(0, whole)]) > room) whole--;
      const cut = whole < name.length ? `${name.slice(0, whole - 1)}…` : name;
      this.text(cut, long / 2, y, { align: "center", rim: this.c.ground });
      this.text(high, long - 4, y, { align: "right", rim: this.c.ground });
    };
    along(names[0], box[0], this.w, this.h - 5);
    if (names.length < 2) return;
    this.g.save();
    this.g.rotate(-Math.PI / 2);
    this.g.translate(-this.h, 0);
    along(names[1], box[1], this.h, 12);
    this.g.restore();
  }
}

// ---- a window

/** In the theme's colours, painted again when its size or the theme changes. */
class Frame {
  constructor(model, name, label) {
    this.model = model;
    this.fixed = model.get("fixed");
    this.id = Math.random().toString(36).slice(2); // a page may hold several modules, so none can count
    this.root = h(`div.gan-lab${name}`, { role: "region", "aria-label": label });
    this.ink = new Ink(this.root, this.fixed.palette);
    this.lost = alarm("The kernel does not answer: it is busy, or was restarted; then run this cell again.");
    this.error = alarm();
    this.last = [];
  }

  listen(what, act) {
    this.model.on(what, act);
    this.last.push(() => this.model.off(what, act));
  }

  enter(el) {
    el.append(this.root);
    const watch = new ResizeObserver(() => {
      this.rest(); // it has come to the page, or left it, or is of another size
      if (!this.root.isConnected) return;
      const theme = new MutationObserver(() => ((this.ink.at = -1e9), this.repaintAll()));
      theme.observe(document.body, { attributes: true });
      const timer = setInterval(() => this.pulse(), 2000);
      this.rest = () => (theme.disconnect(), clearInterval(timer));
      this.repaintAll();
    });
    watch.observe(this.root);
    this.last.push(() => (watch.disconnect(), this.rest()));
  }

  rest() {}
  pulse() {}

  close() {
    this.closed = true;
    this.last.forEach((o) => o());
  }

  repaint() {
    if (this.asked || this.closed) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.closed && this.root.isConnected) this.paint();
    });
  }

  repaintAll() {
    this.repaint();
  }
}
