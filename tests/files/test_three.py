"""GLB files in a real browser, by three.js: colours, size, what is up, and both sides.

Needs Chromium, and in NEURAL_SPLINES_THREE the folder node_modules/three that `npm install three` makes.
"""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from glb import shown, values
from scripts import run
from shapes import hemisphere, torus

from neural_splines.files.meshes import save_mesh

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
THREE = os.environ.get("NEURAL_SPLINES_THREE", "")
# Draws the mesh without light from a place, and puts what it found into the page.
PAGE = """<!doctype html><body><script type="importmap">
{"imports": {"three": "/three/build/three.module.js", "three/addons/": "/three/examples/jsm/"}}</script>
<script type="module">
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
const found = {}, out = document.createElement("pre");
try {
  const scene = (await new GLTFLoader().loadAsync("mesh.glb")).scene;
  scene.updateMatrixWorld(true);
  let mesh; scene.traverse(part => { if (part.isMesh) mesh = part; });
  const box = new THREE.Box3().setFromObject(scene), tint = mesh.geometry.attributes.color, m = mesh.material;
  const light = Array.from({ length: tint.count }, (_, i) => [tint.getX(i), tint.getY(i), tint.getZ(i)]);
  Object.assign(found, { low: box.min.toArray(), high: box.max.toArray(), light,
    both: m.side === THREE.DoubleSide, metal: m.metalness, rough: m.roughness, tinted: m.vertexColors });
  const size = 128, renderer = new THREE.WebGLRenderer({ preserveDrawingBuffer: true });
  renderer.setSize(size, size); renderer.setClearColor(0x000000);
  const middle = box.getCenter(new THREE.Vector3()), long = box.getSize(new THREE.Vector3()).length();
  const camera = new THREE.OrthographicCamera(-long / 2, long / 2, long / 2, -long / 2, 0, 4 * long);
  const plain = new THREE.MeshBasicMaterial({ vertexColors: true, side: m.side });
  mesh.material = plain;
  const world = new THREE.Scene(); world.add(scene);
  for (const [name, up] of [["above", 1], ["below", -1]]) {
    camera.position.copy(middle).add(new THREE.Vector3(0, 2 * up * long, 0));
    camera.up.set(0, 0, -1); camera.lookAt(middle);
    renderer.render(world, camera);
    const pixels = new Uint8Array(4 * size * size), gl = renderer.getContext();
    gl.readPixels(0, 0, size, size, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    const sum = [0, 0, 0]; let count = 0;
    for (let i = 0; i < pixels.length; i += 4)
      if (pixels[i] + pixels[i + 1] + pixels[i + 2]) { count++; for (let k = 0; k < 3; k++) sum[k] += pixels[i + k]; }
    found[name] = { share: count / size / size, mean: sum.map(v => v / Math.max(count, 1)) };
  }
} catch (error) { found.error = String(error); }
out.id = "found"; out.textContent = JSON.stringify(found); document.body.append(out);
</script></body>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and three.js."""

    def translate_path(self, path: str) -> str:
        return str(Path(THREE, path[7:])) if path.startswith("/three/") else super().translate_path(path)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def browser(tmp_path):
    """What three.js in Chromium, headless and without a GPU, has of the file mesh.glb."""
    if CHROMIUM is None or not Path(THREE, "build", "three.module.js").is_file():
        pytest.skip("needs Chromium, and three.js in NEURAL_SPLINES_THREE")
    (tmp_path / "page.html").write_text(PAGE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def look():
        words = [CHROMIUM, "--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        words += ["--virtual-time-budget=30000", "--dump-dom", f"http://127.0.0.1:{server.server_port}/page.html"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        return json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))

    yield look
    server.shutdown()
    server.server_close()


def made(folder, cloud, *options):
    """mesh.glb of a cloud with colours by place, z upwards: its points and colours."""
    points = cloud.points.numpy()
    low, high = points.min(0), points.max(0)
    colours = np.round(40 + 180 * (points - low) / (high - low)).astype(np.uint8)
    save_mesh(folder / "cloud.ply", points, cloud.normals.numpy(), None, colours=colours)
    done = run(
        "fit-grid.py",
        folder / "cloud.ply",
        "auto",
        "auto",
        32,
        "auto",
        "--up",
        "z",
        *options,
        "--out",
        folder / "mesh.glb",
    )
    assert done.code == 0, done.err
    return points, colours


def test_a_browser_has_the_colours_and_the_size_upright(tmp_path, browser):
    """z of the cloud is y there; colours are light that a screen shows as those of the cloud."""
    points, colours = made(tmp_path, torus(2500))
    found = browser()
    assert "error" not in found, found
    turned = points[:, [0, 2, 1]] * (1, 1, -1)
    assert np.abs(np.array(found["low"]) - turned.min(0)).max() < 0.09  # a voxel
    assert np.abs(np.array(found["high"]) - turned.max(0)).max() < 0.09
    assert (found["metal"], found["rough"], found["tinted"], found["both"]) == (0, 1, True, False)
    # of the faces that look up, each as large as it looks
    top = points[:, 2] > 0.0
    steep = np.sqrt(np.clip(1.0 - ((np.hypot(*points[top, :2].T) - 1.0) / 0.4) ** 2, 0.0, 1.0))
    expected = np.average(colours[top].astype(float), axis=0, weights=steep)
    assert np.abs(np.array(found["above"]["mean"]) - expected).max() < 2.0
    nearest = ((values(tmp_path / "mesh.glb", "POSITION")[:, None] - points) ** 2).sum(2).argmin(1)
    assert np.abs((shown(np.array(found["light"])) - colours[nearest]).mean(0)).max() < 2.0


def test_a_browser_shows_both_sides_of_what_is_open(tmp_path, browser):
    made(tmp_path, hemisphere(1500))
    found = browser()
    assert found["both"]
    assert found["above"]["share"] == pytest.approx(found["below"]["share"], rel=0.02)
    assert found["above"]["share"] > 0.2
