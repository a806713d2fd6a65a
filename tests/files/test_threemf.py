"""3MF files by the rules of the core specification's schema (3MF Core 1.2.3, appendix B), written here as a table."""

import re
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest

from neural_splines.files.meshes import save_mesh
from neural_splines.placement import UNITS, Placement

CORE = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
NUMBER = r"[-+]?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?"
INDEX, IDENTITY, ANY = r"\d+", r"[1-9]\d*", r".*"
# Children in their order, each with the fewest and the most there may be; attributes, of which those with ! must be.
RULES = {
    "model": ([("metadata", 0, 9), ("resources", 1, 1), ("build", 1, 1)], {
        "unit": "micron|millimeter|centimeter|inch|foot|meter", "requiredextensions": ANY,
        "{http://www.w3.org/XML/1998/namespace}lang": ANY}),
    "metadata": ([], {"name!": r"[A-Za-z_][\w.-]*(:[A-Za-z_][\w.-]*)?"}),
    "resources": ([("object", 0, 10**9)], {}),
    "object": ([("mesh", 1, 1)], {"id!": IDENTITY, "type": "model|solidsupport|support|other", "name": ANY}),
    "mesh": ([("vertices", 1, 1), ("triangles", 1, 1)], {}),
    "vertices": ([("vertex", 3, 10**9)], {}),
    "vertex": ([], {"x!": NUMBER, "y!": NUMBER, "z!": NUMBER}),
    "triangles": ([("triangle", 1, 10**9)], {}),
    "triangle": ([], {"v1!": INDEX, "v2!": INDEX, "v3!": INDEX}),
    "build": ([("item", 0, 9)], {}),
    "item": ([], {"objectid!": IDENTITY}),
}  # fmt: skip


def assert_by_the_rules(element):
    name = element.tag.removeprefix(CORE)
    children, attributes = RULES[name]
    assert {key[:-1] for key in attributes if key.endswith("!")} <= set(element.attrib), name
    patterns = {key.removesuffix("!"): pattern for key, pattern in attributes.items()}
    for key, value in element.attrib.items():
        assert re.fullmatch(patterns[key], value), (name, key, value)
    assert name == "metadata" or not (element.text or "").strip()
    order = [child.tag.removeprefix(CORE) for child in element]
    for child, least, most in children:
        count = next((k for k, found in enumerate(order) if found != child), len(order))
        assert least <= count <= most, (name, child, count)
        order = order[count:]
    assert not order, (name, order)
    for child in element:
        assert_by_the_rules(child)


@pytest.mark.parametrize("unit", UNITS)
def test_a_file_keeps_the_schema(tmp_path, unit):
    """Numbers of all sizes and signs, exponents too; indices within the vertices; the item is the object."""
    rng = np.random.default_rng(0)
    vertices = rng.standard_normal((40, 3)) * 10.0 ** rng.integers(-30, 30, (40, 3))
    vertices[:3] = [(0.0, -0.0, 1e-12), (1.0, -2.0, 1e7), (1e-7, 1e16, -1e-300)]
    faces = rng.permuted(np.tile(np.arange(40), (60, 1)), axis=1)[:, :3]
    path = tmp_path / "a.3mf"
    with pytest.warns(UserWarning, match="not closed"):
        save_mesh(path, vertices, np.ones((40, 3)), faces, placement=Placement(units=unit, cloud_units=unit))
    archive = zipfile.ZipFile(path)
    assert archive.testzip() is None
    assert set(archive.namelist()) == {"[Content_Types].xml", "_rels/.rels", "3D/3dmodel.model"}
    for name in archive.namelist():
        root = ElementTree.fromstring(archive.read(name))
    assert_by_the_rules(root)
    assert root.get("unit") == {"mm": "millimeter", "cm": "centimeter", "m": "meter", "in": "inch"}[unit]
    corners = [[int(t.get(f"v{k}")) for k in (1, 2, 3)] for t in root.iter(f"{CORE}triangle")]
    assert np.array_equal(corners, faces)
    assert [i.get("objectid") for i in root.iter(f"{CORE}item")] == [o.get("id") for o in root.iter(f"{CORE}object")]
