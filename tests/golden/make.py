"""Makes llama.json anew from Hugging Face transformers, with our weights.

    pip install -e '.[bench]' && python -m tests.golden.make

The arithmetic is theirs: nothing in the file comes out of the code that it is compared with.
"""

import json
from pathlib import Path

from engine.weights import random_weights
from tests.golden.configs import CONFIGS, NEW_TOKENS, SEEDS, prompt
from tests.golden.peer import run, to_transformers


def main() -> None:
    lines = []
    for name, config in CONFIGS.items():
        for seed in SEEDS:
            theirs = to_transformers(config, random_weights(config, seed))
            tokens, logits = run(theirs, prompt(config, seed), NEW_TOKENS)
            golden = {"tokens": tokens}
            for when, row in (("first_logits", logits[0]), ("last_logits", logits[-1])):
                golden[when] = [round(float(x), 6) for x in row]
            lines.append(f'"{name}/{seed}": {json.dumps(golden)}')
    Path(__file__).with_name("llama.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
