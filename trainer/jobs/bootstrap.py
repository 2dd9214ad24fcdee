"""The first lines that run on a rented machine, sent as text: fetch the bundle, then start what lies in it.

Only huggingface_hub is installed at this point. The token is in HF_TOKEN, where it reads it.
"""

import os
import sys
import zipfile

from huggingface_hub import hf_hub_download

repo_id, bundle = sys.argv[1:3]
with zipfile.ZipFile(hf_hub_download(repo_id, bundle)) as archive:
    archive.extractall("voicetune")
os.chdir("voicetune")
uv = ["uv", "run", "--no-project", "--with-requirements", "requirements.txt"]
os.execvp("uv", [*uv, "python", "-m", "trainer.jobs.worker", repo_id])
