#!/bin/sh
# What is in the image, for both recipes: the locked packages, and git, by which results say of which commit they are.
# The project's own code is not: it comes from the working directory (PYTHONPATH), so that an edit needs no new image.
#
#   install.sh EXTRAS       # of pyproject.toml; beside this file lie that, requirements.lock and README.md
set -eu
apt-get update
apt-get install --yes --no-install-recommends git
rm -rf /var/lib/apt/lists/*
cd "$(dirname "$0")"
python -m pip install --no-cache-dir --constraint requirements.lock ".[$1]"
python -m pip check
