// What the page says of places: where the pointer is, in the coordinates of the mesh, and how far two places are apart.
import { BufferGeometry, Float32BufferAttribute, Group, Line, LineBasicMaterial, Matrix4, Points, PointsMaterial } from "three";
import { geographic } from "./earth.js";

// As many digits as a tenth of a pixel has.
const digits = pixel => Math.min(Math.max(Math.ceil(1 - Math.log10(Math.max(pixel, 1e-12))), 0), 9);
const axes = (values, pixel) => ["x", "y", "z"].map((axis, k) => `${axis} ${values[k].toFixed(digits(pixel))}`).join("  ");

// The value of a polynomial of three variables: terms, each with its exponents and its coefficients of x, y and z.
function polynomial({ centre, scale, terms }, at) {
  const [u, v, w] = at.map((value, k) => (value - centre[k]) / scale), found = [0, 0, 0];
  for (const [i, j, k, ...factors] of terms) for (let n = 0; n < 3; n++) found[n] += factors[n] * u ** i * v ** j * w ** k;
  return found;
}

// Lines of text about a place of the scene. place: what the page knows of coordinates, as pictures/tiles_page.py has it.
export function described(point, world, place, pixel) {
  const around = point.clone().applyMatrix4(new Matrix4().fromArray(place.mesh).multiply(world)).toArray();
  if (!place.crs) return axes(around, pixel);
  const { latitude, longitude, height } = geographic(...point.clone().applyMatrix4(world).toArray());
  const angle = digits(pixel / 111e3); // metres of a degree
  const lines = [`latitude ${latitude.toFixed(angle)}°  longitude ${longitude.toFixed(angle)}°  height above the ellipsoid ${height.toFixed(digits(pixel))} m`];
  if (place.projected) lines.unshift(`${place.crs}: ${axes(polynomial(place.projected, around), pixel)}`);
  return lines.join("\n");
}

// Two places and the line between them, drawn over everything.
export class Distance {
  constructor(scene) {
    this.places = [];
    this.group = new Group();
    const over = { depthTest: false, transparent: true };
    this.dots = new Points(new BufferGeometry(), new PointsMaterial({ color: "#d9263a", size: 9, sizeAttenuation: false, ...over }));
    this.line = new Line(new BufferGeometry(), new LineBasicMaterial({ color: "#d9263a", ...over }));
    for (const part of [this.line, this.dots]) Object.assign(part, { renderOrder: 1, frustumCulled: false, raycast() {} });
    this.group.add(this.line, this.dots);
    scene.add(this.group);
  }

  add(point) {
    this.places = this.places.length === 1 ? [this.places[0], point] : [point];
    this.#draw();
  }

  clear() {
    this.places = [];
    this.#draw();
  }

  #draw() {
    // 32 bits are enough about the first place
    const [first] = this.places, flat = this.places.flatMap(place => place.clone().sub(first).toArray());
    if (first) this.group.position.copy(first);
    for (const part of [this.dots, this.line]) {
      part.geometry.dispose();
      part.geometry = new BufferGeometry().setAttribute("position", new Float32BufferAttribute(flat, 3));
      part.visible = this.places.length > 0;
    }
  }

  text(pixel) {
    if (this.places.length === 0) return "distance: choose a place";
    if (this.places.length === 1) return "distance: choose the second place";
    const [a, b] = this.places, way = b.clone().sub(a), said = value => value.toFixed(digits(pixel));
    return `distance ${said(way.length())}  level ${said(Math.hypot(way.x, way.y))}  up ${said(way.z)}`;
  }
}
