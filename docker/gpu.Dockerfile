# simsiam_tf for NVIDIA GPUs. docs/containers.md has the commands.
# The same base as for CPUs: pip brings the CUDA libraries, so the machine needs its driver and the NVIDIA Container
# Toolkit alone.
FROM python:3.12-slim

# Messages come at once, and pip keeps no copy of what it installs.
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore TF_CPP_MIN_LOG_LEVEL=2
# What the toolkit hands into the container.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# The requirements alone first: a change of the code does not install TensorFlow and CUDA again.
COPY requirements.txt requirements-gpu.txt /src/
RUN pip install -r /src/requirements-gpu.txt

COPY . /src
RUN pip install "/src[gpu]"

# An ordinary user. With `docker run --user` any other may write to these folders too.
RUN useradd --create-home --uid 1000 simsiam && mkdir /work && chmod 1777 /work /home/simsiam
USER 1000
ENV HOME=/home/simsiam
WORKDIR /work

CMD ["simsiam-train", "--help"]
