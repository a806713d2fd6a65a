// Whole numbers of `size` bytes, [count][columns]: the inverse of packing.py.
async function unpack(text, count, columns, size) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const out = size === 4 ? new Uint32Array(count * columns) : size === 2 ? new Uint16Array(count * columns) : new Uint8Array(count * columns);
  const total = count * columns;
  for (let c = 0; c < columns; c++) {
    let last = 0;
    for (let i = 0; i < count; i++) {
      let folded = 0;
      for (let k = size - 1; k >= 0; k--) folded = folded * 256 + planes[k * total + c * count + i];
      last += folded % 2 ? -(folded + 1) / 2 : folded / 2;
      out[i * columns + c] = last;  // wraps as it should
    }
  }
  return out;
}

// Unit normals of vertices: the mean of their faces', weighted by area.
function normals(p, f) {
  const n = new Float32Array(p.length);
  for (let i = 0; i < f.length; i += 3) {
    const a = 3 * f[i], b = 3 * f[i + 1], c = 3 * f[i + 2];
    const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (const k of [a, b, c]) { n[k] += x; n[k + 1] += y; n[k + 2] += z; }
  }
  const out = new Int8Array(n.length);
  for (let i = 0; i < n.length; i += 3) {
    const l = 127 / (Math.hypot(n[i], n[i + 1], n[i + 2]) || 1);
    for (let k = 0; k < 3; k++) out[i + k] = Math.round(n[i + k] * l);
  }
  return out;
}

// Both ends of every edge of triangles, each edge once.
function edges(corner, count) {
  const keys = new Float64Array(corner.length);
  for (let i = 0; i < corner.length; i += 3)
    for (let k = 0; k < 3; k++) {
      const a = corner[i + k], b = corner[i + (k + 1) % 3];
      keys[i + k] = Math.min(a, b) * count + Math.max(a, b);
    }
  keys.sort();
  const out = new Uint32Array(2 * keys.length);
  let size = 0;
  for (let i = 0; i < keys.length; i++)
    if (!i || keys[i] !== keys[i - 1]) { out[size++] = Math.floor(keys[i] / count); out[size++] = keys[i] % count; }
  return out.slice(0, size);
}
