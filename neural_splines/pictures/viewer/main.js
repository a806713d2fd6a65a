const canvas = document.querySelector("canvas"), over = document.getElementById("over"), state = document.getElementById("state"), place = document.getElementById("place");
const mode = document.getElementById("mode"), control = name => document.getElementById(name);
const hint = matchMedia("(pointer: coarse)").matches ? "One finger turns, two move and zoom" : "Drag turns, Shift + drag moves, the wheel zooms";

// Dark as the system has it, until the switch is used.
let dark = matchMedia("(prefers-color-scheme: dark)");
function theme(isDark) {
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  control("dark").setAttribute("aria-pressed", isDark);
}
theme(dark.matches);

async function read() {
  const position = await unpack(data.position, data.vertices, 3, 2), face = await unpack(data.face, 3 * data.faces, 1, 4);
  // with a picture on it a vertex is drawn for each of its corners
  const picture = data.picture, parents = picture ? await unpack(picture.parent, picture.corners, 1, 4) : null;
  const corner = picture ? await unpack(picture.corner, 3 * data.faces, 1, 4) : face;
  function spread(values, columns) {
    if (!parents) return values;
    const out = new values.constructor(columns * parents.length);
    for (let i = 0; i < out.length; i++) out[i] = values[columns * parents[Math.floor(i / columns)] + i % columns];
    return out;
  }
  const arrays = { position: spread(position, 3), normal: spread(normals(position, face), 3) }, shares = {};
  if (picture) arrays.place = await unpack(picture.place, picture.corners, 2, 2);
  for (const [k, number] of data.numbers.entries()) shares[2 + k] = spread(await unpack(number.value, data.vertices, 1, 1), 1);
  if (data.numbers.length) arrays.distance = shares[2];
  if (data.colour) arrays.colour = await unpack(data.colour, data.vertices, 3, 1);
  const point = { position: await unpack(data.point, data.points, 3, 2) };
  if (data.pointColour) point.colour = await unpack(data.pointColour, data.points, 3, 1);
  const low = [1, 1, 1], high = [0, 0, 0], some = [];
  for (const values of [position, point.position]) {
    const stride = 3 * Math.max(1, Math.floor(values.length / 3 / 5000));
    for (let i = 0; i < values.length; i++) { low[i % 3] = Math.min(low[i % 3], values[i] / 65535); high[i % 3] = Math.max(high[i % 3], values[i] / 65535); }
    for (let i = 0; i < values.length; i += stride) some.push([0, 1, 2].map(k => values[i + k] / 65535));
  }
  const box = { low, high, some, centre: low.map((v, k) => (v + high[k]) / 2) };
  return { arrays, corner, point, shares, box, count: position.length / 3 * (parents ? parents.length / data.vertices : 1) };
}

