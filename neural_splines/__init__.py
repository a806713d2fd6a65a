"""Neural Splines: oriented point clouds to triangle meshes.

    from neural_splines.files import load_point_cloud, save_mesh
    from neural_splines.reconstruct import reconstruct
    from neural_splines.settings import CellSettings, Settings

Importing the package itself imports nothing, so that the scripts answer --help at once.
"""
