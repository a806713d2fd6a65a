"""What a person looks at: pictures of meshes and points without a display, and a page to turn them in.

Everything here takes numpy arrays and gives arrays, bytes or text; nothing opens a file or needs a graphics library.
"""
