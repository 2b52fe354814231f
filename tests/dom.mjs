// As much of a page as the windows need in order to be built and painted in node; what is painted is written down.
import { readFileSync } from "node:fs";

const ignored = () => {};

/** A canvas' pen: `strokes` are [colour, points]. */
function pen() {
  const g = { path: [], strokes: [], words: [], places: [] };
  const begin = () => (g.path = []);
  const point = (x, y) => g.path.push([x, y]);
  const arc = (x, y, r) => g.path.push([x - r, y], [x + r, y]);
  const stroke = () => g.strokes.push([g.strokeStyle, g.path]);
  const measureText = (text) => ({ width: 5.6 * text.length });
  const own = {
    measureText,
    beginPath: begin,
    moveTo: point,
    lineTo: point,
    arc,
    stroke,
    fillText: (text, x) => g.words.push(text) && g.places.push(x),
  };
  return new Proxy(Object.assign(g, own), { get: (o, k) => (k in o ? o[k] : ignored) });
}

class Element {
  constructor(tag) {
    Object.assign(this, { tag, inside: [], dataset: {}, attrs: {}, heard: {}, style: {}, changes: [] });
    Object.assign(this, { clientWidth: 300, clientHeight: 120, hidden: false });
    this.classList = { toggle: ignored, add: ignored };
  }
  get textContent() {
    return this.inside.map((o) => o.textContent ?? o).join("");
  }
  set textContent(text) {
    this.inside = text ? [text] : [];
    this.changes.push(text);
  }
  get value() {
    return this.typed;
  }
  set value(v) {
    this.typed = String(v);
  }
  append(...more) {
    this.inside.push(...more);
  }
  replaceChildren(...all) {
    this.inside = all;
  }
  setAttribute(k, v) {
    this.attrs[k] = String(v);
  }
  addEventListener(k, f) {
    this.heard[k] = f;
  }
  getContext() {
    return (this.pen ||= pen());
  }
}

Object.assign(globalThis, {
  document: { createElement: (tag) => new Element(tag) },
  window: globalThis,
  getComputedStyle: () => ({}),
  requestAnimationFrame: ignored,
});

/** The scripts as one module, with all classes that are named. */
export async function load(scripts, names, more = "") {
  const read = (o) => readFileSync(new URL(`../gan_nbdev/lab/static/${o}.js`, import.meta.url), "utf-8");
  const source = scripts.map((o) => read(o).split("\nexport default")[0]).join("");
  const all = `${source}\nexport { ${names.join(", ")} };${more}`;
  return import(`data:text/javascript;base64,${Buffer.from(all).toString("base64")}`);
}

/** An `App` of this class without its window: `state` and what else it holds. */
export function bare(Class, Stage, more = {}) {
  const ink = { now: () => ({ value: "V", discriminator: "D", generator: "G", data: "data", guide: "guide" }) };
  const app = Object.assign(Object.create(Class.prototype), {
    ...{ ink, sent: 0, layers: {}, state: {}, curves: [], plots: [], root: new Element("div"), slow: null },
    ...{
      error: new Element("p"),
      lost: new Element("p"),
      note: new Element("p"),
      asked: [],
      clock: ignored,
      kinds: ignored,
      repaint: ignored,
    },
    ...more,
  });
  app.model = { send: (m) => app.asked.push(m), get: () => app.state, answers: () => true };
  app.stages = [new Stage(app, 0)];
  return app;
}
