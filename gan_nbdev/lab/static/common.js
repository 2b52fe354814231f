// What the windows share. Python puts this file before lab.js or explorer.js, as one module.
// Plain ESM without imports, so that it works offline. What computes is exported for the tests.

// ---- what computes

/** Line segments [x0, y0, x1, y1] where `v` (n × n, row by row) crosses `level`, in cells. */
export function contour(v, n, level) {
  const out = [];
  for (let r = 0; r + 1 < n; r++) {
    for (let c = 0; c + 1 < n; c++) {
      const a = v[r * n + c],
        b = v[r * n + c + 1],
        d = v[(r + 1) * n + c],
        e = v[(r + 1) * n + c + 1];
      const below = (a < level) + (b < level) + (d < level) + (e < level);
      if (below === 0 || below === 4) continue;
      const cut = [];
      const cross = (p, q, x, y, dx, dy) => {
        if (p < level === q < level) return;
        const t = (level - p) / (q - p);
        cut.push(x + t * dx, y + t * dy);
      };
      cross(a, b, c, r, 1, 0);
      cross(d, e, c, r + 1, 1, 0);
      cross(a, d, c, r, 0, 1);
      cross(b, e, c + 1, r, 0, 1);
      for (let i = 0; i + 3 < cut.length; i += 4) out.push(cut.slice(i, i + 4));
    }
  }
  return out;
}

/** RGBA bytes of an n × n map, top row first: 0 is `low`, half of `top` is `mid`, `top` is `high`, above it nothing. */
export function shade(v, n, low, high, top = 255, mid = low.map((o, i) => (o + high[i]) / 2)) {
  const out = new Uint8ClampedArray(4 * n * n);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < n; c++) {
      const t = v[r * n + c] / top,
        o = 4 * ((n - 1 - r) * n + c);
      if (t > 1) continue;
      const [a, b, u] = t < 0.5 ? [low, mid, 2 * t] : [mid, high, 2 * t - 1];
      for (let i = 0; i < 3; i++) out[o + i] = a[i] + u * (b[i] - a[i]);
      out[o + 3] = 255;
    }
  }
  return out;
}

/** Functions between data units in `box` and pixels in a `w` × `h` picture, y upwards. */
export function view(box, w, h) {
  const [[x0, x1], [y0, y1]] = box;
  return {
    x: (x) => ((x - x0) / (x1 - x0)) * w,
    y: (y) => h - ((y - y0) / (y1 - y0)) * h,
    back: (px, py) => [x0 + (px / w) * (x1 - x0), y0 + ((h - py) / h) * (y1 - y0)],
  };
}

/** A number as people write it: three digits that matter. */
export function short(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  const a = Math.abs(v);
  if (a >= 1000) return Math.round(v).toLocaleString("en");
  if (a !== 0 && a < 0.001) return v.toExponential(1);
  return String(Number(v.toPrecision(3)));
}

/** The ends of an axis, with as many digits as it takes to tell them apart. */
export function ticks(lo, hi) {
  const places = Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(hi - lo))));
  return [lo, hi].map((v) => (Math.abs(v) >= 1000 ? short(v) : String(Number(v.toFixed(places)))));
}

/** The arrays of a message: `parts` are [name, type, shape], the buffers in the same order. */
export function unpack(parts, buffers) {
  const types = { float32: Float32Array, uint8: Uint8Array };
  const out = {};
  parts.forEach(([name, type, shape], i) => {
    const b = buffers[i],
      T = types[type];
    const bytes = b.buffer ? b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) : b.slice(0);
    out[name] = new T(bytes);
    out[name].shape = shape;
  });
  return out;
}

/** "#rrggbb" or "rgb(r, g, b)" as three numbers. */
export function rgb(colour) {
  const hex = colour.match(/^#(..)(..)(..)$/);
  return hex
    ? hex.slice(1).map((o) => parseInt(o, 16))
    : colour
        .match(/[\d.]+/g)
        .slice(0, 3)
        .map(Number);
}

// ---- painting

/** Begin a path of circles of radius `r` around points x, y, x, y, … seen by `v`. */
function circles(g, v, xy, r) {
  g.beginPath();
  for (let i = 0; i + 1 < xy.length; i += 2) {
    const x = v.x(xy[i]),
      y = v.y(xy[i + 1]);
    g.moveTo(x + r, y);
    g.arc(x, y, r, 0, 7);
  }
}

/** Draw what `contour` found in an n × n map. */
function outline(g, cuts, n, w, hgt, colour) {
  const px = (x) => ((x + 0.5) / n) * w,
    py = (y) => hgt - ((y + 0.5) / n) * hgt;
  g.strokeStyle = colour;
  g.lineWidth = 1.2;
  g.beginPath();
  for (const [x0, y0, x1, y1] of cuts) {
    g.moveTo(px(x0), py(y0));
    g.lineTo(px(x1), py(y1));
  }
  g.stroke();
}

// ---- small helpers

function h(tag, attrs = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && v !== null && v !== undefined) e.setAttribute(k, v);
  }
  // JupyterLab looks at the focused element first: D D on a button would delete the cell.
  if (/^(button|select|input|canvas|summary|pre)$/.test(tag)) e.dataset.lmSuppressShortcuts = "true";
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function button(label, what, hint, act, more) {
  return h("button", { type: "button", title: hint, "data-do": what, onclick: act, ...more }, label);
}

