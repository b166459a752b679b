# simsiam_tf for CPUs. docs/containers.md has the commands.
FROM python:3.12-slim

# Messages come at once, and pip keeps no copy of what it installs.
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore TF_CPP_MIN_LOG_LEVEL=2

# The requirements alone first: a change of the code does not install TensorFlow again.
COPY requirements.txt /src/
RUN pip install -r /src/requirements.txt

COPY . /src
RUN pip install /src

# An ordinary user. With `docker run --user` any other may write to these folders too.
RUN useradd --create-home --uid 1000 simsiam && mkdir /work && chmod 1777 /work /home/simsiam
USER 1000
ENV HOME=/home/simsiam
WORKDIR /work

CMD ["simsiam-train", "--help"]
