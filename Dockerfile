# A studio in a container. It has not been built yet: Docker was not available; tests/house/test_docker.py checks its
# rules. Films are kept in the volume /films; the token is asked of everybody.
#
# Its user (10001) has to be able to read the token, and nobody else should:
#
#   openssl rand -hex 24 > token && sudo chown 10001 token && sudo chmod 400 token
#   docker build -t shotstream .
#   docker run -p 7860:7860 -v films:/films -v "$PWD/token:/run/secrets/token:ro" shotstream
#
# For a GPU, build with --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 and run with --gpus all, and add
# --build-arg HASHES=no: the hashes are of the files for x86-64 and the CPU.
#
# The base image is pinned by the digest that docker-library/repo-info listed for python:3.11-slim-bookworm on
# 2026-08-25. `docker buildx imagetools inspect python:3.11-slim-bookworm` tells today's.
FROM python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG HASHES=yes
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 SHOTSTREAM_CACHE=/films/.cache

RUN useradd --create-home --uid 10001 studio \
    && install --directory --owner studio --group studio /films
WORKDIR /opt/shotstream

# What is installed comes first: it changes least and is most of the image.
COPY constraints.txt image-requirements.txt ./
RUN if [ "$HASHES" = yes ]; \
    then pip install --require-hashes --no-deps --extra-index-url "$TORCH_INDEX" --requirement image-requirements.txt; \
    else pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" torch; fi
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN if [ "$HASHES" = yes ]; \
    then pip install --no-deps --no-build-isolation .; \
    else pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" '.[studio]'; fi

USER studio
VOLUME /films
EXPOSE 7860
# Over http, or https where the command has a certificate.
HEALTHCHECK --interval=30s --timeout=15s --start-period=120s CMD ["python", "-m", "shotstream.serving.alive"]
# SIGTERM: the running block is finished and saved.
STOPSIGNAL SIGTERM
ENTRYPOINT ["shotstream"]
CMD ["studio", "--host", "0.0.0.0", "--no-open", "--films", "/films", "--token-file", "/run/secrets/token"]
