"""A Blender add-on: File > Import > Point Cloud (Neural Splines) makes a mesh of a point cloud file.

For Blender 4.2 and later, tried with 4.2 and 5.0. Edit > Preferences > Add-ons > Install from Disk, and choose this
file. It runs the command `neural-splines fit-grid`, which is installed outside Blender (docs/install.md): where it is
not on the PATH, name it in the preferences of the add-on. While it works, a bar beside the mouse and a line at the
bottom say how far it is; Esc stops it. Colours and the direction that is up are kept, and so is the size, in metres.
What lies too far from 0 for Blender's numbers, as in map coordinates, is moved there; its place is then the custom
property `neural_splines_place`.

`bl_info` makes it a single file, which Blender takes beside extensions with a blender_manifest.toml.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
import threading

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

bl_info = {
    "name": "Neural Splines",
    "description": "Import a point cloud as a mesh",
    "author": "The Neural Splines developers",
    "version": (1, 0, 0),
    "blender": (4, 2, 0),
    "location": "File > Import > Point Cloud (Neural Splines)",
    "category": "Import-Export",
}

COMMAND = "neural-splines"
SUFFIXES = "*.ply;*.las;*.laz;*.e57;*.pcd;*.ptx;*.pts;*.xyz;*.txt;*.csv;*.asc;*.obj;*.off;*.stl;*.npy;*.npz"
FAR = 1000.0  # sizes of a mesh from 0, where float32 still has three digits of it
STEP, LINES = 0.2, 0.5  # seconds: between looks at the command, and between its lines
PROGRESS = re.compile(r": ([^:]+): (\d+)% after ")  # of a line of the command
AXES = [(name, name.upper(), f"{name} of the file becomes Blender's z") for name in ("x", "y", "z", "-x", "-y", "-z")]


class Run:
    """A command at work: how far it is, and what it has said. Nothing here is Blender's."""

    def __init__(self, words: list[str]):
        self.done, self.phase, self.lines = 0.0, "starting", []
        environment = os.environ | {"NEURAL_SPLINES_PROGRESS": str(LINES), "PYTHONUNBUFFERED": "1"}
        hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # on Windows
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace", env=environment, creationflags=hidden,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._process.stdout as lines:
            for line in lines:
                found = PROGRESS.search(line)
                if found:
                    self.phase, self.done = found[1], int(found[2]) / 100.0
                else:
                    self.lines.append(line.rstrip())

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> int:
        """Wait for the end: its exit code."""
        code = self._process.wait()
        self._reader.join()
        return code

    def stop(self) -> None:
        """End the command, which removes what it has not finished."""
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.finish()

    def said(self, kind: str) -> list[str]:
        """What follows `error:` or `warning:` in its lines."""
        return [line.split(f"{kind}: ", 1)[1] for line in self.lines if f": {kind}: " in line]


def command_of(context: bpy.types.Context) -> list[str]:
    """The words of the command in the preferences: a path, which may have blanks, or several words."""
    addon = context.preferences.addons.get(__name__)
    text = (addon.preferences.command.strip() if addon else "") or COMMAND
    words = shlex.split(text, posix=os.name != "nt")
    whole = shutil.which(bpy.path.abspath(text)) or not shutil.which(words[0])
    return [bpy.path.abspath(text)] if whole else words


class NeuralSplinesPreferences(bpy.types.AddonPreferences):
    bl_idname = __name__

    command: StringProperty(
        name="Command", default=COMMAND, description="neural-splines, its path, or python -m neural_splines"
    )

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop(self, "command")


