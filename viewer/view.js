// The camera and how it is moved. z is up. The scene is that of the root tile, whose box is given.
import { AmbientLight, Box3, DirectionalLight, MOUSE, PerspectiveCamera, Raycaster, Scene, Vector2, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

const OBLIQUE = new Vector3(-0.35, -0.8, 0.62); // from where the whole is seen, from its middle
const ABOVE = new Vector3(0, -1e-5, 1); // not quite, so that y is upwards
const NEAR = 1e-4; // of what is farthest away: nearer things are cut off
const MARGIN = 1.06; // around the whole

export class View {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.gl = new WebGLRenderer({ canvas, antialias: true, alpha: true, preserveDrawingBuffer: true });
    this.gl.setClearColor(0x000000, 0);
    this.camera = new PerspectiveCamera(40, 1, 0.1, 1000);
    this.camera.up.set(0, 0, 1);
    this.scene = new Scene();
    const sun = new DirectionalLight(0xffffff, 2.4), sky = new AmbientLight(0xffffff, 1.1);
    sun.position.set(-0.6, 0.9, 1.2); // above the left shoulder
    this.camera.add(sun, sun.target);
    sun.target.position.set(0, 0, -0.4);
    this.scene.add(this.camera, sky);
    this.box = new Box3(new Vector3(-1, -1, -1), new Vector3(1, 1, 1));
    this.caster = new Raycaster();
    this.caster.firstHitOnly = true;
    this.controls = new OrbitControls(this.camera, canvas);
    Object.assign(this.controls, { zoomToCursor: true, screenSpacePanning: true, zoomSpeed: 1.6, enableDamping: !matchMedia("(prefers-reduced-motion: reduce)").matches, dampingFactor: 0.2 });
    this.controls.mouseButtons = { LEFT: MOUSE.ROTATE, MIDDLE: MOUSE.PAN, RIGHT: MOUSE.PAN };
    this.controls.listenToKeyEvents(window);
    this.controls.addEventListener("change", changed);
    this.resized = () => { this.#resize(); changed(); };
    new ResizeObserver(this.resized).observe(canvas);
    this.#resize();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.gl.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.gl.setSize(Math.max(width, 1), Math.max(height, 1), false);
    this.camera.aspect = Math.max(width, 1) / Math.max(height, 1);
    this.camera.updateProjectionMatrix();
  }

  // The pivot of turning, moving and zooming is as far away as what is under the pointer: so the surface follows it.
  anchor(tiles, at) {
    const hit = this.pick(tiles, at) ?? this.pick(tiles, new Vector2(0, 0));
    if (!hit) return;
    const ahead = this.camera.getWorldDirection(new Vector3());
    const depth = hit.point.clone().sub(this.camera.position).dot(ahead);
    if (depth > 0) this.controls.target.copy(this.camera.position).addScaledVector(ahead, depth);
  }

  // Where a ray through a place of the picture, in [-1, 1]^2, first meets the tiles that are shown.
  pick(tiles, at) {
    this.camera.updateMatrixWorld();
    this.caster.setFromCamera(at, this.camera);
    return this.caster.intersectObject(tiles, true)[0] ?? null;
  }

  // The length of a pixel at a place.
  pixel(place) { return 2 * Math.tan(this.camera.fov * Math.PI / 360) * this.camera.position.distanceTo(place) / Math.max(this.canvas.clientHeight, 1); }

  whole(above = false) {
    const middle = this.box.getCenter(new Vector3()), back = (above ? ABOVE : OBLIQUE).clone().normalize();
    const right = new Vector3(0, 0, 1).cross(back).normalize(), up = back.clone().cross(right);
    const tall = Math.tan(this.camera.fov * Math.PI / 360), wide = tall * this.camera.aspect;
    const corners = Array.from({ length: 8 }, (_, k) => new Vector3(...["x", "y", "z"].map((axis, i) => (k >> i & 1 ? this.box.max : this.box.min)[axis])));
    let distance = 1e-6;
    for (let step = 0; step < 4; step++) { // what is near looks larger: so the middle is moved until all is in the middle
      const seen = corners.map(corner => corner.clone().sub(middle));
      distance = Math.max(...seen.map(way => way.dot(back) + MARGIN * Math.max(Math.abs(way.dot(right)) / wide, Math.abs(way.dot(up)) / tall)), 1e-6);
      for (const axis of [right, up]) {
        const shares = seen.map(way => way.dot(axis) / (distance - way.dot(back)));
        middle.addScaledVector(axis, 0.5 * (Math.min(...shares) + Math.max(...shares)) * distance);
      }
    }
    this.put(middle.clone().addScaledVector(back, distance), middle);
  }

  put(eye, target) {
    this.camera.position.copy(eye);
    this.controls.target.copy(target);
    this.controls.update();
  }

  // Look at a place from the same side, from half as far.
  go(place) {
    const back = this.camera.position.clone().sub(this.controls.target);
    const distance = Math.min(back.length(), 0.5 * this.camera.position.distanceTo(place));
    this.put(place.clone().addScaledVector(back.normalize(), distance), place);
  }

  bounds(box) {
    this.box.copy(box);
    const size = box.getSize(new Vector3()).length();
    this.controls.minDistance = 2 * NEAR * size;
    this.controls.maxDistance = 20 * size;
  }

  draw() {
    const { position } = this.camera, far = position.distanceTo(this.box.getCenter(new Vector3())) + 0.51 * this.box.getSize(new Vector3()).length();
    this.camera.far = far;
    this.camera.near = Math.max(0.5 * this.box.distanceToPoint(position), NEAR * far);
    this.camera.updateProjectionMatrix();
    this.gl.render(this.scene, this.camera);
  }
}
