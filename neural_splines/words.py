"""Messages speak of options as the command line has them; in Python they speak of parameters."""

from __future__ import annotations

import re

FLAGS = {
    "dense": "dense=True",
    "no-refine-vertices": "refine_vertices=False",
    "fill-holes": "fill_holes=True",
    "printable": "printable=True",
    "normal-map": "normal_map=True",
}
PARAMETERS = {
    "margin": "scale", "sensor-position": "sensor_positions", "flip-normals": "flip=True", "inside": "inside=True",
    **{name.replace("_", "-"): name for name in (
        "overlap", "weight_type", "min_pts_per_cell", "points_per_cell", "depth", "scale", "regularization",
        "offset_weight", "robust_passes", "gradient_length", "nystrom_mode", "remove_outliers",
        "voxel_downsample_threshold", "kernel", "outer_layer_variance", "seed", "cg_max_iters", "cg_stop_thresh",
        "solver", "dtype", "device", "backend", "trim", "min_component", "faces", "max_error", "columns", "classes",
        "units", "cloud_units", "size", "to_origin", "shift", "up", "flat_bottom", "cut_plane", "texture",
        "free_space", "envelope", "by", "worse_than", "candidates", "distance", "count",
        "grazing", "field_of_view", "tile_faces", "geoid_height", "crs", "resolution", "interval",
    )},
}  # fmt: skip
ARGUMENTS = {name: name.lower() for name in ("EPS", "NUM_NYSTROM_SAMPLES", "GRID_SIZE", "CELLS_PER_AXIS")}
ARGUMENT = re.compile(rf"\b({'|'.join(ARGUMENTS)})\b( auto\b)?")
PHRASES = {
    "use --normals estimate": "leave the normals out, so that they are estimated",
    "add --normals estimate to replace them": "leave these out, so that they are estimated",
}
OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: (auto|none|cpu|float32|float64|builtin|cuda(?::\d+)?)\b)?(?=( must)?)")


def in_python(message: str) -> str:
    """The message with parameters for options: `trim="none"` for `--trim none`. What Python has not stays as it is."""
    for phrase, words in PHRASES.items():
        message = message.replace(phrase, words)
    message = ARGUMENT.sub(lambda found: ARGUMENTS[found[1]] + ('="auto"' if found[2] else ""), message)
    return OPTION.sub(_parameter, message)


def _parameter(found: re.Match[str]) -> str:
    option, value, ruled = found.groups()
    if option in FLAGS and not ruled:
        return FLAGS[option] + (f" {value}" if value else "")
    name = PARAMETERS.get(option) or (FLAGS[option].split("=")[0] if option in FLAGS else None)
    if name is None:
        return found[0]
    return f'{name}="{value}"' if value else name
