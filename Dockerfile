FROM pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime AS requirements

LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime"

# The root file system may be read-only and the user unknown: nothing is cached, nothing is looked for in a home folder.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1

WORKDIR /opt/app
COPY requirements.txt ./
RUN python -m pip install --no-cache-dir -r requirements.txt


# What Grand Challenge runs: a process for each case.
FROM requirements AS inference

COPY process.py ./
COPY resources ./resources
COPY lesionclick ./lesionclick
RUN python -m compileall -q lesionclick && chmod -R a+rX /opt/app && mkdir -p /opt/ml/model

# The platform stops a case after 15 minutes; after 13 there must be a mask.
ENV LESIONCLICK_API=exec \
    LESIONCLICK_TIME_LIMIT=780

USER 1000:1000
ENTRYPOINT ["python", "/opt/app/process.py"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="LesionClick" \
      org.opencontainers.image.description="Promptable lesion segmentation in whole-body PET/CT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.grand-challenge.api-method="exec"


# The same, but a process that stays awake and is called for each case.
FROM inference AS invoke

ENV LESIONCLICK_API=invoke
LABEL org.grand-challenge.api-method="invoke"


# The package with the page that readers see, for which it gets Node.js from PyPI; nothing else of this stage is used.
FROM requirements AS wheel

# certificates of the system beside those that Node.js brings, for networks that have their own
ENV NODE_USE_SYSTEM_CA=1

WORKDIR /opt/source
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY lesionclick ./lesionclick
COPY viewer ./viewer
RUN python -c "from lesionclick.server.page_build import find_or_build_page; find_or_build_page()"
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /opt/package .


# What readers open in their browsers.
FROM requirements AS serve

COPY resources ./resources
RUN --mount=type=bind,from=wheel,source=/opt/package,target=/opt/package \
    set -- /opt/package/*.whl && python -m pip install --no-cache-dir -r requirements.txt "$1[dicom,serve]" \
    && chmod -R a+rX /opt/app && mkdir -p /data && chown 1000:1000 /data

ENV LESIONCLICK_DATA=/data \
    LESIONCLICK_MODEL=/opt/app/resources/model

EXPOSE 8000
USER 1000:1000
ENTRYPOINT ["lesionclick", "serve", "--host", "0.0.0.0"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="LesionClick server" \
      org.opencontainers.image.description="Lesions in whole-body PET/CT, corrected by clicks in the browser" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


# Where no target is named, the image for Grand Challenge is built.
FROM inference
