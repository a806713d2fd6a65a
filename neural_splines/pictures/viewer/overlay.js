// What is drawn over the picture: the scale bar, the axes, and what is measured. Places are in the box, as in view.js.
const longest = 65535 * data.step;  // of the box, in units of the cloud
const inCloud = p => p.map((v, k) => data.origin[k] + longest * v);  // in double precision
const escaped = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

// How many digits after the point say no more than is known: of a pixel there, and of positions in the page.
function decimals(pixel) { return Math.min(Math.max(-Math.floor(Math.log10(Math.max(pixel, data.step))), 0), 15); }

function coordinates(p, pixel) {
  const digits = decimals(pixel);
  return inCloud(p).map((v, k) => `${"xyz"[k]} ${minus(v.toFixed(digits))}`).join("  ") + (data.unit ? `  ${data.unit}` : "");
}

class Measure {
  constructor() { this.on = false; this.ends = []; }
  add(p) { if (this.ends.length === 2) this.ends = []; this.ends.push(p); }
  get sides() { return this.ends[1].map((v, k) => longest * (v - this.ends[0][k])); }
  get length() { return Math.hypot(...this.sides); }
  get digits() {  // that the rounding of positions leaves
    return Math.min(Math.max(Math.ceil(Math.log10(this.length / data.step)), 1), 4);
  }
  words() {
    if (!this.on) return null;
    if (!this.ends.length) return "Click a place on the surface; on the keyboard Enter takes the middle of the picture";
    if (this.ends.length === 1) return "Click a second place; Esc ends measuring";
    const sides = this.sides.map((v, k) => `${"xyz"[k]} ${quantity(Math.abs(v), 3).replace(/ units?$/, "")}`);
    return `Distance ${quantity(this.length, this.digits)}; along ${sides.join(", ")}`;
  }
  drawn(view) {
    const seen = this.ends.map(p => view.project(p)).filter(p => p[2] > 0), [a, b] = seen;
    let text = "";
    if (b) text += `<line class="rule" x1="${a[0]}" y1="${a[1]}" x2="${b[0]}" y2="${b[1]}"/>`;
    for (const p of seen) text += `<circle class="spot" cx="${p[0]}" cy="${p[1]}" r="4"/>`;
    if (b) text += `<text class="value" text-anchor="middle" x="${(a[0] + b[0]) / 2}" y="${(a[1] + b[1]) / 2 - 8}">${quantity(this.length, this.digits)}</text>`;
    return text;
  }
}

function scaleBar(view, left, base) {
  const pixel = 2 / (view.zoom * view.least) * longest, length = round(120 * pixel), wide = length / pixel;
  return `<g id="bar" data-length="${length}" data-pixels="${wide}"><path class="bar" d="M${left} ${base - 5}v5h${wide}v-5"/>` +
    `<text x="${left + wide / 2}" y="${base - 8}" text-anchor="middle">${escaped(quantity(length))}</text></g>`;
}

function triad(view, x, y) {
  const tints = document.documentElement.dataset.theme === "dark" ? ["#ff8080", "#70d070", "#80a8ff"] : ["#c02020", "#187818", "#2040c0"];
  const ends = [0, 1, 2].map(k => ({ k, d: view.axes.map(row => row[k]) })).sort((a, b) => a.d[2] - b.d[2]);
  return `<g id="axes">${ends.map(({ k, d }) => `<line x1="${x}" y1="${y}" x2="${x + 26 * d[0]}" y2="${y - 26 * d[1]}" style="stroke:${tints[k]};stroke-width:2.5"/>` +
    `<text text-anchor="middle" style="fill:${tints[k]};font-weight:700" x="${x + 35 * d[0]}" y="${y - 35 * d[1] + 4}">${"xyz"[k]}</text>`).join("")}</g>`;
}

function overlay(view, measure, aimed) {
  const base = view.tall - (view.wide < 560 ? 84 : 66), middle = [view.wide / 2, view.tall / 2];
  const cross = aimed ? `<path class="bar" d="M${middle[0] - 9} ${middle[1]}h18M${middle[0]} ${middle[1] - 9}v18"/>` : "";
  return triad(view, 52, base - 56) + scaleBar(view, 14, base) + measure.drawn(view) + cross;
}
