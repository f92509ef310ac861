# An image with the versions of requirements/, for a GPU or for CPUs alone; see docs/machines.md.
#   docker build --tag nnit .
#   docker run --rm --gpus all --volume "$PWD":/work nnit sample --arch 128,256,128
FROM python:3.11-slim-bookworm

# What the simulator is linked with, and what DVC asks for versions.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git=1:2.* libx11-6=2:1.8.* \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/nnit
COPY requirements/ requirements/
# torch-cpu.txt where pip is told of a place that has it, by PIP_EXTRA_INDEX_URL.
ARG TORCH=torch-cuda.txt
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_NO_CACHE_DIR=1
RUN pip install --no-deps --no-build-isolation --require-hashes --requirement requirements/build.txt \
    && pip install --no-deps --no-build-isolation --require-hashes --requirement requirements/environment.txt \
    && pip install --no-deps --no-build-isolation --require-hashes --requirement "requirements/${TORCH}"
COPY . .
RUN pip install --no-deps --no-build-isolation . \
    && pip check \
    && useradd --create-home --uid 1000 nnit \
    && install --directory --owner 1000 /work

USER 1000
WORKDIR /work
ENTRYPOINT ["nnit"]
CMD ["--help"]
