# The one image of all nodes, head and workers, and of MLflow's server: Ray's own with Python 3.11, and what
# constraints.txt pins. No data and no credentials are in it; .dockerignore lets in what is copied here, and nothing else.
#
#   docker build --tag YOUR-REGISTRY/unblur:ray-2.60.0 . && docker push YOUR-REGISTRY/unblur:ray-2.60.0

FROM rayproject/ray:2.60.0-py311-gpu

# ray of the group users, as numbers, which Kubernetes can check
USER 1000
# made by hand: WORKDIR would make it for root
RUN mkdir /home/ray/unblur
WORKDIR /home/ray/unblur

# by itself, since it is large and changes rarely
COPY --chown=1000:100 constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt torch==2.13.0

COPY --chown=1000:100 pyproject.toml README.md LICENSE ./
COPY --chown=1000:100 platform ./platform
COPY --chown=1000:100 search_spaces ./search_spaces
COPY --chown=1000:100 dashboards ./dashboards
COPY --chown=1000:100 jobs ./jobs
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[aws,serve,energy]'