function select(label, what, options, act, more) {
  const all = options.map(([value, text]) => h("option", { value }, text));
  return h("select", { "aria-label": label, "data-do": what, onchange: (e) => act(e.target.value), ...more }, ...all);
}

/** New words only where they are other words: a screen reader reads each change, and a selection is lost. */
function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/** Colours of the theme that is on; asked for again at most twice a second. */
class Ink {
  constructor(root, palette) {
    this.root = root;
    this.palette = palette;
    this.at = -1e9;
  }
  now() {
    if (this.c && performance.now() - this.at < 500) return this.c;
    const s = getComputedStyle(this.root),
      there = !!s.backgroundColor, // what is not on the page yet has no colours
      ground = rgb(s.backgroundColor || "#ffffff");
    this.at = there ? performance.now() : -1e9;
    const dark = ground[0] + ground[1] + ground[2] < 384;
    this.c = {
      ...this.palette,
      text: s.color || "#000",
      ground: s.backgroundColor || "#fff",
      dark,
      data: s.color || "#000",
      low: ground,
      high: dark ? [0, 104, 165] : [120, 183, 225],
      fake: dark ? [140, 76, 0] : [246, 186, 116],
      generator: dark ? "#2fd3a3" : this.palette.generator,
      discriminator: dark ? "#56a8e8" : this.palette.discriminator,
      halo: dark ? "#000" : "#fff",
    };
    return this.c;
  }
}

/** A canvas that is sharp on every screen; `size()` gives its width and height as drawn. */
function sharp(canvas) {
  const w = canvas.clientWidth,
    hgt = canvas.clientHeight,
    r = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(w * r) || canvas.height !== Math.round(hgt * r)) {
    canvas.width = Math.round(w * r);
    canvas.height = Math.round(hgt * r);
  }
  const g = canvas.getContext("2d");
  g.setTransform(r, 0, 0, r, 0, 0);
  g.clearRect(0, 0, w, hgt);
  return [g, w, hgt];
}

function bitmap(bytes, w, hgt = w) {
  const c = document.createElement("canvas");
  c.width = w;
  c.height = hgt;
  c.getContext("2d").putImageData(new ImageData(bytes, w, hgt), 0, 0);
  return c;
}

/** A picture as large as fits into a place, in its middle, as wide as it is. */
export function fitted([hh, ww], w, hgt) {
  const f = Math.min(w / ww, hgt / hh);
  return [(w - f * ww) / 2, (hgt - f * hh) / 2, f * ww, f * hh];
}
function fit(g, image, x, y, w, hgt) {
  const [dx, dy, wide, high] = fitted([image.height, image.width], w, hgt);
  g.drawImage(image, x + dx, y + dy, wide, high);
}

/** Series, `shape` [moments, channels] each, as lines from `x0` on, `stride` apart; later channels are paler. */
function series(g, v, all, [moments, channels], box, colour, alpha, width) {
  const step = (box[0][1] - box[0][0]) / Math.max(moments - 1, 1);
  g.strokeStyle = colour;
  g.lineWidth = width;
  for (let c = 0; c < channels; c++) {
    g.globalAlpha = alpha * (1 - (0.6 * c) / channels);
    g.beginPath();
    for (let at = 0; at < all.length; at += moments * channels)
      for (let i = 0; i < moments; i++)
        g[i ? "lineTo" : "moveTo"](v.x(box[0][0] + i * step), v.y(all[at + i * channels + c]));
    g.stroke();
  }
  g.globalAlpha = 1;
}

/** The names of both axes, between their ends. */
function named(g, c, names, box, w, hgt) {
  const put = (text, x, y, align) => {
    g.textAlign = align;
    g.strokeText(text, x, y);
    g.fillText(text, x, y);
  };
  const along = (name, [lo, hi], long, y) => {
    const [low, high] = ticks(lo, hi);
    put(low, names.length > 1 ? 18 : 4, y, "left"); // the corner is of neither
    put(name, long / 2, y, "center");
    put(high, long - 4, y, "right");
  };
  g.font = "11px sans-serif";
  g.lineJoin = "round";
  g.lineWidth = 3;
  g.strokeStyle = c.ground;
  g.fillStyle = c.text;
  along(names[0], box[0], w, hgt - 5);
  if (names.length > 1) {
    g.save();
    g.rotate(-Math.PI / 2);
    g.translate(-hgt, 0);
    along(names[1], box[1], hgt, 12);
    g.restore();
  }
  g.textAlign = "left";
}

/** A picture of `shape` [h, w] or [h, w, 3] from its bytes. */
function pixels(v, shape) {
  const [hh, ww] = shape,
    colour = shape.length > 2,
    out = new Uint8ClampedArray(4 * hh * ww);
  for (let i = 0; i < hh * ww; i++) {
    for (let k = 0; k < 3; k++) out[4 * i + k] = colour ? v[3 * i + k] : v[i];
    out[4 * i + 3] = 255;
  }
  return bitmap(out, ww, hh);
}
