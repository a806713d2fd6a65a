"""Scenes in parts that are tiny, so that there are many."""

import io
import zipfile

import neural_splines as ns
from neural_splines.files.streams import EVERYTHING
from neural_splines.run import in_parts
from neural_splines.runtime.monitor import PhaseTimer
from neural_splines.settings import SceneSettings

SETTINGS = ns.Settings(grid_size=24, regularization=1e-8, num_nystrom_samples=60, device="cpu")
ALONE = SceneSettings()


def tiny(asked, kind):
    """Parts of at most 300 points and 16 cubes a side."""
    return 300, 16


def done(cloud, folder, settings=SETTINGS, asked=ALONE, name="mesh.ply", options=EVERYTHING, quality=()):
    work, out = str(folder / "work"), in_parts.Output(str(folder / name), quality=quality)
    clouds = [str(path) for path in (cloud if isinstance(cloud, list) else [cloud])]
    with in_parts.mesh_files(clouds, out, settings, asked, work, PhaseTimer(), options) as result:
        return result


def middle(data):
    """With a bit flipped of what is stored: of an archive in its largest array, not in what is said twice around it."""
    place = len(data) // 2
    if zipfile.is_zipfile(io.BytesIO(data)):
        largest = max(zipfile.ZipFile(io.BytesIO(data)).infolist(), key=lambda member: member.file_size)
        place = largest.header_offset + largest.file_size - 1
    data = bytearray(data)
    data[place] ^= 4
    return bytes(data)
