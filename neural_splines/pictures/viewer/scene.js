const AROUND = 9;  // pixels of a side, that are looked at

// What WebGL draws: the surface, its edges, and points; and what is at a pixel.
class Scene {
  constructor(canvas, view, parts) {
    const gl = this.gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("This browser has no WebGL 2, which the picture needs; the numbers beside it are complete");
    Object.assign(this, { canvas, view, parts, kind: 0, show: { mesh: true, wire: false, points: false, backs: true }, dark: false });
    this.shown = built(gl, vertexShader, fragmentShader); this.picked = built(gl, vertexShader, pickShader);
    this.kinds = new Map([[Uint16Array, gl.UNSIGNED_SHORT], [Int8Array, gl.BYTE], [Uint8Array, gl.UNSIGNED_BYTE]]);
    this.mesh = this.bound(parts.arrays); this.faces = this.indices(parts.corner);
    this.cloud = this.bound(parts.point);
    this.ramp();
    gl.enable(gl.DEPTH_TEST); gl.depthFunc(gl.LEQUAL); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.window();
  }
  bound(arrays) {
    const gl = this.gl, list = gl.createVertexArray();
    gl.bindVertexArray(list);
    for (const [name, values] of Object.entries(arrays)) {
      const place = { position: 0, normal: 1, colour: 2, distance: 3, place: 4 }[name], buffer = gl.createBuffer();
      if (name === "distance") this.ramped = buffer;
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, { distance: 1, place: 2 }[name] || 3, this.kinds.get(values.constructor), true, 0, 0);
    }
    return list;
  }
  indices(values) {
    const gl = this.gl, buffer = gl.createBuffer();
    gl.bindVertexArray(this.mesh);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer); gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, values, gl.STATIC_DRAW);
    return buffer;
  }
  ramp() {
    const gl = this.gl, table = new Uint8Array(256 * 4);
    for (let i = 0; i < 256; i++) {
      const x = i / 255 * (data.ramp.length - 1), k = Math.min(Math.floor(x), data.ramp.length - 2), t = x - k;
      for (let c = 0; c < 3; c++) table[4 * i + c] = (1 - t) * data.ramp[k][c] + t * data.ramp[k + 1][c];
      table[4 * i + 3] = 255;
    }
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
    for (const name of ["MIN_FILTER", "MAG_FILTER"]) gl.texParameteri(gl.TEXTURE_2D, gl["TEXTURE_" + name], gl.NEAREST);
  }
  async picture(text) {
    const gl = this.gl, image = new Image();
    image.src = text;
    await image.decode();
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    gl.generateMipmap(gl.TEXTURE_2D);
    for (const name of ["WRAP_S", "WRAP_T"]) gl.texParameteri(gl.TEXTURE_2D, gl["TEXTURE_" + name], gl.CLAMP_TO_EDGE);
    gl.activeTexture(gl.TEXTURE0);
    this.pictured = true;
  }
  window() {  // the few pixels around one that are looked at
    const gl = this.gl, frame = this.few = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    for (const [place, form] of [[gl.COLOR_ATTACHMENT0, gl.RGBA32UI], [gl.DEPTH_ATTACHMENT, gl.DEPTH_COMPONENT24]]) {
      const buffer = gl.createRenderbuffer();
      gl.bindRenderbuffer(gl.RENDERBUFFER, buffer); gl.renderbufferStorage(gl.RENDERBUFFER, form, AROUND, AROUND);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, place, gl.RENDERBUFFER, buffer);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }
  colour(kind, shares) {  // by a number of this kind, if it has shares of the ramp
    this.kind = kind;
    if (!shares) return;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.ramped);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, shares, this.gl.STATIC_DRAW);
  }
  use({ program, at }) {
    const gl = this.gl, view = this.view;
    gl.useProgram(program);
    gl.uniform2fv(at("aspect"), view.aspect); gl.uniform2fv(at("depth"), view.depth);
    gl.uniformMatrix3fv(at("axes"), true, view.axes.flat()); gl.uniform3fv(at("target"), view.target);
    gl.uniform1f(at("zoom"), view.zoom); gl.uniform1f(at("bend"), view.bend);
  }
  draw() {
    const gl = this.gl, scale = window.devicePixelRatio || 1, wide = Math.round(this.view.wide * scale), tall = Math.round(this.view.tall * scale);
    if (this.canvas.width !== wide || this.canvas.height !== tall) { this.canvas.width = wide; this.canvas.height = tall; }
    gl.viewport(0, 0, wide, tall);
    gl.clearColor(0, 0, 0, 0); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.use(this.shown);
    const at = this.shown.at, only = (name, value) => gl.uniform1i(at(name), value);
    only("picture", this.pictured ? 1 : 0); only("backs", this.show.backs ? 1 : 0); gl.uniform4f(at("own"), 0, 0, 0, 0);
    if (this.show.mesh) {
      gl.bindVertexArray(this.mesh); gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.faces);
      only("mode", Math.min(this.kind, 2)); only("lit", 1); only("drawn", this.pictured && this.kind === 1 ? 1 : 0);
      gl.uniform1f(at("size"), 1); gl.uniform1f(at("nearer"), 0);
      gl.drawElements(gl.TRIANGLES, this.parts.corner.length, gl.UNSIGNED_INT, 0);
    }
    only("lit", 0); only("drawn", 0);
    if (this.show.wire) this.wire(at);
    if (this.show.points) {
      gl.uniform4f(at("own"), 0, 0, 0, 0); only("mode", 1);
      gl.bindVertexArray(this.cloud);
      if (!this.parts.point.colour) gl.vertexAttrib3fv(2, this.dark ? [0.55, 0.75, 1] : [0.15, 0.3, 0.6]);
      gl.uniform1f(at("size"), 2 * scale); gl.uniform1f(at("nearer"), 0.003);
      gl.drawArrays(gl.POINTS, 0, data.points);
    }
  }
  wire(at) {
    const gl = this.gl;
    if (!this.ends) { const ends = edges(this.parts.corner, this.parts.count); this.lines = ends.length; this.ends = this.indices(ends); }
    gl.bindVertexArray(this.mesh); gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.ends);
    gl.uniform4fv(at("own"), this.show.mesh || !this.dark ? [0.05, 0.08, 0.15, 0.45] : [0.8, 0.88, 1, 0.5]);
    gl.uniform1f(at("nearer"), 0.001); gl.enable(gl.BLEND);
    gl.drawElements(gl.LINES, this.lines, gl.UNSIGNED_INT, 0);
    gl.disable(gl.BLEND);
  }
  // What is seen at [x, y] of the canvas, or nearest to it within a few pixels: its place in the box, and its share of
  // the ramp where the surface is coloured by a number; null where nothing is.
  pick(x, y) {
    const gl = this.gl, scale = this.canvas.width / this.view.wide, half = (AROUND - 1) / 2;
    const column = Math.floor(x * scale), row = this.canvas.height - 1 - Math.floor(y * scale);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.few);
    gl.viewport(half - column, half - row, this.canvas.width, this.canvas.height);
    gl.clearBufferuiv(gl.COLOR, 0, [0, 0, 0, 0]); gl.clear(gl.DEPTH_BUFFER_BIT);
    this.use(this.picked);
    const at = this.picked.at;
    gl.uniform1f(at("nearer"), 0); gl.uniform1f(at("size"), 1); gl.uniform1i(at("numbered"), this.kind >= 2 ? 1 : 0);
    if (this.show.mesh || this.show.wire) {
      gl.bindVertexArray(this.mesh); gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.faces);
      gl.drawElements(gl.TRIANGLES, this.parts.corner.length, gl.UNSIGNED_INT, 0);
    }
    if (this.show.points) {
      gl.bindVertexArray(this.cloud);
      gl.uniform1i(at("numbered"), 0); gl.uniform1f(at("size"), 4 * scale); gl.uniform1f(at("nearer"), 0.003);
      gl.drawArrays(gl.POINTS, 0, data.points);
    }
    const found = new Uint32Array(4 * AROUND * AROUND);
    gl.readPixels(0, 0, AROUND, AROUND, gl.RGBA_INTEGER, gl.UNSIGNED_INT, found);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    let best = null, nearest = Infinity;
    for (let i = 0; i < AROUND * AROUND; i++) {
      const away = Math.hypot(i % AROUND - half, Math.floor(i / AROUND) - half);
      if (found[4 * i + 3] && away < nearest) {
        nearest = away;
        best = { place: [0, 1, 2].map(k => found[4 * i + k] / WHOLE), share: found[4 * i + 3] > 1 ? (found[4 * i + 3] - 2) / 255 : null };
      }
    }
    return best;
  }
}
