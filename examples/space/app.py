"""hf-medreport in the browser: a test bench, no medical device.

python app.py          # http://localhost:7860
"""

import importlib
import os
import site
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    import spaces  # ZeroGPU's, before torch; elsewhere there is none
except ImportError:
    spaces = None

WHEEL = Path(__file__).parent / "hf_medreport-0.1.0-py3-none-any.whl"
if find_spec("hf_medreport") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(WHEEL)], check=True)
    site.addsitedir(site.getusersitepackages())
    importlib.invalidate_caches()

from hf_medreport.demo.models import Models  # noqa: E402
from hf_medreport.demo.serving import serve  # noqa: E402

MODELS = []

if __name__ == "__main__":
    port = int(os.environ.get("GRADIO_SERVER_PORT", 7860))
    models = Models(MODELS, around=spaces.GPU if spaces else None)
    serve(models, host="0.0.0.0", port=port, browser=False)
