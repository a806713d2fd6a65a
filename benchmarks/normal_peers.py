"""Other programs' oriented normals, each in a process of its own, and how right normals are."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable

import numpy as np


def score(normals: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of right signs, up to a global flip, and the mean angle of directions in degrees."""
    cosine = (normals * truth).sum(1)
    right = float((cosine > 0.0).mean())
    return max(right, 1.0 - right), float(np.degrees(np.arccos(np.abs(cosine).clip(0.0, 1.0))).mean())


def open3d(points: np.ndarray, k: int) -> np.ndarray:
    import open3d as o3d

    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(k))
    cloud.orient_normals_consistent_tangent_plane(k)
    return np.asarray(cloud.normals)


def pymeshlab(points: np.ndarray, k: int) -> np.ndarray:
    import pymeshlab as ml

    meshes = ml.MeshSet()
    meshes.add_mesh(ml.Mesh(points))
    meshes.compute_normal_for_point_clouds(k=k)
    return meshes.current_mesh().vertex_normal_matrix()


def spanning_tree(points: np.ndarray, k: int) -> np.ndarray:
    """H. Hoppe et al., Surface Reconstruction from Unorganized Points, SIGGRAPH 1992."""
    import point_cloud_utils as pcu
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
    from scipy.spatial import cKDTree

    _, normals = pcu.estimate_point_cloud_normals_knn(points, k)
    near = cKDTree(points).query(points, k + 1)[1][:, 1:]
    i, j = np.repeat(np.arange(len(points)), k), near.ravel()
    weight = 1.0 - np.abs((normals[i] * normals[j]).sum(1)) + 1e-6
    tree = minimum_spanning_tree(coo_matrix((weight, (i, j)), shape=(len(points),) * 2))
    reached = np.zeros(len(points), bool)
    for start in range(len(points)):
        if reached[start]:
            continue
        order, parent = breadth_first_order(tree, start, directed=False)
        reached[order] = True
        for node in order[1:]:
            if normals[node] @ normals[parent[node]] < 0.0:
                normals[node] = -normals[node]
    return normals


LIMIT = 300  # seconds of one core
OTHERS = {"Open3D": (open3d, (10, 15, 30)), "PyMeshLab": (pymeshlab, (10, 30)), "MST": (spanning_tree, (10,))}


def best_of(peer: str, points: np.ndarray, truth: np.ndarray) -> str:
    """The best score of a peer; a process of its own for each number of neighbours, until one takes over LIMIT."""
    method, counts = OTHERS[peer]
    context, scores = multiprocessing.get_context("spawn"), []
    for k in counts:
        answers = context.SimpleQueue()
        process = context.Process(target=limited, args=(method, points, truth, k, answers))
        process.start()
        process.join()
        if answers.empty():
            break
        scores.append(answers.get())
    ended = f" ({k} neighbours: no answer in {LIMIT} s)" if len(scores) < len(counts) else ""
    return ("{:.4f} / {:.1f}".format(*max(scores)) if scores else "-") + ended


def limited(method: Callable[[np.ndarray, int], np.ndarray], points: np.ndarray, truth: np.ndarray, k: int, answers):
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    answers.put(score(method(points, k), truth))
