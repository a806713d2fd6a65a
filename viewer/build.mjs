// Bundles the page of a tileset to one file of the Python package:
//
//     npm ci && npm run build      writes ../neural_splines/pictures/tiles.html and THIRD_PARTY.txt beside it
//     npm run check                fails where these are not what would be written
//
// The same sources and versions give the same bytes. The page has the SHA-256 of its sources, so that
// tests/documents/test_viewer.py finds a build that was forgotten.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url)), target = join(here, "..", "neural_splines", "pictures");
// In this order in the hash; every file that the page is made of.
const SOURCES = ["build.mjs", "page.html", "style.css", "main.js", "tiles.js", "view.js", "pointer.js", "earth.js", "package.json", "package-lock.json"];
// Packages that may be in the bundle, with where their licence is. A package that is not here stops the build.
const LICENCES = [
  { name: "three", licence: "MIT", file: "LICENSE", address: "https://threejs.org" },
  { name: "3d-tiles-renderer", licence: "Apache-2.0", file: "LICENSE", address: "https://github.com/NASA-AMMOS/3DTilesRendererJS" },
];
// three carries a file of another project, whose notice is in its first lines.
const MESHOPT = "node_modules/three/examples/jsm/libs/meshopt_decoder.module.js";

// three has the decoder of Draco as it was compiled, with its licence named in a file beside it.
const DRACO = "node_modules/three/examples/jsm/libs/draco/";

const read = name => readFileSync(join(here, name), "utf8").replaceAll("\r\n", "\n");

function notices(inputs) {
  const used = new Set(Object.keys(inputs).map(path => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean));
  for (const name of used) if (!LICENCES.some(entry => entry.name === name)) throw new Error(`${name}: add its licence to LICENCES`);
  const parts = LICENCES.filter(entry => used.has(entry.name)).map(entry => {
    const { version } = JSON.parse(read(`node_modules/${entry.name}/package.json`));
    return { title: `${entry.name} ${version} (${entry.licence}), ${entry.address}`, text: read(`node_modules/${entry.name}/${entry.file}`).trim() };
  });
  if (MESHOPT in inputs) {
    const copyright = /Copyright \(C\) .*meshoptimizer|Copyright \(C\) [^\n]*/.exec(read(MESHOPT))[0];
    const mit = parts.find(part => part.title.startsWith("three ")).text.replace(/^Copyright .*$/m, copyright);
    parts.push({ title: "meshopt_decoder of meshoptimizer, as three has it (MIT), https://github.com/zeux/meshoptimizer", text: mit });
  }
  if (Object.keys(inputs).some(path => path.startsWith(DRACO))) {
    if (!/Apache License 2.0/.test(read(`${DRACO}README.md`))) throw new Error("Draco has another licence than was thought");
    const apache = parts.find(part => part.title.startsWith("3d-tiles-renderer ")).text;
    const notice = "Copyright The Draco Authors\n\nLicensed under the Apache License, Version 2.0:";
    parts.push({ title: "decoder of Draco, as three has it (Apache-2.0), https://github.com/google/draco", text: `${notice}\n\n${apache}` });
  }
  return parts;
}

// Files that the page has as text or as bytes.
const asData = {
  name: "as-data",
  setup({ onLoad }) {
    onLoad({ filter: /draco_wasm_wrapper\.js$/ }, ({ path }) => ({ contents: readFileSync(path, "utf8"), loader: "text" }));
  },
};

const made = await build({
  absWorkingDir: here, entryPoints: ["main.js"], bundle: true, minify: true, format: "iife", target: "es2022", charset: "ascii",
  legalComments: "none", metafile: true, write: false,
  plugins: [asData], loader: { ".wasm": "binary" }, define: { "import.meta.url": '"file:///"' }, // the last where DRACOLoader looks, which is not used
});
const code = made.outputFiles[0].text.trim();
const style = (await build({ absWorkingDir: here, entryPoints: ["style.css"], minify: true, write: false, charset: "ascii" })).outputFiles[0].text.trim();
if (/<\/script|<!--/i.test(code) || /<\/style/i.test(style)) throw new Error("the bundle would end its element in the page");

const parts = notices(made.metafile.inputs), rule = "=".repeat(78);
const third = `The page of a 3D Tiles tileset (tiles.html) contains these programs:\n\n${parts.map(part => `- ${part.title}`).join("\n")}\n\n` +
  parts.map(part => `${rule}\n${part.title}\n${rule}\n\n${part.text}\n`).join("\n");
const banner = `/* ${parts.map(part => part.title).join("; ")}. Their licences are in the element #licences. */`;
const hash = createHash("sha256");
for (const name of SOURCES) hash.update(`${name}\n${read(name)}\n`);
const escaped = third.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const filling = { HASH: hash.digest("hex"), STYLE: style, LICENCES: escaped, SCRIPT: `${banner}\n${code}` };
let page = read("page.html");
for (const [name, text] of Object.entries(filling)) {
  if (page.split(`<!--${name}-->`).length !== 2) throw new Error(`page.html needs <!--${name}--> once`);
  page = page.replace(`<!--${name}-->`, () => text);
}
for (const [name, text] of [["tiles.html", page], ["THIRD_PARTY.txt", third]]) {
  const path = join(target, name);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) throw new Error(`${name} is not what its sources make: npm run build`);
}
console.log(`tiles.html: ${(page.length / 1e3).toFixed(0)} kB of ${parts.map(part => part.title.split(" (")[0]).join(", ")}`);
