"""Find words in the package and its documentation that the field has other words for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# What not to say, and what to say instead.
BANNED = {
    r"wish(es)?": "submission, request",
    r"ledger|standing": "submission record",
    r"answer\w*": "response, respond",
    r"(first|last|next|each|every|failed|failing) looks?": "poll",
    r"ridden out": "tolerated",
    r"doubts?|doubtful": "inconclusive",
    r"weigh(s|ed)?|verdict|strangers?": "decide, decision, candidate, match",
    r"weather": "failure modes",
    r"watched bod(y|ies)": "tracked request body",
    r"former li(fe|ves)": "an earlier try",
}
# The account's credit ledger is Pictory's own word.
ALLOWED = {"ledger": "airflow_provider_pictory/sandbox/"}
# The changelog may name what was renamed.
PLACES = ("airflow_provider_pictory", "example_dags", "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md")


def main() -> int:
    """Print each line with such a word, and return the exit status."""
    listed = subprocess.run(["git", "ls-files", "--", *PLACES], capture_output=True, text=True, check=True)
    pattern = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)
    found = 0
    for name in listed.stdout.splitlines():
        path = Path(name)
        if path.suffix not in (".py", ".md") or not path.exists():
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for match in pattern.finditer(line):
                word = match[0].lower()
                if name.startswith(ALLOWED.get(word, "nowhere")):
                    continue
                instead = next(say for banned, say in BANNED.items() if re.fullmatch(banned, word))
                print(f"{name}:{number}: {match[0]!r}: say {instead}")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
