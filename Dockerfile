# The command in a container, for a CPU or, with --build-arg REQUIREMENTS=cuda130, for an NVIDIA GPU:
#
#     docker build -t neural-splines .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" neural-splines reconstruct cloud.ply --html recon.html
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" --gpus all neural-splines reconstruct cloud.ply
#
# REQUIREMENTS is the part of a name in requirements/: cpu, cuda126, cuda128, cuda130 or cuda132 (docs/install.md says
# which driver needs which). Not built yet: there is no Docker on the machine that this was written on.
FROM python:3.12-slim

ARG REQUIREMENTS=cpu
# Triton compiles a small C file for the first launch of a kernel.
RUN if [ "$REQUIREMENTS" != cpu ]; then \
        apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*; \
    fi

WORKDIR /opt/neural-splines
COPY requirements requirements
# The CPU build of PyTorch is on an index of its own; the CUDA files name theirs.
RUN pip install --no-cache-dir -r "requirements/requirements-$REQUIREMENTS.txt" \
        $([ "$REQUIREMENTS" = cpu ] && echo --extra-index-url https://download.pytorch.org/whl/cpu)

COPY pyproject.toml README.md LICENSE ./
COPY neural_splines neural_splines
RUN pip install --no-cache-dir ".[las,e57,geo,print,texture]"

# Compiled loops are kept here, for whichever user runs the container.
ENV NUMBA_CACHE_DIR=/var/cache/neural-splines/numba \
    TRITON_CACHE_DIR=/var/cache/neural-splines/triton
COPY examples/knot.ply /tmp/knot.ply
RUN cd /tmp && neural-splines reconstruct knot.ply --device cpu --out mesh.ply --quiet && rm mesh.ply knot.ply \
    && mkdir -p "$NUMBA_CACHE_DIR" "$TRITON_CACHE_DIR" && chmod -R a+rwX /var/cache/neural-splines

WORKDIR /data
ENTRYPOINT ["neural-splines"]
CMD ["--help"]
