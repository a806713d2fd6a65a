"""The public functions: numpy in gives numpy out, torch in gives torch out, on its device.

Points, normals, lengths and values are in world units, the units of the cloud. Results are float64, faces int64.
Errors are NeuralSplinesError with one line that says what is wrong and what to do; what a user should know of a result
is a ReconstructionWarning.
"""
