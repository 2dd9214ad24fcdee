"""The page is built without what is heavy, and hands out nothing by itself."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

BUILD = """
import json, sys
from pathlib import Path
from trainer.settings import Settings
from trainer.ui.page import build

demo = build(Settings(data_dir=Path(sys.argv[1])))
heavy = ["torch", "transformers", "datasets", "evaluate", "librosa", "jiwer", "accelerate"]
from trainer.ui.run_handlers import RunHandlers
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.visitors import Visitor
settings = Settings(data_dir=Path(sys.argv[1]))
RunHandlers(settings).arrive(Visit(Visitor("", settings), Watch(), "quick", None), "en-US")
public = [fn.api_name for fn in demo.fns.values() if fn.api_visibility == "public"]
print(json.dumps({"heavy": [name for name in heavy if name in sys.modules], "public": public}))
"""


def test_building_and_polling_need_no_torch_and_offer_three_endpoints(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"heavy": [], "public": ["transcribe", "compare", "models"]}
    assert list(tmp_path.iterdir()) == [], "building writes nothing"
