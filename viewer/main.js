// The page of a 3D Tiles tileset: what its parts do with each other, and the address that keeps the view.
import { Box3, Vector2, Vector3 } from "three";
import { Distance, described } from "./pointer.js";
import { Tileset, embedded } from "./tiles.js";
import { View } from "./view.js";

const FINEST = -2; // detail: the surface is at most 2 ** k pixels off, from this k in half steps
const STEPS = 14; // up to 2 ** 5
const STILL = 4; // pixels that a click may move
const FRAMES = 3; // that are drawn after a change

const at = id => document.getElementById(id);
const data = JSON.parse(at("data").textContent);
const canvas = document.querySelector("canvas"), root = document.documentElement;
const start = new URLSearchParams(location.hash.slice(1));
let frames = FRAMES, ready = false, pointer = null, hit = null, rest = 0;

const changed = () => { frames = FRAMES; };

function notice(text) {
  at("notice").textContent = text;
  at("notice").hidden = false;
  if (!ready) document.body.classList.add("bare"); // there is nothing yet that the rest is about
}

function run() {
  const view = new View(canvas, () => { changed(); remember(); });
  const tileset = new Tileset(changed, (name, why) => notice(`${name} cannot be loaded (${why}); keep this page in its folder, with tileset.json and tiles beside it.`));
  const distance = new Distance(view.scene);
  const { renderer } = tileset;
  view.scene.add(tileset.group);
  renderer.setCamera(view.camera);

  const numbers = (name, count) => {
    const values = (start.get(name) ?? "").split(",").map(Number);
    return values.length === count && values.every(Number.isFinite) && start.has(name) ? values : null;
  };

  renderer.addEventListener("load-root-tileset", () => {
    const [x, y, z, ...half] = tileset.root.boundingVolume.box, middle = new Vector3(x, y, z);
    const size = new Vector3(...[0, 1, 2].map(k => Math.abs(half[k]) + Math.abs(half[3 + k]) + Math.abs(half[6 + k])));
    view.bounds(new Box3(middle.clone().sub(size), middle.clone().add(size)));
    const eye = numbers("eye", 3), target = numbers("at", 3);
    if (eye && target) view.put(new Vector3(...eye), new Vector3(...target));
    else view.whole(start.has("above"));
    ready = true;
  });

  // The address has what differs from the start.
  function remember() {
    if (!ready) return;
    clearTimeout(rest);
    rest = setTimeout(() => {
      const short = vector => vector.toArray().map(value => Number(value.toPrecision(9))).join(",");
      const words = new URLSearchParams({ eye: short(view.camera.position), at: short(view.controls.target) });
      if (Number(at("detail").value) !== STEPS / 2 + 3) words.set("detail", renderer.errorTarget);
      if (at("surface").value !== "colours") words.set("surface", at("surface").value);
      if (at("wire").checked) words.set("wire", "1");
      if (root.dataset.theme) words.set("theme", root.dataset.theme);
      if (document.body.classList.contains("bare")) words.set("bare", "1");
      try { history.replaceState(null, "", `#${words.toString().replaceAll("%2C", ",")}`); } catch { /* not in this browser */ }
    }, 400);
  }

  function detail() {
    renderer.errorTarget = 2 ** (FINEST + (STEPS - Number(at("detail").value)) / 2);
    const pixels = Number(renderer.errorTarget.toPrecision(2));
    at("allowed").textContent = `at most ${pixels} ${pixels === 1 ? "pixel" : "pixels"} from the mesh`;
    changed();
    remember();
  }

  function surface() {
    tileset.look(at("surface").value, at("wire").checked);
    changed();
    remember();
  }

  function dark(on) {
    root.dataset.theme = on ? "dark" : "light";
    at("theme").textContent = on ? "light" : "dark";
    changed();
  }

  function measuring(on) {
    at("measure").setAttribute("aria-pressed", on);
    canvas.classList.toggle("measuring", on);
    if (!on) distance.clear();
    changed();
    told();
  }

  const measures = () => at("measure").getAttribute("aria-pressed") === "true";
  const place = event => {
    const box = canvas.getBoundingClientRect();
    return new Vector2(2 * (event.clientX - box.left) / box.width - 1, 1 - 2 * (event.clientY - box.top) / box.height);
  };

  function told() {
    const pixel = view.pixel(hit ? hit.point : view.controls.target);
    const lines = measures() ? [distance.text(pixel)] : [];
    if (hit) lines.push(described(hit.point, tileset.world, data.place, pixel));
    at("place").textContent = lines.join("\n");
  }

  function counted() {
    const { tiles, faces, levels, loading } = tileset.count();
    const lines = [`${tiles} ${tiles === 1 ? "tile" : "tiles"}, ${faces.toLocaleString("en")} faces`];
    if (loading) lines.push(`${loading} being loaded`);
    at("count").textContent = lines.join("; ");
    at("count").dataset.levels = levels.map(count => count ?? 0).join(",");
    const legend = at("legend"), shown = at("surface").value === "levels";
    legend.hidden = !shown;
    if (shown) legend.innerHTML = levels.map((count, k) => `<span><i style="background:${tileset.colour(k)}"></i> ${k === 0 ? "root" : `level ${k}`}: ${count}</span>`).join("");
    if (tileset.coloured === false) for (const name of ["colours", "unlit"]) at("surface").querySelector(`[value="${name}"]`)?.remove();
  }

  function frame() {
    requestAnimationFrame(frame);
    view.controls.update();
    if (!frames && !renderer.isLoading) return;
    frames = Math.max(frames - 1, 0);
    view.camera.updateMatrixWorld();
    renderer.setResolutionFromRenderer(view.camera, view.gl);
    renderer.update();
    view.draw();
    counted();
    if (pointer) {
      hit = view.pick(tileset.group, pointer);
      told();
    }
  }

  // Before the controls have the event: the pivot is where the pointer is.
  for (const kind of ["wheel", "pointerdown"]) canvas.addEventListener(kind, event => { if (ready) view.anchor(tileset.group, place(event)); }, { capture: true, passive: true });
  let pressed = null;
  canvas.addEventListener("pointerdown", event => { pressed = [event.clientX, event.clientY]; pointer = place(event); changed(); });
  canvas.addEventListener("pointermove", event => { pointer = place(event); frames = Math.max(frames, 1); });
  canvas.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") { pointer = hit = null; told(); } });
  canvas.addEventListener("pointerup", event => {
    const moved = pressed ? Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) : Infinity;
    if (!measures() || moved > STILL || event.button !== 0) return;
    hit = view.pick(tileset.group, place(event));
    if (hit) distance.add(hit.point.clone());
    told();
    changed();
  });
  canvas.addEventListener("dblclick", event => {
    const found = measures() ? null : view.pick(tileset.group, place(event));
    if (found) view.go(found.point);
  });
  canvas.addEventListener("webglcontextlost", () => notice("The browser has given up the picture for want of graphics memory; load the page again, with less detail."));

  const actions = {
    home: () => view.whole(), above: () => view.whole(true), measure: () => measuring(!measures()),
    theme: () => { dark(root.dataset.theme !== "dark"); remember(); },
  };
  for (const [id, action] of Object.entries(actions)) at(id).addEventListener("click", action);
  at("detail").addEventListener("input", detail);
  at("surface").addEventListener("change", surface);
  at("wire").addEventListener("change", surface);
  const keys = {
    Home: actions.home, t: actions.above, m: actions.measure, d: actions.theme, Escape: () => measuring(false),
    w: () => at("wire").click(), h: () => { document.body.classList.toggle("bare"); remember(); },
  };
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(SELECT|INPUT)$/.test(event.target.tagName)) return;
    keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]?.();
  });

  const asked = Number(start.get("detail")) || 1;
  at("detail").value = STEPS - Math.round(2 * (Math.log2(asked) - FINEST));
  if ([...at("surface").options].some(option => option.value === start.get("surface"))) at("surface").value = start.get("surface");
  at("wire").checked = start.has("wire");
  document.body.classList.toggle("bare", start.has("bare"));
  dark(start.has("theme") ? start.get("theme") === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  if (matchMedia("(max-width: 640px)").matches) at("panel").open = false;
  detail();
  surface();
  frame();
}

if (location.protocol === "file:" && !embedded()) {
  notice("A browser does not read tiles from a folder: run “python -m http.server” in the folder of this page, and open http://localhost:8000 in the browser.");
} else {
  try {
    run();
  } catch (error) {
    notice(`This browser cannot show the tiles (${error.message}); use one with WebGL 2.`);
  }
}
