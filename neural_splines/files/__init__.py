"""All files: clouds and meshes in; meshes, fields, grids, arrays and reports out.

Reading never trusts a file: whatever it holds, the result is what was asked for or one CloudError that names the path.
Writing is atomic. No other room opens a path.
"""
