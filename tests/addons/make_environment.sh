#!/usr/bin/env bash
# Make an environment with TensorFlow 2.15 and tensorflow-addons, apart from the project's own:
#   tests/addons/make_environment.sh DIR && ZOO_ADDONS=DIR/bin/python pytest tests/addons
# PYTHON is a Python 3.11 to start from. What is installed is the extra `addons` of setup.cfg with the versions of
# constraints-addons.txt, without the project: it needs a newer TensorFlow.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${1:?directory of the new environment}
"${PYTHON:-python3.11}" -m venv "$target"
python=$target/bin/python
"$python" - "$here/setup.cfg" >"$target/requirements.txt" <<'READ'
import configparser
import sys

settings = configparser.ConfigParser()
settings.read(sys.argv[1])
print(settings["options.extras_require"]["addons"])
READ
"$python" -m pip install --quiet --constraint "$here/constraints-addons.txt" --requirement "$target/requirements.txt"
"$python" -W ignore -c "import tensorflow_addons as found; print(found.__version__)"