async function start() {
  const parts = await read(), view = new View(canvas, parts.box), scene = new Scene(canvas, view, parts), measure = new Measure();
  if (data.picture) await scene.picture(data.picture.image);
  mode.remove(1);
  if (data.colour || data.picture) mode.add(new Option(data.picture ? "texture" : "of the points", "1"));
  for (const [k, number] of data.numbers.entries()) mode.add(new Option(number.name, String(2 + k)));
  mode.value = data.numbers.length && data.numbers[0].asked ? "2" : data.colour || data.picture ? "1" : "0";
  if (mode.options.length < 2) mode.parentElement.hidden = true;
  if (!data.points) control("points").parentElement.hidden = true;

  let waiting = false, aimed = false;
  function draw() { scene.draw(); over.innerHTML = overlay(view, measure, aimed && measure.on); }
  function redraw() { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } }
  const say = text => { state.textContent = text || measure.words() || hint; };

  function choose() {
    const kind = +mode.value, number = data.numbers[kind - 2];
    scene.colour(kind, parts.shares[kind]);
    control("scale").hidden = !number;
    if (number) legendOf(number);
    redraw();
  }
  mode.addEventListener("change", choose);
  for (const name of ["mesh", "wire", "points", "backs"]) control(name).addEventListener("change", e => { scene.show[name] = e.target.checked; redraw(); });
  control("perspective").addEventListener("change", e => { view.perspective = e.target.checked; redraw(); });
  const facing = {};
  function from(name) { facing[name] = !facing[name]; view.from(name, !facing[name]); for (const other in facing) if (other !== name) facing[other] = false; redraw(); }
  function reset() { for (const name in facing) facing[name] = false; view.reset(); redraw(); }
  for (const name of ["above", "front", "side"]) control(name).addEventListener("click", () => from(name));
  control("reset").addEventListener("click", reset);
  function measuring(on) {
    Object.assign(measure, { on, ends: [] });
    control("ruler").setAttribute("aria-pressed", on); canvas.classList.toggle("measuring", on);
    say(); redraw();
  }
  control("ruler").addEventListener("click", () => measuring(!measure.on));
  function themed(isDark) { theme(isDark); scene.dark = isDark; redraw(); }
  let switched = false;
  control("dark").addEventListener("click", () => { switched = true; themed(document.documentElement.dataset.theme !== "dark"); });
  dark.addEventListener("change", e => { if (!switched) themed(e.matches); });
  scene.dark = dark.matches;

  function take(x, y) {
    const found = scene.pick(x, y);
    if (found) measure.add(found.place);
    say(found ? "" : "There is no surface at that place");
    redraw();
  }
  function tell(x, y) {  // what is under the pointer
    const found = scene.pick(x, y), number = data.numbers[scene.kind - 2];
    if (!found) { place.textContent = ""; return; }
    let text = coordinates(found.place, view.pixel(found.place) * longest);
    if (number && found.share !== null) {
      const value = number.low + found.share * (number.high - number.low), unit = number.unit;
      text += `  ${number.name} ${found.share === 1 && number.beyond ? "at least " : ""}${unit === "m" ? quantity(value, 2) : `${number_(value)} ${unit}`.trim()}`;
    }
    place.textContent = text;
  }
  const number_ = value => number(value, 2);
  let hover = null, resting = 0, slow = 0;
  function hovered(x, y) {  // at once where looking is quick, else when the pointer rests
    hover = [x, y];
    clearTimeout(resting);
    resting = setTimeout(() => {
      if (!hover || fingers.size) return;
      const begun = performance.now();
      tell(...hover); slow = performance.now() - begun;
    }, slow > 30 ? 150 : 10);
  }

  // one finger or the button turns; Shift, the other button or two fingers move; the wheel or two fingers zoom
  const fingers = new Map(), of = e => [e.clientX - canvas.getBoundingClientRect().left, e.clientY - canvas.getBoundingClientRect().top];
  let moved = 0, most = 0, anchor = null;
  canvas.addEventListener("contextmenu", e => e.preventDefault());
  canvas.addEventListener("pointerdown", e => {
    if (!fingers.size) moved = most = 0;
    fingers.set(e.pointerId, of(e)); most = Math.max(most, fingers.size);
    canvas.setPointerCapture(e.pointerId); aimed = false;
  });
  canvas.addEventListener("pointerup", e => {
    if (!fingers.delete(e.pointerId) || moved > 5 || most > 1) return;
    if (measure.on) take(...of(e)); else tell(...of(e));
  });
  canvas.addEventListener("pointercancel", e => fingers.delete(e.pointerId));
  canvas.addEventListener("pointerleave", () => { hover = null; if (matchMedia("(hover: hover)").matches) place.textContent = ""; });
  canvas.addEventListener("pointermove", e => {
    const before = fingers.get(e.pointerId), now = of(e);
    if (!before) { if (e.pointerType !== "touch") hovered(...now); return; }
    const dx = now[0] - before[0], dy = now[1] - before[1];
    moved += Math.hypot(dx, dy);
    fingers.set(e.pointerId, now);
    if (moved <= 5 && fingers.size < 2) return;
    if (fingers.size === 2) {
      const [, other] = [...fingers].find(([id]) => id !== e.pointerId);
      const factor = Math.hypot(now[0] - other[0], now[1] - other[1]) / (Math.hypot(before[0] - other[0], before[1] - other[1]) || 1);
      view.zoomAt(view.inPlane((before[0] + other[0]) / 2, (before[1] + other[1]) / 2), factor);
      view.move(dx / 2, dy / 2);
    } else if (e.shiftKey || e.buttons === 2 || e.buttons === 4) view.move(dx, dy);
    else view.turn(2 * dx / view.least, 2 * dy / view.least);
    redraw();
  });
  canvas.addEventListener("wheel", e => {
    e.preventDefault();
    const [x, y] = of(e), now = performance.now();
    if (!anchor || now - anchor.time > 500 || Math.hypot(x - anchor.x, y - anchor.y) > 3) {
      const found = scene.pick(x, y);
      anchor = { x, y, p: found ? found.place : view.inPlane(x, y) };
    }
    anchor.time = now;
    view.zoomAt(anchor.p, Math.exp(-0.001 * Math.max(-400, Math.min(400, e.deltaY * (e.deltaMode ? 30 : 1)))));
    redraw();
  }, { passive: false });
  canvas.addEventListener("dblclick", () => { if (!measure.on) reset(); });

  const keys = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    "+": 1.25, "=": 1.25, "-": 0.8, 0: reset, Home: reset, 1: () => from("above"), 2: () => from("front"), 3: () => from("side"),
    m: () => measuring(!measure.on), d: () => control("dark").click(), w: () => control("wire").click(), p: () => control("points").click(),
    Escape: () => measuring(false), Enter: () => { if (measure.on) take(view.wide / 2, view.tall / 2); },
  };
  canvas.addEventListener("keydown", e => {
    const found = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (found === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault(); aimed = true;
    if (typeof found === "function") found();
    else if (typeof found === "number") view.zoomAt(view.target, found);
    else if (e.shiftKey) view.move(-20 * found[0], -20 * found[1]);
    else view.turn(0.1 * found[0], 0.1 * found[1]);
    if (measure.on) tell(view.wide / 2, view.tall / 2);
    redraw();
  });
  canvas.setAttribute("aria-label", `${document.title}: ${grouped(String(data.faces))} faces. Arrow keys turn, Shift and arrow keys move, + and - zoom, 1, 2 and 3 look from above, the front and the side, 0 resets, M measures, Enter takes a place`);
  new ResizeObserver(redraw).observe(canvas);
  choose(); say(); draw();
  document.body.dataset.ready = "1";
}
start().catch(error => { state.textContent = error.message; document.body.dataset.ready = "error"; });
