// The tileset: from the page itself where it is in there, else from beside it; and how its tiles look.
import { DoubleSide, LoadingManager, Matrix4, MeshBasicMaterial, MeshLambertMaterial } from "three";
import { TilesRenderer } from "3d-tiles-renderer/three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { DRACOLoader } from "three/addons/loaders/DRACOLoader.js";
import wasm from "three/addons/libs/draco/gltf/draco_decoder.wasm";
import wrapper from "three/addons/libs/draco/gltf/draco_wasm_wrapper.js";
import { MeshoptDecoder } from "three/addons/libs/meshopt_decoder.module.js";

const LEVELS = ["#7b3294", "#3b6fb6", "#1f9e89", "#6fb33f", "#e0a526", "#d9562b", "#b2183c", "#8c8c8c"];
const PALER = 0.2; // how much white every other tile of a level has, which shows where tiles meet

// A file of the tileset that the page has in it: deflate, in base64.
async function inside(name) {
  const element = document.querySelector(`script[data-file="${CSS.escape(name)}"]`);
  if (!element) return null;
  const bytes = Uint8Array.from(atob(element.textContent.trim()), c => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));
}

// Draco's decoder out of this page, in place of files beside it.
class Draco extends DRACOLoader {
  async _loadLibrary(_, type) { return type === "text" ? wrapper : wasm.buffer; }
}

// Asked by the renderer for each file before it loads one.
class FromThePage {
  name = "FROM_THE_PAGE";
  constructor(base) { this.base = base; }
  async fetchData(url, options) {
    const name = decodeURI(String(url)).slice(decodeURI(this.base).length);
    return await inside(name) ?? fetch(url, options);
  }
}

export const embedded = () => document.querySelector("script[data-file]") !== null;

// A tileset whose scene is that of its root: its matrix, which may reach far, is undone and kept as `world`.
export class Tileset {
  constructor(changed, failed) {
    const base = new URL(".", location.href).href.split(/[?#]/)[0], manager = new LoadingManager();
    // the compressions that tiles may have
    const loader = new GLTFLoader(manager).setMeshoptDecoder(MeshoptDecoder).setDRACOLoader(new Draco(manager));
    manager.addHandler(/\.gl(b|tf)$/, loader);
    this.renderer = new TilesRenderer(new URL("tileset.json", base).href);
    this.renderer.manager = manager;
    this.renderer.registerPlugin(new FromThePage(base));
    this.world = new Matrix4();
    this.surface = "colours";
    this.wire = false;
    this.coloured = null; // whether there are colours, once that is known
    this.materials = new Map();
    this.renderer.addEventListener("load-root-tileset", ({ tileset }) => this.#placed(tileset.root));
    this.renderer.addEventListener("load-model", ({ scene, tile }) => { this.#dress(scene, tile); changed(); });
    this.renderer.addEventListener("needs-update", changed);
    this.renderer.addEventListener("load-error", ({ tile, url, error }) => failed(tile ? tile.content.uri : "tileset.json", String(error?.message ?? error), url));
  }

  get group() { return this.renderer.group; }
  get root() { return this.renderer.root; }

  #placed(root) {
    if (root.transform) this.world.fromArray(root.transform);
    this.group.matrixAutoUpdate = false;
    this.group.matrix.copy(this.world).invert();
    this.group.updateMatrixWorld(true);
  }

  look(surface, wire) {
    this.surface = surface;
    this.wire = wire;
    this.renderer.forEachLoadedModel((scene, tile) => this.#dress(scene, tile));
  }

  #dress(scene, tile) {
    scene.traverse(part => {
      if (!part.isMesh) return;
      const own = Boolean(part.geometry.attributes.color);
      part.userData.both ??= part.material.side === DoubleSide;
      this.coloured ??= own;
      part.material = this.#material(own, part.userData.both, tile);
    });
  }

  #material(own, both, tile) {
    const levels = this.surface === "levels", kind = levels ? tile.internal.depth % LEVELS.length : this.surface;
    const soft = levels && this.#odd(tile), key = [kind, soft, own, both, this.wire].join();
    if (!this.materials.has(key)) {
      const tinted = own && (this.surface === "colours" || this.surface === "unlit");
      const Kind = this.surface === "unlit" ? MeshBasicMaterial : MeshLambertMaterial;
      const material = new Kind({ vertexColors: tinted, color: tinted ? "#ffffff" : levels ? LEVELS[kind] : "#a9b6c9", wireframe: this.wire });
      if (soft) material.color.lerp(material.color.clone().set("#ffffff"), PALER);
      if (both) material.side = DoubleSide;
      this.materials.set(key, material);
    }
    return this.materials.get(key);
  }

  #odd(tile) {
    let odd = false;
    for (let at = tile; at.parent; at = at.parent) odd = odd !== (at.parent.children.indexOf(at) % 3 !== 0);
    return odd;
  }

  // What is shown: tiles by level, and all of their faces.
  count() {
    const levels = [];
    let faces = 0;
    for (const tile of this.renderer.visibleTiles) {
      levels[tile.internal.depth] = (levels[tile.internal.depth] ?? 0) + 1;
      tile.engineData.scene?.traverse(part => { faces += part.isMesh ? part.geometry.index.count / 3 : 0; });
    }
    const { queued, downloading, parsing } = this.renderer.stats;
    return { tiles: this.renderer.visibleTiles.size, faces, levels, loading: queued + downloading + parsing };
  }

  colour(level) { return LEVELS[level % LEVELS.length]; }
}
