FROM pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="LesionClick" \
      org.opencontainers.image.description="Promptable lesion segmentation in whole-body PET/CT" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The root file system may be read-only and the user unknown: nothing is cached, nothing is looked for in a home folder.
# The platform stops a case after 15 minutes; after 13 there must be a mask.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    LESIONCLICK_TIME_LIMIT=780

WORKDIR /opt/app
COPY requirements.txt ./
RUN python -m pip install --no-cache-dir -r requirements.txt
COPY process.py ./
COPY resources ./resources
COPY lesionclick ./lesionclick
RUN python -m compileall -q lesionclick && chmod -R a+rX /opt/app && mkdir -p /opt/ml/model

USER 1000:1000
ENTRYPOINT ["python", "/opt/app/process.py"]
