# The HTTP front end: no JAX in it. Build from the project's top:
#   docker build -f docker/api.Dockerfile -t gramd-api .
ARG PYTHON_IMAGE=python:3.11.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /venv
COPY requirements/api.txt /requirements.txt
RUN /venv/bin/python -m pip install --no-deps --require-hashes --only-binary :all: -r /requirements.txt
COPY kernels /app/kernels
COPY service /app/service
# Compiled here, since the root file system is read-only where it runs.
RUN /venv/bin/python -m compileall -q /app

FROM ${PYTHON_IMAGE} AS api
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent gramd
COPY --from=build /venv /venv
COPY --from=build /app /app
# The last three: glibc keeps what it needs again at once (service/processes/supervisor.py).
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=16777216 MALLOC_TRIM_THRESHOLD_=67108864
WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "service", "health", "api", "--port", "8000"]
CMD ["python", "-m", "service", "api", "--host", "0.0.0.0", "--port", "8000"]