class ImportPointCloud(bpy.types.Operator, ImportHelper):
    """Make a mesh of a point cloud by Neural Splines"""

    bl_idname = "import_scene.neural_splines"
    bl_label = "Import Point Cloud"
    bl_options = {"UNDO", "PRESET"}  # noqa: RUF012

    filter_glob: StringProperty(default=SUFFIXES, options={"HIDDEN"})
    grid_size: IntProperty(
        name="Grid", default=0, min=0, soft_max=1024, description="Voxels along the longest side; 0: by the points"
    )
    faces: IntProperty(name="Faces", default=0, min=0, description="About so many; 0: all")
    fill_holes: BoolProperty(name="Fill Holes", description="Close the surface where there are no points")
    estimate: BoolProperty(name="Estimate Normals", description="Even where the file has normals")
    up: EnumProperty(
        name="Up", items=[("auto", "Automatic", "By the file and the shape of the cloud"), *AXES], default="auto"
    )
    more: StringProperty(name="Options", description="More options of neural-splines fit-grid, as --scale 1.2")

    def words(self, context: bpy.types.Context) -> list[str]:
        """The command line, without the name of the mesh."""
        words = [*command_of(context), "fit-grid", bpy.path.abspath(self.filepath)]
        words += ["auto", "auto", str(self.grid_size or "auto"), "auto", "--seed", "0", "--up", self.up]
        words += ["--faces", str(self.faces)] if self.faces else []
        words += ["--fill-holes"] * self.fill_holes
        words += ["--normals", "estimate"] if self.estimate else []
        return [*words, *shlex.split(self.more)]

    def execute(self, context: bpy.types.Context) -> set[str]:
        self._folder = tempfile.mkdtemp(prefix="neural-splines-")
        self._mesh = os.path.join(self._folder, "mesh.glb")
        words = [*self.words(context), "--out", self._mesh]
        try:
            self._run = Run(words)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            name = f"{words[0]}: {error.strerror}"
            self.report({"ERROR"}, f"{name}; install neural-splines, or name it in the preferences of this add-on")
            return {"CANCELLED"}
        if bpy.app.background:
            return self._ended(context)
        manager = context.window_manager
        manager.progress_begin(0.0, 1.0)
        self._timer = manager.event_timer_add(STEP, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC":
            self._run.stop()
            self._tidied(context)
            self.report({"INFO"}, "Neural Splines was stopped")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if self._run.running:
            context.window_manager.progress_update(self._run.done)
            words = f"Neural Splines: {self._run.phase}, {self._run.done:.0%} (Esc to stop)"
            context.workspace.status_text_set(words)
            return {"RUNNING_MODAL"}
        self._tidied(context, keep=True)
        return self._ended(context)

    def _tidied(self, context: bpy.types.Context, keep: bool = False) -> None:
        """Take the bar and the timer away, and unless they are kept the files."""
        manager = context.window_manager
        manager.event_timer_remove(self._timer)
        manager.progress_end()
        context.workspace.status_text_set(None)
        if not keep:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _ended(self, context: bpy.types.Context) -> set[str]:
        """Load the mesh of a command that has ended, or say why there is none."""
        code = self._run.finish()
        try:
            if code:
                reasons = self._run.said("error") or self._run.lines[-1:] or [f"it ended with code {code}"]
                self.report({"ERROR"}, f"Neural Splines: {reasons[-1]}")
                return {"CANCELLED"}
            for line in self._run.said("warning"):
                self.report({"WARNING"}, line)
            return self._load(context)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _load(self, context: bpy.types.Context) -> set[str]:
        """The mesh of the file, named after its cloud, in Blender's own axes."""
        place = place_of(self._mesh)
        before = set(context.scene.objects)
        bpy.ops.import_scene.gltf(filepath=self._mesh)
        name = os.path.splitext(os.path.basename(self.filepath))[0]
        for made in set(context.scene.objects) - before:
            made.name = name
            if made.type != "MESH":
                continue
            made.data.name = name
            if max(map(abs, place)) > FAR * max(*made.dimensions, 1e-30):
                made.location = (0.0, 0.0, 0.0)
                made["neural_splines_place"] = place
                self.report({"INFO"}, f"{name} lies at {place}, too far for Blender's numbers; it was moved to 0")
            with context.temp_override(object=made, active_object=made, selected_editable_objects=[made]):
                bpy.ops.object.transform_apply(location=False, rotation=True, scale=False)
            self.report({"INFO"}, f"{name}: {len(made.data.vertices)} vertices, {len(made.data.polygons)} faces")
        return {"FINISHED"}


def place_of(path: str) -> list[float]:
    """Where the mesh of a GLB file lies, in Blender's axes: Blender's own numbers have 7 digits."""
    with open(path, "rb") as stream:
        length = struct.unpack("<12xI4x", stream.read(20))[0]
        x, y, z = json.loads(stream.read(length))["nodes"][0].get("matrix", [0.0] * 16)[12:15]
    return [x, -z, y]


def menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(ImportPointCloud.bl_idname, text="Point Cloud (Neural Splines)")


def register() -> None:
    for made in (NeuralSplinesPreferences, ImportPointCloud):
        bpy.utils.register_class(made)
    bpy.types.TOPBAR_MT_file_import.append(menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(menu)
    for made in (ImportPointCloud, NeuralSplinesPreferences):
        bpy.utils.unregister_class(made)
