// Where the eye is. Places are in the box of all positions, whose longest side is 1: low, high, centre, some (a sample).
// axes: rows right, up, towards the eye; target: the place that the picture turns about; zoom: half a picture is 1/zoom.
class View {
  constructor(canvas, box) {
    Object.assign(this, { canvas, box, perspective: false });
    this.reset();
  }
  get wide() { return this.canvas.clientWidth || 1; }
  get tall() { return this.canvas.clientHeight || 1; }
  get least() { return Math.min(this.wide, this.tall); }
  get aspect() { return [this.least / this.wide, this.least / this.tall]; }
  get bend() { return this.perspective ? 0.4 * this.zoom : 0; }  // one over the distance of the eye
  reset() { this.look(data.axes); }
  look(axes) {  // with all of it in the picture
    this.axes = axes.map(row => [...row]);
    const seen = this.box.some.map(p => this.turned(p, this.box.centre)), range = [0, 1, 2].map(k => {
      let a = Infinity, b = -Infinity;
      for (const p of seen) { a = Math.min(a, p[k]); b = Math.max(b, p[k]); }
      return [a, b];
    });
    const sides = range.map(([a, b]) => Math.max(b - a, 1e-9)), middle = range.map(([a, b]) => (a + b) / 2);
    this.target = this.box.centre.map((v, k) => v + middle[0] * axes[0][k] + middle[1] * axes[1][k] + middle[2] * axes[2][k]);
    this.zoom = (this.perspective ? 1.35 : 1.55) * Math.min(1 / (this.aspect[0] * sides[0]), 1 / (this.aspect[1] * sides[1]), 50);
  }
  turned(p, about = this.target) { return this.axes.map(row => row[0] * (p[0] - about[0]) + row[1] * (p[1] - about[1]) + row[2] * (p[2] - about[2])); }
  // [x, y] on the canvas, and the depth w; w <= 0 is behind the eye
  project(p) {
    const q = this.turned(p), w = 1 - this.bend * q[2], [a, b] = this.aspect;
    return [(q[0] * this.zoom * a / w + 1) / 2 * this.wide, (1 - q[1] * this.zoom * b / w) / 2 * this.tall, w];
  }
  pixel(p) { return 2 * Math.max(1 - this.bend * this.turned(p)[2], 1e-6) / (this.zoom * this.least); }  // how long one is there
  inPlane(x, y) {  // the place at [x, y] that is as deep as the target
    const [right, up] = this.axes, a = (2 * x - this.wide) / (this.zoom * this.least), b = (this.tall - 2 * y) / (this.zoom * this.least);
    return this.target.map((v, k) => v + a * right[k] + b * up[k]);
  }
  get depth() {  // of clip space: its z is depth[0] + depth[1] z
    const { low, high } = this.box, ends = [-Infinity, Infinity];
    for (let i = 0; i < 8; i++) {
      const z = this.turned([i & 1, i & 2, i & 4].map((bit, k) => bit ? high[k] : low[k]))[2];
      ends[0] = Math.max(ends[0], z); ends[1] = Math.min(ends[1], z);
    }
    const most = ends[0] + 0.01, least = ends[1] - 0.01;
    if (!this.perspective) return [(most + least) / (most - least), -2 / (most - least)];
    const far = 1 / this.bend, n = Math.max(far - most, 0.02 * far), f = Math.max(far - least, 2 * n);
    return [(f + n) / (f - n) - 2 * f * n / ((f - n) * far), -(f + n) / ((f - n) * far)];
  }
  turn(dx, dy) {
    const rotate = (a, b, angle) => {
      const c = Math.cos(angle), s = Math.sin(angle), x = this.axes[a], y = this.axes[b];
      this.axes[a] = x.map((v, k) => c * v - s * y[k]); this.axes[b] = x.map((v, k) => s * v + c * y[k]);
    };
    rotate(2, 0, -dx); rotate(1, 2, dy);
  }
  move(dx, dy) {  // by pixels
    const size = 2 / (this.zoom * this.least), [right, up] = this.axes;
    this.target = this.target.map((v, k) => v - size * (dx * right[k] - dy * up[k]));
  }
  zoomAt(p, factor) {  // p stays where it is
    const zoom = Math.min(Math.max(this.zoom * factor, 0.1), 20000), by = zoom / this.zoom;
    this.target = this.target.map((v, k) => p[k] + (v - p[k]) / by);
    this.zoom = zoom;
  }
  from(name, opposite) {  // above, front or side
    const sign = opposite ? -1 : 1, up = data.up, k = up.findIndex(v => Math.abs(v) > 0.5), cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    const front = k === 2 ? [0, -1, 0] : [0, 0, 1], back = (name === "above" ? up : name === "front" ? front : cross(up, front)).map(v => sign * v);
    const top = name === "above" ? front.map(v => -sign * v) : up;
    this.look([cross(top, back), top, back]);
  }
}
