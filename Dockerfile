# A studio in a container. Films are kept in the volume /films; the token is asked of everybody.
#
#   docker build -t shotstream .
#   docker run -p 7860:7860 -v films:/films -v "$PWD/token:/run/secrets/token:ro" shotstream
#
# For a GPU, build with --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 and run with --gpus all.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 SHOTSTREAM_CACHE=/films/.cache

RUN useradd --create-home --uid 10001 studio \
    && install --directory --owner studio --group studio /films
WORKDIR /opt/shotstream

# Torch first and alone: it changes least and is most of the image.
COPY constraints.txt ./
RUN pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" torch
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" '.[studio]'

USER studio
VOLUME /films
EXPOSE 7860
# Any answer at all means that it is alive; without the token it is told nothing more.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/login')"]
# SIGTERM: the running block is finished and saved.
STOPSIGNAL SIGTERM
ENTRYPOINT ["shotstream"]
CMD ["studio", "--host", "0.0.0.0", "--no-open", "--films", "/films", "--token-file", "/run/secrets/token"]
