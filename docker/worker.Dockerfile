# A worker process: kernels on JAX. On a CPU, and with GPU wheels, from the project's top:
#   docker build -f docker/worker.Dockerfile -t gramd-worker .
#   docker build -f docker/worker.Dockerfile --build-arg REQUIREMENTS=cuda -t gramd-worker-gpu .
# The GPU wheels bring the CUDA libraries; the host brings the driver and the NVIDIA container toolkit.
ARG PYTHON_IMAGE=python:3.11.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG REQUIREMENTS=worker
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /venv
COPY requirements/${REQUIREMENTS}.txt /requirements.txt
RUN /venv/bin/python -m pip install --no-deps --require-hashes --only-binary :all: -r /requirements.txt
COPY kernels /app/kernels
COPY service /app/service
# Compiled here, since the root file system is read-only where it runs.
RUN /venv/bin/python -m compileall -q /app

FROM ${PYTHON_IMAGE} AS worker
# The volume for compiled programs is mounted over a directory that the user owns.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent gramd \
    && install -d -o 10001 -g 10001 /var/cache/gramd
COPY --from=build /venv /venv
COPY --from=build /app /app
# The last two: glibc gives large freed buffers back (service/processes/supervisor.py).
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GRAMD_COMPILE_DIR=/var/cache/gramd \
    MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=8388608 MALLOC_TRIM_THRESHOLD_=67108864
WORKDIR /app
USER 10001:10001
VOLUME ["/var/cache/gramd"]
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-m", "service", "health", "worker"]
CMD ["python", "-m", "service", "worker"]
