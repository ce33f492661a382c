# fakellm as an image: no root, nothing written but to /tmp, so that it runs with a read-only file system.
#   docker build -t fakellm . && docker run --rm --read-only --tmpfs /tmp -p 8080:8080 fakellm
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY fakellm fakellm
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[codings,metrics,redis,tls]" \
    && python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --no-index /wheels/*.whl

FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /scenarios
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/_fakellm/health/live', timeout=2)"]
ENTRYPOINT ["fakellm"]
CMD ["serve", "--host", "0.0.0.0"]
