# docker build -t rightsize . — the program with its cluster extra and pinned dependencies: no build tools, no pip,
# no compiler, none of the libraries' own tests but those numpy imports. It runs as nobody and on a read-only
# root, and writes to /data and /tmp.
FROM python:3.12.12-slim-bookworm@sha256:593bd06efe90efa80dc4eee3948be7c0fde4134606dd40d8dd8dbcade98e669c AS build
COPY pyproject.toml README.md CHANGELOG.md LICENSE NOTICE /src/
COPY requirements /src/requirements
COPY data /src/data
COPY rightsize /src/rightsize
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes -r /src/requirements/build.txt \
 && /tools/bin/pip wheel --no-deps --no-build-isolation -w /wheels /src \
 && python -m venv --without-pip /app \
 && /tools/bin/pip --python /app/bin/python install --no-cache-dir --require-hashes -r /src/requirements/image.txt \
 && /tools/bin/pip --python /app/bin/python install --no-cache-dir --no-deps /wheels/*.whl \
 && find /app/lib -path '*/site-packages/numpy' -prune -o -type d -name tests -prune -exec rm -rf {} +

FROM python:3.12.12-slim-bookworm@sha256:593bd06efe90efa80dc4eee3948be7c0fde4134606dd40d8dd8dbcade98e669c
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["rightsize"]
