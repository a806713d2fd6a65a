"""Blender without a window: imports clouds by the add-on of examples/, and prints what came in, as JSON.

python blender_session.py COMMAND CLOUD EXAMPLES; run by test_blender.py, with the Python that has bpy.
"""

import json
import sys
from types import SimpleNamespace

import bpy
import numpy as np

NAME = "neural_splines_blender"


def read(collection, key, width, dtype=np.float32):
    found = np.empty(width * len(collection), dtype)
    collection.foreach_get(key, found)
    return found.reshape(-1, width)


def look(name):
    """World places and colours of the vertices of an object, and its material."""
    made = bpy.context.scene.objects[name]
    mesh, matrix = made.data, np.array(made.matrix_world)
    (tint,) = mesh.color_attributes
    colours = read(tint.data, "color", 4)
    if tint.domain == "CORNER":
        at = np.empty((len(mesh.vertices), 4))
        at[read(mesh.loops, "vertex_index", 1, np.int32)[:, 0]] = colours
        colours = at
    places = read(mesh.vertices, "co", 3) @ matrix[:3, :3].T + matrix[:3, 3]
    corners = read(mesh.loops, "vertex_index", 1, np.int32)[:, 0]
    normals = read(mesh.vertices, "normal", 3)[corners], read(mesh.corner_normals, "vector", 3)
    nodes = mesh.materials[0].node_tree.nodes
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    return {
        "places": places.tolist(),
        "light": colours[:, :3].tolist(),
        "faces": len(mesh.polygons),
        "local": np.array(made.matrix_world).tolist(),
        "agreement": float((normals[0] * normals[1]).sum(1).min()),
        "culled": mesh.materials[0].use_backface_culling,
        "metallic": shader.inputs["Metallic"].default_value,
        "roughness": shader.inputs["Roughness"].default_value,
        "coloured": any(node.type == "VERTEX_COLOR" for node in nodes),
        "place": list(made.get("neural_splines_place", [])),
    }


def tried(**options):
    """The line that a call is refused with."""
    try:
        bpy.ops.import_scene.neural_splines(**options)
    except RuntimeError as error:
        return str(error)
    return ""


def modal(addon, run):
    """What Blender's window would see of a run: the words at the bottom, and what Esc leaves of it."""
    said = []
    manager = SimpleNamespace(
        progress_update=lambda done: said.append(done), progress_end=lambda: said.append("end"),
        event_timer_remove=lambda timer: said.append(timer),
    )  # fmt: skip
    context = SimpleNamespace(window_manager=manager, workspace=SimpleNamespace(status_text_set=said.append))
    kind = addon.ImportPointCloud
    operator = SimpleNamespace(
        _run=run, _folder="nowhere", _timer="timer", report=lambda *words: said.append(words[1]),
        _tidied=lambda *words, **more: kind._tidied(operator, *words, **more),
    )  # fmt: skip
    ends = [list(kind.modal(operator, context, SimpleNamespace(type=event))) for event in ("TIMER", "MOUSE", "ESC")]
    return {"ends": ends, "said": said, "running": run.running}


def main(command, cloud, far, examples):
    sys.path.insert(0, examples)
    import addon_utils

    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon = addon_utils.enable(NAME, default_set=True)
    preferences = bpy.context.preferences.addons[NAME].preferences
    preferences.command = command
    bpy.ops.import_scene.neural_splines(filepath=cloud, grid_size=24, up="z")
    bpy.ops.import_scene.neural_splines(filepath=far, grid_size=24, up="z", more="--min-component 0")
    found = {name: look(name) for name in ("near", "far")}
    found["unreadable"] = tried(filepath=cloud + ".nothing.ply")
    found["modal"] = modal(addon, addon.Run([sys.executable, "-c", "import time; time.sleep(60)"]))
    preferences.command = "/nowhere/neural splines"
    found["missing"] = tried(filepath=cloud)
    addon_utils.disable(NAME)
    found["version"] = bpy.app.version_string
    print("\n" + json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
