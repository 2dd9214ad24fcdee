"""Makes the model that can be talked to before anything was trained: the starter, fine-tuned on the practice set.

    python assets/ready-en-US/make.py

It takes what `python -m trainer finetune --preset thorough` leaves, and stores the weights as fp16.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOCALE = "en-US"

sys.path.insert(0, str(ROOT))  # run as a file, since the folder's name is no module's

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as data_dir:
        run = Path(data_dir) / "run"
        command = [sys.executable, "-m", "trainer", "finetune", "--preset", "thorough", "--locale", LOCALE]
        environment = {**os.environ, "VOICETUNE_DATA": data_dir}
        subprocess.run([*command, "--data", "practice", "--run", str(run)], cwd=ROOT, env=environment, check=True)
        for file in (run / "model").iterdir():
            shutil.copyfile(file, HERE / file.name)
    weights = {name: value.to(torch.float16) for name, value in load_file(HERE / "model.safetensors").items()}
    save_file(weights, HERE / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
