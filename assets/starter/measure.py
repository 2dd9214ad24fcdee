"""How well the starter's own letters write what people say, noted beside them for the page to tell: with the common
words of the language where they are listed, as the page listens, and by sound alone.

    python -m assets.starter.measure RECORDINGS

RECORDINGS is a folder with transcripts.tsv (path, text, speaker, language, ...) of people that nothing here has heard.
Rows without a text, and those with digits, which are said in too many ways, are left out. Run it once: who chooses by
these figures measures nothing any more.
"""

import argparse
import csv
from pathlib import Path

from assets.starter.make import HERE, SPOKEN
from trainer.models.beam_search import decoder_for
from trainer.models.ctc_model import open_checkpoint
from trainer.models.inference import Transcriber
from trainer.models.model_files import add_notes, read_model
from trainer.models.word_knowledge import known_to
from trainer.speech.audio import AudioLimits, load_audio
from trainer.speech.evaluate_metrics import measured
from trainer.speech.text import normalise

MOST_BYTES = 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    folder = parser.parse_args().recordings
    with (folder / "transcripts.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for head in sorted((HERE / "heads").iterdir()):
        locale = SPOKEN[head.name]
        checkpoint = open_checkpoint(read_model(head, MOST_BYTES))
        hear, decoder = Transcriber(checkpoint), decoder_for(checkpoint.vocabulary, known_to(head))
        said, heard, spelt = list[str](), list[str](), list[str]()
        speakers = set()
        for row in rows:
            text = normalise(row["text"], locale)
            if row["language"] != head.name or not text or any(map(str.isdigit, text)):
                continue
            sound = load_audio(folder / row["path"], AudioLimits(120, 10**8))
            said.append(text)
            hearing = hear(sound.samples, decoder=decoder)
            heard.append(normalise(hearing.text, locale))
            spelt.append(normalise(hearing.spelt, locale))
            speakers.add(row["speaker"])
            print(f"{head.name}: {said[-1]} | {heard[-1]}")
        notes: dict[str, object] = {"locale": locale.code, "base": "starter"}
        if said:
            rates, by_sound = measured(said, heard), measured(said, spelt)
            notes["people"] = {"wer": rates.wer, "cer": rates.cer, "clips": len(said), "speakers": len(speakers)}
            notes["people_by_sound"] = {"wer": by_sound.wer, "cer": by_sound.cer}
            print(f"{head.name}, {len(said)} clips of {len(speakers)} people: by sound {by_sound}, with words {rates}")
        add_notes(head, **notes)


if __name__ == "__main__":
    main()
